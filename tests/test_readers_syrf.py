"""Invented exports, and the real one, which is read in place."""

import json
import math
import pickle

import pandas as pd
import pytest

import bayesma as bm
from bayesma.readers.syrf.studies import study_names
from bayesma.readers.syrf.times import header_unit, not_minutes, time_signals

ARM = {
    "StudyId": "s1",
    "Title": "An invented study",
    "Authors": "A. Baker, C. Cook and D. Miller",
    "Year": "2001",
    "Reconciled": "TRUE",
    "InvestigatorName": "ann",
    "Species": "rat",
    "ExperimentId": "e1",
    "ExperimentLabel": "Exp",
    "CohortId": "c1",
    "CohortLabel": "drug",
    "NumberOfAnimals": "9",
    "IsDiseaseModelControl": "FALSE",
    "DiseaseModelId(s)": "m1",
    "DiseaseModelLabel(s)": "stress",
    "IsTreatmentControl": "FALSE",
    "TreatmentLabel(s)": "drug 10",
    "OutcomeId": "o1",
    "OutcomeLabel": "immobility",
    "GreaterIsWorse": "TRUE",
    "TimeInMinutes": "1440",
    "OutcomeAverage": "80",
    "OutcomeAverageType": "mean",
    "OutcomeUnit": "s",
    "OutcomeError": "30",
    "OutcomeErrorType": "SD",
}
SALINE = {
    "CohortId": "c0",
    "CohortLabel": "saline",
    "IsTreatmentControl": "TRUE",
    "TreatmentLabel(s)": "saline",
    "OutcomeAverage": "100",
    "NumberOfAnimals": "16",
}


def export(*rows, **everywhere):
    """Return an invented export: the plain treated arm, changed row by row."""
    return pd.DataFrame([ARM | everywhere | row for row in rows], dtype=object)


def pair(**changes):
    return export(changes, SALINE | {k: v for k, v in changes.items() if k not in SALINE})


def messages(source, **options):
    """Return the faults of an export, one line each."""
    with pytest.raises(bm.TableError, match="; ") as caught:
        bm.read_syrf(source, **options)
    return str(caught.value).splitlines()


def has(notes, text):
    return [note for note in notes if text in note]


# -- what a pair is ------------------------------------------------------------------------------


def test_a_treated_arm_is_paired_with_its_control():
    table = bm.read_syrf(pair())
    row = table.frame.iloc[0]
    assert len(table) == 1
    assert row["study"] == "Baker 2001"
    assert (row["mean_treated"], row["sd_treated"], row["n_treated"]) == (80, 30, 9)
    assert (row["mean_control"], row["sd_control"], row["n_control"]) == (100, 30, 16)
    assert row["direction"] == -1
    assert row["delay"] == pytest.approx(1, rel=1e-15)  # 1440 minutes, to the last digit but one
    assert row["species"] == "rat"
    assert (row["treatment"], row["control_group"]) == ("drug 10", "c0 / o1 / 1440")
    assert (row["outcome"], row["disease_model"]) == ("immobility", "stress")


def test_a_benefit_is_positive_whichever_way_the_outcome_goes():
    worse = bm.effect_sizes(bm.read_syrf(pair(GreaterIsWorse="TRUE")))
    better = bm.effect_sizes(bm.read_syrf(pair(GreaterIsWorse="FALSE")))
    # J(23) (100 - 80) / 30, J(m) = 1 - 3 / (4 m - 1) within 2e-4 of the exact factor at m = 23.
    assert worse.y[0] == pytest.approx((1 - 3 / 91) * 20 / 30, abs=2e-4)
    assert better.y[0] == -worse.y[0]
    assert has(bm.read_syrf(pair()).notes, "direction of 'immobility': less is better")


def test_a_direction_can_be_corrected():
    table = bm.read_syrf(pair(GreaterIsWorse="TRUE"), greater_is_worse={"immobility": False})
    assert table.frame["direction"].tolist() == [1]


def test_sem_becomes_sd():
    table = bm.read_syrf(pair(OutcomeErrorType="SEM", OutcomeError="5"))
    # SD = SEM sqrt(n), n = 9 and 16
    assert table.frame[["sd_treated", "sd_control"]].to_numpy().tolist() == [[15.0, 20.0]]
    assert has(table.notes, "SEM converted to SD (SEM x sqrt(n)): 2 of 2 arms")


def test_an_error_type_can_be_corrected_by_study():
    table = bm.read_syrf(pair(), error_type={"Baker 2001": "SEM"})
    assert table.frame["sd_treated"].tolist() == [90.0]
    assert has(table.notes, "Baker 2001: errors read as SEM, as told: 2 of 2 arms")


