"""Files and DataFrames, by what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bayesma.errors import Fault, SpecError, TableError
from bayesma.readers.parquet import read_parquet
from bayesma.readers.raw import Raw, content_of
from bayesma.readers.separated import read_separated
from bayesma.readers.workbooks import read_workbook
from bayesma.table import StudyTable, validated
from bayesma.units import Ranges

__all__ = ["SUFFIXES", "headers", "read_table"]

_READERS: dict[str, Callable[[Path], Raw]] = {
    ".csv": lambda path: read_separated(path, ","),
    ".tsv": lambda path: read_separated(path, "\t"),
    ".tab": lambda path: read_separated(path, "\t"),
    ".parquet": read_parquet,
    ".pq": read_parquet,
}
WORKBOOK = ".xlsx"
# Endings of files that `read_table` reads.
SUFFIXES = (*_READERS, WORKBOOK)
# What other spreadsheets are to be saved as.
_SAVE_AGAIN = {
    **dict.fromkeys((".xls", ".xlsm", ".xlsb", ".ods", ".numbers"), "save it as .xlsx or .csv"),
    ".txt": "name it .csv or .tsv",
}


def read_table(
    source: str | Path | pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    outcomes: bool = True,
    sheet: str | None = None,
    ranges: Ranges = "refuse",
) -> StudyTable:
    """Read a table of studies and check all of it.

    Parameters
    ----------
    source : str, Path or pandas.DataFrame
        A frame, or a file by its ending: .csv and .tsv or .tab (UTF-8, one header row), .parquet
        or .pq (needs the extra `parquet`), .xlsx (needs the extra `excel`).
    columns : mapping, optional
        Canonical column name to the table's own, e.g. ``{"n_treated": "N ketamine"}``. Headers
        that equal a canonical name up to case and spaces need no mapping; one that a mapping
        overrides gives way.
    units : mapping, optional
        Unit of bare numbers in `delay` and `duration`, e.g. ``{"delay": "h"}``; days otherwise,
        which a note tells. A cell that names its unit ("30 min") is read by it; a column that
        holds both kinds of cell needs its entry here.
    outcomes : bool
        False for a table of covariates only (the members of pooled rows).
    sheet : str, optional
        Which sheet of a workbook; needed where several hold something.
    ranges : {"refuse", "midpoint"}
        What to do with durations and doses such as "1-2 h". A range of group sizes ("6-8") is
        always read as its smallest number.

    Returns
    -------
    StudyTable
        Canonical columns (durations in days, doses in the canonical unit of their kind), then
        the table's own. Its notes say what was converted or read as missing, with counts.

    Raises
    ------
    TableError
        One line for every fault: file, row (as a spreadsheet numbers it, the header being row
        1; a frame's index label; in a Parquet file counted from 1), column, value and remedy.
    SpecError
        If `units` names a column that is no duration, or an unknown unit; if `ranges` is unknown;
        if `sheet` is given for what has no sheets.
    BayesmaError
        If the package that reads this kind of file is not installed.
    """
    raw = _raw(source, sheet)
    name = "DataFrame" if isinstance(source, pd.DataFrame) else Path(source).name
    table = validated(
        raw.cells, name, raw.rows, columns, units, outcomes, ragged=raw.faulty, ranges=ranges
    )
    return replace(table, notes=(*raw.notes, *table.notes))


def headers(source: str | Path, sheet: str | None = None) -> list[str]:
    """Return the headers of a file, as they stand there.

    Parameters
    ----------
    source : str or Path
    sheet : str, optional
        Which sheet of a workbook.

    Raises
    ------
    TableError, SpecError, BayesmaError
        As `read_table`.
    """
    return [str(header) for header in _raw(source, sheet).cells.columns]


def _raw(source: str | Path | pd.DataFrame, sheet: str | None) -> Raw:
    """Return the cells of any source."""
    workbook = not isinstance(source, pd.DataFrame) and Path(source).suffix.lower() == WORKBOOK
    if sheet is not None and not workbook:
        raise SpecError(f"sheet='{sheet}' is for workbooks ({WORKBOOK}) only")
    if isinstance(source, pd.DataFrame):
        return Raw(source, [str(label) for label in source.index])
    path, suffix = Path(source), Path(source).suffix.lower()
    if workbook:
        return read_workbook(path, sheet)
    if suffix in _READERS:
        return _READERS[suffix](path)
    content_of(path)  # a path that leads nowhere is said first
    remedy = _SAVE_AGAIN.get(suffix, f"known endings: {', '.join(SUFFIXES)}")
    raise TableError(path.name, [Fault(f"ends in '{suffix}', which is not read", remedy)])
