"""CSV files and DataFrames."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bayesma.errors import Fault, TableError
from bayesma.table import StudyTable, validated

__all__ = ["read_table"]

EXPORT = "export it as 'CSV UTF-8 (comma delimited)'"
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
# Every ZIP archive opens so, and a workbook is one.
ZIP_MAGIC = b"PK\x03\x04"


def read_table(
    source: str | Path | pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    outcomes: bool = True,
) -> StudyTable:
    """Read a table of studies and check all of it.

    Parameters
    ----------
    source : str, Path or pandas.DataFrame
        A CSV file (UTF-8, comma separated, one header row) or a frame.
    columns : mapping, optional
        Canonical column name to the table's own, e.g. ``{"n_treated": "N ketamine"}``. Headers
        that equal a canonical name up to case and spaces need no mapping; one that a mapping
        overrides gives way.
    units : mapping, optional
        Unit of bare numbers in `delay` and `duration`, e.g. ``{"delay": "h"}``; days otherwise.
        A cell that names its unit ("30 min") is read by it.
    outcomes : bool
        False for a table of covariates only (the members of pooled rows).

    Returns
    -------
    StudyTable
        Canonical columns (durations in days), then the table's own.

    Raises
    ------
    TableError
        One line for every fault: file, row (as a spreadsheet numbers it, the header being row
        1; a frame's index label), column, value and remedy.
    SpecError
        If `units` names a column that is no duration, or an unknown unit.
    """
    if isinstance(source, pd.DataFrame):
        rows = [str(label) for label in source.index]
        return validated(source, "DataFrame", rows, columns, units, outcomes)
    path = Path(source)
    records = _records(path)
    header, body = records[0][1], records[1:]
    ragged = {
        i: _ragged(number, len(cells), len(header))
        for i, (number, cells) in enumerate(body)
        if len(cells) != len(header)
    }
    padded = [[*cells, *[""] * len(header)][: len(header)] for _, cells in body]
    raw = _without_blank_columns(pd.DataFrame(padded, columns=header, dtype=object))
    rows = [str(number) for number, _ in body]
    return validated(raw, path.name, rows, columns, units, outcomes, ragged)


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """Return the records that are not blank, header first, numbered as a spreadsheet does."""
    reader = csv.reader(io.StringIO(_text_of(path), newline=""), strict=True)
    try:
        lines = list(enumerate(reader, 1))
    except csv.Error as error:
        problem = f"line {reader.line_num} cannot be read as CSV ({error})"
        fault = Fault(problem, "close every quote, and double a quote inside quotes")
        raise TableError(path.name, [fault]) from error
    records = [(i, cells) for i, cells in lines if any(cell.strip() for cell in cells)]
    if not records:
        raise TableError(path.name, [Fault("the file is empty", "check the export")])
    header = [cell.strip() for cell in records[0][1]]
    if len(header) == 1:
        raise TableError(path.name, [_single_column(header[0])])
    return [(records[0][0], header), *records[1:]]


def _ragged(number: int, cells: int, headers: int) -> Fault:
    problem = f"has {cells} cells under {headers} headers"
    return Fault(problem, "quote cells that hold commas", row=str(number))


def _without_blank_columns(raw: pd.DataFrame) -> pd.DataFrame:
    """Leave out the nameless empty columns that spreadsheets add at the end."""
    blank = [not header and _is_blank(raw.iloc[:, i]) for i, header in enumerate(raw.columns)]
    nameless = [header or f"(column {i})" for i, header in enumerate(raw.columns, 1)]
    return raw.set_axis(nameless, axis=1).loc[:, [not b for b in blank]]


def _is_blank(cells: Sequence[str] | pd.Series[str]) -> bool:
    return not any(cell.strip() for cell in cells)


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        fault = Fault(f"cannot be read ({reason})", "check the path")
        raise TableError(str(path), [fault]) from error
    if content.startswith(ZIP_MAGIC):
        raise TableError(path.name, [Fault("is a workbook or an archive, not a CSV file", EXPORT)])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(path.name, [Fault("is not a CSV file in UTF-8", EXPORT)]) from error
    if "\0" in text:
        raise TableError(path.name, [Fault("is not a CSV file in UTF-8", EXPORT)])
    return text


def _single_column(header: str) -> Fault:
    for separator, name in SEPARATORS.items():
        if separator in header:
            return Fault(f"is separated by {name}, not commas", EXPORT)
    return Fault("has a single column, so it is not a table of studies", EXPORT)
