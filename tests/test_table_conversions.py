"""What a table converts on the way in, and how it says so."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from helpers import ARMS, arms

from bayesma.arms import mean_sd_from_quantiles, sd_from_ci
from bayesma.errors import SpecError, TableError
from bayesma.readers import read_table
from bayesma.table import require_outcomes


def faults(frame, **options):
    with pytest.raises(TableError, match=r"\S") as caught:
        read_table(frame, **options)
    return str(caught.value).splitlines()


def test_a_table_with_nothing_to_convert_has_no_notes():
    table = read_table(arms(delay=["1 d", None, "3 d"], dose=[1, 2, None], dose_unit=["mg/kg"] * 3))
    assert table.notes == ()


# -- values that are not known -------------------------------------------------------------------


def test_words_for_not_known_are_missing_and_counted():
    frame = arms(
        5, delay=["Unclear", None, "Unclear", "NR", "1 d"], sex=["?", "male", "f", "f", "f"]
    )
    table = read_table(frame)
    assert table.frame["delay"].isna().tolist() == [True, True, True, True, False]
    assert table.frame["sex"].isna().tolist() == [True, False, False, False, False]
    assert table.notes == (
        "sex: 1 of 5 cells missing, 1 of them '?'",
        "delay: 4 of 5 cells missing, 2 of them 'Unclear', 1 'NR'",
    )


def test_in_a_column_of_the_reviewers_own_unclear_is_a_judgement():
    table = read_table(arms(rob=["Unclear", "low", "high"]))
    assert table.frame["rob"].tolist() == ["Unclear", "low", "high"]
    assert table.notes == ()


def test_own_columns_tell_what_they_read_as_missing_and_keep_as_text():
    table = read_table(arms(anaesthesia=["None", "ketamine", None], cage=["01", "1", "2"]))
    assert table.frame["anaesthesia"].isna().tolist() == [True, False, True]
    assert table.frame["cage"].tolist() == ["01", "1", "2"]
    assert table.notes == (
        "anaesthesia: 2 of 3 cells missing, 1 of them 'None'",
        "cage: kept as text, for '01' may be a label",
    )


def test_what_is_required_must_be_known():
    (found,) = faults(arms(study=["Unclear", "b", "c"]))
    assert "row 0, column 'study': 'Unclear' is missing; fill it in" in found
    (found,) = faults(arms(mean_treated=["NR", 1, 2]))
    assert "row 0, column 'mean_treated': 'NR' is missing; fill it in, or leave the row" in found


# -- group sizes, directions ---------------------------------------------------------------------


def test_a_range_of_group_sizes_takes_the_smallest_and_says_so():
    table = read_table(arms(n_treated=["6-8", 7, "9 to 10"], n_control=["6\u20138", 7, 7]))
    assert table.frame["n_treated"].tolist() == [6, 7, 9]
    assert table.frame["n_control"].tolist() == [6, 7, 7]
    assert table.notes == (
        "n_treated: the smallest number of a range taken: 2 of 3 rows",
        "n_control: the smallest number of a range taken: 1 of 3 rows",
    )


@pytest.mark.parametrize("value", ["n = 6", "8-6", "6/8", "6-"])
def test_other_group_sizes_are_refused(value):
    (found,) = faults(arms(n_treated=[value, 7, 8]))
    assert "is not a number" in found


def test_the_smallest_of_a_range_must_do_as_a_group_size():
    (found,) = faults(arms(n_treated=["1-3", 7, 8]))
    assert "'1-3' is too small; animals in the treated arm must be at least 2" in found


def test_directions_are_numbers_or_words_that_say_what_is_better():
    cells = ["Higher is better", "lower  is better", -1]
    assert read_table(arms(direction=cells)).frame["direction"].tolist() == [1, -1, -1]
    for word in ("Direct", "Inverse", "positive", "down"):
        (found,) = faults(arms(direction=[word, 1, 1]))
        assert "write 1 ('higher is better') or -1 ('lower is better')" in found


# -- delays --------------------------------------------------------------------------------------


def test_bare_numbers_beside_units_are_one_fault_of_the_column():
    found = faults(arms(5, delay=[None, 24, "24 h", 48, "2 d"]))
    assert found == [
        "DataFrame, column 'delay': mixes cells that name their unit with bare numbers (2, the "
        "first '24' in row 1); write every cell's unit, or give units={'delay': 'h'}"
    ]
    table = read_table(arms(4, delay=[24, "24 h", 48, "2 d"]), units={"delay": "h"})
    assert table.frame["delay"].tolist() == [1, 1, 2, 2]
    assert table.notes == ()


def test_bare_numbers_are_days_and_that_is_told():
    table = read_table(arms(delay=[0, "1.5", None], duration=["1-2", 3, 7]), ranges="midpoint")
    assert table.frame["delay"].tolist()[:2] == [0, 1.5]
    assert table.notes == (
        "duration: bare numbers read as days: 3 of 3 rows",
        "duration: the middle of a range taken: 1 of 3 rows",
        "delay: bare numbers read as days: 1 of 3 rows",
    )
    assert read_table(arms(delay=[1, 2, 3]), units={"delay": "d"}).notes == ()


def test_nothing_needs_no_unit():
    table = read_table(arms(delay=[0, "0", "24 h"], duration=[timedelta(days=1), 0, 0.0]))
    assert table.frame["delay"].tolist() == [0, 0, 1]
    assert table.notes == ()


def test_a_delay_that_names_its_reference_fills_it_in():
    delays = ["7 days after last dose", "24 h after the end of infusion", "1 h"]
    frame = read_table(arms(delay=delays)).frame
    # Exact, but for 1 h: one rounding.
    assert frame["delay"].tolist() == [7, 1, pytest.approx(1 / 24, rel=1e-15)]
    assert frame["delay_reference"].tolist()[:2] == ["last dose", "end of infusion"]
    assert frame["delay_reference"].isna().tolist() == [False, False, True]
    table = read_table(arms(delay=delays, delay_reference=["last dose", None, None]))
    assert table.notes == ("delay_reference: filled in from the delay's own words: 1 of 3 rows",)


def test_a_delay_that_contradicts_its_reference_is_refused():
    frame = arms(delay=["7 d after last dose", "1 d", "1 d"], delay_reference=["start", None, None])
    (found,) = faults(frame)
    assert "row 0, column 'delay': '7 d after last dose' counts from 'last dose', but del" in found
    assert "delay_reference is 'start'; correct one of them" in found


def test_a_length_of_treatment_counts_from_nothing():
    (found,) = faults(arms(duration=["7 d after last dose", "1 d", "1 d"]))
    assert "column 'duration': '7 d after last dose' counts from 'last dose', but is a" in found


def test_ranges_are_refused_or_their_middles_counted():
    frame = arms(delay=["1-3 d", "2 d", None], duration=["1 d", "2 to 4 d", "1 d"])
    lines = faults(frame)
    assert len(lines) == 2
    assert all("is a range; write one number, or ask for ranges='midpoint'" in x for x in lines)
    table = read_table(frame, ranges="midpoint")
    assert table.frame["delay"].tolist()[:2] == [2, 2]
    assert table.frame["duration"].tolist() == [1, 3, 1]
    assert sorted(table.notes) == [
        "delay: the middle of a range taken: 1 of 3 rows",
        "duration: the middle of a range taken: 1 of 3 rows",
    ]
    with pytest.raises(SpecError, match=r"ranges: 'middle' is unknown; .*known: refuse, midpoint"):
        read_table(frame, ranges="middle")


def test_exact_spans_of_time_are_durations():
    frame = arms(delay=pd.to_timedelta(["36h", None, "24h"]), duration=[timedelta(2), "1 d", None])
    table = read_table(frame)
    assert table.frame["delay"].tolist()[::2] == [1.5, 1]
    assert table.frame["duration"].tolist()[:2] == [2, 1]


# -- doses ---------------------------------------------------------------------------------------


def test_doses_that_carry_their_unit():
    frame = read_table(arms(dose=["100 \u00b5g/kg", "40 mg/kg per day", "5 \u03bcM"])).frame
    assert frame["dose"].tolist() == [0.1, 40, 5]
    assert frame["dose_unit"].tolist() == ["mg/kg", "mg/kg/d", "uM"]
    assert list(frame).index("dose_unit") == list(frame).index("dose") + 1


def test_bare_doses_are_converted_with_their_unit_and_counted():
    units = ["ug/kg", "mg/kg", "drops"]
    table = read_table(arms(dose=[100, 5, 3], dose_unit=units))
    assert table.frame["dose"].tolist() == [0.1, 5, 3]
    assert table.frame["dose_unit"].tolist() == ["mg/kg", "mg/kg", "drops"]
    assert table.notes == (
        "dose: converted to the canonical unit of its kind: 1 of 3 rows",
        "dose: left as it is in units that are not known ('drops'): 1 of 3 rows",
    )


def test_doses_without_any_unit_stay_numbers():
    table = read_table(arms(dose=[1, None, 3]))
    assert "dose_unit" not in table.frame
    assert table.notes == ()
    table = read_table(arms(dose=["1 mg/kg", None, 3]))
    assert table.notes == ("dose: without a unit: 1 of 3 rows",)
    assert table.frame["dose_unit"].isna().tolist() == [False, True, True]


def test_a_unit_may_stand_without_its_dose():
    frame = read_table(arms(dose=[None, 1, 2], dose_unit=["\u00b5g/kg"] * 3)).frame
    assert frame["dose_unit"].tolist() == ["mg/kg"] * 3
    frame = read_table(arms(dose_unit=["\u00b5g/kg", "drops", None])).frame
    assert frame["dose_unit"].tolist()[:2] == ["mg/kg", "drops"]


def test_a_dose_with_two_units_says_so():
    frame = arms(dose=["100 ug/kg", "1 mg", "2 mg"], dose_unit=["\u00b5g/kg", "mg/kg", "blorps"])
    lines = faults(frame)
    assert len(lines) == 2
    assert (
        "row 1, column 'dose': '1 mg' names a unit of its own, but dose_unit is 'mg/kg'" in lines[0]
    )
    assert "row 2, column 'dose': '2 mg' names a unit of its own, but dose_unit is 'blo" in lines[1]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("10 mg/kg b.i.d.", "names a schedule; write one dose, and the schedule elsewhere"),
        ("2.5 mg/kg + 10 mg/kg", "names several doses; give each its own row"),
        ("5-10 mg/kg", "is a range; write one number, or ask for ranges='midpoint'"),
        ("a lot", "is not one number with one unit; write e.g. '10 mg/kg' or '100 ug'"),
    ],
)
def test_doses_that_would_need_a_guess_are_refused(value, line):
    (found,) = faults(arms(dose=[value, 1, 1]))
    assert found == f"DataFrame, row 0, column 'dose': '{value}' {line}"


def test_the_middle_of_a_range_of_doses_is_counted():
    table = read_table(arms(dose=["5-10 mg/kg", "1 mg/kg", None]), ranges="midpoint")
    assert table.frame["dose"].tolist()[:2] == [7.5, 1]
    assert table.notes == ("dose: the middle of a range taken: 1 of 3 rows",)


# -- arms ----------------------------------------------------------------------------------------


def without(*names, **columns):
    return arms(4, **columns).drop(columns=list(names))


def test_standard_errors_intervals_and_medians_become_means_and_sds():
    nan = np.nan
    frame = without(
        "sd_treated",
        mean_treated=[5.0, 6.0, nan, nan],
        sem_treated=[0.5, nan, nan, nan],
        ci_low_treated=[nan, 4.0, nan, nan],
        ci_high_treated=[nan, 8.0, nan, nan],
        median_treated=[nan, nan, 5.0, 7.0],
        q1_treated=[nan, nan, 4.0, nan],
        q3_treated=[nan, nan, 7.0, nan],
        min_treated=[nan, nan, nan, 1.0],
        max_treated=[nan, nan, nan, 12.0],
    )
    table = read_table(frame)
    quartiles = mean_sd_from_quantiles(5, 8, q1=4, q3=7)
    ends = mean_sd_from_quantiles(7, 8, low=1, high=12)
    assert table.frame["mean_treated"].tolist() == [5, 6, quartiles[0], ends[0]]
    expected = [0.5 * np.sqrt(8), sd_from_ci(4, 8, 8), quartiles[1], ends[1]]
    assert table.frame["sd_treated"].tolist() == expected
    assert table.notes == (
        "sd_treated from sem_treated: 1 of 4 rows",
        "sd_treated from the 95% CI of the mean (Student's t): 1 of 4 rows",
        "mean_treated from median_treated with quartiles (Luo 2018): 1 of 4 rows",
        "sd_treated from median_treated with quartiles (Wan 2014): 1 of 4 rows",
        "mean_treated from median_treated with range (Luo 2018): 1 of 4 rows",
        "sd_treated from median_treated with range (Wan 2014): 1 of 4 rows",
    )
    require_outcomes(table)
    assert list(table.frame)[:8] == ["row_id", "study", *ARMS]


def test_all_five_numbers_serve_together():
    five = {"median": 5, "q1": 4, "q3": 7, "min": 1, "max": 12}
    frame = without(
        "mean_treated", "sd_treated", **{f"{name}_treated": [x] * 4 for name, x in five.items()}
    )
    table = read_table(frame)
    expected = mean_sd_from_quantiles(5, 8, q1=4, q3=7, low=1, high=12)
    assert table.frame[["mean_treated", "sd_treated"]].to_numpy()[0].tolist() == [*expected]
    assert table.notes == (
        "mean_treated from median_treated with quartiles and range (Luo 2018): 4 of 4 rows",
        "sd_treated from median_treated with quartiles and range (Shi 2020): 4 of 4 rows",
    )


def test_a_mean_or_sd_that_is_given_wins_and_disagreement_is_counted():
    table = read_table(arms(4, sem_control=[2.5 / np.sqrt(10), 2.5, None, 0.8]))
    assert table.frame["sd_control"].tolist() == [2.5] * 4
    assert table.notes == (
        "sd_control: SD, SEM and CI disagree by more than 10%, taken in this order: 1 of 4 rows",
    )


def test_group_sizes_given_as_ranges_serve_the_conversions():
    frame = without("sd_control", n_control=["4-9"] * 4, sem_control=[1.0] * 4)
    assert read_table(frame).frame["sd_control"].tolist() == [2.0] * 4


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            {},
            "column 'sd_treated': is missing; fill it in, give the SEM, the 95% CI of the mean, or",
        ),
        ({"sem": "x"}, "column 'sem_treated': 'x' is not a number"),
        ({"sem": 0}, "column 'sem_treated': '0' is too small"),
        ({"ci_low": 4}, "column 'sd_treated': is missing; fill it in, give the SEM"),
        ({"ci_low": 8, "ci_high": 4}, "'8' is not below the interval's upper end; swap or correct"),
        (
            {"ci_low": 8, "ci_high": 9},
            "column 'mean_treated': '5.0' lies outside its interval, 8 to",
        ),
        ({"median": 5, "q1": 6, "q3": 7}, "column 'median_treated': '5' is below q1 (6); swap or"),
        ({"median": 5, "q1": 4, "q3": 7, "min": 4.5}, "'4' is below min (4.5); swap or correct"),
        ({"median": 5, "q1": 5, "q3": 5}, "column 'median_treated': '5' has no spread around it"),
        ({"median": 5}, "column 'sd_treated': is missing; fill it in, give the SEM"),
        ({"median": 5, "q1": 4}, "column 'sd_treated': is missing; fill it in, give the SEM"),
    ],
)
def test_an_arm_that_does_not_tell_its_sd(row, line):
    parts = ("sem", "ci_low", "ci_high", "median", "q1", "q3", "min", "max")
    columns = {f"{part}_treated": [row.get(part), *[None] * 3] for part in parts}
    columns = {name: pd.Series(cells, dtype=object) for name, cells in columns.items()}
    frame = arms(4, **columns, sd_treated=[None, 1.0, 1.0, 1.0])
    (found,) = faults(frame)
    assert line in found


def test_quartiles_of_three_animals_are_refused():
    frame = without(
        "sd_treated",
        n_treated=[3] * 4,
        median_treated=[5] * 4,
        q1_treated=[4] * 4,
        q3_treated=[6] * 4,
    )
    assert "'4' is a quartile of 3 values; give mean and sd, or the SEM" in faults(frame)[0]


def test_a_range_serves_where_quartiles_are_of_too_few():
    five = {"median": 5, "q1": 4, "q3": 7, "min": 1, "max": 12}
    columns = {f"{name}_treated": [x] * 4 for name, x in five.items()}
    frame = without("mean_treated", "sd_treated", n_treated=[3] * 4, **columns)
    table = read_table(frame)
    expected = mean_sd_from_quantiles(5, 3, low=1, high=12)
    assert table.frame[["mean_treated", "sd_treated"]].to_numpy()[0].tolist() == [*expected]
    assert "sd_treated from median_treated with range (Wan 2014): 4 of 4 rows" in table.notes
    # Quartiles that are not used may be one number.
    assert len(read_table(frame.assign(q1_treated=5, q3_treated=5))) == 4


def test_a_row_that_brings_its_effect_needs_no_spread():
    frame = without(
        "mean_treated",
        "sd_treated",
        n_treated=[3, 8, 8, 8],
        median_treated=[5] * 4,
        q1_treated=[4, 5, 4, 4],
        q3_treated=[6, 5, 6, 6],
        y=[1.0, 1.0, None, None],
        v=[0.5, 0.5, None, None],
    )
    table = read_table(frame)
    assert table.frame["sd_treated"].isna().tolist() == [True, True, False, False]
    frame["y"] = None
    assert len(faults(frame)) == 2


def test_a_median_far_off_its_middle_is_told():
    median, q1, q3 = [5, 5, 17, 5], [3, 3, 2, 4], [20, 7, 18, 7]
    frame = without(
        "mean_treated", "sd_treated", median_treated=median, q1_treated=q1, q3_treated=q3
    )
    (*_, note) = read_table(frame).notes
    assert note == (
        "median_treated over 4 times as far from one end of its quartiles or range as from the "
        "other, though the formulas are for normal data: 2 of 4 rows"
    )
    ends = frame.rename(columns={"q1_treated": "min_treated", "q3_treated": "max_treated"})
    assert read_table(ends).notes[-1] == note
    given = read_table(frame.assign(mean_treated=5, sd_treated=2))  # nothing is computed from them
    assert given.notes == ()


def test_a_mean_far_off_the_centre_of_its_interval_is_told():
    frame = without(
        "sd_treated",
        mean_treated=[5.0, 5.0, 5.0, 4.3],
        ci_low_treated=[4.0, 4.9, 4.1, 4.0],
        ci_high_treated=[6.0, 7.0, 6.1, 6.0],
    )
    assert read_table(frame).notes[-1] == (
        "mean_treated off the centre of its 95% CI by over a quarter of its half width, though "
        "the SD takes it as symmetric: 2 of 4 rows"
    )


def test_a_missing_group_size_is_one_fault_though_the_sd_needs_it():
    frame = without("sd_treated", sem_treated=[1.0] * 4, n_treated=[8, None, "x", 8])
    lines = faults(frame)
    assert [line.split(", ")[2].split(":")[0] for line in lines] == ["column 'n_treated'"] * 2


def test_one_side_may_be_converted_and_the_other_not():
    table = read_table(without("sd_control", sem_control=[1.0] * 4))
    assert table.notes == ("sd_control from sem_control: 4 of 4 rows",)


def test_half_a_summary_does_not_stand_for_a_column():
    (found,) = faults(without("sd_control", ci_low_control=[1.0] * 4))
    assert "column 'sd_control': is missing; add it, or map yours with columns=" in found


def test_formula_errors_are_faults_in_every_column():
    lines = faults(arms(mean_treated=["#DIV/0!", 1, 2], own=["#REF!", "a", "b"]))
    assert "column 'mean_treated': '#DIV/0!' is a formula's error; mend the formula" in lines[0]
    assert "column 'own': '#REF!' is a formula's error" in lines[1]
