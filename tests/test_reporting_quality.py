"""The sections on risk of bias and on how to make the fit again."""

from __future__ import annotations

import contextlib
import io
import json
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from fits import EIGHT_ROWS, prior_fit

import bayesma as bm
from bayesma.posterior import Fit
from bayesma.reporting.blocks import Code, Fold, Picture, Table
from bayesma.reporting.material import Material
from bayesma.reporting.sections.quality import quality
from bayesma.reporting.sections.reproducibility import reproducibility
from bayesma.reporting.tomls import spec_toml
from bayesma.spec import ModelSpec

FLAT = bm.ModelSpec(peak="1 + (1 | study)", decay="none")


def judged(**columns):
    rows = bm.effect_sizes(EIGHT_ROWS.assign(**columns))
    return quality(Material(prior_fit(rows, FLAT, draws=20)))


def test_without_judgements_one_sentence_says_so():
    (words,) = judged()
    assert words.text.startswith("The data hold no judgements of risk of bias")


def test_judgements_are_drawn_counted_and_said_not_to_weigh():
    weighed, picture, told = judged(rob1=["yes", "yes", "no", "no", None, None, "yes", "yes"])
    assert "does not weigh by these judgements (columns rob1)" in weighed.text
    assert isinstance(picture, Picture)
    assert picture.twin is not None
    assert picture.twin.frame.to_dict("records") == [
        {"Item": "Sequence generation", "Low": 2, "Unclear": 1, "High": 1}
    ]
    assert "4 studies" in picture.alt
    assert "SYRCLE" in told.text
    assert "yes is a low risk" in told.text


def test_a_judgement_in_the_model_is_said_to_be_there():
    rob = ["low", "low", "high", "high"] * 2
    spec = bm.ModelSpec(peak="rob + (1 | study)", decay="none")
    fit = prior_fit(bm.effect_sizes(EIGHT_ROWS.assign(rob=rob)), spec, draws=20)
    assert quality(Material(fit))[0].text.startswith("The model takes rob as a covariate")


def test_words_that_nobody_can_read_are_named():
    *_, told = judged(rob=["low", "dunno"] * 4)
    assert "'dunno'" in told.text


def test_scores_have_a_table_of_their_own():
    *_, table = judged(quality=[1.0, 3, 4, 4, 6, 6, 9, 9])
    assert isinstance(table, Table)
    assert table.frame.to_dict("records")[0]["Median"] == 5.0


# -- how to make it again ----------------------------------------------------------------------


def provenance(fit, **changes):
    """Return a fit with some of its provenance changed."""
    tree = fit.tree.copy()
    tree.attrs = {**tree.attrs, "provenance": json.dumps(fit.provenance | changes)}
    return Fit(tree, fit.design)


def flat(blocks):
    for block in blocks:
        yield block
        if isinstance(block, Fold):
            yield from flat(block.blocks)


def codes(fit, **material):
    return [b.text for b in flat(reproducibility(Material(fit, **material))) if isinstance(b, Code)]


@pytest.fixture(scope="module")
def ketamine():
    return prior_fit("ketamine_pain", draws=20)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("ketamine_pain/plateau", "bayesma fit ketamine_pain --variant plateau --seed 1"),
        ("ketamine_pain", "bayesma fit ketamine_pain --seed 1"),
        ("own", "bayesma fit own.toml --seed 1"),
    ],
)
def test_a_model_file_gives_its_command(ketamine, name, command):
    fit = provenance(ketamine, model={"name": name, "title": "T"})
    assert codes(fit)[0] == f"{command} --draws 20 --tune 0 --chains 4 --out DIR"


def test_the_command_of_a_fit_is_one_that_the_command_line_takes():
    from typer.testing import CliRunner

    from bayesma.cli.app import app

    shown = CliRunner().invoke(app, ["fit", "--help"], env={"COLUMNS": "200"}).output
    for option in ("--variant", "--seed", "--draws", "--tune", "--chains", "--sampler", "--out"):
        assert option in shown


def test_without_a_model_file_python_makes_the_spec_again():
    analysis = bm.load_analysis("ketamine_pain")
    made = prior_fit(analysis.effects(), analysis.spec, draws=20)
    lines, *_ = codes(made)
    spec = lines[lines.index("spec = ") : lines.index("fit = ")]
    found: dict[str, object] = {"bm": bm}
    exec(spec, found)
    assert found["spec"] == made.spec
    assert (
        "effects = bm.effect_sizes(table, measure='SMD', variance='LS', members=members)" in lines
    )
    assert "seed=1, chains=4, tune=0, draws=20" in lines


def test_python_says_how_effects_share_animals():
    rows = bm.effect_sizes(EIGHT_ROWS, rho=0.5, within="study")
    lines = codes(prior_fit(rows, FLAT, draws=20))[0]
    assert "variance='LS', rho=0.5, within='study')" in lines


def test_the_lines_that_fingerprint_the_data_give_the_printed_number(ketamine):
    fit = provenance(ketamine, model={"name": "ketamine_pain", "title": "T"})
    lines = next(text for text in codes(fit) if "hashlib" in text)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(lines, {})
    assert printed.getvalue().strip() == fit.provenance["data_sha256"]
    assert fit.provenance["data_sha256"] in codes(fit)


@pytest.mark.parametrize(
    "spec",
    [
        bm.ModelSpec().resolved("SMD"),
        bm.ModelSpec(
            peak="C(dose) + regimen + (1 | study)",
            decay="weibull",
            population="student",
            priors={"tau": bm.priors.log_student_t(5, -1.5, 0.25)},
        ).resolved("SMD"),
    ],
)
def test_the_toml_of_a_spec_reads_as_the_spec(spec):
    assert ModelSpec.from_dict(tomllib.loads(spec_toml(spec))["spec"]) == spec


def test_versions_of_the_fit_stand_beside_those_of_the_page(ketamine):
    tables = {b.name: b.frame for b in reproducibility(Material(ketamine)) if isinstance(b, Table)}
    versions = tables["reproducibility-versions"].set_index("Package")
    assert versions.loc["pymc"].tolist() == [version("pymc"), "not used"]
    assert versions.loc["jinja2"].tolist() == ["not recorded", version("jinja2")]
    assert versions.loc["numpy", "The fit"] == version("numpy")
    settings = tables["reproducibility-settings"].set_index("Setting")["Value"]
    assert settings["seed of the sampler"] == "1"
    assert settings["kept draws per chain"] == "20"


def test_the_command_of_the_report_is_printed(ketamine):
    assert "bayesma report DIR" in codes(ketamine, command="bayesma report DIR")
    assert "bayesma report DIR" not in codes(ketamine)


def test_the_citation_is_that_of_the_citation_file(ketamine):
    cff = Path(__file__).resolve().parents[1] / "CITATION.cff"
    facts = dict(
        line.split(": ", 1) for line in cff.read_text(encoding="utf-8").splitlines() if ": " in line
    )
    *_, cited = reproducibility(Material(ketamine))
    for key in ("title", "version", "license", "  - name"):
        assert facts[key] in cited.text
    assert "Bayesian meta-analysis of drug effects that fade" in cff.read_text(encoding="utf-8")
