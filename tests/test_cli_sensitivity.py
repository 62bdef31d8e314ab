import json

import pandas as pd
import pytest
from fits import EIGHT_ROWS, prior_fit
from typer.testing import CliRunner

import bayesma as bm
from bayesma.cli import app

RUNNER = CliRunner()
SPEC = bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen", decay="exponential")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("eight")
    prior_fit(bm.effect_sizes(EIGHT_ROWS, measure="SMD"), SPEC).save(place / "fit.nc")
    return place


def run(*args):
    return RUNNER.invoke(app, ["sensitivity", *map(str, args)])


def test_it_prints_the_table_and_what_counts(folder):
    result = run(folder)
    assert result.exit_code == 0, result.stderr
    table = bm.prior_sensitivity(bm.load_fit(folder))
    text = " ".join(result.stdout.split())
    assert "per doubling; it counts from 0.05" in text
    for verdict, count in table["verdict"].value_counts().items():
        assert verdict == "-" or f"{verdict} ({count} of {len(table)}): " in text
    assert (table["verdict"] != "-").any()
    tau = table.set_index("quantity").loc["tau"]
    assert f"tau {tau['prior']:.2f} {tau['likelihood']:.2f} {tau['verdict']}" in text
    assert "prior: tau" not in text


def test_json_and_csv_hold_the_same_numbers(folder, tmp_path):
    csv = tmp_path / "moved.csv"
    result = run(
        *(folder, "--by-prior", "--json", "--csv", csv),
        *("--by", "regimen=single", "--delay", "1,2", "--threshold", "0.2"),
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    fit = bm.load_fit(folder)
    at = bm.grid(fit, regimen="single", delay=[1, 2])
    table = bm.prior_sensitivity(fit, by="prior", at=at, threshold=0.2)
    assert [r["quantity"] for r in found["records"]] == list(table["quantity"])
    assert [r["prior: tau"] for r in found["records"]] == list(table["prior: tau"])
    assert found["sentences"] == table.attrs["sentences"]
    assert set(table.attrs["notes"]) <= set(found["notes"])
    # CSV holds 17 digits.
    pd.testing.assert_series_equal(pd.read_csv(csv)["prior"], table["prior"], rtol=1e-15)


def test_what_is_no_fit_is_refused_in_one_line(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "there is no such file" in result.stderr
