import time

import numpy as np
import pandas as pd
import pytest
from helpers import ARMS, arms

from bayesma.errors import SpecError, TableError
from bayesma.readers import read_table
from bayesma.table import StudyTable, require_outcomes


def faults(frame, **options):
    with pytest.raises(TableError, match=r"\S") as caught:
        read_table(frame, **options)
    return str(caught.value).splitlines()


def cell(frame, row, column, value):
    """Return the frame with one cell replaced by anything."""
    changed = frame.astype(object)
    changed.loc[row, column] = value
    return changed


def test_a_sound_table_passes_and_is_typed():
    table = read_table(arms(delay=["1 d", "12 h", None], drug=["a", None, "c"], note=[1, 2, None]))
    assert list(table.frame) == ["row_id", "study", *ARMS, "drug", "delay", "note"]
    assert table.frame["delay"].tolist()[:2] == [1.0, 0.5]
    for name in ("row_id", "study", "drug"):
        assert table.frame[name].dtype == "str"
    for name in (*ARMS, "delay", "note"):
        assert table.frame[name].dtype == "float64"
    assert table.frame["row_id"].tolist() == ["0", "1", "2"]
    assert table.frame["drug"].isna().tolist() == [False, True, False]
    assert len(table) == 3
    assert repr(table) == "<StudyTable DataFrame: 3 rows, 2 studies>"


def test_reading_a_table_changes_nothing_in_the_frame_given():
    frame = arms(delay=["1 d", "2 d", "3 d"])
    before = frame.copy(deep=True)
    read_table(frame)
    pd.testing.assert_frame_equal(frame, before)


# -- cells ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "line"),
    [
        ("n_treated", 1, "'1' is too small; animals in the treated arm must be at least 2"),
        ("n_treated", 0, "'0' is too small; animals in the treated arm must be at least 2"),
        ("n_treated", 8.5, "'8.5' is not a whole number; write how many"),
        (
            "sd_control",
            0,
            "'0' is too small; standard deviation of the control arm must be above 0",
        ),
        (
            "sd_control",
            -2,
            "'-2' is too small; standard deviation of the control arm must be above",
        ),
        ("mean_treated", np.nan, "is missing; fill it in, or leave the row out"),
        ("mean_treated", "NA", "'NA' is missing; fill it in, or leave the row out"),
        ("mean_treated", "about 5", "'about 5' is not a number; write a plain number such as 12.5"),
        ("mean_treated", "12,5", "'12,5' is not a number; write a decimal point and no separator"),
        ("mean_treated", "<0.01", "'<0.01' is not a number; write a plain number"),
        ("n_treated", "12 (n=3)", "'12 (n=3)' is not a number; write a plain number"),
        ("n_treated", "1_000", "'1_000' is not a number; write a plain number"),
        ("n_treated", "\uff15", "'\uff15' is not a number; write a plain number"),
        ("n_treated", True, "'True' is not a number; write a plain number"),
        ("n_treated", np.True_, "'True' is not a number; write a plain number"),
        ("mean_treated", "inf", "'inf' is not finite; write a plain number"),
        ("mean_treated", float("-inf"), "'-inf' is not finite; write a plain number"),
        ("mean_treated", 10**400, "is not a number; write a plain number"),
        ("mean_treated", [1, 2], "'[1, 2]' is not a number; write a plain number"),
        (
            "mean_treated",
            pd.Timestamp("2020-01-01"),
            "is a date; spreadsheets make dates of entries",
        ),
        ("study", " ", "is missing; fill it in"),
    ],
)
def test_a_bad_cell_is_one_line_with_its_place_and_remedy(column, value, line):
    (found,) = faults(cell(arms(), 1, column, value))
    assert found.startswith(f"DataFrame, row 1, column '{column}': ")
    assert line in found


