"""Arms without mean or SD: filled from what the paper prints instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from itertools import pairwise
from typing import Any

import numpy as np

from bayesma.arms import Quantiles, mean_from_quantiles, sd_from_ci, sd_from_quantiles, sd_from_sem
from bayesma.schema import SIDES, SUMMARIES
from bayesma.table.checker import Cells, Checker

__all__ = ["INSTEAD", "fill_arms", "sources", "supplied"]

INSTEAD = "the SEM, the 95% CI of the mean, or the median with quartiles or range"
# Quartiles of fewer values are not quartiles.
LEAST_FOR_QUARTILES = 4
# SDs given in two ways may be rounded, and no more.
DISAGREE = 0.1
CI = "the 95% CI of the mean (Student's t)"
# (low + high - 2 median) / (high - low) where one end is 4 times as far off as the other. Quartiles
# of normal samples of 8, 12 and 20 are that uneven in 9%, 6% and 2%; of lognormal samples of 8
# (sigma 0.8) quartiles are in 15% and ranges in 36%.
SKEWED = 0.6
# Of half an interval's width: rounding moves a mean by less, unless it is printed coarsely.
OFF_CENTRE = 0.25

Row = Mapping[str, Any]


def supplied(present: Set[str]) -> set[str]:
    """Return the means and SDs that columns give, themselves or by another summary."""
    found = set(present)
    for side in SIDES:
        has = {name for name in SUMMARIES if f"{name}_{side}" in present}
        by_median = "median" in has and ({"q1", "q3"} <= has or {"min", "max"} <= has)
        if by_median:
            found.add(f"mean_{side}")
        if by_median or "sem" in has or {"ci_low", "ci_high"} <= has:
            found.add(f"sd_{side}")
    return found


def sources(name: str, row: Row) -> set[str]:
    """Return the cells of a row that a mean or an SD is computed from, n left out."""
    kind, _, side = name.partition("_")
    has = {part for part in SUMMARIES if row.get(f"{part}_{side}") is not None}
    wanted = [{"median", "q1", "q3"}, {"median", "min", "max"}]
    if kind == "sd":
        wanted = [{"sem"}, {"ci_low", "ci_high"}, *wanted]
    return {f"{part}_{side}" for group in wanted if group <= has for part in group}


def fill_arms(check: Checker, cells: Cells) -> None:
    """Fill blank means and SDs; note how many came from where."""
    for side in SIDES:
        known = [name for name in SUMMARIES if f"{name}_{side}" in cells]
        if not known:
            continue
        for name in ("mean", "sd"):
            if f"{name}_{side}" in supplied(set(cells)):
                cells.setdefault(f"{name}_{side}", [None] * len(check.rows))
        _fill_side(check, cells, side, known)


def _fill_side(check: Checker, cells: Cells, side: str, known: Iterable[str]) -> None:
    parts = [name for name in ("mean", "sd", "n", *known) if f"{name}_{side}" in cells]
    columns = [cells[f"{name}_{side}"] for name in parts]
    effects = cells.get("y", [None] * len(check.rows))
    done: Counter[str] = Counter()
    for i, values in enumerate(zip(*columns, strict=True)):
        row = dict(zip(parts, values, strict=True))
        problem, unusable = _contradiction(row), _unusable(row)
        if unusable is not None and effects[i] is None:
            problem = problem or unusable
        if problem is not None:
            check.fault(i, f"{problem[0]}_{side}", *problem[1:])
        elif unusable is None and row.get("n") is not None:
            found = _estimates(row)
            for name, value, source in found:
                cells[f"{name}_{side}"][i] = value
                if name == "sd":
                    check.sd_sources.setdefault(f"sd_{side}", {})[i] = source.format(side)
                done[f"{name}_{side} from {source.format(side)}"] += 1
            done[f"sd_{side}: {_APART}"] += _disagree(row)
            if agreeing := _agreeing(row):
                check.sd_sources.setdefault(f"sd_{side}", {})[i] = agreeing.format(side)
            done[f"median_{side} {_SKEWED}"] += bool(found) and _is_skewed(row, found)
            done[f"mean_{side} {_OFF_CENTRE}"] += bool(found) and _is_off_centre(row, found)
    for text, rows in done.items():
        check.note(text, rows)


_APART = "SD, SEM and CI disagree by more than 10%, taken in this order"
_SKEWED = (
    "over 4 times as far from one end of its quartiles or range as from the other, though the "
    "formulas are for normal data"
)
_OFF_CENTRE = (
    "off the centre of its 95% CI by over a quarter of its half width, though the SD takes it as "
    "symmetric"
)


def _contradiction(row: Row) -> tuple[str, str, str] | None:
    """Return (part, problem, remedy) of summaries that cannot be those of one sample."""
    order = [(name, row.get(name)) for name in ("min", "q1", "median", "q3", "max")]
    present = [(name, value) for name, value in order if value is not None]
    for (lower, small), (upper, large) in pairwise(present):
        if small > large:
            return upper, f"is below {lower} ({small:g})", "swap or correct them"
    low, high = row.get("ci_low"), row.get("ci_high")
    if low is not None and high is not None:
        if low >= high:
            return "ci_low", "is not below the interval's upper end", "swap or correct them"
        mean = row.get("mean")
        if mean is not None and not low <= mean <= high:
            problem = f"lies outside its interval, {low:g} to {high:g}"
            return "mean", problem, "correct one of them"
    return None


def _unusable(row: Row) -> tuple[str, str, str] | None:
    """Return (part, problem, remedy) of a median that would be needed but gives no SD."""
    has = _present(row)
    if "sd" in has or "median" not in has:
        return None
    if {"sem"} <= has or {"ci_low", "ci_high"} <= has or row.get("n") is None:
        return None
    quartiles, ends = {"q1", "q3"} <= has, {"min", "max"} <= has
    if quartiles and row["n"] < LEAST_FOR_QUARTILES and not ends:
        return "q1", f"is a quartile of {row['n']:g} values", "give mean and sd, or the SEM"
    if (quartiles and row["q1"] == row["q3"] and not ends) or (ends and row["min"] == row["max"]):
        return "median", "has no spread around it", "give mean and sd, or the SEM"
    return None


def _present(row: Row) -> set[str]:
    return {name for name, value in row.items() if value is not None}


def _estimates(row: Row) -> list[tuple[str, float, str]]:
    """Return (part, value, source) of the mean and the SD that a row lacks but implies."""
    has, n, found = _present(row), row["n"], []
    given = _quantiles(row)
    spreads = [s for s, there in (("quartiles", given.quartiles), ("range", given.range)) if there]
    source = f"median_{{}} with {' and '.join(spreads)}"
    usable = "median" in has and bool(spreads)
    if "mean" not in has and usable:
        found.append(("mean", float(mean_from_quantiles(given)), f"{source} (Luo 2018)"))
    if "sd" not in has:
        if "sem" in has:
            found.append(("sd", float(sd_from_sem(row["sem"], n)), "sem_{}"))
        elif {"ci_low", "ci_high"} <= has:
            sd = float(sd_from_ci(row["ci_low"], row["ci_high"], n))
            found.append(("sd", sd, CI))
        elif usable:
            formula = "Wan 2014" if len(spreads) == 1 else "Shi 2020"
            found.append(("sd", float(sd_from_quantiles(given)), f"{source} ({formula})"))
    return found


def _quantiles(row: Row) -> Quantiles:
    """Return the quantiles of a row, without quartiles of too few values."""
    few = {"q1", "q3"} if row["n"] < LEAST_FOR_QUARTILES else set()
    return Quantiles.of(
        *(
            np.nan if row.get(name) is None or name in few else row[name]
            for name in ("median", "n", "q1", "q3", "min", "max")
        )
    )


def _is_skewed(row: Row, found: Iterable[tuple[str, float, str]]) -> bool:
    """Return whether an arm computed from its median is far from symmetric."""
    if not any("median" in source for _, _, source in found):
        return False
    given = _quantiles(row)
    ends = ((given.q1, given.q3), (given.low, given.high))
    return any(abs(low + high - 2 * given.median) > SKEWED * (high - low) for low, high in ends)


def _is_off_centre(row: Row, found: Iterable[tuple[str, float, str]]) -> bool:
    """Return whether an SD computed from an interval belongs to a mean far off its centre."""
    if row.get("mean") is None or not any("CI" in source for _, _, source in found):
        return False
    low, high = row["ci_low"], row["ci_high"]
    return bool(abs(low + high - 2 * row["mean"]) > OFF_CENTRE * (high - low))


def _disagree(row: Row) -> bool:
    sds = [sd for _, sd in _sds(row)]
    return any(abs(other - sds[0]) > DISAGREE * sds[0] for other in sds[1:])


def _agreeing(row: Row) -> str:
    """Return what bears out an SD that is given: an SEM or a CI that gives the same; or ""."""
    (first, sd), *others = [*_sds(row), ("", np.nan)]
    if first != "sd_{}":
        return ""
    return next((name for name, other in others if abs(other - sd) <= DISAGREE * sd), "")


def _sds(row: Row) -> list[tuple[str, float]]:
    """Return each SD that a row gives or implies, with its source."""
    has, n, found = _present(row), row["n"], []
    if "sd" in has:
        found.append(("sd_{}", row["sd"]))
    if "sem" in has:
        found.append(("sem_{}", float(sd_from_sem(row["sem"], n))))
    if {"ci_low", "ci_high"} <= has:
        sd = float(sd_from_ci(row["ci_low"], row["ci_high"], n))
        found.append((CI, sd))
    return found
