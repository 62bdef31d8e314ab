"""One cell of a table: missing, text or number, and what is wrong with it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesma.schema import COLUMNS, Column

__all__ = [
    "as_column",
    "as_text",
    "is_missing",
    "listed",
    "number_remedy",
    "own_column",
    "plain_number",
    "range_fault",
]

# What pandas reads as missing too, so that a frame and its CSV file give the same table.
MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "<na>"})

_TRUTH = (bool, np.bool_)
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")


def is_missing(cell: Any) -> bool:
    """Return whether a cell is empty or says that it is."""
    if isinstance(cell, str):
        return cell.strip().lower() in MISSING
    if isinstance(cell, float):
        return math.isnan(cell)
    return cell is None or (pd.api.types.is_scalar(cell) and bool(pd.isna(cell)))


def plain_number(cell: Any) -> float:
    """Return the number a cell holds.

    Raises
    ------
    ValueError
        If it is anything else: `float` alone would read "1_000", digits of any script and True.
    """
    odd = "_" in cell or not cell.isascii() if isinstance(cell, str) else isinstance(cell, _TRUTH)
    try:
        if not odd:
            return float(cell)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError("is not a number")


def listed(levels: Iterable[str]) -> str:
    """Return texts in quotes, commas between."""
    return ", ".join(f"'{level}'" for level in levels)


def as_text(cell: Any) -> str:
    """Return a cell as people wrote it."""
    if isinstance(cell, str):
        return cell.strip()
    # A numeric label such as 2004.0 comes from a column that held blanks; people wrote 2004.
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).strip()


def number_remedy(cell: Any) -> str:
    """Return what to write instead of a cell that is no number."""
    if isinstance(cell, str) and _COMMA.fullmatch(cell.strip()):
        return "write a decimal point and no separator of thousands"
    return "write a plain number such as 12.5, or leave the cell empty"


def range_fault(spec: Column, number: float) -> tuple[str, str]:
    """Return (problem, remedy) of a number outside its column's range; empty if inside."""
    if not math.isfinite(number):
        return "is not finite", "write a plain number"
    if spec.levels and number not in {float(level) for level in spec.levels}:
        return "is not one of its levels", f"use {listed(spec.levels)}"
    if spec.kind == "count" and number != int(number):
        return "is not a whole number", "write how many"
    if number < spec.low or (spec.open_low and number == spec.low):
        bound = f"above {spec.low:g}" if spec.open_low else f"at least {spec.low:g}"
        return "is too small", f"{spec.doc} must be {bound}"
    if number > spec.high:
        return "is too large", f"{spec.doc} must be at most {spec.high:g}"
    return "", ""


def own_column(cells: Sequence[Any]) -> list[Any]:
    """Return a reviewer's own column: numbers if every cell is one, else text."""
    present = [None if is_missing(cell) else cell for cell in cells]
    try:
        numbers = [None if cell is None else plain_number(cell) for cell in present]
    except ValueError:
        return [None if cell is None else as_text(cell) for cell in present]
    return numbers


def as_column(name: str, cells: Sequence[Any]) -> pd.Series[Any]:
    """Return cells as a column of numbers or of text, as its kind or its cells say."""
    numeric = (
        COLUMNS[name].kind != "text"
        if name in COLUMNS
        else all(isinstance(cell, float) for cell in cells if cell is not None)
    )
    if numeric:
        return pd.Series([math.nan if c is None else c for c in cells], dtype="float64")
    return pd.Series(list(cells), dtype="str")
