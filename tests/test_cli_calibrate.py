import json

import numpy as np
import pandas as pd
import pytest
from calibrations import runner
from fits import EIGHT_ROWS
from typer.testing import CliRunner

import bayesma as bm
from bayesma.checks.calibration import runs
from bayesma.cli import app

MODEL = """title = "Eight rows"
data = "rows.csv"
measure = "SMD"
[spec]
peak = "1"
decay = "none"
likelihood = "normal"
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model whose posterior is known, so that nothing is sampled."""
    monkeypatch.setattr(runs, "sampled_replicate", runner())
    EIGHT_ROWS.drop(columns=["delay"]).to_csv(tmp_path / "rows.csv", index=False)
    path = tmp_path / "eight.toml"
    path.write_text(MODEL)
    return path


def run(*args):
    found = CliRunner().invoke(app, ["calibrate", *map(str, args)])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def test_it_writes_prints_and_goes_on_where_it_stopped(model, tmp_path):
    options = (model, "-o", tmp_path / "out", "--outcomes", "effects", "--jobs", 1)
    result = run(*options, "--replicates", 30)
    assert result.exit_code == 0, result.stderr
    assert "30 replicates: passed" in result.stdout
    assert "level[Intercept]" in result.stdout
    assert "note: 30 replicates show gross faults only" in result.stdout
    assert "30/30" in result.stderr
    found = bm.load_calibration(tmp_path / "out")
    assert found.record["seed"] == 1
    written = pd.read_csv(tmp_path / "out" / "calibration.csv")
    # CSV holds 17 digits: nothing is lost but the last bit's writing.
    np.testing.assert_allclose(written["mean_rank"], found.table["mean_rank"], rtol=1e-15)
    assert (tmp_path / "out" / "calibration.png").stat().st_size > 1000
    again = run(*options, "--replicates", 40, "--json")
    assert again.exit_code == 0, again.stderr
    answer = json.loads(again.stdout)
    assert answer["passed"] is True
    assert [record["n"] for record in answer["records"]] == [40, 40]
    assert len(list((tmp_path / "out" / "replicates").glob("replicate_*"))) == 40
    other = run(*options, "--seed", 2)
    assert other.exit_code == 2
    assert "holds another calibration, with other seed" in " ".join(other.stderr.split())


def test_a_model_that_does_not_pass_is_exit_status_1(model, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "sampled_replicate", runner(shift=2.0))
    result = run(model, "-o", tmp_path / "out", "--outcomes", "effects", "--replicates", 30,
                 "--no-progress")  # fmt: skip
    assert result.exit_code == 1
    assert "30 replicates: NOT passed" in result.stdout
    assert "level[Intercept]: ranks leave their band" in " ".join(result.stdout.split())
    assert result.stderr == ""


def test_a_slip_is_refused_before_anything_is_written(model, tmp_path):
    result = run(model, "-o", tmp_path / "out", "--outcomes", "arm")
    assert result.exit_code == 2
    assert "did you mean 'arms'" in result.stderr
    assert not (tmp_path / "out" / "replicates").exists()
