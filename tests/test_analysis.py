import tomllib

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from helpers import arms

from bayesma.analysis import load_analysis, load_spec, model_table, models
from bayesma.bayes.model import build_design
from bayesma.catalogue import root
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import DataError, SpecError, TableError
from bayesma.sharing import Sharing

SHIPPED = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in root("models").glob("*.toml")
}
CASES = [(name, v) for name in SHIPPED for v in (None, *SHIPPED[name].get("variants", {}))]


# -- shipped models --------------------------------------------------------------------------------


def test_the_shipped_models_are_listed():
    assert models() == sorted(SHIPPED)
    assert {"fst", "ketamine_pain", "nmda_social", "simulated_decay"} <= set(models())


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_every_shipped_model_builds(name, variant, prepared):
    analysis = load_analysis(name, variant)
    assert analysis.title
    assert analysis.name == (name if variant is None else f"{name}/{variant}")
    plan = design(analysis.spec, analysis.effects(prepared))
    model = build_design(plan)
    assert isinstance(model, pm.Model)
    assert len(model.coords["row"]) == len(plan.effects)
    assert load_spec(name, variant) == analysis.spec


def test_a_variant_overrides_key_by_key():
    base, plateau = load_analysis("ketamine_pain"), load_analysis("ketamine_pain", "plateau")
    assert (base.spec.decay, plateau.spec.decay) == ("exponential", "plateau")
    assert plateau.spec.half_life == base.spec.half_life == "regimen"
    assert plateau.keep == base.keep
    without = load_analysis("ketamine_pain", "without_fang")
    assert without.keep["row_id"] == ["MA1", "MA2_without_fang", "MA3", "MA4"]


def test_what_is_kept_recoded_and_filled_is_counted():
    effects = load_analysis("ketamine_pain").effects()
    notes = effects.notes
    assert (
        "13 of 17 rows of van_velzen_2021/pooled are not part of this analysis (keep: row_id)"
        in (notes)
    )
    assert "regimen: 3 rows 'infusion' taken as 'repeated'" in notes
    assert any(
        n.startswith("n_treated = 7 filled in for 41 rows of van_velzen_2021/comp") for n in notes
    )
    assert len(effects) == 4
    assert "n_treated" not in effects.frame  # a pooled row has no group sizes of its own


def test_nmda_social_counts_what_it_merges(prepared):
    notes = load_analysis("nmda_social").effects(prepared).notes
    assert "regimen: 9 rows 'infusion' taken as 'repeated'" in notes
    assert any(n.startswith("route: ") and n.endswith("(missing)' taken as 'other'") for n in notes)
    assert "pairs of the same animals, rho = 0.5: 12" in notes
    assert any(n.startswith("effects that share animals with others: 134 of 491") for n in notes)


def test_fst_has_three_variances_and_the_published_effects(prepared):
    base, ub, av, published, exact = (
        load_analysis("fst", v).effects(prepared) for v in ("normal", "ub", "av", "published", None)
    )
    assert [e.variance for e in (base, ub, av)] == ["LS", "UB", "AV"]
    assert base.y.tolist() == ub.y.tolist() == av.y.tolist()
    # A control group of 9 split in two has lost an animal: the published effects are not these.
    assert base.y.tolist() != published.y.tolist()
    assert "effects with their sign flipped (direction -1): 561 of 561" in base.notes
    assert any(n.endswith("control_group: 300 of 561, in 97 clusters") for n in base.notes)
    assert "variance AV averages over the 561 rows computed from arms" in av.notes
    plan = design(load_analysis("fst", "normal").spec, base)
    assert plan.notes[-1] == "12 of 561 rows left out: no regimen"
    # Every row counts its true animals; those of one control group are one set.
    sets = design(load_analysis("fst").spec, exact).exact
    assert sets is not None
    assert len(sets.df) == 354
    assert published.V is None


def test_data_that_are_not_at_hand_are_said(monkeypatch):
    monkeypatch.delenv("BAYESMA_DATA", raising=False)
    with pytest.raises(DataError, match="data set nmda_social is not part of bayesma"):
        load_analysis("nmda_social").effects()


# -- one's own file --------------------------------------------------------------------------------

ROWS = """study,effect,v,regimen,delay,lab
A,1.0,0.2,single,1 d,x
B,2.0,0.2,twice,2 d,
C,1.5,0.2,repeated,3 d,x
D,0.5,0.2,,4 d,y
"""
FILE = """data = "rows.csv"
columns = { y = "effect" }
[spec]
peak = "regimen + (1 | study)"
half_life = "1"
"""


def write(folder, text, name="mine.toml"):
    (folder / "rows.csv").write_text(ROWS, encoding="utf-8")
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_one_s_own_beside_its_table(tmp_path):
    analysis = load_analysis(write(tmp_path, FILE))
    assert (analysis.name, analysis.title) == ("mine", "mine")
    effects = analysis.effects()
    assert effects.y.tolist() == [1, 2, 1.5, 0.5]
    assert design(analysis.spec, effects).notes[0] == "1 of 4 rows left out: no regimen"