@pytest.mark.parametrize(
    ("column", "value", "line"),
    [
        ("delay", "-1 h", "'-1 h' is too small; time since last dose or end of infusion"),
        ("delay", "1-2 h", "'1-2 h' is a range; write one number, or ask for ranges='midpoint'"),
        ("delay", "30 x", "'30 x' has no known unit of time; known units: s, min, h, d, wk"),
        ("delay", "soon", "'soon' is not one number with one unit; write e.g. '30 min', '24 h'"),
        ("delay", "5 mg", "'5 mg' has no known unit of time"),
        ("duration", "3 months", "'3 months' has no known unit of time"),
        ("direction", 2, "'2' is not one of its levels; use '1', '-1'"),
        ("direction", 0, "'0' is not one of its levels; use '1', '-1'"),
        ("direction", "Inverse", "'Inverse' is not a number"),
        ("exposure", "maybe", "'maybe' is not one of its levels; use 'on', 'off'"),
        ("delay_reference", "surgery", "use 'last dose', 'end of infusion', 'start'"),
        ("i2", 101, "'101' is too large; I2 of a pooled row, in percent must be at most 100"),
        ("k", 0, "'0' is too small"),
        ("dose", -1, "'-1' is too small"),
    ],
)
def test_a_bad_cell_of_an_optional_column(column, value, line):
    frame = arms().assign(**{column: None})
    (found,) = faults(cell(frame, 2, column, value))
    assert found.startswith(f"DataFrame, row 2, column '{column}': ")
    assert line in found


@pytest.mark.parametrize(
    ("value", "number"),
    [("1e3", 1000), (" 12 ", 12), ("+3", 3), ("-.5", -0.5), ("5.", 5), (7, 7), (np.int64(4), 4)],
)
def test_plain_numbers_are_read(value, number):
    frame = cell(arms(), 0, "mean_treated", value)
    assert read_table(frame).frame["mean_treated"][0] == number


@pytest.mark.parametrize(
    "blank", ["", "  ", "NA", "n/a", "NaN", "None", "null", None, np.nan, pd.NA]
)
def test_an_optional_cell_may_be_blank(blank):
    table = read_table(arms(delay=[blank, 1, 2], drug=[blank, "a", "b"]))
    assert table.frame["delay"].isna().tolist() == [True, False, False]
    assert table.frame["drug"].isna().tolist() == [True, False, False]


def test_units_of_bare_numbers_are_given_by_column():
    table = read_table(arms(delay=["24", "2 d", 12], duration=[1, 2, 3]), units={"delay": "h"})
    assert table.frame["delay"].tolist() == [1.0, 2.0, 0.5]
    assert table.frame["duration"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({"delays": "h"}, r"units: 'delays' is no duration; did you mean 'delay'\?"),
        ({"dose": "h"}, "units: 'dose' is no duration; known: duration, delay"),
        ({"delay": "month"}, "units: delay in 'month'; .*known: s, sec"),
    ],
)
def test_unknown_units_are_refused(units, message):
    with pytest.raises(SpecError, match=message):
        read_table(arms(delay=[1, 2, 3]), units=units)


def test_numeric_labels_stay_as_people_wrote_them():
    table = read_table(arms(study=[2004.0, 2004, "2005"], drug=[None, None, None]))
    assert table.frame["study"].tolist() == ["2004", "2004", "2005"]
    assert table.frame["drug"].dtype == "str"


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        ([1, "2", 3.5], "float64"),
        (["1", None, "3"], "float64"),
        (["1_0", "2", "3"], "str"),
        (["a", 2, 3], "str"),
        ([True, False, True], "str"),
    ],
)
def test_own_columns_are_numbers_only_if_every_cell_is_one(cells, dtype):
    assert read_table(arms(own=cells)).frame["own"].dtype == dtype


# -- headers -------------------------------------------------------------------------------


def test_a_missing_column_is_named_with_its_remedy():
    (found,) = faults(arms().drop(columns="sd_control"))
    assert found == (
        "DataFrame, column 'sd_control': is missing; add it, or map yours with "
        "columns={'sd_control': ...}; the SEM, the 95% CI of the mean, or the median with "
        "quartiles or range will do too"
    )


