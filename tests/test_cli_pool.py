"""bayesma pool: what is printed, written and refused."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from helpers import arms
from rich.cells import cell_len
from test_cli import ENGINE, modules_after, refused, run

import bayesma as bm
from bayesma.cli import console, forest

RNG = np.random.default_rng(11)
GIVEN = pd.DataFrame(
    {
        "study": [f"Author {i}" for i in range(12)],
        "y": RNG.normal(0.5, 0.8, 12),
        "v": RNG.uniform(0.02, 0.4, 12),
        "species": ["rat", "mouse", "rat"] * 4,
        "dose": RNG.uniform(1, 10, 12),
    }
)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "mine.csv"
    GIVEN.to_csv(path, index=False)
    return path


def effects():
    return bm.effect_sizes(GIVEN)


def pooled(*args):
    result = run("pool", *args)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def records(*args):
    return json.loads(pooled(*args, "--json"))


# -- pooling -----------------------------------------------------------------------------------


def test_a_sentence_says_what_a_paper_needs(table):
    lines = pooled(table).splitlines()
    found = bm.pool(effects())
    low, high = found.ci
    assert lines[0] == (
        f"effect {found.estimate:.2f} [{low:.2f}, {high:.2f}] (95% CI), t(11) = "
        f"{found.statistic:.2f}, p = {found.p:.3f}; 12 effects of 12 studies; random effects, "
        "REML, Knapp-Hartung"
    )
    assert f"Q(11) = {found.q:.2f}, p < 0.001; I2 = {found.i2:.1f}%" in lines[1]
    tau2 = (found.tau2, *found.tau2_ci)
    assert "tau2 = {:.2f} [{:.2f}, {:.2f}]".format(*tau2) in lines[1]
    assert "95% prediction interval [{:.2f}, {:.2f}]".format(*found.prediction) in lines[2]


def test_the_forest_has_every_row_and_fits(table):
    lines = pooled(table).splitlines()
    assert max(map(cell_len, lines[3:18])) <= 80
    found = bm.pool(effects())
    half = 1.959963984540054 * np.sqrt(GIVEN["v"])
    for i, row in GIVEN.iterrows():
        (line,) = [text for text in lines if text.startswith(f"{row['study']} ")]
        low, high = row["y"] - half[i], row["y"] + half[i]
        assert f"{row['y']:.2f} [{low:.2f}, {high:.2f}]" in line
        assert line.endswith(f"{found.weights[i]:.1f}%")
        assert line.count("■") == 1
    # The further right the square, the larger the effect.
    places = [next(t for t in lines if t.startswith(f"{s} ")).index("■") for s in GIVEN["study"]]
    order = np.argsort(GIVEN["y"].to_numpy())
    assert (np.diff(np.array(places)[order]) >= 0).all()
    assert [line for line in lines if line.startswith("All rows (k = 12)") and "◆" in line]


def test_numbers_go_out_whole(table, tmp_path):
    file = tmp_path / "out.csv"
    asked = ["--method", "DL", "--ci", "z", "--ci-prob", "0.9", "--prediction", "riley"]
    said = records(table, *asked, "--csv", file)
    found = bm.pool(effects(), method="DL", ci="z", ci_prob=0.9, prediction="riley")
    (record,) = said["records"]
    for name in ("estimate", "se", "statistic", "p", "tau2", "tau2_se", "i2", "q", "q_p"):
        assert record[name] == getattr(found, name)
    assert [record["ci_low"], record["ci_high"]] == list(found.ci)
    assert [record["tau2_low"], record["tau2_high"]] == list(found.tau2_ci)
    assert [record["prediction_low"], record["prediction_high"]] == list(found.prediction)
    assert record["df"] is None
    assert [said[name] for name in ("method", "ci", "ci_prob", "k")] == ["DL", "z", 0.9, 12]
    assert [row["weight"] for row in said["rows"]] == found.weights.tolist()
    assert pd.read_csv(file)["estimate"].tolist() == [found.estimate]


def test_the_interval_of_tau2_can_be_profiled(table):
    (record,) = records(table, "--tau2-ci", "profile-likelihood")["records"]
    found = bm.pool(effects(), tau2_ci="profile-likelihood")
    assert [record["tau2_low"], record["tau2_high"]] == list(found.tau2_ci)


def test_a_common_effect_says_so(table):
    said = pooled(table, "--method", "common", "--ci", "z")
    assert "common effect, normal quantiles" in said
    assert pooled(table, "--method", "common") == said
    assert "prediction" not in said
    assert "tau2" not in said


def test_arms_are_computed_as_check_does(tmp_path):
    arms(6, direction=[1] * 6).to_csv(tmp_path / "t.csv", index=False)
    said = pooled(tmp_path / "t.csv", "--measure", "ROM", "--variance", "LS2", "--ci", "z")
    found = bm.pool(bm.effect_sizes(arms(6, direction=[1] * 6), "ROM", "LS2"), ci="z")
    assert said.startswith(f"ROM {found.estimate:.2f} [")
    assert "< favours control | favours treatment >" in said
    assert "note: 6 rows of 3 studies are taken as independent" in said


def test_files_are_read_as_check_reads_them(tmp_path):
    frame = GIVEN.rename(columns={"y": "g"}).assign(delay=["1-2 h", *["1"] * 11])
    frame.to_csv(tmp_path / "t.csv", index=False)
    asked = ["--columns", "y=g", "--units", "delay=h", "--ranges", "midpoint"]
    said = pooled(tmp_path / "t.csv", *asked)
    assert "note: delay: the middle of a range taken: 1 of 12 rows" in said
    said = refused("pool", tmp_path / "t.csv", "--columns", "y=g")
    assert "'1-2 h' is a range; write one number, or ask for --ranges midpoint" in said


def test_a_sheet_of_a_workbook(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        GIVEN.to_excel(book, sheet_name="effects", index=False)
        GIVEN.head(5).to_excel(book, sheet_name="few", index=False)
    assert "5 effects of 5 studies" in pooled(tmp_path / "t.xlsx", "--sheet", "few")


def test_pooled_rows_are_read_with_their_members(tmp_path):
    folder = bm.catalogue.root("data") / "van_velzen_2021"
    said = pooled(folder / "pooled.csv", "--members", folder / "comparisons.csv")
    assert "17 effects" in said
    # Subgroups hold the comparisons of their meta-analysis again; MA1 to MA4 share none.
    printed = pd.read_csv(folder / "pooled.csv")
    counts = printed["members"].str.split("; *").explode().value_counts()
    twice = f"{(counts > 1).sum()} of {len(counts)}"
    assert f"note: {twice} comparisons stand behind more than one row" in said
    main = printed.query("row_id in ['MA1', 'MA2', 'MA3', 'MA4']")
    main.to_csv(tmp_path / "main.csv", index=False)
    alone = pooled(tmp_path / "main.csv", "--members", folder / "comparisons.csv")
    assert "stand behind" not in alone


def test_a_data_set_by_name():
    found = bm.pool(bm.effect_sizes(bm.load_dataset("simulated_decay")))
    table = bm.datasets().set_index("name").loc["simulated_decay", "tables"].split(", ")[0]
    for name in ("simulated_decay", f"simulated_decay/{table}"):
        (record,) = records(name)["records"]
        assert record["estimate"] == found.estimate
    assert "did you mean 'simulated_decay'?" in refused("pool", "simulated_decy")
    assert "--columns is for a file" in refused("pool", "simulated_decay", "--columns", "y=g")


# -- subgroups, regressions, levels ------------------------------------------------------------


@pytest.mark.parametrize("tau2", ["common", "separate"])
def test_subgroups_and_the_test_between_them(table, tmp_path, tau2):
    file = tmp_path / "out.csv"
    said = pooled(table, "--by", "species", "--tau2", tau2, "--csv", file)
    found = bm.subgroups(effects(), "species", tau2=tau2)
    assert f"p = {found.between.p:.3f}" in next(
        line for line in said.splitlines() if line.startswith("Between groups by species")
    )
    for level, row in found.table.iterrows():
        assert f"species: {level}" in said.splitlines()
        (line,) = [t for t in said.splitlines() if t.startswith(f"{level} (k = {row['k']:.0f})")]
        assert f"{row['estimate']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]" in line
    written = pd.read_csv(file)
    assert written["level"].tolist() == ["mouse", "rat", "(all rows)"]
    assert written["estimate"].tolist() == [*found.table["estimate"], found.total.estimate]
    told = records(table, "--by", "species", "--tau2", tau2)
    assert told["between"]["p"] == found.between.p
    assert told["between"]["df"] == list(found.between.df)


def test_a_meta_regression(table):
    said = pooled(table, "--formula", "species + dose")
    found = bm.meta_regression(effects(), "species + dose")
    assert f"F(2, 9) = {found.qm:.2f}" in said
    assert f"the terms account for {found.r2:.1f}% of tau2" in said
    for term, row in found.table.iterrows():
        (line,) = [text for text in said.splitlines() if text.startswith(str(term))]
        assert f"{row['estimate']:.2f}"[:4] in line
    told = records(table, "--formula", "species + dose")
    assert [r["estimate"] for r in told["records"]] == found.table["estimate"].tolist()
    assert (told["qm"], told["qm_df"], told["tau2"]) == (found.qm, [2, 9], found.tau2)


def nested(tmp_path):
    frame = GIVEN.assign(study=[f"s{i // 3}" for i in range(12)], cage=["a", "a", "b"] * 4)
    frame.to_csv(tmp_path / "n.csv", index=False)
    return tmp_path / "n.csv", frame


def test_a_multilevel_model(tmp_path):
    path, frame = nested(tmp_path)
    said = pooled(path, "--random", "study/cage", "--rho", "0.4", "--within", "cage")
    table = bm.effect_sizes(frame, rho=0.4, within="cage")
    found = bm.multilevel(table, random="study/cage")
    assert f"effect {found.beta[0]:.2f} [" in said.splitlines()[0]
    assert "multilevel, REML" in said.splitlines()[0]
    assert "study (4): sigma2 = " in said
    assert "study/cage (8): sigma2 = " in said
    told = records(path, "--random", "study/cage", "--df", "z")
    plain = bm.multilevel(bm.effect_sizes(frame), random="study/cage", df="z")
    assert told["records"][0]["ci_low"] == plain.table["ci_low"].iloc[0]
    assert [level["sigma2"] for level in told["levels"]] == plain.sigma2.tolist()
    said = pooled(path, "--random", "study", "--formula", "species")
    assert "multilevel meta-regression, REML: k = 12" in said
    assert "species[rat]" in said


def test_a_multilevel_model_of_shared_animals(tmp_path):
    study = [f"s{i // 2}" for i in range(8)]
    frame = arms(8, study=study, group="c", animals=["a", "a", "b", "c"] * 2)
    frame.to_csv(tmp_path / "arms.csv", index=False)
    options = ["--random", "study", "--shared-control", "group"]
    for more, how in (
        ([], {}),
        (["--same-animals", "animals", "--rho", "0.4"], {"same_animals": "animals", "rho": 0.4}),
    ):
        told = records(tmp_path / "arms.csv", *options, *more)
        effects = bm.effect_sizes(frame, shared_control="group", **how)
        found = bm.multilevel(effects, random="study")
        assert told["records"][0]["ci_low"] == found.table["ci_low"].iloc[0]
        assert any("effects that share animals with others: 8 of 8" in n for n in told["notes"])
    said = refused("pool", tmp_path / "arms.csv", "--random", "study", "--shared-control", "grp")
    assert "no column 'grp' to share by; did you mean 'group'?" in said


def test_weights_of_a_multilevel_model_make_its_estimate(tmp_path):
    _, frame = nested(tmp_path)
    table = bm.effect_sizes(frame, rho=0.4, within="cage")
    found = bm.multilevel(table, random="study/cage")
    rows = bm.frequentist.forest.forest_of(found).rows
    # Two ways to one sum; solving loses some of the last digits.
    assert rows["weight"] @ rows["y"] / 100 == pytest.approx(found.beta[0], rel=1e-10)


# -- forests -----------------------------------------------------------------------------------


def many(tmp_path, k):
    frame = pd.DataFrame({"study": [f"S{i}" for i in range(k)], "y": RNG.normal(1, 1, k)})
    path = tmp_path / "many.csv"
    frame.assign(v=0.1, sex=["f", "m"] * (k // 2)).to_csv(path, index=False)
    return path


def test_rows_beyond_the_first_are_counted(tmp_path):
    path = many(tmp_path, 100)
    said = pooled(path)
    assert "… 60 more rows, --all shows them" in said.splitlines()
    assert len(re.findall("■", said)) == 40
    assert len(re.findall("■", pooled(path, "--all"))) == 100
    said = pooled(path, "--by", "sex")
    assert said.splitlines().count("… 30 more rows, --all shows them") == 2


def test_an_interval_beyond_the_axis_has_an_arrow(tmp_path):
    frame = pd.read_csv(many(tmp_path, 40))
    frame.loc[3, ["y", "v"]] = 60.0, 30.0
    frame.to_csv(tmp_path / "wild.csv", index=False)
    (line,) = [t for t in pooled(tmp_path / "wild.csv").splitlines() if t.startswith("S3 ")]
    assert ">" in line
    assert "■" not in line


def test_labels_and_sides_can_be_named(table):
    said = pooled(table, "--labels", "species", "--favours", "worse, better")
    assert "< worse | better >" in said
    assert "rat · 2" in said


def test_long_names_keep_what_tells_them_apart(tmp_path):
    GIVEN.assign(study="L" * 50).to_csv(tmp_path / "t.csv", index=False)
    lines = pooled(tmp_path / "t.csv").splitlines()
    shown = [line for line in lines if line.startswith("LLL")]
    assert len(shown) == 12
    assert all(re.match(r"L+… · \d+ ", line) for line in shown)
    assert max(map(cell_len, shown)) <= 80


def test_a_terminal_without_unicode_has_plain_marks(table, monkeypatch):
    monkeypatch.setattr(type(console.OUT), "encoding", property(lambda self: "cp1252"))
    said = pooled(table)
    said.encode("ascii")
    assert said.count("#") == 12
    assert forest.PLAIN.keys() == forest.MARKS.keys()


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_picture_is_written(table, tmp_path, suffix):
    target = tmp_path / f"forest.{suffix}"
    said = pooled(table, "--by", "species", "--picture", target)
    assert said.splitlines()[-1] == f"written: {target}"
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert target.read_bytes().startswith(starts[suffix])


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "nope"], "by = 'nope': no such column"),
        (["--method", "REM"], "method = 'REM' is unknown; did you mean 'REML'"),
        (["--method", "common", "--ci", "knha"], "with --method common use --ci z or --ci t"),
        (["--ci", "0.9"], "--ci 0.9: the kind of interval is meant; its probability is --ci-prob"),
        (["--ci", "normal"], "ci = 'normal' is unknown"),
        (["--ci-prob", "95"], "ci_prob = 95.0"),
        (["--prediction", "x"], "prediction = 'x' is unknown"),
        (["--tau2", "separate"], "--tau2 needs --by"),
        (["--by", "species", "--tau2", "x"], "tau2 = 'x' is unknown"),
        (["--by", "species", "--formula", "dose"], "--by and --formula do not go together"),
        (["--by", "species", "--tau2-ci", "q-profile"], "--tau2-ci and --by do not"),
        (["--formula", "nope"], "no column 'nope'"),
        (["--formula", "dose +"], "cannot be parsed"),
        (["--formula", "dose", "--picture", "x.png"], "--picture draws pooled effects"),
        (["--picture", "x.jpg"], "--picture x.jpg: pictures are .png, .svg, .pdf"),
        (["--labels", "nope"], "labels = 'nope': no such column"),
        (["--favours", "drug"], "two texts"),
        (["--rho", "0.5"], "--rho needs --random: pooling takes rows as independent"),
        (["--random", "study", "--ci", "z"], "--ci and --random do not go together"),
        (["--random", "nope"], "nope"),
        (["--within", "cage"], "--within needs --rho or --shared-control"),
        (["--shared-control", "c"], "--shared-control needs --random: pooling takes rows as"),
        (["--random", "study", "--same-animals", "c"], "--same-animals needs --rho: the corr"),
        (["--random", "study", "--shared-control", "c"], "this table has none"),
        (["--shared-control", "c", "--random", "study", "--by", "drug"], "--by and --random do"),
        (["--measure", "OR"], "no effect measure 'OR'"),
        (["--columns", "y"], "--columns y: write it as NAME=VALUE"),
    ],
)
def test_what_cannot_be_done_is_refused(table, options, message):
    assert message in refused("pool", table, *options)


def test_tables_that_cannot_be_pooled(tmp_path):
    GIVEN.head(1).to_csv(tmp_path / "one.csv", index=False)
    assert "one row: there is nothing to pool" in refused("pool", tmp_path / "one.csv")
    GIVEN.assign(v=[0.0, *[0.1] * 11]).to_csv(tmp_path / "zero.csv", index=False)
    assert "row 2, column 'v'" in refused("pool", tmp_path / "zero.csv")
    assert "cannot be read" in refused("pool", tmp_path / "nothing.csv")
    # Not a list of columns to map: a data set's columns cannot be mapped.
    said = refused("pool", "van_velzen_2021")
    assert "van_velzen_2021/comparisons says what was compared, not with which effects" in said
    assert "--columns" not in said
    assert "pooled rows need --members: the table" in refused("pool", "van_velzen_2021/pooled")
    assert "has no table 'x'" in refused("pool", "van_velzen_2021/x")


def test_pooling_is_light(table):
    assert not {*ENGINE, "arviz", "matplotlib", "xarray"} & modules_after("pool", table)
