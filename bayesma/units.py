"""Durations in days.

The grammar is closed: one number and one unit. Whatever else is written is refused with a
reason, because a string read as another quantity is worse than a string refused.
"""

from __future__ import annotations

import math
import re

from bayesma.errors import BayesmaError

__all__ = ["DAYS_PER_UNIT", "UnitError", "duration"]

_HOUR = 1 / 24
_MINUTE = _HOUR / 60

DAYS_PER_UNIT: dict[str, float] = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), _MINUTE / 60),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), _MINUTE),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), _HOUR),
    **dict.fromkeys(("d", "day", "days"), 1.0),
    **dict.fromkeys(("wk", "wks", "week", "weeks"), 7.0),
}

# ASCII digits only: float() reads digits of any script, and underscores between them.
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_ONE_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z]*)\s*")
_KNOWN = "known units: s, min, h, d, wk"


class UnitError(BayesmaError):
    """A duration that cannot be read without guessing.

    Attributes
    ----------
    reason : str
        What is wrong with it, without the text itself.
    """

    def __init__(self, text: object, reason: str) -> None:
        self.text, self.reason = text, reason
        super().__init__(f"'{text}' {reason}")

    def __reduce__(self) -> tuple[type[UnitError], tuple[object, str]]:
        """Rebuild from its parts, so that it crosses process boundaries whole."""
        return type(self), (self.text, self.reason)


def duration(text: str | float, unit: str = "d") -> float:
    """Return a duration in days.

    Parameters
    ----------
    text : str or float
        "30 min", "24 h", "7 d", "2 wk", or a bare number.
    unit : str
        The unit of a bare number.

    Returns
    -------
    float
        Days.

    Raises
    ------
    UnitError
        If the text is not exactly one number with one known unit.
    """
    if unit not in DAYS_PER_UNIT:
        raise UnitError(unit, f"is not a unit of time; {_KNOWN}")
    match = _ONE_QUANTITY.fullmatch(str(text))
    if match is None:
        raise UnitError(text, "is not one number with one unit")
    number, written = float(match[1]), match[2]
    factor = DAYS_PER_UNIT.get(written or unit)
    if factor is None:
        raise UnitError(text, f"has no known unit of time; {_KNOWN}")
    if not math.isfinite(number):
        raise UnitError(text, "is not finite")
    return number * factor
