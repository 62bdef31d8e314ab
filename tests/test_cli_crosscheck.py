import json

import pandas as pd
import pytest
from fits import prior_fit
from typer.testing import CliRunner

import bayesma as bm
from bayesma.cli import app, checking
from bayesma.effects import effect_sizes

RUNNER = CliRunner()
SIX = pd.DataFrame(
    {
        "study": list("ABCDEF"),
        "y": [0.2, 0.9, 1.4, 0.1, 1.9, 0.6],
        "v": [0.1, 0.2, 0.05, 0.3, 0.15, 0.1],
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none")
    place = tmp_path_factory.mktemp("six")
    prior_fit(effect_sizes(SIX), spec).save(place / "fit.nc")
    return place


def run(*args):
    return RUNNER.invoke(app, ["crosscheck", *map(str, args)])


def test_it_prints_answers_verdicts_and_why(folder):
    result = run(folder)
    assert result.exit_code == 0, result.stderr
    pooled = bm.pool(SIX["y"], SIX["v"])
    text = " ".join(result.stdout.split())
    assert "frequentist: REML, t with k - 1 degrees of freedom" in text
    assert f"{pooled.estimate:.3g}" in text
    assert "A posterior mean is not REML" in text


def test_json_csv_and_picture_hold_the_same_table(folder, tmp_path):
    csv, png = tmp_path / "check.csv", tmp_path / "check.png"
    printed = tmp_path / "printed.csv"
    printed.write_text("quantity,estimate\nmean,0.9\n")
    result = run(
        folder, "--json", "--csv", csv, "--picture", png, "--published", printed, "--ci", "0.9"
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    check = bm.cross_check(bm.load_fit(folder), pd.read_csv(printed), ci_prob=0.9)
    assert [r["quantity"] for r in found["records"]] == check.table["quantity"].tolist()
    assert found["records"][0]["frequentist"] == check.table["frequentist"].iloc[0]
    assert found["records"][0]["published"] == 0.9
    assert found["sentences"] == list(check.sentences)
    assert found["ci_prob"] == 0.9
    written = pd.read_csv(csv)
    # CSV holds 17 digits: nothing is lost but the last bit's writing.
    assert written["difference"].iloc[0] == pytest.approx(
        check.table["difference"].iloc[0], rel=1e-15
    )
    assert png.read_bytes().startswith(b"\x89PNG")


def test_a_file_that_is_not_there_is_refused(folder, tmp_path):
    result = run(folder, "--published", tmp_path / "no.csv")
    assert result.exit_code == 2
    assert "no.csv: cannot be read as CSV" in result.stderr


def test_a_picture_of_an_unknown_kind_is_refused_before_any_work(folder, tmp_path):
    result = run(folder, "--picture", tmp_path / "check.jpg")
    assert result.exit_code == 2
    assert "pictures are .png, .svg, .pdf" in " ".join(result.stderr.split())
    assert not (tmp_path / "check.jpg").exists()


def test_what_has_faded_is_printed_as_0():
    row = {"bayesian": 0.393, "bayesian_ci_low": 7.5e-41, "bayesian_ci_high": 1.13}
    assert checking._answer(row, "bayesian") == "0.393 [0, 1.13]"
    small = {"bayesian": 2e-6, "bayesian_ci_low": 1e-6, "bayesian_ci_high": 3e-6}
    assert checking._answer(small, "bayesian") == "2e-06 [1e-06, 3e-06]"