def test_arms_that_share_a_control_keep_its_n():
    source = export({}, {"CohortId": "c2", "CohortLabel": "drug 20"}, SALINE)
    table = bm.read_syrf(source)
    assert table.frame["n_control"].tolist() == [16, 16]
    assert table.frame["control_group"].tolist() == ["c0 / o1 / 1440"] * 2
    assert has(table.notes, "treated arms that share a control: 2, in 1 groups")


@pytest.mark.parametrize(
    ("column", "other"),
    [
        ("StudyId", "s2"),
        ("ExperimentId", "e2"),
        ("OutcomeId", "o2"),
        ("TimeInMinutes", "60"),
        ("DiseaseModelId(s)", "m2"),
    ],
)
def test_a_control_of_another_measurement_is_none(column, other):
    lines = messages(export({}, SALINE | {column: other}))
    assert len(lines) == 1
    assert "row 0, column 'CohortLabel': 'drug' has no treatment control" in lines[0]


def test_controls_across_experiments_only_where_asked_for():
    source = export({}, SALINE | {"ExperimentId": "e2", "ExperimentLabel": "Saline arm"})
    assert "across_experiments=True" in messages(source)[0]
    table = bm.read_syrf(source, across_experiments=True)
    assert table.frame["experiment"].tolist() == ["Saline arm"]
    assert has(table.notes, "controls taken from another experiment of the study: 1")


def test_an_own_control_goes_before_one_of_another_experiment():
    own = SALINE | {"OutcomeAverage": "90"}
    other = SALINE | {"ExperimentId": "e2", "CohortId": "c9"}
    table = bm.read_syrf(export({}, own, other), across_experiments=True)
    assert table.frame["mean_control"].tolist() == [90]


def test_two_possible_controls_are_a_question():
    second = SALINE | {"CohortId": "c9", "CohortLabel": "water", "OutcomeAverage": "70"}
    source = export({}, SALINE, second)
    assert "'drug' has 2 possible controls: 'saline', 'water'" in messages(source)[0]
    named = bm.read_syrf(source, controls={"Baker 2001": {"drug": "water"}})
    by_id = bm.read_syrf(source, controls={"Baker 2001": {"c1": "c9"}})
    assert named.frame["mean_control"].tolist() == by_id.frame["mean_control"].tolist() == [70]


def test_a_named_control_may_have_another_disease_model():
    source = export({}, SALINE | {"DiseaseModelId(s)": "m0", "DiseaseModelLabel(s)": "none"})
    assert "'saline' has 'none'" not in messages(source)[0]  # "none" is a missing label
    table = bm.read_syrf(source, controls={"Baker 2001": {"drug": "saline"}})
    assert has(table.notes, "controls of another disease model, as told: 1")


def test_two_entries_of_one_disease_model_are_told_apart():
    lines = messages(export({}, SALINE | {"DiseaseModelId(s)": "m9"}))
    assert "disease model ('stress'); 'saline' has another entry of that label" in lines[0]


def test_what_is_not_compared_is_told():
    idle = SALINE | {"CohortId": "c5", "CohortLabel": "idle", "DiseaseModelId(s)": "m5"}
    bare = {"CohortId": "c6", "CohortLabel": "naive", "IsTreatmentControl": ""}
    notes = bm.read_syrf(export({}, SALINE, idle, bare)).notes
    assert has(notes, "control arms without a treated arm: 1 (idle)")
    assert has(notes, "arms without any treatment, not compared: 1 (naive)")


def test_an_arm_with_one_treatment_that_is_no_control_is_treated():
    source = export(
        {"IsTreatmentControl": "TRUE;FALSE"}, SALINE | {"IsTreatmentControl": "TRUE;TRUE"}
    )
    assert len(bm.read_syrf(source)) == 1


# -- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"OutcomeErrorType": "IQR"}, "'IQR' is neither SD nor SEM; a quartile range"),
        ({"OutcomeErrorType": "90% CI"}, "'90% CI' is neither SD nor SEM; enter the SD"),
        ({"OutcomeErrorType": ""}, "has no type; say SD or SEM"),
        ({"OutcomeAverageType": "median"}, "'median' is not a mean"),
        ({"OutcomeError": "0"}, "'0' is not above zero"),
        ({"OutcomeError": ""}, "is missing; fill it in"),
        ({"OutcomeAverage": "12,5"}, "'12,5' is not a number; write a decimal point"),
        ({"NumberOfAnimals": "1"}, "'1' is not a whole number from 2 up"),
        ({"GreaterIsWorse": ""}, "does not say which way is better"),
        ({"GreaterIsWorse": "perhaps"}, "'perhaps' is neither TRUE nor FALSE"),
        ({"TimeInMinutes": "-30"}, "'-30' is not a time in min from 0 up"),
    ],
    ids=str,
)
def test_a_cell_that_cannot_be_used_is_a_fault(changes, said):
    lines = messages(export(changes, SALINE | changes))
    [column] = changes
    assert any(f"row 0, column '{column}': {said}" in line for line in lines), lines


