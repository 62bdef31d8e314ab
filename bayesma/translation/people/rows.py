"""One row of human results: its cells read, and brought to the unit in which it is compared."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from bayesma.cells import is_missing
from bayesma.measures import MEASURES
from bayesma.schema import COLUMNS, Column
from bayesma.table.checker import Checker
from bayesma.table.parsing import Reading, read_cell
from bayesma.translation.pathway.asked import STANDARDISED
from bayesma.units import DAYS_PER_UNIT

__all__ = ["EFFECT", "HALF_LIFE", "NUMBERS", "SPECS", "STEPS", "Z", "Row", "read_row"]

EFFECT, HALF_LIFE = "effect", "half_life"
# Half the width of a 95% interval in standard errors.
Z = 1.959963984540054
_OWN = (
    Column("quantity", "text", "what the number is", levels=(EFFECT, HALF_LIFE)),
    Column("unit", "text", "unit of y"),
    Column("start", "duration", "where the time begins that an effect is averaged over", low=0),
    Column("sd", "number", "standard deviation of an outcome", low=0, open_low=True),
)
SPECS: dict[str, Column] = {
    name: COLUMNS[name]
    for name in ("row_id", "study", "y", "v", "se", "ci_low", "ci_high", "direction", "delay")
} | {column.name: column for column in _OWN}
NUMBERS = ("y", "v", "se", "ci_low", "ci_high")
_TRAILING_UNIT = re.compile(r"[A-Za-z]+$")

# What is only counted on the way.
STEPS = ["turned", "divided", "unnamed"]

Row = dict[str, Any]


def read_row(
    wrong: Checker,
    gaps: Checker,
    i: int,
    cells: Mapping[str, list[Any]],
    sd: float | Mapping[str, float] | None,
) -> Row:
    """Return one row, in the unit in which it is compared, positive for a benefit."""

    def read(name: str, spec: Column | None = None, unit: str = "d") -> Any:
        if name not in cells:
            return None
        found = read_cell(wrong, spec or SPECS[name], i, cells[name][i], Reading({name: unit}))
        return getattr(found, "days", found)

    told = {name: read(name) for name in ("row_id", "study", "quantity", "unit", "sd", "direction")}
    told["row_id"] = told["row_id"] or wrong.rows[i]
    told["quantity"] = told["quantity"] or EFFECT
    for name in ("delay", "start"):
        told[name] = read(name)
        _check_clock(wrong, i, name, cells)
    if told["quantity"] == HALF_LIFE:
        unit = _time_unit(wrong, i, told["unit"], cells)
        for name in NUMBERS:
            spec = Column(name, "duration", SPECS[name].doc, low=0, open_low=True)
            told[name] = read(name, spec, unit)
        told["unit"] = "d"
        _check_half_life(wrong, i, told)
    else:
        told |= {name: read(name) for name in NUMBERS}
        _check_span(wrong, i, told)
    if told["y"] is None and (i, "y") not in wrong.bad_cells and "y" in cells:
        gaps.fault(i, "y", "is missing", "fill it in, or leave the row out")
    _check_spread(wrong, i, told)
    told |= {"turned": False, "divided": False, "unnamed": told["unit"] is None}
    if told["quantity"] == EFFECT:
        _rescale(wrong, gaps, i, told, sd)
    told["spread"] = _spread(told)
    return told


def _check_clock(check: Checker, i: int, name: str, cells: Mapping[str, list[Any]]) -> None:
    cell = cells[name][i] if name in cells else None
    if isinstance(cell, str) and "start" in cell.lower():
        problem = "counts from the start; the effect fades from the last dose on"
        check.fault(i, name, problem, "write the time since the last dose, or the infusion's end")


def _time_unit(check: Checker, i: int, unit: str | None, cells: Mapping[str, list[Any]]) -> str:
    """Return the unit of a half-life's bare numbers: that of its column, or of y's own text."""
    cell = cells["y"][i] if "y" in cells else None
    match = _TRAILING_UNIT.search(cell.strip()) if isinstance(cell, str) else None
    written = match[0] if match is not None and match[0] in DAYS_PER_UNIT else None
    if unit is not None and unit not in DAYS_PER_UNIT:
        check.fault(i, "unit", "is no unit of time", "write h, d or wk")
    elif unit is None and written is None and not is_missing(cell):
        said = "write h, d or wk in a column unit, or y as '10.9 d'"
        check.fault(i, "y", "is a half-life in no unit", said)
    elif unit and written and DAYS_PER_UNIT[unit] != DAYS_PER_UNIT[written]:
        check.fault(i, "y", f"names a unit, and column unit another, '{unit}'", "keep one of them")
    else:
        return unit or written or "d"
    return "d"


def _check_half_life(check: Checker, i: int, told: Row) -> None:
    for name, problem in (
        ("delay", "stands in a row whose number is itself a time"),
        ("start", "stands in a row whose number is itself a time"),
        ("sd", "is of no use to a half-life"),
    ):
        if told[name] is not None:
            check.fault(i, name, problem, "leave the cell empty")
    if told["direction"] == -1:
        check.fault(i, "direction", "is -1, but a half-life has none", "leave the cell empty")


def _check_span(check: Checker, i: int, told: Row) -> None:
    start, stop = told["start"], told["delay"]
    if start is None or (i, "delay") in check.bad_cells:
        return
    if stop is None:
        check.fault(i, "start", "has no end", "write in delay how far the average reaches")
    elif start >= stop:
        check.fault(i, "start", "is not before the delay", "correct one of them, or empty start")


def _check_spread(check: Checker, i: int, told: Row) -> None:
    low, high = told["ci_low"], told["ci_high"]
    if any((i, name) in check.bad_cells for name in NUMBERS):
        return
    if (low is None) != (high is None):
        absent, there = ("ci_low", "ci_high") if low is None else ("ci_high", "ci_low")
        check.fault(i, there, f"comes without {absent}", "give both ends, or se")
    elif low is not None and low >= high:
        check.fault(i, "ci_low", "is not below ci_high", "swap or correct them")
    elif low is not None and told["y"] is not None and not low <= told["y"] <= high:
        check.fault(i, "y", f"lies outside its interval, {low:g} to {high:g}", "correct one")


def _rescale(wrong: Checker, gaps: Checker, i: int, told: Row, sd: Any) -> None:
    """Divide by a stated SD where the row is on another scale; turn it where lower is better."""
    if told["unit"] is not None and told["unit"].upper() in MEASURES:
        told["unit"] = told["unit"].upper()
    given = sd.get(told["study"]) if isinstance(sd, Mapping) else sd
    given = told["sd"] if told["sd"] is not None else given
    other = told["unit"] is not None and told["unit"] not in STANDARDISED
    if other and given is not None:
        for name in ("y", "se", "ci_low", "ci_high"):
            told[name] = None if told[name] is None else told[name] / given
        told["v"] = None if told["v"] is None else told["v"] / given**2
        told |= {"unit": "SMD", "divided": True, "sd": given}
    elif other and told["unit"] not in MEASURES:
        remedy = "state the SD of that scale: a column sd, or bm.human_evidence(table, sd=...)"
        gaps.fault(i, "sd", f"is needed: y is in '{told['unit']}'", remedy)
    elif told["sd"] is not None:
        wrong.fault(
            i, "sd", "has nothing to divide: unit names no other scale", "empty it, or mend unit"
        )
    if told["direction"] == -1:
        told["turned"] = True
        low, high = told["ci_low"], told["ci_high"]
        told["y"] = None if told["y"] is None else -told["y"]
        told["ci_low"] = None if high is None else -high
        told["ci_high"] = None if low is None else -low


def _spread(told: Row) -> float | None:
    """Return the standard error as it enters the likelihood: of y, or of log y of a half-life."""
    low, high, y = told["ci_low"], told["ci_high"], told["y"]
    whole = low is not None and high is not None
    se = told["se"] if told["v"] is None or told["se"] else math.sqrt(told["v"])
    if told["quantity"] == HALF_LIFE:
        if whole and low < high:
            return math.log(high / low) / (2 * Z)
        return se / y if se and y else None
    return se if se or not whole else (high - low) / (2 * Z)
