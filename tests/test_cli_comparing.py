import json

import numpy as np
import pandas as pd
import pytest
from fits import prior_fit
from typer.testing import CliRunner

import bayesma as bm
from bayesma import priors
from bayesma.catalogue import load_dataset
from bayesma.cli import app
from bayesma.effects import effect_sizes

RUNNER = CliRunner()
# Priors as narrow as a posterior, so that their draws can stand for one.
NARROW = {"peak": priors.normal(1.3, 0.1), "tau": priors.log_normal(-0.5, 0.2)}
SPEC = bm.ModelSpec(peak="1 + (1 | study)", decay="none", priors=NARROW, likelihood="normal")
WIDER = bm.ModelSpec(
    peak="1 + (1 | study)",
    decay="none",
    priors=NARROW | {"tau": priors.log_normal(0.5, 0.1)},
    likelihood="normal",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two fits of one table, and one of another."""
    folder = tmp_path_factory.mktemp("fits")
    effects = effect_sizes(load_dataset("simulated_decay"))
    for name, fit in (
        ("narrow", prior_fit(effects, SPEC)),
        ("wide", prior_fit(effects, WIDER)),
        ("pooled", prior_fit("ketamine_pain")),
    ):
        (folder / name).mkdir()
        fit.save(folder / name / "fit.nc")
    return folder


def run(*args):
    return RUNNER.invoke(app, ["loo", *map(str, args)])


def test_one_fit_prints_its_elpd_and_what_it_predicts_worst(place, tmp_path):
    fit = bm.load_fit(place / "narrow")
    expected = bm.leave_one_row_out(fit, refit=False)
    csv = tmp_path / "rows.csv"
    result = run(place / "narrow", "--by", "row", "--no-refit", "--csv", csv)
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert f"narrow, left out by row (120): elpd {expected.elpd:.1f}" in text
    written = pd.read_csv(csv)
    assert list(written.columns) == ["row", "elpd", "pareto_k"]
    np.testing.assert_allclose(written["elpd"], expected.elpd_i, rtol=1e-12)
    assert str(written.sort_values("elpd")["row"].iloc[0]) in text


def test_one_fit_as_json(place):
    result = run(place / "narrow" / "fit.nc", "--no-refit", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    expected = bm.leave_one_study_out(bm.load_fit(place / "narrow"), refit=False)
    assert found["model"] == "narrow"
    assert found["left_out_by"] == "study"
    assert found["elpd"] == expected.elpd
    assert found["n_bad_k"] == int((expected.pareto_k > expected.good_k).sum())
    assert len(found["records"]) == expected.n_data_points


def test_several_fits_are_compared(place, tmp_path):
    csv = tmp_path / "models.csv"
    result = run(place / "wide", place / "narrow", "--no-refit", "--csv", csv)
    assert result.exit_code == 0, result.stderr
    fits = {name: bm.load_fit(place / name) for name in ("wide", "narrow")}
    found = bm.compare_models(fits, refit=False)
    text = " ".join(result.stdout.split())
    assert found.sentences[0] in text
    assert f"{found.table['elpd'].iloc[0]:.1f}" in text
    assert "note: the normal likelihood takes sampling variances as known" in result.stderr
    written = pd.read_csv(csv, index_col="model")
    pd.testing.assert_frame_equal(written, found.table, check_dtype=False)
    as_json = json.loads(run(place / "wide", place / "narrow", "--no-refit", "--json").stdout)
    assert as_json["best"] == found.best
    assert as_json["tied"] == list(found.tied)
    assert as_json["notes"] == list(found.notes)
    assert [r["model"] for r in as_json["records"]] == list(found.table.index)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["narrow", "--by", "lab"], "--by lab; known: study, row"),
        (["narrow", "narrow"], "given twice"),
        (["narrow", "pooled"], "these models cannot be compared:"),
        (["narrow", "wide", "--weights", "equal"], "--weights equal; known: stacking"),
        # Of one fit there are no weights, and a slip of the pen is one all the same.
        (["narrow", "--weights", "stack"], "--weights stack; did you mean 'stacking'"),
        (["pooled"], "leave-one-out needs studies; these rows are pooled results"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_message(place, args, message):
    places = [place / arg if (place / arg).is_dir() else arg for arg in args]
    result = run(*places)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_fits_called_alike_go_by_their_paths(place, tmp_path):
    twin = tmp_path / "narrow"
    twin.mkdir()
    bm.load_fit(place / "wide").save(twin / "fit.nc")
    found = json.loads(run(place / "narrow", twin, "--no-refit", "--json").stdout)
    assert {r["model"] for r in found["records"]} == {str(place / "narrow"), str(twin)}