def test_directions_that_contradict_each_other_are_a_fault():
    lines = messages(export({}, SALINE, SALINE | {"GreaterIsWorse": "FALSE", "CohortId": "c7"}))
    assert "'FALSE' contradicts 2 other rows of outcome 'immobility'" in lines[1]


def test_an_arm_that_stands_twice_is_a_fault():
    assert "has this outcome and time in row 0 already" in messages(export({}, {}, SALINE))[0]


def test_faults_of_all_kinds_are_told_at_once():
    other = {"StudyId": "s2", "Authors": "E. Farmer", "OutcomeError": "x"}
    two = {"StudyId": "s3", "Authors": "G. Smith", "Reconciled": "FALSE"}
    lines = messages(
        export(other, SALINE | other, {"StudyId": "s4"}, two, two | {"InvestigatorName": "bob"})
    )
    assert [line.split(":")[0] for line in lines] == [
        "DataFrame, row 3, column 'InvestigatorName'",
        "DataFrame, row 0, column 'OutcomeError'",
        "DataFrame, row 1, column 'OutcomeError'",
        "DataFrame, row 2, column 'CohortLabel'",
    ]


def test_unusable_arms_are_left_out_where_told_and_counted():
    bad = {"CohortId": "c2", "CohortLabel": "drug 20", "OutcomeErrorType": "IQR"}
    alone = {"StudyId": "s2", "Authors": "E. Farmer"}
    table = bm.read_syrf(export({}, bad, SALINE, alone), unusable="leave out")
    assert table.frame["treated_label"].tolist() == ["drug"]
    assert len(has(table.notes, "left out: DataFrame, row")) == 2
    assert has(table.notes, "comparisons left out with those arms: 1")