def test_keep_recode_and_fill_of_one_s_own(tmp_path):
    text = (
        FILE.replace("[spec]", "")
        .replace("peak =", "spec.peak =")
        .replace("half_life", "spec.half_life")
        + """keep.study = ["A", "B", "D"]
recode.regimen = { twice = "repeated", "" = "single" }
fill = { lab = "z", dose = 3 }
"""
    )
    effects = load_analysis(write(tmp_path, text)).effects()
    assert effects.frame["regimen"].tolist() == ["single", "repeated", "single"]
    assert effects.frame["lab"].tolist() == ["x", "z", "y"]
    assert effects.frame["dose"].tolist() == [3, 3, 3]
    assert effects.notes == (
        "1 of 4 rows of rows.csv are not part of this analysis (keep: study)",
        "regimen: 1 rows 'twice' taken as 'repeated'",
        "regimen: 1 rows '(missing)' taken as 'single'",
        "lab = z filled in for 1 rows of rows.csv",
        "dose = 3 filled in for 3 rows of rows.csv",
    )


def test_measure_variance_and_correction_are_the_file_s(tmp_path):
    (tmp_path / "arms.csv").write_text(arms().to_csv(index=False), encoding="utf-8")
    path = tmp_path / "arms.toml"
    keys = ["data = 'arms.csv'", "measure = 'ROM'", "variance = 'LS2'", "correct = false", "[spec]"]
    path.write_text("\n".join(keys), encoding="utf-8")
    effects = load_analysis(path).effects()
    expected = effect_sizes(arms(), "ROM", "LS2", correct=False)
    assert (effects.measure, effects.variance) == ("ROM", "LS2")
    assert (effects.y.tolist(), effects.v.tolist()) == (expected.y.tolist(), expected.v.tolist())


def test_members_of_one_s_own_are_a_table_beside(tmp_path):
    (tmp_path / "members.csv").write_text("row_id,study,delay\na,A,1\nb,B,2\n", encoding="utf-8")
    (tmp_path / "pooled.csv").write_text("study,y,se,members\nP,1.0,0.2,a;b\n", encoding="utf-8")
    path = tmp_path / "pooled.toml"
    path.write_text(
        'data = "pooled.csv"\nmembers = "members.csv"\n[spec]\npeak = "1"\n', encoding="utf-8"
    )
    analysis = load_analysis(path)
    assert design(analysis.spec, analysis.effects()).points.clock.tolist() == [1, 2]


def pooled_analysis(folder, text):
    (folder / "members.tsv").write_text(
        "row_id\tstudy\tSchedule\tdose\na\tA\tonce\t10 mg/kg\nb\tB\tdaily\t100 ug/kg\n",
        encoding="utf-8",
    )
    (folder / "pooled.csv").write_text("study,g,se,members\nP,1.0,0.2,a;b\n", encoding="utf-8")
    path = folder / "pooled.toml"
    path.write_text(
        f'data = "pooled.csv"\nmembers = "members.tsv"\n{text}\n[spec]\npeak = "1"\n',
        encoding="utf-8",
    )
    return load_analysis(path)


def test_columns_are_mapped_in_the_members_too(tmp_path):
    analysis = pooled_analysis(tmp_path, 'columns = { y = "g", regimen = "Schedule" }')
    effects = analysis.effects()
    assert effects.y.tolist() == [1]
    assert effects.members["regimen"].tolist() == ["once", "daily"]
    assert effects.notes == (
        "members.tsv: dose: converted to the canonical unit of its kind: 1 of 2 rows",
    )


def test_a_column_that_neither_file_has_is_a_fault_of_the_data(tmp_path):
    analysis = pooled_analysis(tmp_path, 'columns = { y = "g", regimen = "Timetable" }')
    with pytest.raises(TableError, match=r"pooled\.csv, column 'Timetable': is not in the table"):
        analysis.effects()


def test_a_model_file_names_the_sheet_and_how_ranges_are_read(tmp_path):
    with pd.ExcelWriter(tmp_path / "rows.xlsx") as book:
        frame = pd.DataFrame({"study": ["A", "B"], "y": [1, 2], "v": [0.1, 0.2]})
        frame.assign(delay=["1-3 d", "4 d"]).to_excel(book, sheet_name="one", index=False)
        frame.to_excel(book, sheet_name="two", index=False)
    path = tmp_path / "m.toml"
    text = 'data = "rows.xlsx"\nsheet = "one"\nranges = "midpoint"\n[spec]\npeak = "1"\n'
    path.write_text(text, encoding="utf-8")
    assert load_analysis(path).effects().frame["delay"].tolist() == [2, 4]
    path.write_text(text.replace('ranges = "midpoint"\n', ""), encoding="utf-8")
    with pytest.raises(TableError, match="'1-3 d' is a range"):
        load_analysis(path).effects()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data = [", r"mine\.toml: is not a TOML file \("),
        (FILE.replace("data", "dta"), r"unknown key 'dta': did you mean 'data'\?.*needs the key"),
        ("data = 'x.csv'\n", r"mine\.toml: needs the key 'spec'"),
        ("data = 'x.csv'\nname = 'y'\n[spec]\n", r"unknown key 'name': "),
        (FILE + 'decya = "none"\n', r"\[spec\]: unknown key 'decya': did you mean 'decay'"),
        (FILE + 'decay = "expo"\n', r"mine\.toml, \[spec\]: no decay family 'expo'"),
        (FILE + "priors.tau = {half_normal = [1, 2]}\n", r"\[spec\]: prior half_normal = \[1, 2\]"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, message):
    with pytest.raises(SpecError, match=message):
        load_analysis(write(tmp_path, text))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("keep.studdy = ['A']", r"mine: no column 'studdy'; did you mean 'study'\?"),
        ("keep.study = ['A', 'Z']", r"mine: keep\.study names 'Z', which no row has"),
    ],
)
def test_rows_kept_must_be_there(tmp_path, more, message):
    with pytest.raises(SpecError, match=message):
        load_analysis(write(tmp_path, f"{more}\n{FILE}")).effects()


