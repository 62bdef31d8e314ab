import subprocess
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest

from bayesma import catalogue
from bayesma.catalogue import datasets, load_dataset, root
from bayesma.errors import DataError, TableError
from bayesma.measures import hedges_g

CARDS = sorted(root("data").glob("*/dataset.toml"))
TABLES = [
    (path.parent.name, table, card)
    for path in CARDS
    for card in [tomllib.loads(path.read_text(encoding="utf-8"))]
    for table in card["tables"]
]
BUNDLED = [(name, table, card["tables"][table]) for name, table, card in TABLES if card["bundled"]]
BROUGHT = [
    (name, table, card["tables"][table]) for name, table, card in TABLES if not card["bundled"]
]


def test_the_list_has_one_row_per_card():
    listed = datasets()
    assert list(listed.columns) == ["name", "bundled", "tables", "rows", "licence", "doi", "about"]
    assert listed["name"].tolist() == [path.parent.name for path in CARDS]
    assert listed["bundled"].dtype == bool
    by_name = listed.set_index("name")
    assert by_name.loc["van_velzen_2021", "tables"] == "comparisons, pooled"
    assert by_name.loc["van_velzen_2021", "rows"] == 41
    assert not by_name.loc["nmda_social", "bundled"]
    assert by_name.loc["nmda_social", "licence"] == "CC BY 4.0"


@pytest.mark.parametrize(("name", "table", "entry"), BUNDLED)
def test_every_bundled_table_loads_with_the_rows_its_card_tells(name, table, entry):
    loaded = load_dataset(name, table)
    assert len(loaded) == entry["rows"]
    assert loaded.source == f"{name}/{table}"
    # Human evidence is numbers of several kinds, some without a spread: no outcomes of a model.
    effects = {"y", "mean_treated"} & set(loaded.frame) and "quantity" not in loaded.frame
    assert bool(effects) == entry["outcomes"]


def test_the_default_table_is_the_one_the_card_names():
    assert load_dataset("van_velzen_2021").source == "van_velzen_2021/comparisons"


def test_an_unknown_name_or_table_suggests_the_nearest():
    with pytest.raises(
        DataError, match=r"named 'nmda_sociable'; did you mean 'nmda_social'\? known:"
    ):
        load_dataset("nmda_sociable")
    with pytest.raises(DataError, match=r"no table 'pooled_'; did you mean 'pooled'\? known: comp"):
        load_dataset("van_velzen_2021", "pooled_")


def test_a_dataset_of_your_own_says_where_to_get_it_and_how(monkeypatch):
    monkeypatch.delenv("BAYESMA_DATA", raising=False)
    with pytest.raises(DataError, match="BAYESMA_DATA is not set") as caught:
        load_dataset("nmda_social")
    message = str(caught.value)
    for part in (
        "10.5281/zenodo.18284730",
        "Gallas-Lopes et al. 2026",
        "CC BY 4.0",
        "data/nmda_social/prepare.py RAW OUT",
        "set BAYESMA_DATA=OUT",
    ):
        assert part in message
    assert len(message.splitlines()) == 1


def test_in_a_checkout_the_command_is_short_enough_to_copy(monkeypatch):
    monkeypatch.delenv("BAYESMA_DATA", raising=False)
    monkeypatch.chdir(root("data").parent)
    with pytest.raises(DataError, match=r"run: python data/nmda_social/prepare\.py RAW OUT; then"):
        load_dataset("nmda_social")


