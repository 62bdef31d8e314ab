import pandas as pd
import pytest
from test_cli import refused, run
from test_readers_syrf import HEALTHY, HEALTHY_SALINE, SALINE, export, pair

import bayesma as bm


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "export.csv"
    pair().to_csv(file, index=False)
    return file


def test_the_table_written_is_the_table_read(path, tmp_path):
    result = run("syrf", path, "-o", tmp_path / "table.csv", "--constant", "regimen=single")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "export.csv: 1 comparisons, 1 studies"
    assert any(line.startswith("note: direction of 'immobility': less is") for line in lines)
    expected = bm.read_syrf(path, constants={"regimen": "single"}).frame
    pd.testing.assert_frame_equal(bm.read_table(tmp_path / "table.csv").frame, expected)
    assert run("check", tmp_path / "table.csv").exit_code == 0


def test_faults_are_one_message(path):
    export(
        {}, SALINE | {"DiseaseModelId(s)": "m9"}, {"CohortId": "c2", "OutcomeError": "x"}
    ).to_csv(path, index=False)
    lines = refused("syrf", path).splitlines()
    assert len(lines) == 3
    assert all(line.startswith("export.csv, row ") for line in lines)


def test_options_say_what_the_export_leaves_open(path, tmp_path):
    second = SALINE | {"CohortId": "c9", "CohortLabel": "water", "OutcomeAverage": "70"}
    export({}, SALINE, second, TimeInMinutes="24").to_csv(path, index=False)
    written = tmp_path / "table.csv"
    options = {
        "--control": "Baker 2001: drug=water",
        "--greater-is-worse": "immobility=no",
        "--error-type": "Baker 2001=SEM",
        "--time-unit": "h",
        "--delay-reference": "last dose",
        "--outcome": "immobility",
        "--annotator": "ann",
        "--columns": "strain=Species",
    }
    result = run("syrf", path, "-o", written, *(word for pair in options.items() for word in pair))
    assert result.exit_code == 0, result.stderr
    row = pd.read_csv(written).iloc[0]
    assert (row["mean_control"], row["direction"], row["sd_treated"]) == (70, 1, 90)
    assert (row["delay"], row["delay_reference"], row["strain"]) == (1, "last dose", "rat")


def test_doubts_are_notes_and_no_warnings(path):
    pair(TimeInMinutes="0.5").to_csv(path, index=False)
    result = run("syrf", path)
    assert "'TimeInMinutes' looks as if it were not in min" in result.stdout
    assert result.stderr == ""


def test_arms_that_cannot_be_compared_may_be_left_out(path):
    alone = {"StudyId": "s2", "Authors": "E. Farmer"}
    export({}, SALINE, alone).to_csv(path, index=False)
    assert "has no treatment control" in refused("syrf", path)
    assert "note: left out: export.csv, row 4" in run("syrf", path, "--leave-out").stdout


def test_healthy_animals_may_be_left_out(path, tmp_path):
    export({}, SALINE, HEALTHY, HEALTHY_SALINE).to_csv(path, index=False)
    assert "animals without the disease model: 1 (Baker 2001: healthy drug)" in (
        run("syrf", path).stdout
    )
    result = run("syrf", path, "--leave-out-healthy", "-o", tmp_path / "t.csv")
    assert result.exit_code == 0
    assert pd.read_csv(tmp_path / "t.csv")["treated_label"].tolist() == ["drug"]


def test_ranges_and_units_reach_the_table(path, tmp_path):
    options = ("--constant", "duration=24-72", "--ranges", "midpoint", "--units", "duration=h")
    assert "ranges='midpoint'" in refused("syrf", path, *options[:2])
    result = run("syrf", path, *options, "-o", tmp_path / "t.csv")
    assert result.exit_code == 0, result.stderr
    assert pd.read_csv(tmp_path / "t.csv")["duration"].tolist() == [2]  # days


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--ranges", "mean"), "ranges: 'mean' is unknown"),
        (("--units", "delay=h"), "the unit of the export's times is time_unit="),
        (("--constant", "n_control=50"), "'n_control' is given by the export"),
        (("--control", "drug=saline"), "write it as 'STUDY: TREATED=CONTROL'"),
        (("--greater-is-worse", "immobility=perhaps"), "say yes or no"),
        (("--annotator", "anne"), "no annotator 'anne'; did you mean 'ann'"),
    ],
)
def test_an_option_that_says_nothing_is_refused(path, option, said):
    assert said in refused("syrf", path, *option)


def test_a_check_tells_of_suspicious_errors(tmp_path):
    frame = pair().drop(columns="Species")
    frame.to_csv(tmp_path / "e.csv", index=False)
    run("syrf", tmp_path / "e.csv", "-o", tmp_path / "t.csv", "--error-type", "Baker 2001=SD")
    table = pd.read_csv(tmp_path / "t.csv").assign(sd_treated=2.0, sd_control=2.0)
    table.to_csv(tmp_path / "t.csv", index=False)
    assert (
        "note: SDs that may be SEMs: 1 of 1 comparisons" in run("check", tmp_path / "t.csv").stdout
    )