def test_nothing_left_is_an_error():
    assert messages(export({}), unusable="leave out") == [
        "DataFrame: no comparison is left; see its treated arms"
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"annotator": "anne"}, "no annotator 'anne'; did you mean 'ann'"),
        ({"time_unit": "hourz"}, "time_unit = 'hourz'; did you mean 'hour'"),
        ({"outcomes": ["immobile"]}, "no outcome 'immobile'; did you mean 'immobility'"),
        ({"error_type": {"Baker": "SD"}}, "no study 'Baker'; did you mean 'Baker 2001'"),
        ({"error_type": {"Baker 2001": "CI"}}, "known: SD, SEM"),
        ({"controls": {"Baker 2001": {"x": "saline"}}}, "Baker 2001 has no cohort 'x'"),
        ({"treatments": {"drug": {}}}, "no treated arm 'drug'; did you mean 'drug 10'"),
        ({"columns": {"strain": "Strain?"}}, "no question 'Strain\\?'"),
        ({"unusable": "drop"}, "unusable = 'drop'; known: refuse, leave out"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_an_argument_that_names_nothing_is_refused(options, said):
    with pytest.raises(bm.SpecError, match=said):
        bm.read_syrf(pair(), **options)


# -- headers and labels --------------------------------------------------------------------------


def test_headers_are_known_by_the_names_that_occur():
    renames = {
        "TimeInMinutes": "TimeInMinute",
        "OutcomeErrorType": "ErrorType",
        "Reconciled": "Is this a reconciliation?",
        "TreatmentLabel(s)": "TreatmentLabel.s.",
    }
    table = bm.read_syrf(pair().rename(columns=renames))
    pd.testing.assert_frame_equal(table.frame, bm.read_syrf(pair()).frame)
    [note] = has(table.notes, "headers that differ from SyRF's data dictionary")
    assert "'TimeInMinute' for 'TimeInMinutes'" in note
    assert "'ErrorType' for 'OutcomeErrorType'" in note
    assert "TreatmentLabel" not in note


def test_missing_headers_are_told_together():
    lines = messages(pair().drop(columns=["CohortId", "OutcomeError"]))
    assert len(lines) == 2
    assert "column 'CohortId': is missing" in lines[0]


def test_spaces_and_case_do_not_make_two_labels():
    source = export(
        {}, SALINE, {"CohortId": "c3", "OutcomeLabel": "Immobility ", "OutcomeUnit": "S"}
    )
    table = bm.read_syrf(source)
    assert table.frame["outcome"].tolist() == ["immobility", "immobility"]
    assert has(table.notes, "OutcomeLabel: 'Immobility' read as 'immobility' (1 row)")
    assert has(table.notes, "cells with spaces at their ends, stripped: 1 (OutcomeLabel 1)")


def test_answers_that_say_nothing_are_missing_and_counted():
    source = export({"Blinding": "Not stated"}, SALINE | {"Blinding": "Yes"}, Blinding="")
    table = bm.read_syrf(source)
    assert table.frame["Blinding"].isna().all()
    assert has(table.notes, "'Not stated' read as missing: 1 of 2 in 'Blinding'")
    kept = bm.read_syrf(source, missing=())
    assert kept.frame["Blinding"].tolist() == ["Not stated"]


def test_questions_become_columns_where_told():
    source = pair(**{"Which animals?": "mouse", "Dose": "10 mg/kg"}).drop(columns="Species")
    table = bm.read_syrf(source, columns={"species": "Which animals?"})
    assert table.frame["species"].tolist() == ["mouse"]
    assert table.frame["Dose"].tolist() == ["10 mg/kg"]  # a number column is never guessed


def test_treatment_labels_become_columns():
    dose = {"drug": "ketamine", "dose": 10, "dose_unit": "mg/kg"}
    source = export({}, {"CohortId": "c2", "TreatmentLabel(s)": "other"}, SALINE)
    table = bm.read_syrf(source, treatments={"drug 10": dose}, constants={"regimen": "single"})
    assert table.frame["dose"].tolist()[0] == 10
    assert math.isnan(table.frame["dose"].tolist()[1])
    assert table.frame["regimen"].tolist() == ["single", "single"]
    assert has(table.notes, "treatments that the mapping does not describe: 'other'")


@pytest.mark.parametrize(
    ("authors", "name"),
    [
        ("A. Baker, C. Cook and D. Miller", "Baker 2001"),
        ("Baker, A.; Cook, C.", "Baker 2001"),
        ('"A. B. de la Rue, C. Cook"', "de la Rue 2001"),
        ("Baker A.", "Baker 2001"),
        ("J.-P. Baker & C. Cook", "Baker 2001"),
        ("", "s1"),
    ],
)
def test_studies_are_named_by_first_author_and_year(authors, name):
    frame = pd.DataFrame({"study_id": ["s1"], "authors": [authors], "year": ["2001"]})
    assert study_names(frame) == {"s1": name}


def test_letters_keep_namesakes_apart():
    frame = pd.DataFrame({"study_id": ["x", "y"], "authors": "A. Baker", "year": "2001"})
    assert study_names(frame) == {"x": "Baker 2001a", "y": "Baker 2001b"}


# -- annotators ----------------------------------------------------------------------------------


def twice(reconciled=("FALSE", "FALSE")):
    """Two annotations of one study that differ in n and in time."""
    rows = []
    for person, n, time, done in zip(
        ("ann", "bob"), ("9", "10"), ("60", "90"), reconciled, strict=True
    ):
        own = {
            "InvestigatorName": person,
            "NumberOfAnimals": n,
            "TimeInMinutes": time,
            "Reconciled": done,
        }
        rows += [own, SALINE | own]
    return export(*rows)


def test_two_annotations_are_a_question():
    [line] = messages(twice())
    assert "'Baker 2001' is annotated more than once and not reconciled" in line
    assert "'ann' (2 rows; n 9; time 60) and 'bob' (2 rows; n 10; time 90)" in line
    assert "annotator='ann' or annotator='bob'" in line


@pytest.mark.parametrize("choice", ["bob", ["bob", "ann"], {"Baker 2001": "bob"}, {"s1": "bob"}])
def test_the_annotator_chosen_is_used(choice):
    table = bm.read_syrf(twice(), annotator=choice)
    assert table.frame["n_treated"].tolist() == [10]
    assert has(table.notes, "bob's annotation is used; left out: 'ann' (2 rows")


def test_reconciled_rows_go_before_the_others():
    table = bm.read_syrf(twice(("TRUE", "FALSE")))
    assert table.frame["n_treated"].tolist() == [9]
    assert has(table.notes, "the reconciled rows are used; left out: 2 others")


def test_a_study_of_one_annotator_needs_no_choice():
    table = bm.read_syrf(pair(Reconciled="FALSE"))
    assert has(table.notes, "studies that nobody reconciled: 1 of 1")


def test_an_export_without_annotators_says_so():
    notes = bm.read_syrf(pair().drop(columns="InvestigatorName")).notes
    assert has(notes, "names no annotators")


# -- times ---------------------------------------------------------------------------------------


def test_times_that_cannot_be_minutes_are_doubted():
    source = pair(TimeInMinutes="0.5")
    with pytest.warns(bm.SuspectDataWarning, match="1 of 1 would be under a minute") as caught:
        table = bm.read_syrf(source)
    assert len(caught) == 1
    # Minutes to days is two divisions here and one there: the last digit may differ.
    assert table.frame["delay"].tolist() == pytest.approx([0.5 / 1440], rel=1e-15)
    assert has(table.notes, "give time_unit='h'")


def test_a_unit_that_is_told_is_used_without_a_warning():
    table = bm.read_syrf(pair(TimeInMinutes="0.5"), time_unit="h", delay_reference="last dose")
    assert table.frame["delay"].tolist() == [0.5 / 24]
    assert table.frame["delay_reference"].tolist() == ["last dose"]
    assert has(table.notes, "'TimeInMinutes' read in h, as told; as minutes, 1 of 1 would be under")
    assert not has(table.notes, "what its times count from")


def test_plausible_minutes_are_not_doubted():
    assert time_signals([30, 1440, 10080], "min") == []
    # Tests half an hour to four hours after a dose: one signal, which alone is no warning.
    assert time_signals([30, 60, 120, 240], "min") == ["the longest, 240, would be 4 h"]


def test_a_header_may_name_another_unit():
    assert header_unit("TimeInHours") == "hour"
    assert header_unit("TimeInMinute") == "min"


def test_blank_times_are_missing_and_counted():
    table = bm.read_syrf(pair(TimeInMinutes=""))
    assert table.frame["delay"].isna().all()
    assert has(table.notes, "comparisons without a time: 1 of 1")
    assert has(table.notes, "does not say what its times count from")


# -- files ---------------------------------------------------------------------------------------


def test_a_file_and_a_frame_give_the_same(tmp_path):
    path = tmp_path / "export.csv"
    pair().to_csv(path, index=False, encoding="utf-8-sig")
    table = bm.read_syrf(path)
    assert table.rows == ("2",)
    shown = ["row_id", "control_row"]  # numbered as a spreadsheet does
    assert table.frame[shown].to_numpy().tolist() == [["2", "row 3"]]
    pd.testing.assert_frame_equal(
        table.frame.drop(columns=shown), bm.read_syrf(pair()).frame.drop(columns=shown)
    )


def test_the_paired_table_is_read_back_as_it_was(tmp_path):
    table = bm.read_syrf(pair(TimeInMinutes="1000"))
    table.frame.to_csv(tmp_path / "t.csv", index=False)
    pd.testing.assert_frame_equal(bm.read_table(tmp_path / "t.csv").frame, table.frame)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "is not a CSV file in UTF-8"),
        # Read as any table of text is, so with its messages.
        (b"", "the file is empty"),
        (b"StudyId,Title\n", "holds no rows"),
        (b"StudyId;Title\n1;a\n", "is separated by semicolons, not commas"),
        (b"PK\x03\x04 a workbook", "is a workbook or an archive, not a CSV file"),
        (b'a,b\n"open,1\n', "cannot be read as CSV"),
        (b"a,b\n1,2,3\n", "row 2: has 3 cells under 2 headers"),
        (b"StudyId,StudyId\n1,2\n", "column 'StudyId': stands more than once"),
    ],
)
def test_a_file_that_is_no_export_is_refused(tmp_path, content, said):
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    with pytest.raises(bm.TableError, match=said):
        bm.read_syrf(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(bm.TableError, match="cannot be read"):
        bm.read_syrf(tmp_path / "none.csv")


def test_questions_that_stand_twice_are_numbered(tmp_path):
    path = tmp_path / "export.csv"
    source = pair(Q1="a", Q2="b").rename(columns={"Q1": "Dose?", "Q2": "Dose?"})
    source.to_csv(path, index=False)
    table = bm.read_syrf(path)
    assert table.frame[["Dose?", "Dose? (2)"]].to_numpy().tolist() == [["a", "b"]]
    assert has(table.notes, "questions that stand more than once, numbered: 'Dose?'")


# -- what the table says of itself ---------------------------------------------------------------


def test_the_tables_own_notes_are_kept():
    """Doses converted, units unknown, words read as missing."""
    treatments = {"drug 10": {"dose": "10 g/kg", "route": "Unclear"}}
    notes = bm.read_syrf(pair(), treatments=treatments).notes
    assert has(notes, "dose: converted to the canonical unit of its kind: 1 of 1 rows")
    assert has(notes, "route: 1 of 1 cells missing, 1 of them 'Unclear'")


def test_errors_entered_as_sems_are_not_suspected_of_it():
    # d = 20 / (0.5 sqrt(12)) would be large by any threshold
    source = pair(OutcomeErrorType="SEM", OutcomeError="0.5")
    table = bm.read_syrf(source)
    assert not has(table.notes, "SEMs:")
    assert table.sd_sources == {
        "sd_treated": {"0": "sem_treated"},
        "sd_control": {"0": "sem_control"},
    }
    assert table.frame[["sem_treated", "sem_control"]].to_numpy().tolist() == [[0.5, 0.5]]


def test_one_signal_is_a_note_and_no_warning():
    notes = bm.read_syrf(pair(OutcomeError="5")).notes  # d = 4; a warning would be an error here
    assert has(notes, "SDs that may be SEMs: 1 of 1 comparisons (one signal each")


def test_a_table_written_and_read_again_still_knows_its_sems(tmp_path):
    table = bm.read_syrf(pair(OutcomeErrorType="SEM", OutcomeError="0.5"))
    table.frame.to_csv(tmp_path / "t.csv", index=False)
    assert bm.read_table(tmp_path / "t.csv").sd_sources == table.sd_sources


# -- times, units, words -------------------------------------------------------------------------


def test_times_are_compared_as_numbers():
    table = bm.read_syrf(export({}, SALINE | {"TimeInMinutes": "1440.0"}))
    assert len(table) == 1
    twice = export({}, {"TimeInMinutes": "1.44e3"}, SALINE)
    assert "has this outcome and time in row 0 already" in messages(twice)[0]


def test_arms_in_different_units_are_not_compared():
    [line] = messages(export({}, SALINE | {"OutcomeUnit": "min"}))
    assert line == (
        "DataFrame, row 0, column 'OutcomeUnit': 's' is not the unit of its control 'saline' "
        "('min'); correct one of them, or convert the numbers"
    )
    left = export({"CohortId": "c2", "OutcomeUnit": "min"}, {}, SALINE)
    assert len(bm.read_syrf(left, unusable="leave out")) == 1


def test_a_unit_missing_from_one_arm_is_told():
    table = bm.read_syrf(export({}, SALINE | {"OutcomeUnit": ""}))
    assert has(table.notes, "comparisons where only one arm has a unit: 1 (row 0)")


def test_the_smaller_number_of_a_range_of_animals_is_taken_and_told():
    table = bm.read_syrf(pair(NumberOfAnimals="6-8"))
    assert table.frame[["n_treated", "n_control"]].to_numpy().tolist() == [[6, 16]]
    assert has(table.notes, "NumberOfAnimals, the smallest number of a range taken: 1 of 2 arms")


def test_a_time_that_nobody_knows_is_missing():
    table = bm.read_syrf(pair(TimeInMinutes="Unclear"))
    assert table.frame["delay"].isna().all()
    assert has(table.notes, "TimeInMinutes, 'Unclear' read as missing: 2 of 2 arms")


def test_a_number_that_nobody_knows_is_a_fault():
    [line] = messages(export({"OutcomeError": "NR"}, SALINE))
    assert "row 0, column 'OutcomeError': 'NR' is missing; fill it in" in line


def test_a_95_percent_interval_becomes_sd():
    table = bm.read_syrf(pair(OutcomeErrorType="95% CI", OutcomeError="5"))
    # half width h = t(0.975, n - 1) SD / sqrt(n); the quantiles as printed in tables: t(8) =
    # 2.306, t(15) = 2.131, hence three decimals.
    assert table.frame["sd_treated"].tolist() == pytest.approx([5 * 3 / 2.306], rel=5e-4)
    assert table.frame["sd_control"].tolist() == pytest.approx([5 * 4 / 2.131], rel=5e-4)
    assert table.frame[["ci_low_treated", "ci_high_treated"]].to_numpy().tolist() == [[75, 85]]
    assert has(table.notes, "95% CI, read as the half width of an interval, converted to SD")
    assert set(table.sd_sources) == {"sd_treated", "sd_control"}
    told = bm.read_syrf(
        pair(OutcomeErrorType="CI", OutcomeError="5"), error_type={"Baker 2001": "95% CI"}
    )
    assert told.frame["sd_treated"].tolist() == table.frame["sd_treated"].tolist()


@pytest.mark.parametrize(
    ("written", "sd"),
    [
        ("S.D.", 5),
        ("s.d.", 5),
        ("Standard Deviation", 5),
        ("Standard error of mean", 15),
        ("s.e.m.", 15),
        ("S.E.", 15),
        ("Std. error", 15),
    ],
)
def test_error_types_are_known_however_they_are_written(written, sd):
    table = bm.read_syrf(pair(OutcomeErrorType=written, OutcomeError="5"))
    assert table.frame["sd_treated"].tolist() == [sd]


@pytest.mark.parametrize("written", ["SD?", "SD or SEM", "CI", "90% CI", "99% confidence interval"])
def test_error_types_in_doubt_are_refused(written):
    lines = messages(pair(OutcomeErrorType=written))
    assert "is neither SD nor SEM" in lines[0]


def test_a_1_is_true_in_every_column():
    assert not has(bm.read_syrf(pair(Reconciled="1")).notes, "nobody reconciled")


def test_a_judgement_of_bias_is_no_missing_answer():
    source = pair(**{"Allocation concealed?": "Unclear", "Species": "Unclear", "Strain": "NR"})
    table = bm.read_syrf(source)
    assert table.frame["Allocation concealed?"].tolist() == ["Unclear"]
    assert "species" not in table.frame or table.frame["species"].isna().all()
    assert has(table.notes, "species: 1 of 1 cells missing, 1 of them 'Unclear'")
    assert has(table.notes, "'NR' read as missing: 2 of 2 in 'Strain'")


# -- animals without the disease -----------------------------------------------------------------

HEALTHY = {"CohortId": "c8", "CohortLabel": "healthy drug", "DiseaseModelId(s)": "m0"}
HEALTHY |= {"DiseaseModelLabel(s)": "sham", "IsDiseaseModelControl": "TRUE"}
HEALTHY_SALINE = SALINE | HEALTHY | {"CohortId": "c9", "CohortLabel": "healthy saline"}


def test_comparisons_in_healthy_animals_are_told_and_may_be_left_out():
    source = export({}, SALINE, HEALTHY, HEALTHY_SALINE)
    table = bm.read_syrf(source)
    assert has(
        table.notes,
        "comparisons in animals without the disease model: 1 (Baker 2001: healthy drug); "
        "healthy='leave out' leaves them out",
    )
    assert len(table) == 2
    without = bm.read_syrf(source, healthy="leave out")
    assert without.frame["treated_label"].tolist() == ["drug"]
    assert has(without.notes, "left out, animals without the disease model: 1 (Baker 2001: h")
    alone = export(HEALTHY, HEALTHY_SALINE)
    assert "no comparison is left" in messages(alone, healthy="leave out")[0]


# -- one control, several measurements -----------------------------------------------------------


def test_a_control_measured_twice_is_two_controls():
    latency = {"OutcomeId": "o2", "OutcomeLabel": "latency", "GreaterIsWorse": "FALSE"}
    later = {"TimeInMinutes": "2880"}
    changes = ({}, latency, later)
    source = export(*changes, *(SALINE | change for change in changes))
    table = bm.read_syrf(source)
    assert table.frame["control_group"].tolist() == [
        "c0 / o1 / 1440",
        "c0 / o2 / 1440",
        "c0 / o1 / 2880",
    ]


# -- what two sources say ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"constants": {"n_control": 50}}, "constants: 'n_control' is given by the export"),
        ({"constants": {"delay": 50}}, "constants: 'delay' is given by the export"),
        ({"treatments": {"drug 10": {"delay": 2}}}, "treatments: 'delay' is given by the export"),
        (
            {"treatments": {"drug 10": {"drug": "K"}}, "constants": {"drug": "X"}},
            "treatments: 'drug' is given by constants",
        ),
        (
            {
                "treatments": {"drug 10": {"delay_reference": "start"}},
                "delay_reference": "last dose",
            },
            "delay_reference is given by treatments, too; give it once",
        ),
        (
            {"constants": {"delay_reference": "start"}, "delay_reference": "last dose"},
            "delay_reference is given by constants, too; give it once",
        ),
        ({"units": {"delay": "h"}}, "units: the unit of the export's times is time_unit="),
        ({"units": {"delai": "h"}}, "units: 'delai' is no duration"),
        ({"ranges": "mean"}, "ranges: 'mean' is unknown"),
        ({"healthy": "drop"}, "healthy = 'drop'; known: keep, leave out"),
    ],
    ids=str,
)
def test_what_is_given_twice_or_unknown_is_refused(options, said):
    with pytest.raises(bm.SpecError, match=said):
        bm.read_syrf(pair(), **options)