def test_a_folder_without_the_file_says_which_path_was_tried(monkeypatch, tmp_path):
    monkeypatch.setenv("BAYESMA_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match=r"elsewhere/nmda_social/all\.csv is not there"):
        load_dataset("nmda_social", "all")
    with pytest.raises(DataError, match=r"here/nmda_social/all\.csv is not there"):
        load_dataset("nmda_social", "all", folder=tmp_path / "here")


@pytest.fixture
def brought(tmp_path):
    """A folder with an invented table under the name of the social data set."""
    (tmp_path / "nmda_social").mkdir()
    path = tmp_path / "nmda_social" / "interaction.csv"
    path.write_text("study,y,v\nA,1.0,0.5\n", encoding="utf-8")
    return tmp_path


def test_a_folder_of_your_own_is_read(monkeypatch, brought):
    monkeypatch.setenv("BAYESMA_DATA", str(brought / "nowhere"))
    assert len(load_dataset("nmda_social", folder=brought)) == 1
    monkeypatch.setenv("BAYESMA_DATA", str(brought))
    assert load_dataset("nmda_social").source == "nmda_social/interaction"


def test_a_faulty_file_of_your_own_is_a_table_error(brought):
    (brought / "nmda_social" / "interaction.csv").write_text("study,y,v\nA,x,0.5\n")
    with pytest.raises(TableError, match=r"interaction\.csv, row 2, column 'y': 'x' is not a num"):
        load_dataset("nmda_social", folder=brought)


@pytest.mark.parametrize(("name", "table", "entry"), BROUGHT)
def test_what_a_prepare_script_makes_of_the_published_files_loads(name, table, entry, prepared):
    assert len(load_dataset(name, table, folder=prepared)) == entry["rows"]


@pytest.mark.parametrize("name", sorted({name for name, _, _ in BROUGHT}))
def test_a_prepare_script_without_its_file_says_where_to_get_it(name, tmp_path):
    script = root("data") / name / "prepare.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path, tmp_path / "out"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"{tmp_path} lacks " in done.stderr
    assert f"then python data/{name}/prepare.py RAW OUT" in done.stderr


# -- fst -------------------------------------------------------------------------------------------

# Our column: the published one; numbers are kept to the last digit.
FST = {
    "mean_treated": "atd_mean",
    "sd_treated": "atd_sd",
    "n_treated": "atd_n_round",
    "mean_control": "ctr_mean",
    "sd_control": "ctr_sd",
    "n_control": "ctr_n_round",
    "n_control_split": "ctr_n_corr",
    "n_comparisons": "n_comparisons",
    "duration": "treatment_duration",
    "doses_per_day": "treatment_freq",
    "age_days": "age",
    "weight_g": "weight",
    "strain": "strain",
    "protocol": "fst_protocol",
}


# What one of a published unit is of our unit, where that is another.
PER_UNIT = {"mg/mL": 1000, "microg": 1 / 1000, "pmoles": 1 / 1000}


@pytest.fixture(scope="module")
def swim(prepared):
    return load_dataset("fst", folder=prepared).frame


@pytest.fixture(scope="module")
def martins(shared):
    """The published table in another form than the script reads."""
    return pd.read_csv(shared / "data" / "fst_martins2025.csv")


def test_fst_is_the_published_table_row_for_row(swim, martins):
    assert swim["row_id"].tolist() == [f"line_{line}" for line in martins["line"]]
    assert swim["study"].tolist() == [f"study_{number}" for number in martins["id"]]
    for ours, theirs in FST.items():
        np.testing.assert_array_equal(swim[ours].isna(), martins[theirs].isna(), err_msg=ours)
        there = martins[theirs].notna()
        assert swim.loc[there, ours].tolist() == martins.loc[there, theirs].tolist(), ours
    factor = martins["dose_unit"].map(PER_UNIT).fillna(1)
    # A product of two numbers.
    np.testing.assert_allclose(swim["dose"], martins["dose"] * factor, rtol=1e-15)
    hours = martins["last_bf_outcome"]
    # A division and its inverse.
    np.testing.assert_allclose(swim["delay"] * 24, hours, rtol=1e-15)
    assert swim["regimen"].value_counts().to_dict() == {"single": 344, "repeated": 205}
    for number in range(1, 11):
        answers = martins[f"rob{number}"].str.lower().replace("unclear", None)
        pd.testing.assert_series_equal(swim[f"rob{number}"], answers, check_dtype=False)


def test_fst_s_control_groups_hold_as_many_rows_as_the_source_says(swim):
    groups = swim.groupby("control_group")
    assert (groups["study"].nunique() == 1).all()
    assert (groups["n_control"].nunique() == 1).all()
    counts = groups["n_comparisons"].agg(["first", "size"])
    assert (counts["first"] == counts["size"]).all()
    assert (counts["size"] > 1).sum() == 97


def test_fst_as_published_is_hedges_g_at_the_split_control_groups(swim, prepared):
    published = load_dataset("fst", "as_published", folder=prepared).frame
    g, v = hedges_g(
        *(swim[name] for name in ("mean_control", "sd_control", "n_control_split")),
        *(swim[name] for name in ("mean_treated", "sd_treated", "n_treated")),
    )
    # Two ways to log gamma of up to 20, and subtractions of means that nearly agree.
    np.testing.assert_allclose(published["y"], g, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(published["v"], v, rtol=1e-12)
    shared_columns = [name for name in published if name in swim]
    pd.testing.assert_frame_equal(published[shared_columns], swim[shared_columns])


def test_shelves_are_sought_in_the_package_first_then_beside_it(monkeypatch, tmp_path):
    package = tmp_path / "site" / "bayesma"
    package.mkdir(parents=True)
    monkeypatch.setattr(catalogue, "__file__", str(package / "catalogue.py"))
    with pytest.raises(DataError, match=r"no folder 'models': neither .*site/bayesma/models or "):
        root("models")
    (tmp_path / "site" / "models").mkdir()
    assert root("models") == tmp_path / "site" / "models"
    (package / "models").mkdir()
    assert root("models") == package / "models"


def test_a_bundled_file_that_is_gone_is_said(monkeypatch, tmp_path):
    folder = tmp_path / "data" / "gone"
    folder.mkdir(parents=True)
    (folder / "dataset.toml").write_text(
        'bundled = true\ndefault = "a"\n[tables.a]\nfile = "a.csv"\noutcomes = true\nrows = 1\n'
    )
    monkeypatch.setattr(catalogue, "root", lambda room: tmp_path / room)
    with pytest.raises(DataError, match=r"gone/a\.csv is missing; install bayesma again"):
        load_dataset("gone")


def test_the_days_of_a_card_need_no_note():
    for name, table in (("van_velzen_2021", None), ("simulated_decay", None)):
        assert not [note for note in load_dataset(name, table).notes if "bare" in note]
