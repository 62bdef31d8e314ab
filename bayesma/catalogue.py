"""The data sets at hand: those in the package, and those a reader brings."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from bayesma.errors import DataError, did_you_mean
from bayesma.readers import read_table
from bayesma.table import StudyTable

__all__ = ["datasets", "load_dataset", "root"]

# data/README.md: bare numbers in the tidy tables are days.
UNITS = {"duration": "d", "delay": "d"}
FOLDER_VARIABLE = "BAYESMA_DATA"


def root(room: str) -> Path:
    """Return the folder of a shelf.

    Parameters
    ----------
    room : {"data", "models"}
        A wheel carries the shelf inside the package; in a checkout it stands beside it.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If it is in neither place.
    """
    package = Path(__file__).resolve().parent
    places = (package / room, package.parent / room)
    for place in places:
        if place.is_dir():
            return place
    tried = " or ".join(map(str, places))
    raise DataError(f"no folder '{room}': neither {tried} is there; install bayesma again")


def datasets() -> pd.DataFrame:
    """List the data sets.

    Returns
    -------
    pandas.DataFrame
        One row per data set: `name`, `bundled` (False: bring your own copy), `tables` (names,
        the default one first), `rows` (of the default table), `licence`, `doi` and `about`.
    """
    return pd.DataFrame(
        [
            {
                "name": name,
                "bundled": bool(card["bundled"]),
                "tables": ", ".join(_table_names(card)),
                "rows": int(card["tables"][card["default"]]["rows"]),
                "licence": card["licence"],
                "doi": card["doi"],
                "about": card["title"],
            }
            for name, card in _cards().items()
        ]
    )


def load_dataset(
    name: str, table: str | None = None, folder: str | Path | None = None
) -> StudyTable:
    """Load one table of a data set.

    Parameters
    ----------
    name : str
        As `datasets` lists it.
    table : str, optional
        The data set's default table where absent.
    folder : str or Path, optional
        For a data set that is not bundled: the folder that its prepare script wrote to. The
        environment variable BAYESMA_DATA where absent.

    Returns
    -------
    StudyTable
        Its `source` is "name/table".

    Raises
    ------
    DataError
        If the data set or the table is unknown, or not at hand: the message says where it is
        published and which command prepares it.
    TableError
        If the file has faults.
    """
    cards = _cards()
    if name not in cards:
        raise DataError(f"no data set is named '{name}'; {did_you_mean(name, list(cards))}")
    card, table = cards[name], table or cards[name]["default"]
    if table not in card["tables"]:
        raise DataError(
            f"data set {name} has no table '{table}'; {did_you_mean(table, _table_names(card))}"
        )
    entry = card["tables"][table]
    path = _place(name, card, entry["file"], folder)
    found = read_table(path, units=UNITS, outcomes=bool(entry["outcomes"]))
    return replace(found, source=f"{name}/{table}")


def _cards() -> dict[str, dict[str, Any]]:
    """Return each data set's card, by name."""
    return {
        path.parent.name: tomllib.loads(path.read_text(encoding="utf-8"))
        for path in sorted(root("data").glob("*/dataset.toml"))
    }


def _table_names(card: Mapping[str, Any]) -> list[str]:
    return [card["default"], *(name for name in card["tables"] if name != card["default"])]


def _place(name: str, card: Mapping[str, Any], file: str, folder: str | Path | None) -> Path:
    """Return the path of a table's file, or say how to come by it."""
    if card["bundled"]:
        path = root("data") / name / file
        if not path.is_file():
            raise DataError(f"{path} is missing; install bayesma again")
        return path
    chosen = folder or os.environ.get(FOLDER_VARIABLE)
    if chosen:
        path = Path(chosen).expanduser() / name / file
        if path.is_file():
            return path
        tried = f"{path} is not there"
    else:
        tried = f"{FOLDER_VARIABLE} is not set"
    raise DataError(_how_to_get(name, card, tried))


def _how_to_get(name: str, card: Mapping[str, Any], tried: str) -> str:
    script = root("data") / name / "prepare.py"
    if script.is_relative_to(Path.cwd()):
        script = script.relative_to(Path.cwd())
    return (
        f"data set {name} is not part of bayesma, and {tried}. Get it: {card['source']}, "
        f"https://doi.org/{card['doi']} ({card['licence']}). Put its files in a folder RAW, "
        f"choose a folder OUT and run: python {script.as_posix()} RAW OUT; "
        f"then set {FOLDER_VARIABLE}=OUT, or pass folder=OUT"
    )