def test_a_missing_column_suggests_the_nearest_header():
    (found,) = faults(arms().rename(columns={"study": "study name"}))
    assert "column 'study': is missing; the nearest is 'study name'; add it, or map" in found


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("n_treated", "n_treatd"), ("sd_control", "SD controls"), ("study", "studyy")],
)
def test_a_misspelt_column_is_one_line_that_suggests_the_right_one(right, wrong):
    (found,) = faults(arms().rename(columns={right: wrong}))
    assert f"column '{wrong}': is not a known column; did you mean '{right}'?" in found


@pytest.mark.parametrize(
    "header",
    [
        "se_treated",
        "SE treated",
        "SE (treated)",
        "s.e.m. treated",
        "SEM.treated",
        "stderr_treated",
        "Std. error treated",
        "standard error of the mean, treatment",
        "treated_sem",
        "sem_treatd",
    ],
)
def test_a_column_of_standard_errors_is_called_one(header):
    frame = arms().rename(columns={"sd_treated": header})
    (found,) = faults(frame)
    assert f"column '{header}': is not a known column; did you mean 'sem_treated'?" in found
    assert "sd_treated" not in found
    renamed = read_table(frame, columns={"sem_treated": header})
    # The frame's 2.0 is a standard error of 8 animals.
    np.testing.assert_allclose(renamed.frame["sd_treated"], 2 * np.sqrt(8), rtol=1e-15)


def test_standard_errors_beside_sds_are_the_reviewers_own_column():
    assert read_table(arms(se_treated=[0.7] * 3)).frame["se_treated"].tolist() == [0.7] * 3


@pytest.mark.parametrize("header", ["sex_treated", "set_control", "separate"])
def test_what_begins_with_se_is_never_called_an_sd(header):
    found = faults(arms(**{header: [1.0] * 3}).drop(columns=["sd_treated", "sd_control"]))
    assert len(found) == 2
    for name, line in zip(("sd_treated", "sd_control"), found, strict=True):
        assert f"column '{name}': is missing; add it" in line


def test_a_misspelt_optional_column_is_refused_unless_kept_on_purpose():
    frame = arms(delayy=[1, 2, 3])
    (found,) = faults(frame)
    assert "did you mean 'delay'?; rename it to 'delay', or keep it with columns=" in found
    kept = read_table(frame, columns={"delayy": "delayy"})
    assert kept.frame["delayy"].tolist() == [1, 2, 3]


def test_the_cells_of_a_column_that_may_be_no_typo_are_not_faults_too():
    (found,) = faults(arms(study_reference=["Smith et al."] * 3))
    assert "column 'study_reference': is not a known column; did you mean 'delay_refer" in found
    lines = faults(arms(n_treatd=[8, "x", 8]).drop(columns="n_treated"))
    assert len(lines) == 2
    assert "row 1, column 'n_treatd': 'x' is not a number" in lines[1]


def test_headers_match_whatever_their_case_and_spaces():
    frame = arms().rename(columns={"study": " Study ", "n_treated": "N  Treated"})
    assert read_table(frame).frame["n_treated"].tolist() == [8, 8, 8]


def test_two_headers_for_one_column_are_refused():
    (found,) = faults(arms(Study=["a", "b", "c"]))
    assert "column 'Study': reads as 'study', and so does 'study'; rename one of them" in found


def test_a_doubled_header_is_one_line():
    frame = arms()
    frame.columns = [*frame.columns[:-1], "n_treated"]
    assert faults(frame) == [
        "DataFrame, column 'n_treated': stands more than once; rename one of them",
        "DataFrame, column 'n_control': is missing; add it, or map yours with "
        "columns={'n_control': ...}",
    ]


def test_a_mapping_to_no_header_names_the_nearest():
    found = faults(arms(), columns={"drug": "studies"})
    assert found == [
        "DataFrame, column 'studies': is not in the table; the nearest is 'study'; "
        "correct the mapping of 'drug'"
    ]


