"""Text files: cells between commas or tabs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bayesma.errors import Fault, TableError
from bayesma.readers.raw import Raw, Record, content_of, from_records

__all__ = ["read_separated"]

EXPORT = "export it as 'CSV UTF-8 (comma delimited)'"
NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
# What a file of that separator is called instead.
SUFFIX = {",": ".csv", "\t": ".tsv"}
# Every ZIP archive opens so, and a workbook is one.
ZIP_MAGIC = b"PK\x03\x04"
# More rows than this are a list, not a sentence.
MOST_NAMED = 12
_BREAK = re.compile(r"[\r\n]")


def read_separated(path: Path, separator: str) -> Raw:
    """Return the cells of a text file, all of them texts.

    Raises
    ------
    TableError
        If it is no such file.
    """
    kind = {",": "CSV", "\t": "TSV"}[separator]
    records = _records(path, separator, kind)
    width = len(records[0][1])
    faulty = {
        i: _ragged(number, len(cells), width, separator)
        for i, (number, cells) in enumerate(records[1:])
        if len(cells) != width
    }
    padded = [(number, [*cells, *[""] * width][:width]) for number, cells in records]
    return replace(from_records(padded, faulty), notes=_broken(records[1:]))


def _broken(body: Sequence[Record]) -> tuple[str, ...]:
    """Tell of rows that run over several lines: a stray quote may have joined them."""
    rows = [str(number) for number, cells in body if any(_BREAK.search(cell) for cell in cells)]
    if not rows:
        return ()
    named = ", ".join(rows[:MOST_NAMED]) + (", ..." if len(rows) > MOST_NAMED else "")
    return (f"rows with a line break inside a cell: {len(rows)} of {len(body)} (row {named})",)


def _records(path: Path, separator: str, kind: str) -> list[Record]:
    """Return the records that are not blank, header first, numbered as a spreadsheet does."""
    text = io.StringIO(_text_of(path, kind), newline="")
    reader = csv.reader(text, delimiter=separator, strict=True)
    try:
        lines = list(enumerate(reader, 1))
    except csv.Error as error:
        problem = f"line {reader.line_num} cannot be read as {kind} ({error})"
        fault = Fault(problem, "close every quote, and double a quote inside quotes")
        raise TableError(path.name, [fault]) from error
    records: list[Record] = [(i, cells) for i, cells in lines if any(c.strip() for c in cells)]
    if not records:
        raise TableError(path.name, [Fault("the file is empty", "check the export")])
    header = records[0][1]
    if len(header) == 1:
        raise TableError(path.name, [_single_column(header[0], separator)])
    return records


def _ragged(number: int, cells: int, headers: int, separator: str) -> Fault:
    problem = f"has {cells} cells under {headers} headers"
    return Fault(problem, f"quote cells that hold {NAMES[separator]}", row=str(number))


def _text_of(path: Path, kind: str) -> str:
    content = content_of(path)
    if content.startswith(ZIP_MAGIC):
        problem = f"is a workbook or an archive, not a {kind} file"
        raise TableError(path.name, [Fault(problem, f"{EXPORT}, or name a workbook .xlsx")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(path.name, [Fault(f"is not a {kind} file in UTF-8", EXPORT)]) from error
    if "\0" in text:
        raise TableError(path.name, [Fault(f"is not a {kind} file in UTF-8", EXPORT)])
    return text


def _single_column(header: str, separator: str) -> Fault:
    for other, name in NAMES.items():
        if other != separator and other in header:
            rename = f", or name it {SUFFIX[other]}" if other in SUFFIX else ""
            problem = f"is separated by {name}, not {NAMES[separator]}"
            return Fault(problem, f"{EXPORT}{rename}")
    return Fault("has a single column, so it is not a table of studies", EXPORT)
