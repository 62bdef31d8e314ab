"""What must hold within a row and between rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from bayesma.schema import ARMS, COLUMNS, EFFECT, SIDES, SUMMARIES
from bayesma.table.checker import Cells, Checker
from bayesma.table.summaries import INSTEAD, sources

__all__ = ["check_clock", "check_outcomes", "check_unique"]

SPREAD = ("v", "se", "ci_low", "ci_high")
# Everything an effect may come from.
_OUTCOMES = tuple(
    name
    for name in COLUMNS
    if name in ARMS + EFFECT or name in {f"{part}_{side}" for part in SUMMARIES for side in SIDES}
)


def check_unique(check: Checker, names: Sequence[str]) -> None:
    """Note row ids that stand twice."""
    own = "row_id" in check.names
    remedy = "give every row its own id" if own else "add a column row_id, or reset the index"
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if name in first:
            place = f"in row {check.rows[first[name]]}" if own else "above"
            check.fault(i, "row_id", f"already stands {place}", remedy)
        first.setdefault(name, i)


def check_clock(check: Checker, cells: Cells) -> None:
    """Note rows whose delay contradicts their exposure."""
    if not {"delay", "exposure"} <= set(cells):
        return
    for i, (delay, exposure) in enumerate(zip(cells["delay"], cells["exposure"], strict=True)):
        if exposure == "on" and delay is not None and delay > 0:
            problem = "is positive though exposure is 'on'"
            check.fault(i, "delay", problem, "write 0 while exposed, or exposure 'off'")


def check_outcomes(check: Checker, cells: Cells) -> None:
    """Note rows that carry neither whole arms nor an effect with its spread."""
    present = [name for name in _OUTCOMES if name in cells]
    for i, values in enumerate(zip(*(cells[name] for name in present), strict=True)):
        bad = {name for name in present if (i, name) in check.bad_cells}
        row = dict(zip(present, values, strict=True))
        for name, problem, remedy in _outcome_gaps(row, bad):
            check.fault(i, name, problem, remedy)


def _outcome_gaps(row: Mapping[str, Any], bad: Set[str]) -> list[tuple[str, str, str]]:
    """Return (column, problem, remedy) for what keeps a row from being an effect.

    Columns in `bad` hold a fault that is noted already.
    """
    if "y" in bad:
        return []
    if row.get("y") is not None:
        return [] if bad & set(SPREAD) else _spread_gaps(row)
    arms = [name for name in ARMS if name in row]
    gaps = [name for name in arms if row[name] is None and not _is_told(name, row, bad)]
    if "y" in row and all(row[name] is None for name in arms) and not bad & set(row):
        return [("y", "is missing", "give y with v, se or CI, or all six arm columns")]
    return [
        (name, "is missing", f"fill it in, give {INSTEAD}, or leave the row out")
        if name.startswith("sd_")
        else (name, "is missing", "fill it in, or leave the row out")
        for name in gaps
    ]


def _is_told(name: str, row: Mapping[str, Any], bad: Set[str]) -> bool:
    """Return whether a fault that is noted already, or will be, explains a gap."""
    kind, _, side = name.partition("_")
    if name in bad or kind == "n":
        return name in bad
    if bad & {f"{part}_{side}" for part in SUMMARIES}:
        return True
    stopped = row.get(f"n_{side}") is None or f"mean_{side}" in bad
    return stopped and bool(sources(name, row))


def _spread_gaps(row: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    low, high = row.get("ci_low"), row.get("ci_high")
    if low is None or high is None:
        whole = row.get("v") or row.get("se")
        return [] if whole else [("y", "comes without its spread", "give v, se or the 95% CI")]
    if low >= high:
        return [("ci_low", "is not below the interval's upper end", "swap or correct them")]
    if not low <= row["y"] <= high:
        return [("y", f"lies outside its interval, {low:g} to {high:g}", "correct one of them")]
    return []
