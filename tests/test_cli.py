import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fits import prior_fit, prior_sample
from helpers import arms
from typer.testing import CliRunner

import bayesma as bm
from bayesma.bayes import engine
from bayesma.cli import app

RUNNER = CliRunner()
HEAVY = ("pymc", "pytensor", "nutpie", "arviz", "matplotlib", "pint", "formulae")
ENGINE = ("pymc", "pytensor", "nutpie")

ROWS = pd.DataFrame(
    {
        "study": ["A", "A", "B", "B", "C", "C", "D", "D"],
        "y": [1.0, 2.0, 1.5, 0.5, 2.5, 1.0, 0.8, 1.2],
        "v": [0.2] * 8,
        "regimen": ["single"] * 4 + ["repeated"] * 4,
        "species": ["rat", "mouse", "rat", "rat"] * 2,
        "dose": [1.0, 2, 3, 4, 1, 2, 3, 4],
        "year": [2001, 2002] * 4,
        "delay": [0.5, 1, 2, 4, 3, 7, 14, 28],
    }
)


def run(*args):
    """Run a command; a traceback is never an answer."""
    result = RUNNER.invoke(app, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(*args):
    """Run a command that must refuse, and return its one message."""
    result = run(*args)
    assert result.exit_code == 2, result.stdout
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.removesuffix("\n")


@pytest.fixture(scope="module")
def ketamine():
    """Pooled rows, so no tau."""
    return prior_fit("ketamine_pain")


@pytest.fixture(scope="module")
def nested():
    """Plain rows with studies, two factors, a number, and a number taken as a factor."""
    spec = bm.ModelSpec(
        peak="regimen + species + dose + C(year) + (1 | study)", half_life="regimen"
    )
    return prior_fit(bm.effect_sizes(ROWS), spec)


@pytest.fixture(scope="module")
def pooled(ketamine, tmp_path_factory):
    return ketamine.save(tmp_path_factory.mktemp("pooled") / "fit.nc").parent


@pytest.fixture(scope="module")
def plain(nested, tmp_path_factory):
    return nested.save(tmp_path_factory.mktemp("plain") / "fit.nc").parent


@pytest.fixture
def instant(monkeypatch):
    """Sample the prior: fits that take no time."""
    asked = []

    def sample(plan, settings):
        asked.append(settings)
        return prior_sample(plan, settings, divergent=getattr(sample, "divergent", 0))

    sample.asked = asked
    monkeypatch.setattr(engine, "sample", sample)
    return sample


def average(fit, **points):
    with np.errstate(all="ignore"):
        return bm.summary(bm.decay_curve(fit, bm.grid(fit, **points)))


def same(path, table):
    """Assert that a CSV file holds a table, every digit of it."""
    pd.testing.assert_frame_equal(pd.read_csv(path), table, check_dtype=False, rtol=1e-15)


# -- curve -------------------------------------------------------------------------------------


def test_a_curve_is_that_of_the_query(pooled, ketamine, tmp_path):
    file = tmp_path / "curve.csv"
    result = run("curve", pooled, "--delay", "1,2", "--csv", file)
    assert result.exit_code == 0
    expected = average(ketamine, regimen=["repeated", "single"], delay=[1, 2])
    same(file, expected)
    for median in expected["median"]:
        assert f" {round(median, 2) + 0.0:.2f} " in result.stdout
    assert result.stdout.startswith("population mean effect (SMD); an association across studies")
    assert "median and 95% interval" in result.stdout
    assert "mean " not in result.stdout.splitlines()[1]


def test_delays_are_ranges_and_texts(plain, tmp_path):
    file = tmp_path / "curve.csv"
    run("curve", plain, "--by", "regimen=single", "--delay", "12 h,1:3:1,1 wk,2", "--csv", file)
    assert pd.read_csv(file)["delay"].tolist() == [0.5, 1, 2, 3, 7]
    run("curve", plain, "--by", "regimen=single", "--delay", "0 h:1 h:30 min", "--csv", file)
    np.testing.assert_allclose(pd.read_csv(file)["delay"], [0, 1 / 48, 1 / 24], atol=1e-15)


def test_covariates_are_held_or_varied(plain, nested, tmp_path):
    file = tmp_path / "curve.csv"
    options = [
        "--at",
        "regimen=single",
        "--at",
        "species=rat",
        "--by",
        "dose=1,2.5",
        "--at",
        "year=2001",
    ]
    result = run("curve", plain, *options, "--delay", "1", "--csv", file)
    assert result.exit_code == 0, result.stderr
    expected = average(nested, regimen="single", species="rat", dose=[1, 2.5], year="2001", delay=1)
    same(file, expected.assign(year=2001))


def test_a_new_study_needs_a_seed(plain, nested, tmp_path):
    file = tmp_path / "curve.csv"
    options = ["curve", plain, "--delay", "3", "--study", "new"]
    assert "give a seed" in refused(*options)
    assert run(*options, "--seed", "3", "--csv", file).exit_code == 0
    at = bm.grid(nested, regimen=["repeated", "single"], delay=3)
    same(file, bm.summary(bm.decay_curve(nested, at, study="new", seed=3)))


def test_the_interval_is_the_one_asked_for(pooled, ketamine):
    found = json.loads(run("curve", pooled, "--delay", "1", "--ci", "0.5", "--json").stdout)
    at = bm.grid(ketamine, regimen=["repeated", "single"], delay=1)
    expected = bm.summary(bm.decay_curve(ketamine, at), 0.5)
    assert found["ci_prob"] == 0.5
    assert [r["ci_low"] for r in found["records"]] == expected["ci_low"].tolist()


def test_json_is_all_there_is(pooled, ketamine):
    result = run("curve", pooled, "--delay", "1,40", "--json")
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert found["estimand"].startswith("population mean effect (SMD)")
    assert any(
        "3 of 4 points lie outside" in n or "points lie outside" in n for n in found["notes"]
    )
    assert any("tau" in note for note in found["notes"])
    record = found["records"][0]
    assert record["regimen"] == "repeated"
    assert record["beyond_data"] is False
    assert isinstance(record["median"], float)
    assert len(found["records"]) == 4


def test_json_holds_what_is_no_number(pooled, ketamine, tmp_path):
    posterior = ketamine.posterior.copy(deep=True)
    posterior["log2_half_life"][:] = -12.0  # 21 s: nothing a float holds is left at delay 0
    tree = ketamine.tree.copy(deep=True)
    tree["posterior"] = xr.DataTree(posterior)
    file = bm.Fit(tree, ketamine.design).save(tmp_path / "fit.nc")
    text = run("curve", file, "--at", "regimen=single", "--delay", "0,30", "--json").stdout
    assert "NaN" not in text
    assert "Infinity" not in text
    run("curve", file, "--at", "regimen=single", "--delay", "0,30")


def test_warnings_are_notes(pooled):
    result = run("curve", pooled, "--delay", "40")
    notes = [line for line in result.stderr.splitlines() if "points lie outside" in line]
    assert len(notes) == 1
    assert notes[0].startswith("note: 2 of 2 points lie outside the delays of the data")
    assert "Warning" not in result.stderr


def test_a_fit_that_has_not_converged_says_so(tmp_path):
    prior_fit("ketamine_pain", divergent=3).save(tmp_path / "fit.nc")
    result = run("curve", tmp_path, "--delay", "1")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: this fit has NOT converged")


@pytest.mark.parametrize("options", [[], ["--log-delay"]])
def test_a_curve_is_drawn(pooled, tmp_path, options):
    file = tmp_path / "curve.png"
    assert run("curve", pooled, "--delay", "0.02:3:0.5", "--png", file, *options).exit_code == 0
    assert file.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [file]


# -- contrast ----------------------------------------------------------------------------------


def test_a_contrast_is_that_of_the_query(pooled, ketamine, tmp_path):
    file = tmp_path / "contrast.csv"
    result = run(
        "contrast",
        pooled,
        "--contrast",
        "regimen=repeated,single",
        "--delay",
        "1,3",
        "--rope=-0.2,0.2",
        "--csv",
        file,
    )
    assert result.exit_code == 0
    at = bm.grid(ketamine, regimen="single", delay=[1, 3])
    expected = bm.summary(
        bm.contrast(ketamine, at, regimen=("repeated", "single")), 0.95, (-0.2, 0.2)
    )
    same(file, expected)
    assert "regimen repeated minus single" in result.stdout
    assert "P(in ROPE)" in result.stdout
    for probability in expected["p_positive"]:
        assert f"{probability:.3f}" in result.stdout


def test_a_contrast_of_delays_and_of_numbers(plain, nested):
    found = json.loads(run("contrast", plain, "--contrast", "delay=12 h,7", "--json").stdout)
    assert [record["regimen"] for record in found["records"]] == ["repeated", "single"]
    assert "delay 0.5 minus 7.0" in found["estimand"]
    result = run("contrast", plain, "--contrast", "dose=4,1", "--delay", "3", "--json")
    at = bm.grid(nested, regimen=["repeated", "single"], delay=3)
    expected = bm.summary(bm.contrast(nested, at, dose=(4.0, 1.0)))
    assert [r["median"] for r in json.loads(result.stdout)["records"]] == expected[
        "median"
    ].tolist()


# -- compare, auc, half-life -------------------------------------------------------------------


def test_regimens_are_compared_over_delays(pooled, ketamine, tmp_path):
    file = tmp_path / "table.csv"
    result = run("compare", pooled, "--delay", "1,3", "--rope=-0.2,0.2", "--csv", file)
    assert result.exit_code == 0, result.stderr
    expected = bm.compare_regimens(ketamine, [1, 3], rope=(-0.2, 0.2))
    readable = bm.compare_regimens(ketamine, [1, 3], rope=(-0.2, 0.2), digits=2)
    same(file, expected)
    assert result.stdout.startswith("population mean effect (SMD), and how it differs from that at")
    for text in readable["effect"]:
        assert text.split(" [")[0] in result.stdout
    assert "note:" in result.stderr


def test_what_is_compared_can_be_chosen(plain, nested):
    options = ["--covariate", "species", "--reference", "mouse", "--at", "regimen=single"]
    found = json.loads(run("compare", plain, *options, "--delay", "1", "--json").stdout)
    assert found["reference"] == "mouse"
    expected = bm.compare_regimens(nested, 1, "mouse", "species", regimen="single")
    assert [r["effect"] for r in found["records"]] == expected["effect"].tolist()
    assert found["records"][0]["difference"] is None
    # The delays that a review asks about, where none is asked for.
    found = json.loads(run("compare", plain, "--json").stdout)
    assert sorted({r["delay"] for r in found["records"]}) == [1, 7, 14, 28]


def test_delays_beyond_the_data_are_starred(pooled):
    text = run("compare", pooled, "--delay", "1,40").stdout
    assert "40*" in text
    assert text.endswith("* a side lies outside the delays of the data\n")


def test_an_area_is_that_of_the_query(plain, nested, tmp_path):
    file = tmp_path / "area.csv"
    options = ["--from", "12 h", "--to", "4", "--by", "regimen=single", "--csv", file]
    result = run("auc", plain, *options)
    assert result.exit_code == 0, result.stderr
    expected = bm.summary(bm.auc(nested, bm.grid(nested, regimen="single"), 0.5, 4))
    same(file, expected)
    assert "area under the population mean effect (SMD) from 0.5 to 4 d" in result.stdout
    assert "median and 95% interval, SMD x d" in result.stdout
    assert "(average)" not in result.stdout  # the sentence above says what is averaged over
    mean = json.loads(run("auc", plain, *options, "--mean", "--json").stdout)
    assert mean["units"] == "SMD"
    assert mean["records"][0]["median"] == pytest.approx(expected["median"][0] / 3.5, rel=1e-14)


def test_half_lives_are_those_of_the_query(pooled, ketamine, tmp_path):
    file = tmp_path / "half_lives.csv"
    result = run("half-life", pooled, "--csv", file)
    assert result.exit_code == 0, result.stderr
    at = bm.grid(ketamine, regimen=["repeated", "single"])
    expected = bm.summary(bm.half_life(ketamine, at))
    same(file, expected)
    for median in expected["median"]:
        assert f"{median:.3g}" in result.stdout


def test_half_lives_and_areas_are_contrasted(pooled, ketamine):
    pair = ["contrast", pooled, "--contrast", "regimen=repeated,single"]
    at = bm.grid(ketamine, regimen="single")
    levels = {"regimen": ("repeated", "single")}
    found = json.loads(run(*pair, "--of", "half_life", "--ratio", "--json").stdout)
    expected = bm.contrast(ketamine, at, of="half_life", scale="ratio", **levels)
    assert found["records"][0]["median"] == bm.summary(expected)["median"][0]
    text = run(*pair, "--of", "half_life").stdout
    assert "difference in half-life of the effect, regimen repeated minus single" in text
    assert "median and 95% interval, d\n" in text
    text = run(*pair, "--of", "half_life", "--ratio", "--rope", "0.8,1.25").stdout
    assert "P(> 1)" in text
    assert "P(in ROPE)" in text
    found = json.loads(run(*pair, "--of", "auc", "--from", "0", "--to", "7", "--json").stdout)
    with np.errstate(all="ignore"), pytest.warns(bm.ExtrapolationWarning, match="1 spans reach"):
        expected = bm.contrast(ketamine, at, of="auc", start=0, stop=7, **levels)
    assert found["records"][0]["median"] == bm.summary(expected)["median"][0]
    assert found["units"] == "SMD x d"


def test_a_ratio_that_is_no_size_is_noted(pooled):
    pair = ["contrast", pooled, "--contrast", "regimen=repeated,single", "--delay", "1"]
    result = run(*pair, "--ratio")  # of prior draws, whose effects have either sign
    assert "note: 1 of 1 ratios have a denominator that may be 0" in result.stderr
    assert "Warning" not in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["auc"], "an area needs its span, e.g. --from 0 --to 7"),
        (["auc", "--from", "2", "--to", "1"], "from 2 to 1: an area starts before it stops"),
        (["auc", "--from", "soon", "--to", "1"], "'soon' is not one number"),
        (["compare", "--covariate", "colour"], "'colour' is not a factor of this model"),
        (["compare", "--reference", "twice"], "regimen = 'twice' is not in the data"),
        (["contrast", "--contrast", "species=rat,mouse", "--of", "auc"], "needs its span"),
        (["contrast", "--contrast", "species=rat,mouse", "--of", "x"], "of = 'x'; known: effect"),
    ],
)
def test_other_bad_questions_are_refused_in_one_message(plain, options, message):
    found = refused(options[0], plain, *options[1:])
    assert message in found
    assert len(found.splitlines()) == 1


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say which, e.g. --delay 0:28:0.5"),
        (["--delay", "soon"], "--delay soon: 'soon' is not one number with one unit"),
        (["--delay", "5 x"], "'5 x' has no known unit of time; known units: s, min, h, d, wk"),
        (["--delay", "1,,2"], "--delay 1,,2: ''"),
        (["--delay=-1"], "delays are finite and 0 or more"),
        (["--delay", "0:1:2:3"], "a range is FROM:TO or FROM:TO:STEP"),
        (["--delay", "5:1"], "a range is FROM:TO or FROM:TO:STEP, upwards from 0"),
        (["--delay", "0:1:0"], "a range is FROM:TO or FROM:TO:STEP, upwards from 0"),
        (["--delay", "0:100:1 s"], "more than 10000 delays"),
        (
            ["--delay", "1", "--at", "specie=rat"],
            "'specie' is not a covariate of this model; did you mean 'species'?",
        ),
        (["--delay", "1", "--at", "fit=rat"], "'fit' is not a covariate of this model"),
        (["--delay", "1", "--at", "delay=3"], "'delay' is not a covariate of this model"),
        (
            ["--delay", "1", "--at", "species=rats"],
            "species = 'rats' is not in the data; did you mean 'rat'?",
        ),
        (
            ["--delay", "1", "--by", "regimen=single,one"],
            "regimen = 'one' is not in the data; known: repeated, single",
        ),
        (["--delay", "1", "--at", "dose=low"], "dose=low: 'low' is not a number"),
        (["--delay", "1", "--at", "dose=inf"], "dose=inf: 'inf' is not a number"),
        (["--delay", "1", "--at", "species"], "--at species: write it as NAME=VALUE"),
        (["--delay", "1", "--at", "species="], "--at species=: write it as NAME=VALUE"),
        (
            ["--delay", "1", "--at", "species=rat", "--by", "species=rat"],
            "'species' is given twice",
        ),
        (
            ["--delay", "1", "--at", "species=rat", "--at", "species=rat"],
            "'species' is given twice",
        ),
        (["--delay", "1", "--ci", "2"], "ci_prob = 2.0: a probability between 0 and 1"),
        (["--delay", "1", "--study", "mine"], "study = 'mine'; known: 'average', 'new'"),
        (["--delay", "1", "--png", "x.png"], "effects at two or more delays"),
    ],
)
def test_bad_questions_are_refused_in_one_message(plain, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = refused("curve", plain, *options)
    assert message in found
    assert len(found.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["regimen=single"], "--contrast regimen=single: two levels, first minus second"),
        (["regimen=a,b,c"], "two levels, first minus second, are needed: regimen=FIRST,SECOND"),
        (["delay=1"], "two levels, first minus second, are needed: delay=FIRST,SECOND"),
        (["regimen"], "--contrast regimen: write it as NAME=VALUE"),
        (["colour=red,blue"], "'colour' is not a covariate of this model"),
        (["species=rat,mouses"], "species = 'mouses' is not in the data; did you mean 'mouse'?"),
        (["species=rat,mouse", "--at", "species=rat"], "'species' is given twice"),
        (["species=rat,mouse", "--rope=2,1"], "give it as (lower, upper)"),
        (["species=rat,mouse", "--rope=2"], "give it as --rope=LOWER,UPPER"),
        (["species=rat,mouse", "--rope=a,b"], "--rope a,b: 'a' is not a number"),
    ],
)
def test_bad_contrasts_are_refused_in_one_message(plain, options, message):
    found = refused("contrast", plain, "--delay", "1", "--contrast", *options)
    assert message in found
    assert len(found.splitlines()) == 1