def test_a_mapping_to_a_misspelt_name_is_refused():
    (found,) = faults(arms(N=[4, 5, 6]).drop(columns="n_control"), columns={"n_controls": "N"})[:1]
    assert (
        "column 'N': is mapped to 'n_controls', which is not a known column; did you mean" in found
    )
    assert "'n_control'?" in found


def test_a_mapped_column_wins_over_one_of_the_canonical_name():
    frame = arms(paper=["x", "y", "z"])
    table = read_table(frame, columns={"study": "paper"})
    assert table.frame["study"].tolist() == ["x", "y", "z"]
    assert table.names["study"] == "paper"
    assert "paper" not in table.frame


def test_headers_need_not_be_text():
    assert read_table(arms().assign(**{"7": [1, 2, 3]}).rename(columns={"7": 7})).frame["7"][0] == 1


# -- rows ----------------------------------------------------------------------------------


def test_fifty_faults_are_fifty_lines_in_the_order_of_the_rows():
    frame = arms(50)
    frame["n_treated"] = [1 if i % 2 else "?" for i in range(50)]
    found = faults(frame)
    assert [line.split(",")[1] for line in found] == [f" row {i}" for i in range(50)]


def test_faults_of_headers_and_cells_are_told_together():
    frame = cell(arms(), 1, "n_treated", "x").drop(columns="sd_control")
    found = faults(frame)
    assert len(found) == 2
    assert "column 'sd_control': is missing" in found[0]
    assert "row 1, column 'n_treated': 'x' is not a number" in found[1]


def test_one_cell_is_one_fault_even_when_the_row_needs_it():
    frame = pd.DataFrame({"study": ["a", "b"], "y": [1, 2], "se": [0, 0.2]})
    (found,) = faults(frame)
    assert "row 0, column 'se': '0.0' is too small" in found
    (found,) = faults(frame.assign(se=0.1, y=["x", 2]))
    assert "row 0, column 'y': 'x' is not a number" in found


def test_a_row_id_that_stands_twice_names_both_rows():
    (found,) = faults(arms(row_id=["a", "b", "a"]))
    assert "row 2, column 'row_id': 'a' already stands in row 0; give every row its own" in found


def test_an_index_that_repeats_needs_row_ids():
    frame = pd.concat([arms(), arms()])
    found = faults(frame)
    assert len(found) == 3
    assert "already stands above; add a column row_id, or reset the index" in found[0]
    assert len(read_table(frame.assign(row_id=list("abcdef")))) == 6


def test_a_blank_row_id_takes_the_name_of_the_row():
    assert read_table(arms(row_id=["a", None, "c"])).frame["row_id"].tolist() == ["a", "1", "c"]


def test_a_delay_while_exposed_is_refused():
    (found,) = faults(arms(delay=[1, 0, 1], exposure=["on", "on", "off"]))
    assert "row 0, column 'delay': '1' is positive though exposure is 'on'; write 0" in found


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"y": 1.0}, "column 'y': '1.0' comes without its spread; give v, se or the 95% CI"),
        ({"y": 1.0, "ci_low": 0.5}, "comes without its spread"),
        ({"y": 1.0, "ci_low": 2, "ci_high": 0}, "is not below the interval's upper end"),
        ({"y": 5.0, "ci_low": 0, "ci_high": 2}, "'5.0' lies outside its interval, 0 to 2"),
        ({"v": 1.0}, "column 'y': is missing; give y with v, se or CI, or all six arm columns"),
    ],
)
def test_an_effect_needs_its_spread(row, line):
    blank = dict.fromkeys(("y", "v", "se", "ci_low", "ci_high"))
    frame = pd.DataFrame([{"study": "a", **blank, "y": 1, "v": 1}, {"study": "b", **blank, **row}])
    (found,) = faults(frame)
    assert line in found


def test_y_without_any_spread_column_is_one_line():
    (found,) = faults(pd.DataFrame({"study": ["a", "b"], "y": [1, 2]}))
    assert "column 'v': is missing" in found


def test_rows_of_effects_and_rows_of_arms_may_stand_together():
    frame = arms(y=[None, 0.5, None], se=[None, 0.1, None])
    frame.loc[1, list(ARMS)] = np.nan
    assert len(read_table(frame)) == 3