def test_what_the_export_leaves_blank_may_be_given():
    source = pair(TimeInMinutes="", OutcomeUnit="")
    table = bm.read_syrf(source, constants={"delay": 2, "outcome_unit": "s"})
    assert table.frame[["delay", "outcome_unit"]].to_numpy().tolist() == [[2, "s"]]


def test_ranges_and_units_reach_the_table():
    treatments = {"drug 10": {"dose": "10-20 mg/kg", "duration": "48"}}
    assert "ranges='midpoint'" in messages(pair(), treatments=treatments)[0]
    table = bm.read_syrf(pair(), treatments=treatments, ranges="midpoint", units={"duration": "h"})
    assert table.frame[["dose", "duration"]].to_numpy().tolist() == [[15, 2]]
    assert has(table.notes, "dose: the middle of a range taken: 1 of 1 rows")


# -- arms that are not used ----------------------------------------------------------------------


def test_faults_of_arms_that_are_not_used_are_notes():
    bare = {"CohortId": "c6", "CohortLabel": "naive", "IsTreatmentControl": "", "OutcomeError": ""}
    idle = SALINE | {"CohortId": "c5", "DiseaseModelId(s)": "m5", "OutcomeErrorType": "IQR"}
    table = bm.read_syrf(export({}, SALINE, bare, idle))
    assert len(table) == 1
    notes = has(table.notes, "in an arm that is not compared: DataFrame, row")
    assert len(notes) == 2
    assert "row 2, column 'OutcomeError': is missing" in notes[0]
    assert "row 3, column 'OutcomeErrorType': 'IQR' is neither SD nor SEM" in notes[1]


