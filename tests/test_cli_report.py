"""bayesma report: the page of a fit, and its parts."""

import pandas as pd
import pytest
from fits import prior_fit
from typer.testing import CliRunner

import bayesma as bm
from bayesma.cli import app

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits")
    for name, variant, divergent in (
        ("exponential", None, 0),
        ("plateau", "plateau", 0),
        ("stuck", None, 7),
    ):
        fit = prior_fit(bm.load_analysis("ketamine_pain", variant), divergent=divergent)
        (folder / name).mkdir()
        fit.save(folder / name / "fit.nc")
    return folder


def run(*args):
    return RUNNER.invoke(app, ["report", *map(str, args)], env={"COLUMNS": "160"})


def test_the_page_goes_beside_the_fit_and_its_parts_where_asked(place, tmp_path):
    result = run(
        place / "exponential", "--beside", place / "plateau", "--title", "Ketamine <again>",
        "--tables", tmp_path / "tables", "--figures", tmp_path / "figures",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    page = (place / "exponential" / "report.html").read_text(encoding="utf-8")
    assert "<title>Ketamine &lt;again&gt;</title>" in page
    assert all(len(pd.read_csv(path).columns) for path in (tmp_path / "tables").glob("*.csv"))
    assert list((tmp_path / "figures").glob("*.svg"))


def test_tables_for_a_manuscript(place, tmp_path):
    result = run(place / "exponential", "-o", tmp_path / "r.html", "--tables", tmp_path,
                 "--tables-as", "tex")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "r.html").exists()
    assert all(r"\begin{tabular}" in path.read_text() for path in tmp_path.glob("*.tex"))


def test_a_fit_that_did_not_converge_gives_a_page_and_status_1(place, tmp_path):
    result = run(place / "stuck", "-o", tmp_path / "r.html", "--people")
    assert result.exit_code == 1
    assert "NOT converged" in result.stderr
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "has not converged" in page


def test_people_are_in_the_page_on_request(place, tmp_path):
    result = run(place / "exponential", "-o", tmp_path / "r.html", "--people", "--delay", "1,7",
                 "--assume", "no_translation=0.5")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "no_translation" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--tables-as", "xlsx"], "known: csv, md, tex"),
        (["--delay", "7"], "--delay belongs to --people"),
        (["--assume", "no_translation=0.5"], "--assume belongs to --people"),
        (["--beside", "nowhere"], "there is no such file"),
        (["--people", "--delay", "soon"], "--delay soon"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(place, tmp_path, more, message):
    target = tmp_path / "r.html"
    result = run(place / "plateau", "-o", target, *more)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not target.exists()
