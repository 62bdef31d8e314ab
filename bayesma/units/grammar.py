"""What durations and doses share: numbers, ranges, refusals."""

from __future__ import annotations

import re
from typing import Literal, get_args

from bayesma.errors import BayesmaError, did_you_mean

__all__ = [
    "NUMBER",
    "PLAIN",
    "RANGES",
    "TO",
    "Ranges",
    "UnitError",
    "check_ranges",
    "refuse_inexact",
]

# What is done with "1-2 h".
Ranges = Literal["refuse", "midpoint"]
RANGES: tuple[str, ...] = get_args(Ranges)

# ASCII digits only: float() reads digits of any script, and underscores between them.
PLAIN = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
NUMBER = rf"[+-]?{PLAIN}(?:[eE][+-]?[0-9]+)?"
# Between the ends of a range: hyphen, en dash, em dash, minus, or the word.
TO = r"(?:\s*[-\u2013\u2014\u2212]\s*|\s+to\s+)"

_INEXACT = re.compile(
    r"[~\u2248<>\u2264\u2265]|\b(?:about|approx\w*|around|ca|circa|at (?:least|most)|up to"
    r"|(?:less|more) than|over|under|within)\b",
    re.IGNORECASE,
)
_COMMA = re.compile(r"[0-9],[0-9]")


class UnitError(BayesmaError):
    """A quantity that cannot be read without guessing.

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


def check_ranges(ranges: str) -> None:
    """Refuse an unknown way of reading ranges."""
    if ranges not in RANGES:
        raise UnitError(ranges, f"is no way of reading a range; {did_you_mean(ranges, RANGES)}")


def refuse_inexact(text: object) -> None:
    """Refuse what is not exact, or may be another number."""
    if _INEXACT.search(str(text)):
        raise UnitError(text, "is not exact; write the one number that is to be used")
    if _COMMA.search(str(text)):
        raise UnitError(text, "has a comma; write a decimal point and no separator of thousands")