def test_a_table_without_rows_is_refused():
    (found,) = faults(arms(0))
    assert found == "DataFrame: the table has no rows; check the file"


def test_a_table_of_covariates_needs_no_outcomes_but_an_effect_does():
    table = read_table(pd.DataFrame({"study": ["a"], "drug": ["x"]}), outcomes=False)
    assert isinstance(table, StudyTable)
    with pytest.raises(TableError, match="column 'mean_treated': is missing") as caught:
        require_outcomes(table)
    assert len(caught.value.faults) == 6


def test_outcomes_required_later_find_the_rows_that_lack_them():
    frame = cell(arms(), 1, "sd_treated", None).rename(columns={"sd_treated": "SD of drug"})
    table = read_table(frame, columns={"sd_treated": "SD of drug"}, outcomes=False)
    with pytest.raises(TableError, match="row 1, column 'SD of drug': is missing") as caught:
        require_outcomes(table)
    assert len(caught.value.faults) == 1


def test_four_thousand_rows_are_checked_quickly():
    n = 4000
    rng = np.random.default_rng(1)
    frame = arms(n, delay=rng.random(n), row_id=[f"r{i}" for i in range(n)])
    frame = frame.assign(**{f"own{i}": rng.random(n) for i in range(30 - frame.shape[1])})
    started = time.process_time()
    read_table(frame)
    # About 0.2 s on one slow core; a check that is quadratic in the rows takes minutes.
    assert time.process_time() - started < 1.5


# -- headers that say more, or say it in other words ---------------------------------------------


@pytest.mark.parametrize(
    ("header", "also"),
    [
        ("delay (h)", ", with the unit of its numbers: units={'delay': 'h'}"),
        ("Dose [mg/kg]", ", with its unit in a column dose_unit"),
        ("species (strain)", ""),
    ],
)
def test_a_header_with_a_remark_is_not_passed_over(header, also):
    name = header.split()[0].lower()
    (found,) = faults(arms(**{header: [1, 2, 3]}))
    assert f"column '{header}': is not read as '{name}'; map it with columns={{" in found
    assert f"{{'{name}': '{header}'}}{also}, or keep it with" in found
    table = read_table(arms(**{header: [1, 2, 3]}), columns={header: header})
    assert table.frame[header].tolist() == [1, 2, 3]
    assert len(read_table(arms(**{header: [1, 2, 3], name: [1, 2, 3]}))) == 3


def test_an_sem_without_its_arm_is_not_taken_for_that_of_the_effect():
    (found,) = faults(arms(SEM=[1, 2, 3]))
    assert "column 'SEM': does not say of which arm; name it sem_treated or sem_control" in found


@pytest.mark.parametrize(
    "others",
    [
        ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i"),
        ("Mean 1", "SD 1", "Total 1", "Mean 2", "SD 2", "Total 2"),
        ("mean.e", "sd.e", "n.e", "mean.c", "sd.c", "n.c"),
    ],
)
def test_names_of_other_programs_are_recognised(others):
    mapping = dict(zip(ARMS, others, strict=True))
    found = faults(arms().rename(columns=mapping))
    assert [line.split("; ", 1)[1] for line in found] == [
        f"'{other}' may be it; map it with columns={{'{name}': '{other}'}}"
        for name, other in mapping.items()
    ]
    assert len(read_table(arms().rename(columns=mapping), columns=mapping)) == 3


def test_effects_under_the_names_of_metafor():
    frame = pd.DataFrame({"study": ["A"], "yi": [1.0], "vi": [0.2]})
    assert [line.partition(":")[0] for line in faults(frame)] == [
        "DataFrame, column 'y'",
        "DataFrame, column 'v'",
    ]
    (spread,) = [line for line in faults(frame.drop(columns="vi")) if "'v'" in line]
    assert "is missing; " in spread
    assert list(read_table(arms(yi=[1, 2, 3], vi=[1, 1, 1])).frame)[-2:] == ["yi", "vi"]