def test_a_contrast_needs_delays(plain):
    assert "say which" in refused("contrast", plain, "--contrast", "species=rat,mouse")


@pytest.mark.parametrize("command", [["curve"], ["contrast", "--contrast", "regimen=a,b"]])
def test_a_folder_without_a_fit_is_refused(command, tmp_path):
    assert "there is no such file" in refused(*command, tmp_path / "nowhere", "--delay", "1")
    assert "fit.nc: there is no such file" in refused(*command, tmp_path, "--delay", "1")
    (tmp_path / "fit.nc").write_text("no fit")
    assert "is not a saved fit" in refused(*command, tmp_path, "--delay", "1")


@pytest.mark.parametrize("option", ["--csv", "--png"])
@pytest.mark.parametrize("place", ["nowhere/x", "file/x", "folder"])
def test_what_cannot_be_written_is_refused(plain, tmp_path, option, place):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    found = refused("curve", plain, "--delay", "1,2", option, tmp_path / place)
    assert found.startswith(f"{tmp_path / place}: cannot be written (")
    assert len(found.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_is_replaced_whole(plain, tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("old")
    assert run("curve", plain, "--delay", "1", "--csv", file).exit_code == 0
    assert file.read_text().startswith("dose,regimen,species,year,delay,beyond_data,mean")
    assert list(tmp_path.iterdir()) == [file]


# -- fit ---------------------------------------------------------------------------------------


MODEL = """
title = "A test"
data = "rows.csv"
[sampling]
draws = 300
[spec]
peak = "regimen + (1 | study)"
half_life = "regimen"
"""


@pytest.fixture
def model(tmp_path):
    """A model file with its data, in a folder without anything else."""
    folder = tmp_path / "model"
    folder.mkdir()
    ROWS.to_csv(folder / "rows.csv", index=False)
    file = folder / "mine.toml"
    file.write_text(MODEL)
    return file


def test_a_fit_writes_its_draws_and_its_summary(model, instant, tmp_path):
    out = tmp_path / "new" / "out"
    result = run("fit", model, "-o", out, "--seed", "7", "--chains", "3", "--no-progress")
    assert result.exit_code == 0, result.stderr
    (settings,) = instant.asked
    assert (settings.seed, settings.draws, settings.tune) == (7, 300, 1000)
    assert (settings.chains, settings.progress) == (3, False)
    assert sorted(path.name for path in out.iterdir()) == ["fit.nc", "summary.csv"]
    found = bm.load_fit(out)
    summary = pd.read_csv(out / "summary.csv", index_col="parameter")
    pd.testing.assert_frame_equal(summary, found.summary(), check_names=False, rtol=1e-14)
    assert found.provenance["seed"] == 7


def test_a_fit_says_what_it_rests_on(instant, tmp_path):
    text = run("fit", "ketamine_pain", "-o", tmp_path, "--draws", "250").stdout
    assert "ketamine_pain: Ketamine against neuropathic pain" in text
    assert "4 rows (SMD); peak = regimen; decay = exponential: share(t) = 2^(-t/h)" in text
    assert "note: regimen: 3 rows 'infusion' taken as 'repeated'" in text
    assert "Normal(0, 5)" in text
    words = " ".join(text.split())
    assert "level at the reference delay (repeated 0 d, single 0.0208 d)" in words
    assert "level[regimen[single]]" in text
    assert "half-life of the effect" in text
    assert "note: heterogeneity (tau) is not identified" in text


def test_a_variant_is_fitted(instant, tmp_path):
    args = ["fit", "ketamine_pain", "-o", tmp_path, "--variant", "plateau", "--draws", "250"]
    text = run(*args).stdout
    assert "ketamine_pain/plateau" in text
    assert "logit of the share that never fades" in text
    assert bm.load_fit(tmp_path).spec.decay == "plateau"


def test_a_weibull_says_what_its_shape_is(model, instant, tmp_path):
    model.write_text(MODEL.replace('half_life = "regimen"', 'decay = "weibull"\nshape = "regimen"'))
    result = run("fit", model, "-o", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "decay = weibull: share(t) = 2^(-(t/h)^k)" in result.stdout
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "shape Normal(0, 0.5) log of the Weibull shape" in lines
    assert "shape_contrast Normal(0, 0.5) difference between any two levels" in lines
    assert "log_shape[regimen[single]]" in result.stdout
    assert "log of the Weibull shape" in bm.load_fit(tmp_path).posterior["log_shape"].units


def test_a_model_without_decay_has_no_half_life(model, instant, tmp_path):
    model.write_text(MODEL.replace('half_life = "regimen"', 'decay = "none"'))
    result = run("fit", model, "-o", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert "half-life" not in result.stdout
    assert "half_life" not in result.stdout
    found = json.loads(run("curve", tmp_path, "--by", "regimen=single", "--json").stdout)
    assert len(found["records"]) == 1


def test_a_fit_that_has_not_converged_exits_with_1_and_says_so_first(model, instant, tmp_path):
    instant.divergent = 5
    result = run("fit", model, "-o", tmp_path)
    assert result.exit_code == 1
    assert (tmp_path / "fit.nc").exists()
    assert "This fit has NOT converged: do not use its numbers." in result.stdout
    after = result.stdout.index("5 divergent transitions")
    assert result.stdout.index("NOT converged") < after < result.stdout.index("level[Intercept]")
    assert "Warning" not in result.stderr


def test_a_fit_as_json_is_all_there_is(model, instant, tmp_path):
    instant.divergent = 1
    result = run("fit", model, "-o", tmp_path, "--seed", "7", "--json")
    assert result.exit_code == 1
    (settings,) = instant.asked
    assert not settings.progress
    found = json.loads(result.stdout)
    fit = bm.load_fit(tmp_path)
    assert (found["model"], found["seed"], found["converged"]) == ("mine", 7, False)
    assert found["spec"]["peak"] == "regimen + (1 | study)"
    assert found["notes"] == [*fit.notes, *fit.problems]
    assert [r["parameter"] for r in found["records"]] == fit.summary().index.tolist()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[spec]", "[spec]\ndecoy = 1", "unknown key 'decoy': did you mean 'decay'?"),
        ('title = "A test"', 'titl = "x"', "unknown key 'titl': did you mean 'title'?"),
        ("[spec]", "[spec", "is not a TOML file"),
        ('peak = "regimen', 'peak = "regime', "no column 'regime'; did you mean 'regimen'?"),
        ('half_life = "regimen"', 'decay = "slow"', "no decay family 'slow'"),
        ('data = "rows.csv"', 'data = "rovs.csv"', "rovs.csv: cannot be read"),
        ('data = "rows.csv"', 'data = "rovs"', "no data set is named 'rovs'"),
    ],
)
def test_a_bad_model_file_is_refused(model, instant, tmp_path, old, new, message):
    assert old in MODEL
    model.write_text(MODEL.replace(old, new))
    assert message in refused("fit", model, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not instant.asked


def test_an_unknown_model_is_refused(tmp_path):
    found = refused("fit", "ketamin_pain", "-o", tmp_path)
    assert "no model 'ketamin_pain'; did you mean 'ketamine_pain'?" in found
    found = refused("fit", "ketamine_pain", "-o", tmp_path, "--variant", "plato")
    assert "no variant 'plato'; did you mean 'plateau'?" in found
    assert "no.toml: cannot be read" in refused("fit", tmp_path / "no.toml", "-o", tmp_path)


def test_an_unknown_sampler_is_refused(model, tmp_path):
    result = run("fit", model, "-o", tmp_path, "--sampler", "nutpi")
    assert result.exit_code == 2
    assert "sampler 'nutpi'; did you mean 'nutpie'?" in result.stderr


@pytest.mark.parametrize("command", [["fit", "ketamine_pain"], ["demo"]])
@pytest.mark.parametrize("place", ["file", "file/x"])
def test_a_folder_that_cannot_be_written_is_refused_before_sampling(
    command, place, instant, tmp_path
):
    (tmp_path / "file").write_text("kept")
    found = refused(*command, "-o", tmp_path / place)
    assert found.startswith(f"{tmp_path / place}: cannot be written to (")
    assert not instant.asked
    (tmp_path / "out" / "fit.nc").mkdir(parents=True)
    assert "is a folder" in refused(*command, "-o", tmp_path / "out")
    assert not instant.asked


def test_data_of_ones_own_come_from_a_folder(instant, tmp_path, monkeypatch):
    monkeypatch.delenv("BAYESMA_DATA", raising=False)
    found = refused("fit", "nmda_social", "-o", tmp_path / "out")
    assert "data set nmda_social is not part of bayesma, and BAYESMA_DATA is not set" in found
    found = refused("fit", "nmda_social", "-o", tmp_path / "out", "--data", tmp_path)
    assert f"{tmp_path / 'nmda_social'}" in found


# -- check, datasets, models -------------------------------------------------------------------


def test_a_sound_table_is_counted(tmp_path):
    frame = arms(4, regimen=["single", "single", None, "infusion"], species="rat", mood="calm")
    frame = frame.rename(columns={"n_treated": "N ketamine"}).assign(delay=[1, 2, 3, None])
    frame.to_csv(tmp_path / "t.csv", index=False)
    options = ["--columns", "n_treated=N ketamine", "--units", "delay=h"]
    result = run("check", tmp_path / "t.csv", *options)
    assert result.exit_code == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "t.csv: 4 rows, 2 studies of 2 to 2 rows"
    assert "regimen single 2 1" in lines
    assert "regimen (missing) 1 1" in lines
    assert "species rat 4 2" in lines
    assert "missing cells: regimen 1, delay 1" in lines
    assert "columns of your own, kept as they are: mood" in lines
    assert any(line.startswith("4 effects (SMD): median") for line in lines)


def test_what_was_done_to_a_table_is_noted(tmp_path):
    arms(2, direction=[1, -1]).to_csv(tmp_path / "t.csv", index=False)
    result = run("check", tmp_path / "t.csv")
    assert "note: effects with their sign flipped (direction -1): 1 of 2" in result.stdout


def test_another_measure_and_variance_give_a_table_ready_to_pool(tmp_path):
    arms(3, direction=[1, 1, -1]).to_csv(tmp_path / "t.csv", index=False)
    options = ["--measure", "ROM", "--variance", "LS2", "--csv", tmp_path / "out.csv"]
    result = run("check", tmp_path / "t.csv", *options)
    assert "3 effects (ROM): median" in result.stdout
    written = pd.read_csv(tmp_path / "out.csv")
    expected = bm.effect_sizes(arms(3, direction=[1, 1, -1]), "ROM", "LS2")
    assert {"row_id", "study", "y", "v"} <= set(written)
    # A CSV file of shortest digits reads back as written.
    assert written["y"].tolist() == expected.y.tolist()
    assert written["v"].tolist() == expected.v.tolist()


def test_an_unknown_measure_or_variance_is_refused(tmp_path):
    arms(3).to_csv(tmp_path / "t.csv", index=False)
    assert "no effect measure 'OR'; " in refused("check", tmp_path / "t.csv", "--measure", "OR")
    found = refused("check", tmp_path / "t.csv", "--variance", "LX")
    assert "effect measure SMD has no variance 'LX'; " in found


def test_notes_of_a_table_are_told_with_and_without_outcomes(tmp_path):
    note = "note: delay: 2 of 4 cells missing, 1 of them 'Unclear'"
    frame = arms(4, delay=["Unclear", None, "1 d", "1 wk"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    for options in ([], ["--covariates-only"]):
        result = run("check", tmp_path / "t.csv", *options)
        assert result.stdout.splitlines().count(note) == 1
        found = json.loads(run("check", tmp_path / "t.csv", "--json", *options).stdout)
        assert found["notes"] == [note.removeprefix("note: ")]


def test_ranges_are_refused_unless_their_middle_is_asked_for(tmp_path):
    arms(2, delay=["1-3 h", "1 d"]).to_csv(tmp_path / "t.csv", index=False)
    assert "'1-3 h' is a range; write one number, or ask" in refused("check", tmp_path / "t.csv")
    result = run("check", tmp_path / "t.csv", "--ranges", "midpoint")
    assert "note: delay: the middle of a range taken: 1 of 2 rows" in result.stdout
    said = refused("check", tmp_path / "t.csv", "--ranges", "middle")
    assert "ranges: 'middle' is unknown; known: refuse, midpoint" in said


def test_a_sheet_of_a_workbook_can_be_named(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        arms(2).to_excel(book, sheet_name="effects", index=False)
        arms(3).to_excel(book, sheet_name="others", index=False)
    said = refused("check", tmp_path / "t.xlsx")
    assert "t.xlsx: has several sheets; say which with sheet=: 'effects', 'others'" in said
    result = run("check", tmp_path / "t.xlsx", "--sheet", "others")
    assert result.stdout.startswith("t.xlsx: 3 rows, 2 studies of 1 to 2 rows")


def test_every_fault_of_a_table_is_a_line(tmp_path):
    frame = arms(3, n_treated=["8", "eight", "1"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    lines = refused("check", tmp_path / "t.csv").splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "t.csv, row 3, column 'n_treated'",
        "t.csv, row 4, column 'n_treated'",
    ]


def test_covariates_alone_can_be_checked(tmp_path):
    frame = pd.DataFrame({"study": ["A", "B"], "species": ["rat", "mouse"]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert "column 'mean_treated': is missing" in refused("check", tmp_path / "t.csv")
    result = run("check", tmp_path / "t.csv", "--covariates-only")
    assert result.exit_code == 0
    assert "effects" not in result.stdout


def test_check_tells_its_own_options(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("Study name,n_treatd,delay\na,8,1-2 h\n", encoding="utf-8")
    found = refused("check", path)
    assert "keep it with --columns n_treatd=n_treatd" in found
    assert "map yours with --columns study=..." in found
    assert "ask for --ranges midpoint" in found
    assert "={" not in found
    path.write_text("study,y,v,SE (treated),delay\na,1,1,1,24 h\nb,1,1,1,2\n", encoding="utf-8")
    found = refused("check", path)
    assert "keep it with --columns 'SE (treated)=SE (treated)'" in found
    assert "or give --units delay=h" in found


def test_pooled_rows_are_checked_with_their_members():
    folder = bm.catalogue.root("data") / "van_velzen_2021"
    assert "pooled rows need --members" in refused("check", folder / "pooled.csv")
    result = run("check", folder / "pooled.csv", "--members", folder / "comparisons.csv")
    assert "17 effects (SMD)" in result.stdout
    told = "note: comparisons.csv: dose: converted to the canonical unit of its kind: 12 of 41 rows"
    assert told in result.stdout.splitlines()


def test_an_option_that_is_no_pair_is_refused(tmp_path):
    assert "--units delay: write it as NAME=VALUE" in refused("check", "x.csv", "--units", "delay")


def test_data_sets_are_listed(tmp_path):
    file = tmp_path / "datasets.csv"
    result = run("datasets", "--csv", file)
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "van_velzen_2021 bundled 41" in text
    assert "nmda_social bring your own 491" in text
    assert "nmda_social: published at https://doi.org/10.5281/zenodo.18284730" in text
    expected = bm.datasets()
    assert pd.read_csv(file)["name"].tolist() == expected["name"].tolist()
    found = json.loads(run("datasets", "--json").stdout)
    assert found["records"] == expected.to_dict("records")


def test_models_are_listed_with_their_variants(tmp_path):
    text = run("models", "--csv", tmp_path / "models.csv").stdout
    for name in bm.analysis.models():
        assert name in text
    assert "plateau" in text
    expected = bm.analysis.model_table()
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "models.csv", keep_default_na=False), expected
    )
    assert json.loads(run("models", "--json").stdout)["records"] == expected.to_dict("records")


# -- demo --------------------------------------------------------------------------------------


def test_the_demo_shows_both_decay_forms(instant, tmp_path):
    result = run("demo", "--out", tmp_path / "demo", "--seed", "5", "--no-progress")
    assert result.exit_code == 0, result.stderr
    assert [settings.seed for settings in instant.asked] == [5, 5]
    names = ["decay_curves.png", "decay_curves_plateau.png", "fit.nc", "fit_plateau.nc"]
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == names
    for name in names:
        assert str(tmp_path / "demo" / name) in result.stdout
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "median and 95% interval exponential plateau" in lines
    for delay in ("1 d", "7 d*", "14 d*", "28 d*"):
        assert any(line.startswith(f"P(repeated > single) at {delay} 0.") for line in lines)
    fits = [bm.load_fit(tmp_path / "demo" / name) for name in ("fit.nc", "fit_plateau.nc")]
    row = next(line for line in lines if line.startswith("half-life (d), single"))
    for fit in fits:
        table = bm.summary(bm.half_life(fit, bm.grid(fit, regimen="single")))
        assert f"{table['median'][0]:.3g} [" in row


def test_a_demo_that_has_not_converged_exits_with_1(instant, tmp_path):
    instant.divergent = 2
    result = run("demo", "--out", tmp_path, "--no-progress")
    assert result.exit_code == 1
    assert "The exponential fit has NOT converged" in result.stdout


@pytest.mark.slow
@pytest.mark.xdist_group("ketamine")
def test_the_demo_is_right(tmp_path):
    """The whole way: compile, sample, answer. Published: 1.6 and 5.1 soon after the last dose."""
    result = run("demo", "--out", tmp_path, "--no-progress")
    assert result.exit_code == 0, result.stdout
    for name in ("fit.nc", "fit_plateau.nc"):
        found = json.loads(run("curve", tmp_path / name, "--delay", "1 h,1", "--json").stdout)
        medians = {(r["regimen"], r["delay"] < 0.5): r["median"] for r in found["records"]}
        assert 3.5 < medians["repeated", True] < 5.5
        assert 1.1 < medians["single", True] < 2.1
        assert medians["repeated", False] > medians["single", False] > 0


# -- lightness ---------------------------------------------------------------------------------


def modules_after(*args):
    """The modules that a command imports, in a process of its own."""
    program = (
        "import sys\nfrom bayesma.cli import main\n"
        f"sys.argv = ['bayesma', *{[str(arg) for arg in args]!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "print('modules:', *sys.modules, sep='\\n')"
    )
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=True, capture_output=True, text=True
    )
    modules = found.stdout.split("modules:\n")[1].split()
    assert "bayesma.cli" in modules
    return {name.partition(".")[0].partition("_")[0] for name in modules}


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["datasets"], ["models"], ["fit", "--help"]]
)
def test_what_lists_is_light(args):
    assert not set(HEAVY) & modules_after(*args)


def test_a_check_is_light(tmp_path):
    arms(3).to_csv(tmp_path / "t.csv", index=False)
    assert not set(HEAVY) & modules_after("check", tmp_path / "t.csv")


def test_questions_import_no_sampler(pooled):
    modules = modules_after("curve", pooled, "--delay", "1")
    assert not {*ENGINE, "matplotlib"} & modules
    pair = ["--contrast", "regimen=repeated,single"]
    modules = modules_after("contrast", pooled, *pair, "--delay", "1")
    assert not {*ENGINE, "matplotlib"} & modules


def test_a_report_imports_no_sampler(pooled, tmp_path):
    modules = modules_after("report", pooled, "--people", "-o", tmp_path / "report.html")
    assert not set(ENGINE) & modules


def test_the_version_is_the_packages():
    assert run("--version").stdout == f"bayesma {bm.__version__}\n"


def test_without_a_command_there_is_help():
    assert "Usage" in run().output


def test_checked_effects_as_json_and_csv(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("study,y,se,delay\nA,1.5,0.5,30 min\nB,0.5,0.25,\n", encoding="utf-8")
    found = json.loads(run("check", table, "--json", "--csv", tmp_path / "out.csv").stdout)
    assert [record["y"] for record in found["records"]] == [1.5, 0.5]
    assert [record["v"] for record in found["records"]] == [0.25, 0.0625]
    assert found["records"][1]["delay"] is None
    assert pd.read_csv(tmp_path / "out.csv")["v"].tolist() == [0.25, 0.0625]


def test_blank_cells_of_ones_own_columns_are_counted(tmp_path):
    file = tmp_path / "t.csv"
    ROWS.assign(mood=["good", None] * 4).to_csv(file, index=False)
    assert "missing cells: mood 4" in run("check", file).stdout.splitlines()


def test_a_return_inside_a_cell_ends_no_row_of_the_file_written(tmp_path):
    file, written = tmp_path / "t.csv", tmp_path / "w.csv"
    file.write_bytes(b'study,y,v,note\nA,1,1,"a\rb"\nB,1,1,c\n')
    run("check", file, "--csv", written)
    assert pd.read_csv(written)["note"].tolist() == ["a\rb", "c"]
