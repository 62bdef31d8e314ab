"""A table as its file holds it, before any check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bayesma.cells import is_missing
from bayesma.errors import Fault, TableError

__all__ = ["Raw", "Record", "content_of", "from_records"]

# The number of a row as the source counts, and its cells.
Record = tuple[int, Sequence[Any]]


@dataclass(frozen=True)
class Raw:
    """Cells as read.

    Attributes
    ----------
    cells : pandas.DataFrame
        Texts or values, one column per header.
    rows : list of str
        Row names for messages.
    faulty : mapping of int to Fault
        Position of the rows whose cells cannot be trusted, and why.
    notes : tuple of str
        What a reader should know of the file.
    """

    cells: pd.DataFrame
    rows: list[str]
    faulty: Mapping[int, Fault] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def content_of(path: Path) -> bytes:
    """Return the bytes of a file, or say why there are none."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        fault = Fault(f"cannot be read ({reason})", "check the path")
        raise TableError(str(path), [fault]) from error


def from_records(records: Sequence[Record], faulty: Mapping[int, Fault]) -> Raw:
    """Return the table of a header and rows of equal length, without nameless empty columns."""
    (_, header), *body = records
    names = ["" if name is None else str(name).strip() for name in header]
    nameless = [name or f"(column {i})" for i, name in enumerate(names, 1)]
    frame = pd.DataFrame([list(cells) for _, cells in body], columns=nameless, dtype=object)
    kept = [
        bool(name) or not all(is_missing(cell) for cell in frame.iloc[:, i])
        for i, name in enumerate(names)
    ]
    return Raw(frame.loc[:, kept], [str(number) for number, _ in body], faulty)