@pytest.mark.parametrize("change", [{"IsTreatmentControl": "perhaps"}, {"TimeInMinutes": "x"}])
def test_a_cell_that_decides_what_is_compared_stays_a_fault(change):
    lines = messages(export({}, SALINE, {"CohortId": "c6"} | change))
    assert f"row 2, column '{next(iter(change))}'" in lines[0]


# -- hours told from minutes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "doubted"),
    [
        ([24.0], False),  # one fact: that a test at 24 min is short is in the number itself
        ([24.0, 24, 30], False),
        ([24.0, 48], True),  # two whole days
        ([0.5], True),  # SyRF asks for whole minutes
        ([90.5, 20000], True),
        ([24.0, 48, 1440], False),
        ([30.0, 60, 120], False),
    ],
    ids=str,
)
def test_one_fact_is_no_two_signals(times, doubted):
    assert not_minutes(times, "min") is doubted


# -- the real export -----------------------------------------------------------------------------

REAL = {
    "annotator": "annotator 1",
    "time_unit": "h",
    "delay_reference": "last dose",
    "across_experiments": True,
    "greater_is_worse": {"FST Latency": False},
    "controls": {
        "Wang 2011": {"SNI/FST Immobility/Ket": "SNI/FST Immobility/Sal"},
        "Petryshen 2016": {"FST/Ket 10": "FST/Sal (Ket 10)", "FST/Ket 3": "FST/Sal (Ket 3)"},
    },
}