def test_a_recoded_column_must_be_there(tmp_path):
    with pytest.raises(SpecError, match="no column 'regimn'"):
        load_analysis(write(tmp_path, f"recode.regimn = {{a = 'b'}}\n{FILE}")).effects()


def test_a_recoded_level_must_be_there(tmp_path):
    text = f"recode.regimen = {{singel = 'once'}}\n{FILE}"
    with pytest.raises(SpecError, match=r"recode\.regimen names 'singel'.*did you mean 'single'"):
        load_analysis(write(tmp_path, text)).effects()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sampling.drawz = 3", r"unknown key 'sampling\.drawz': did you mean 'draws'"),
        ("sampling.draws = 'x'", "sampling = .* must be a table of numbers"),
        ("keep = 'x'", "keep = 'x' must be a table of lists"),
        ("keep.regimen = 'single'", "keep = .* must be a table of lists"),
        ("recode.regimen = 'x'", "recode = .* must be a table of tables"),
        ("fill = 3", "fill = 3 must be a table of numbers or texts"),
        ("title = 3", "title = 3 must be a text"),
        ("shared_control = 3", "shared_control = 3 must be a text"),
        ("same_animals = ['a']", r"same_animals = \['a'\] must be a text"),
        ("correct = 1", "correct = 1 must be true or false"),
        ("variants = 3", "variants must be a table of tables"),
    ],
)
def test_a_key_of_the_wrong_kind_is_refused(tmp_path, line, message):
    with pytest.raises(SpecError, match=message):
        load_analysis(write(tmp_path, f"{line}\n{FILE}"))


SHARED = """data = 'arms.csv'
shared_control = 'group'
same_animals = 'animals'
rho = 0.4
[spec]
decay = 'none'
[variants.apart]
shared_control = ''
same_animals = ''
rho = 0.0
[variants.typo]
shared_control = 'groups'
"""


def test_columns_that_say_who_shares_animals(tmp_path):
    rows = arms(4, study="s", group=["c", "c", "d", "d"], animals=["a", "b", "x", "x"])
    rows["mean_control"] = [3.0, 3.0, 4.0, 4.5]
    rows.to_csv(tmp_path / "arms.csv", index=False)
    path = write(tmp_path, SHARED)
    found = load_analysis(path).effects()
    how = {"shared_control": "group", "same_animals": "animals", "rho": 0.4}
    np.testing.assert_array_equal(found.V, effect_sizes(rows, **how).V)
    assert found.sharing == Sharing(0.4, "experiment", "group", "animals")
    # An empty text is none.
    apart = load_analysis(path, "apart").effects()
    assert apart.V is None
    assert apart.sharing == Sharing()
    message = "no column 'groups' to share by; did you mean 'group'"
    with pytest.raises(SpecError, match=message):
        load_analysis(path, "typo").effects()


def test_no_such_file_model_or_variant(tmp_path):
    with pytest.raises(SpecError, match=r"none\.toml: cannot be read \(No such file"):
        load_analysis(tmp_path / "none.toml")
    with pytest.raises(SpecError, match=r"no model 'ketamine'; did you mean 'ketamine_pain'\?"):
        load_analysis("ketamine")
    with pytest.raises(SpecError, match=r"ketamine_pain\.toml: no variant 'platau'; did you mean"):
        load_analysis("ketamine_pain", "platau")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match=r"mine\.toml: is not a TOML file"):
        load_analysis(path)


def test_shipped_models_are_listed_with_their_data_decay_and_variants():
    table = model_table().set_index("name")
    assert list(table.index) == models()
    assert table.loc["ketamine_pain", "data"] == "van_velzen_2021/pooled"
    for name, row in table.iterrows():
        analysis = load_analysis(name)
        assert (row["title"], row["measure"]) == (analysis.title, analysis.measure)
        assert row["decay"] == analysis.spec.decay
        for variant in filter(None, row["variants"].split(", ")):
            assert load_analysis(name, variant).name == f"{name}/{variant}"
    assert "weibull" in table.loc["nmda_social", "variants"]
