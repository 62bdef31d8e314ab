"""Cells of a canonical column to values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bayesma.cells import (
    as_text,
    formula_error,
    is_missing,
    label_reason,
    listed,
    not_known,
    number_remedy,
    odd_cell,
    own_column,
    plain_number,
    range_fault,
    smallest_of,
)
from bayesma.schema import COLUMNS, Column
from bayesma.table.checker import Cells, Checker
from bayesma.units import Delay, Ranges, UnitError, WrittenDose, delay, written_dose

__all__ = ["Reading", "note_words", "own_columns", "parse_columns", "read_cell"]

# Labels of rows: '?' is as good a name as any.
LABELS = ("row_id", "members")
EXAMPLES = {"duration": "'30 min', '24 h' or '7 d'", "dose": "'10 mg/kg' or '100 ug'"}


@dataclass(frozen=True)
class Reading:
    """How cells are to be read.

    Attributes
    ----------
    units : mapping
        Unit of bare numbers by duration column; days where absent.
    ranges : {"refuse", "midpoint"}
        What is done with ranges of durations and doses.
    """

    units: Mapping[str, str] = field(default_factory=dict)
    ranges: Ranges = "refuse"


def parse_columns(check: Checker, reading: Reading) -> Cells:
    """Return the canonical columns; faults are noted, their cells left missing.

    A duration is a Delay, a dose a WrittenDose, until the rows are settled.
    """
    return {name: _column(check, name, reading) for name in COLUMNS if name in check.names}


def _column(check: Checker, name: str, reading: Reading) -> list[Any]:
    spec = COLUMNS[name]
    cells = check.raw[check.names[name]].tolist()
    values = [read_cell(check, spec, i, cell, reading) for i, cell in enumerate(cells)]
    if name not in LABELS:
        note_words(check, name, cells, not_known)
    if spec.smallest:
        taken = sum(smallest_of(cell) is not None for cell in cells)
        check.note(f"{name}: the smallest number of a range taken", taken)
    return values


def note_words(check: Checker, name: str, cells: list[Any], is_word: Callable[[Any], bool]) -> None:
    """Note how many cells are missing because a word says so."""
    words = Counter(cell.strip() for cell in cells if is_word(cell))
    if words:
        missing = sum(is_word(cell) or is_missing(cell) for cell in cells)
        first, *rest = (f"{count} {{}}'{word}'" for word, count in words.most_common())
        told = ", ".join([first.format("of them "), *(text.format("") for text in rest)])
        check.notes.append(f"{name}: {missing} of {len(cells)} cells missing, {told}")


def read_cell(check: Checker, spec: Column, row: int, cell: Any, reading: Reading) -> Any:
    """Return what a cell holds, None where it is missing or its fault is noted."""
    if is_missing(cell) or (not_known(cell) and spec.name not in LABELS):
        if spec.required:
            check.fault(row, spec.name, "is missing", "fill it in")
        return None
    problem, remedy = odd_cell(spec, cell)
    if problem:
        check.fault(row, spec.name, problem, remedy)
        return None
    if spec.kind == "text":
        return _text(check, spec, row, cell)
    return _quantity(check, spec, row, cell, reading)


def _text(check: Checker, spec: Column, row: int, cell: Any) -> str | None:
    text = as_text(cell)
    if spec.levels and text.lower() not in spec.levels:
        check.fault(row, spec.name, "is not one of its levels", f"use {listed(spec.levels)}")
        return None
    return text.lower() if spec.levels else text


def _quantity(check: Checker, spec: Column, row: int, cell: Any, reading: Reading) -> Any:
    try:
        value, number = _read(spec, cell, reading)
    except UnitError as error:
        problem, _, remedy = error.reason.partition("; ")
        check.fault(row, spec.name, problem, remedy or f"write e.g. {EXAMPLES[spec.kind]}")
        return None
    except ValueError as error:
        check.fault(row, spec.name, str(error), _number_remedy(spec, cell))
        return None
    problem, remedy = range_fault(spec, number)
    if problem:
        check.fault(row, spec.name, problem, remedy)
        return None
    return value


def _read(spec: Column, cell: Any, reading: Reading) -> tuple[Any, float]:
    """Return a cell's value, and the number whose range is checked."""
    if spec.kind == "duration":
        time: Delay = delay(cell, reading.units.get(spec.name, "d"), reading.ranges)
        return time, time.days
    if spec.kind == "dose":
        amount = _written_dose(cell, reading.ranges)
        return amount, amount.amount
    words = dict(spec.words)
    smallest = smallest_of(cell) if spec.smallest else None
    if smallest is not None:
        number = float(smallest)
    elif isinstance(cell, str) and (said := " ".join(cell.lower().split())) in words:
        number = words[said]
    else:
        number = plain_number(cell)
    return number, number


def _written_dose(cell: Any, ranges: Ranges) -> WrittenDose:
    try:
        return WrittenDose(plain_number(cell), None)
    except ValueError:
        if isinstance(cell, str):
            return written_dose(cell, ranges)
        raise


def _number_remedy(spec: Column, cell: Any) -> str:
    if not spec.words:
        return number_remedy(cell)
    said = " or ".join(f"{number:g} ('{word}')" for word, number in spec.words)
    return f"write {said}"


def own_columns(check: Checker) -> dict[str, list[Any]]:
    """Return the columns that are not canonical, under the names the mapping gives them."""
    taken = set(check.names.values())
    own = {name: header for name, header in check.names.items() if name not in COLUMNS}
    free = [h for h in check.headers if h not in taken and h not in check.names]
    own |= {header: header for header in free if check.headers.count(header) == 1}
    columns = {name: check.raw[header].tolist() for name, header in own.items()}
    for name, cells in columns.items():
        note_words(check, name, cells, _says_missing)
        if reason := label_reason(cells):
            check.notes.append(f"{name}: kept as text, for {reason}")
        for i, cell in enumerate(cells):
            problem, remedy = formula_error(cell)
            if problem:
                check.fault(i, name, problem, remedy)
    return {name: own_column(cells) for name, cells in columns.items()}


def _says_missing(cell: Any) -> bool:
    """Return whether a cell says that it is empty: 'None' may have been meant as a level."""
    return isinstance(cell, str) and bool(cell.strip()) and is_missing(cell)