@pytest.fixture(scope="module")
def real(shared):
    return shared / "data" / "syrf_quantitative_export_example.csv"


def test_the_real_export_asks_its_questions_at_once(real):
    lines = messages(real)
    starts = [line.split(",")[1].strip() for line in lines]
    # Counted by hand in the export: two studies annotated twice (rows 10 and 28 open them); a
    # treated arm whose control has another disease model (17); three arms entered as experiments
    # of their own (18-20); two arms before two controls (46, 48).
    assert starts == [f"row {row}" for row in (10, 28, 17, 18, 19, 20, 46, 48)]


def test_the_real_export_is_read_end_to_end(real):
    with pytest.warns(bm.SuspectDataWarning):
        table = bm.read_syrf(real, **REAL)
    # 48 rows: 2 + 2 of annotator 3 give way; of the 44 others 26 are treated arms, by hand.
    assert len(table) == 26
    assert table.frame["study"].nunique() == 12
    # The abstracts say: forced swim test 46 h after ketamine (Li 2014, Clin Psychopharmacol
    # Neurosci 12:124), ketamine 30 min before it (Yang 2013, doi 10.3109/03009734.2012.724118).
    # The times are hours.
    delays = table.frame.groupby("study")["delay"].first() * 24
    assert delays["Li 2014b"] == pytest.approx(46)
    assert delays["Yang 2013"] == pytest.approx(0.5)
    assert (table.frame.loc[table.frame["outcome"] == "FST Latency", "direction"] == 1).all()
    assert (table.frame.loc[table.frame["outcome"] == "FST Immobility", "direction"] == -1).all()


