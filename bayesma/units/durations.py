"""Durations in days, and what a delay counts from."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from bayesma.units.grammar import (
    NUMBER,
    PLAIN,
    TO,
    Ranges,
    UnitError,
    check_ranges,
    refuse_inexact,
)

__all__ = ["DAYS_PER_UNIT", "Delay", "delay", "duration"]

_HOUR = 1 / 24
_MINUTE = _HOUR / 60

DAYS_PER_UNIT: dict[str, float] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), _MINUTE / 60),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), _MINUTE),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), _HOUR),
    **dict.fromkeys(("d", "day", "days"), 1.0),
    **dict.fromkeys(("wk", "wks", "week", "weeks"), 7.0),
}
# Each unit holds a whole number of the next.
_LADDER = (7.0, 1.0, _HOUR, _MINUTE, _MINUTE / 60)

_ONE = re.compile(rf"({NUMBER})\s*([A-Za-z]*)")
_PART = re.compile(rf"({PLAIN})\s*([A-Za-z]+)")
_SEVERAL = re.compile(
    rf"{PLAIN}\s*[A-Za-z]+(?:(?:\s+and\s+|\s*){PLAIN}\s*[A-Za-z]+)+", re.IGNORECASE
)
_AND = re.compile(r"\sand\s", re.IGNORECASE)
_RANGE = re.compile(rf"({PLAIN})(?:\s*([A-Za-z]+))?{TO}({PLAIN})\s*([A-Za-z]*)")
_AFTER = re.compile(r"(.*?\S)\s+(?:after|following|since|post)[\s-]+(\S.*)", re.I | re.S)

_KNOWN = "known units: s, min, h, d, wk"
_SEVERAL_TOLD = "may be several durations; write one, such as '1 h 30 min'"
_NOT_UNITS = {
    **dict.fromkeys(("m", "M"), "minutes or months?"),
    **dict.fromkeys(("mo", "mos", "month", "months"), "months differ in length: write days"),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), "years differ in length: write days"),
}

_GIVINGS = ("dose", "injection", "administration", "treatment")
_STARTED = ("treatment", "infusion", "dosing")
# Only what names one moment: "after injection" does not say after which.
_EVENTS = {
    **{f"{which} {what}": "last dose" for which in ("last", "final") for what in _GIVINGS},
    **dict.fromkeys(("end of infusion", "end of the infusion"), "end of infusion"),
    **{f"first {what}": "start" for what in _GIVINGS},
    **{f"start of {the}{what}": "start" for the in ("", "the ") for what in _STARTED},
    "start": "start",
}


@dataclass(frozen=True)
class Delay:
    """A duration as a text gives it.

    Attributes
    ----------
    days : float
        In days.
    reference : str or None
        What it counts from ("last dose", "end of infusion", "start"), where the text says so.
    midpoint : bool
        Whether `days` is the middle of a range.
    bare : bool
        Whether the text names no unit.
    """

    days: float
    reference: str | None = None
    midpoint: bool = False
    bare: bool = False


def duration(text: str | float | timedelta, unit: str = "d", ranges: Ranges = "refuse") -> float:
    """Return a duration in days.

    Parameters
    ----------
    text : str, float or timedelta
        "30 min", "24 h", "1 hour 30 min", "2 d 4 h", "7 days after last dose", or a bare number.
        Units are written in lower case, or with capitals from two letters on: "Hours", not "H".
    unit : str
        The unit of a bare number.
    ranges : {"refuse", "midpoint"}
        What to do with "1-2 h", "30-60 min", "1 to 2 h".

    Returns
    -------
    float
        Days.

    Raises
    ------
    UnitError
        If the text cannot be read without guessing: months ("m" may be minutes), lists, bounds,
        decimal commas, "after injection" (which one?).
    """
    return delay(text, unit, ranges).days


def delay(text: str | float | timedelta, unit: str = "d", ranges: Ranges = "refuse") -> Delay:
    """Return a duration with what it counts from.

    Parameters
    ----------
    text : str, float or timedelta
        As `duration` takes it; "7 days after last dose" names its reference.
    unit : str
        The unit of a bare number.
    ranges : {"refuse", "midpoint"}
        What to do with "1-2 h".

    Returns
    -------
    Delay

    Raises
    ------
    UnitError
        If the text cannot be read without guessing.
    """
    check_ranges(ranges)
    if unit not in DAYS_PER_UNIT:
        raise UnitError(unit, f"is not a unit of time; {_KNOWN}")
    if isinstance(text, timedelta):
        return Delay(text.total_seconds() / 86400)
    body, reference = _without_reference(text)
    bare = unit if reference is None else ""
    ends = _RANGE.fullmatch(body)
    one = _ONE.fullmatch(body)
    if ends is None or one is not None:  # "1e-2 h" is a number
        return Delay(_exact(text, body, bare), reference, bare=one is not None and not one[2])
    return Delay(_middle(text, ends, bare, ranges), reference, midpoint=True, bare=not ends[4])


def _without_reference(text: object) -> tuple[str, str | None]:
    body = str(text).strip()
    match = _AFTER.fullmatch(body)
    if match is None:
        return body, None
    event = " ".join(match[2].lower().split()).removeprefix("the ")
    if event not in _EVENTS:
        meant = "end of infusion" if "infusion" in event else None
        known = "known: last dose, end of infusion, start of treatment"
        remedy = known if meant is None else f"write '{meant}' if that is meant"
        raise UnitError(text, f"counts from '{event}'; {remedy}")
    return match[1], _EVENTS[event]


def _exact(text: object, body: str, bare: str) -> float:
    if (one := _ONE.fullmatch(body)) is not None:
        number, factor = float(one[1]), _factor(text, one[2] or bare)
        if not math.isfinite(number):
            raise UnitError(text, "is not finite")
        return number * factor
    if _SEVERAL.fullmatch(body):
        return _compound(text, body)
    refuse_inexact(text)
    if len(re.findall(PLAIN, body)) > 1:
        raise UnitError(text, _SEVERAL_TOLD)
    raise UnitError(text, "is not one number with one unit")


def _factor(text: object, unit: str) -> float:
    # "H" and "D" are other units elsewhere; "Hours" and "MIN" are not.
    if len(unit) > 1 and unit in {unit.capitalize(), unit.upper()}:
        unit = unit.lower()
    factor = DAYS_PER_UNIT.get(unit)
    if factor is None:
        why = f" ({_NOT_UNITS[unit]})" if unit in _NOT_UNITS else ""
        small = unit.lower() if unit not in _NOT_UNITS else ""
        other = small != unit and small in DAYS_PER_UNIT
        case = f"; case matters: write '{small}' if that is meant" if other else ""
        raise UnitError(text, f"has no known unit of time{why}; {_KNOWN}{case}")
    return factor


def _compound(text: object, body: str) -> float:
    """Return "1 h 30 min" in days: units fall, and each part is less than one of the unit before.

    Anything else may be a list of times: "24 h 7 d", "1 h 60 min". With "and" between, units must
    be neighbours: "1 h and 30 min".
    """
    parts = [(float(number), _factor(text, unit)) for number, unit in _PART.findall(body)]
    rungs = [_LADDER.index(factor) for _, factor in parts]
    falls = all(
        lower > upper and number * small < large
        for (upper, (_, large)), (lower, (number, small)) in pairwise(
            zip(rungs, parts, strict=True)
        )
    )
    whole = all(number.is_integer() for number, _ in parts[:-1])
    near = not _AND.search(body) or all(b - a == 1 for a, b in pairwise(rungs))
    if not (falls and whole and near):
        raise UnitError(text, _SEVERAL_TOLD)
    return sum(number * factor for number, factor in parts)


def _middle(text: object, ends: re.Match[str], bare: str, ranges: Ranges) -> float:
    factor = _factor(text, ends[4] or bare)
    low = float(ends[1]) * (_factor(text, ends[2]) if ends[2] else factor)
    high = float(ends[3]) * factor
    if not low < high:
        raise UnitError(text, "is not a range that rises")
    if ranges == "refuse":
        raise UnitError(text, "is a range; write one number, or ask for ranges='midpoint'")
    if not math.isfinite(high):
        raise UnitError(text, "is not finite")
    return low / 2 + high / 2
