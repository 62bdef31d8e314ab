"""One cell of a table: missing, text or number, and what is wrong with it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, time, timedelta
from typing import Any

import numpy as np
import pandas as pd

from bayesma.schema import COLUMNS, Column

__all__ = [
    "Percent",
    "as_column",
    "as_text",
    "formula_error",
    "is_missing",
    "label_reason",
    "listed",
    "not_known",
    "number_remedy",
    "odd_cell",
    "own_column",
    "plain_number",
    "range_fault",
    "smallest_of",
]

# What pandas reads as missing too, so that a frame and its CSV file give the same table.
MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "<na>"})

# What reviewers write where a paper does not say. Missing in canonical columns only: in a column of
# the reviewer's own, 'Unclear' is a judgement.
NOT_KNOWN = frozenset(
    {"unclear", "unknown", "not reported", "not stated", "not available", "nr", "n.r.", "n.a.", "?"}
)

# What a spreadsheet shows where a formula went wrong; CSV exports carry it along.
FORMULA_ERRORS = frozenset(
    {"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!", "#CALC!"}
)
_SMALLEST = re.compile(r"([0-9]{1,9})(?:\s*[-\u2013\u2014\u2212]\s*|\s+to\s+)([0-9]{1,9})")

_TRUTH = (bool, np.bool_)
# "01" and "1e3" are names of cages and lots; floats are printed "1e+16".
_LABEL = re.compile(r"0[0-9]+|[0-9]+[eE][0-9]+")
_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
# Squared, multiplied and divided by each other, numbers up to here leave no float's range.
LARGEST, SMALLEST = 1e50, 1e-50


# What typesetters and spreadsheets make of a minus before a number.
_DASHES = ("\u2212", "\u2013", "\u2010", "\u2011")


class Percent(float):
    """A number that the spreadsheet shows a hundred times as large, with a % sign."""


def not_known(cell: Any) -> bool:
    """Return whether a cell says in words that the value is not known: 'Unclear', 'NR'."""
    return isinstance(cell, str) and cell.strip().lower() in NOT_KNOWN


def formula_error(cell: Any) -> tuple[str, str]:
    """Return (problem, remedy) of a cell that shows a formula's error; empty if it does not."""
    if isinstance(cell, str) and cell.strip() in FORMULA_ERRORS:
        return "is a formula's error", "mend the formula, or empty the cell"
    return "", ""


def odd_cell(spec: Column, cell: Any) -> tuple[str, str]:
    """Return (problem, remedy) of a cell whose type is not what was meant; empty if sound."""
    problem, remedy = formula_error(cell)
    if isinstance(cell, date):  # a timestamp is one too
        problem = "is a date"
        remedy = "spreadsheets make dates of entries such as 1-2: format as text, type it again"
    elif isinstance(cell, time):
        problem, remedy = "is a time of day", "write a number with its unit, e.g. '90 min'"
    elif isinstance(cell, timedelta) and spec.kind != "duration":
        problem, remedy = "is a span of time", "write what the column holds"
    elif isinstance(cell, Percent) and spec.kind != "text":
        problem = f"is shown as {cell * 100:.6g}%"
        remedy = "format it as a number and type it in the column's unit"
    return problem, remedy


def smallest_of(cell: Any) -> int | None:
    """Return the smaller end of a range of whole numbers ("6-8"); None if it is no such range."""
    match = _SMALLEST.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if match is None or int(match[1]) >= int(match[2]):
        return None
    return int(match[1])


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
    if isinstance(cell, str) and cell.strip().startswith(_DASHES):
        return "write a minus with the key '-'"
    if isinstance(cell, str) and _COMMA.fullmatch(cell.strip()):
        return "write a decimal point and no separator of thousands"
    return "write a plain number such as 12.5, or leave the cell empty"


def _size_fault(number: float) -> tuple[str, str] | None:
    if not math.isfinite(number):
        return "is not finite", "write a plain number"
    if number == 0 or SMALLEST <= abs(number) <= LARGEST:
        return None
    size = "small" if abs(number) < SMALLEST else "large"
    return f"is too {size} for any measurement", "correct it, or write it in another unit"


def range_fault(spec: Column, number: float) -> tuple[str, str]:
    """Return (problem, remedy) of a number outside its column's range; empty if inside."""
    if fault := _size_fault(number):
        return fault
    if spec.levels and number not in {float(level) for level in spec.levels}:
        return "is not one of its levels", f"use {listed(spec.levels)}"
    if spec.kind == "count" and number != int(number):
        remedy = f"write how many {spec.doc}"
        if spec.name == "n_control":  # halves and thirds of a group come from splitting it
            remedy += (
                ": a share of a group counts as fewer animals than gave its mean and SD; name the "
                "group in a column for shared_control="
            )
        return "is not a whole number", remedy
    if number < spec.low or (spec.open_low and number == spec.low):
        bound = f"above {spec.low:g}" if spec.open_low else f"at least {spec.low:g}"
        return "is too small", f"{spec.doc} must be {bound}"
    if number > spec.high:
        return "is too large", f"{spec.doc} must be at most {spec.high:g}"
    return "", ""


def own_column(cells: Sequence[Any]) -> list[Any]:
    """Return a reviewer's own column: numbers if every cell is one and no label, else text.

    Texts such as "inf" or "-nan" are texts: as numbers they would be values nobody wrote.
    """
    present = [None if is_missing(cell) else cell for cell in cells]
    numbers = _numbers(present)
    if numbers is None or any(map(_is_word, present, numbers)) or label_reason(cells):
        return [None if cell is None else as_text(cell) for cell in present]
    return numbers


def _is_word(cell: Any, number: float | None) -> bool:
    return isinstance(cell, str) and number is not None and not math.isfinite(number)


def _numbers(present: Sequence[Any]) -> list[float | None] | None:
    try:
        return [None if cell is None else plain_number(cell) for cell in present]
    except ValueError:
        return None


def label_reason(cells: Sequence[Any]) -> str:
    """Return why cells that all are numbers are labels: as numbers they would lose or merge.

    Empty if they are numbers, or some cell is none.
    """
    present = [cell for cell in cells if not is_missing(cell)]
    numbers = _numbers(present)
    first: dict[float, str] = {}
    for cell, number in zip(present, numbers or [], strict=bool(numbers)):
        if not isinstance(cell, str) or number is None:
            continue
        text = cell.strip()
        if _LABEL.fullmatch(text):
            return f"'{text}' may be a label"
        if first.setdefault(number, text) != text:
            return f"'{first[number]}' and '{text}' would be one number"
    return ""


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
