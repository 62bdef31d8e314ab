"""What goes wrong, in words: every error names its subject and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "BayesmaError",
    "ConvergenceWarning",
    "DataError",
    "ExtrapolationWarning",
    "Fault",
    "QueryError",
    "RatioWarning",
    "SpecError",
    "SpreadWarning",
    "SuspectDataWarning",
    "TableError",
    "UnseenLevelError",
    "did_you_mean",
    "nearest",
]

# Longer cells are cut in messages: a fault stays one readable line.
LONGEST_VALUE = 60


class BayesmaError(ValueError):
    """Anything bayesma refuses; the message says why and what to do."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a table.

    Attributes
    ----------
    problem, remedy : str
        What is wrong, and what to do about it.
    row : str, optional
        Row as a spreadsheet numbers it (the header is row 1), or a DataFrame's index label.
    column, value : str, optional
        The column's name in the user's own file, and the cell as it stands there.
    """

    problem: str
    remedy: str
    row: str | None = None
    column: str | None = None
    value: str | None = None

    def sentence(self, source: str) -> str:
        """Return the fault as one line."""
        place = [source]
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"column '{self.column}'")
        cell = "" if self.value is None else f" '{_shortened(self.value)}'"
        text = f"{', '.join(place)}:{cell} {self.problem}; {self.remedy}"
        return " ".join(text.splitlines())


def _shortened(value: str) -> str:
    return value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}..."


class TableError(BayesmaError):
    """Every fault of one table, one line each.

    Attributes
    ----------
    source : str
        The file, or "DataFrame".
    faults : tuple of Fault
        All of them, in the order of the rows.
    """

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        self.source = source
        self.faults = tuple(faults)
        super().__init__("\n".join(fault.sentence(source) for fault in self.faults))

    def __reduce__(self) -> tuple[type[TableError], tuple[str, tuple[Fault, ...]]]:
        """Rebuild from its parts, so that it crosses process boundaries whole."""
        return type(self), (self.source, self.faults)


class SpecError(BayesmaError):
    """A model specification that cannot be, by itself or with this table."""


class DataError(BayesmaError):
    """A dataset that is unknown or not at hand."""


class QueryError(BayesmaError):
    """A question the fit cannot answer."""


class UnseenLevelError(QueryError):
    """A level of a covariate that the data do not hold."""


class ConvergenceWarning(UserWarning):
    """The sampler has not converged: the answers are not answers yet."""


class ExtrapolationWarning(UserWarning):
    """The question lies outside the delays of the data."""


class RatioWarning(UserWarning):
    """A ratio has a denominator that may be 0: it is no size of anything."""


class SpreadWarning(UserWarning):
    """Arms differ in SD and size, so that effects depend on which arm is the larger."""


class SuspectDataWarning(UserWarning):
    """The table can be read, but what it says is unlikely: look at it again."""


def nearest(name: object, known: Iterable[object], cutoff: float = 0.6) -> str | None:
    """Return the known name most like this one, whatever its case; None if none is like it."""
    original = {str(candidate).lower(): str(candidate) for candidate in known}
    near = difflib.get_close_matches(str(name).lower(), list(original), n=1, cutoff=cutoff)
    return original[near[0]] if near else None


def did_you_mean(name: object, known: Sequence[object]) -> str:
    """Return a clause that suggests the nearest known name, and lists them all."""
    near = nearest(name, known)
    hint = "" if near is None else f"did you mean '{near}'? "
    return f"{hint}known: {', '.join(map(str, known)) or 'none'}"
