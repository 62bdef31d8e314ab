import subprocess
import sys
import tomllib

import pytest

from bayesma import catalogue
from bayesma.catalogue import datasets, load_dataset, root
from bayesma.errors import DataError, TableError

CARDS = sorted(root("data").glob("*/dataset.toml"))
TABLES = [
    (path.parent.name, table, card)
    for path in CARDS
    for card in [tomllib.loads(path.read_text(encoding="utf-8"))]
    for table in card["tables"]
]
BUNDLED = [(name, table, card["tables"][table]) for name, table, card in TABLES if card["bundled"]]


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
    assert bool({"y", "mean_treated"} & set(loaded.frame)) == entry["outcomes"]


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


def test_what_the_prepare_script_makes_of_the_published_files_loads(shared, tmp_path):
    script = root("data") / "nmda_social" / "prepare.py"
    subprocess.run(
        [sys.executable, script, shared / "data" / "raw", tmp_path], check=True, capture_output=True
    )
    for table, entry in tomllib.loads((script.parent / "dataset.toml").read_text(encoding="utf-8"))[
        "tables"
    ].items():
        loaded = load_dataset("nmda_social", table, folder=tmp_path)
        assert len(loaded) == entry["rows"]


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
