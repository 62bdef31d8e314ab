"""Excel workbooks."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesma.cells import Percent
from bayesma.errors import BayesmaError, Fault, TableError, did_you_mean
from bayesma.readers.raw import Raw, Record, content_of, from_records

if TYPE_CHECKING:
    from openpyxl.cell import Cell
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

__all__ = ["read_workbook"]

AGAIN = "save it as an Excel workbook (.xlsx) without a password"


def read_workbook(path: Path, sheet: str | None) -> Raw:
    """Return the cells of one sheet: numbers, texts, dates and truths as Excel holds them.

    Rows are numbered as in Excel; the first that is not blank holds the headers.

    Raises
    ------
    TableError
        If it is no such file, the sheet is not there or not said where there are several, cells
        are merged, or formulas were never computed.
    BayesmaError
        If openpyxl is not installed.
    """
    content = content_of(path)
    worksheet, records = _chosen(_workbook(path, content, values=True), path.name, sheet)
    faults = [*_merged(worksheet, records[0][0])]
    if _has_formulas(content):
        formulas = _workbook(path, content, values=False)[worksheet.title]
        faults += _never_computed(worksheet, formulas)
    if faults:
        raise TableError(path.name, faults)
    return replace(from_records(records, {}), notes=_hidden(worksheet, records[1:]))


def _hidden(sheet: Worksheet, body: list[Record]) -> tuple[str, ...]:
    """Tell of rows that a filter hides: a reviewer may think that they are left out."""
    hidden = sum(bool(sheet.row_dimensions[number].hidden) for number, _ in body)
    return (f"hidden rows are read like the others: {hidden} of {len(body)}",) if hidden else ()


def _workbook(path: Path, content: bytes, values: bool) -> Workbook:
    try:
        import openpyxl
    except ImportError as error:
        raise BayesmaError(
            f"{path.name}: Excel workbooks need openpyxl; pip install 'bayesma[excel]'"
        ) from error
    try:
        # It warns of styles and extensions that it does not keep; none of them holds data.
        with warnings.catch_warnings(action="ignore"):
            return openpyxl.load_workbook(io.BytesIO(content), data_only=values)
    except Exception as error:  # a damaged archive or XML raises anything there is
        fault = Fault("is not an Excel workbook that can be read", AGAIN)
        raise TableError(path.name, [fault]) from error


def _chosen(book: Workbook, name: str, sheet: str | None) -> tuple[Worksheet, list[Record]]:
    """Return the sheet that was asked for, or the only one that holds anything."""
    sheets: dict[str, Worksheet] = {each.title: each for each in book.worksheets}
    if sheet is not None and sheet not in sheets:
        raise TableError(name, [Fault(f"has no sheet '{sheet}'", did_you_mean(sheet, [*sheets]))])
    asked = sheets if sheet is None else {sheet: sheets[sheet]}
    records = {title: _records(each) for title, each in asked.items()}
    filled = [title for title, rows in records.items() if rows]
    if len(filled) > 1:
        known = ", ".join(f"'{title}'" for title in filled)
        raise TableError(name, [Fault("has several sheets", f"say which with sheet=: {known}")])
    if not filled:
        what = "file" if sheet is None else "sheet"
        raise TableError(name, [Fault(f"the {what} is empty", "check the export")])
    return sheets[filled[0]], records[filled[0]]


def _records(sheet: Worksheet) -> list[Record]:
    """Return the rows that are not blank."""
    rows = ([_value(cell) for cell in row] for row in sheet.iter_rows())
    return [(i, cells) for i, cells in enumerate(rows, 1) if _is_filled(cells)]


def _is_filled(cells: list[Any]) -> bool:
    return any(not (cell is None or (isinstance(cell, str) and not cell.strip())) for cell in cells)


def _value(cell: Cell) -> Any:
    value = cell.value
    # Only a styled cell can be shown as a percentage; asking each for its format is slow.
    if cell.has_style and isinstance(value, int | float) and not isinstance(value, bool):
        return Percent(value) if "%" in str(cell.number_format) else value
    return value


def _merged(sheet: Worksheet, first: int) -> Iterator[Fault]:
    for cells in sheet.merged_cells.ranges:
        if cells.max_row >= first:
            yield Fault(
                f"cells {cells.coord} are merged, so only the first holds a value",
                "unmerge them and fill in each",
                row=str(cells.min_row),
            )


def _has_formulas(content: bytes) -> bool:
    """Return whether any sheet holds a formula, without parsing it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        return any(b"<f>" in (text := archive.read(name)) or b"<f " in text for name in sheets)


def _never_computed(values: Worksheet, formulas: Worksheet) -> Iterator[Fault]:
    """Tell of formulas that hold no result: their cells would be read as blank.

    A result that is an empty text is typed as one ("str"); one that is not there, as a number.
    """
    for row in formulas.iter_rows():
        for cell in row:
            result = values[cell.coordinate]
            if cell.data_type == "f" and result.value is None and result.data_type == "n":
                yield Fault(
                    f"cell {cell.coordinate} holds a formula without its result",
                    "open the workbook in Excel and save it",
                    row=str(cell.row),
                )