@pytest.mark.parametrize(
    "trap",
    [
        "'TimeInMinute' for 'TimeInMinutes', 'ErrorType' for 'OutcomeErrorType'",
        "cells with spaces at their ends, stripped: 235",
        "OutcomeUnit: 'Seconds' read as 'seconds' (8 rows)",
        "'Not Reported' read as missing: 48 of 48 in 'Type of cage/housing'",
        "Reus 2015: annotator 1's annotation is used",
        "Prabhakar 2011: annotator 1's annotation is used",
        "studies that nobody reconciled: 12 of 12",
        "controls taken from another experiment of the study: 3",
        "controls of another disease model, as told: 1",
        "treated arms that share a control: 13, in 5 groups",
        "'TimeInMinute' read in h, as told; as minutes, 9 of 26 would be under a minute",
        "Wang 2011: 17 (d 3.2, 1.0 if SEM)",
        # Rows 11, 37 and 41: their own IsDiseaseModelControl is True.
        "animals without the disease model: 3 (Reus 2015: Non-deprived/FST/S-Ket; Baptista 2015: C",
    ],
)
def test_each_trap_of_the_real_export_is_named(real, trap):
    with pytest.warns(bm.SuspectDataWarning):
        table = bm.read_syrf(real, **REAL)
    assert has(table.notes, trap)


def test_the_real_times_are_doubted_where_the_header_is_believed(real):
    with pytest.warns(bm.SuspectDataWarning) as caught:
        bm.read_syrf(real, **{**REAL, "time_unit": None})
    first = str(caught[0].message)
    assert "'TimeInMinute' looks as if it were not in min" in first
    assert "24, 336" in first


def test_warnings_and_tables_cross_process_boundaries(real):
    with pytest.warns(bm.SuspectDataWarning):
        table = bm.read_syrf(real, **REAL)
    assert pickle.loads(pickle.dumps(table)).notes == table.notes
    assert json.loads(json.dumps(table.notes)) == list(table.notes)
