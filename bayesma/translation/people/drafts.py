"""Cells of a table of human results, read before any of them is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import pandas as pd

from bayesma.cells import as_text, is_missing, not_known
from bayesma.errors import Fault, TableError, did_you_mean, nearest
from bayesma.schema import COLUMNS
from bayesma.table.checker import Checker
from bayesma.table.parsing import note_words
from bayesma.translation.pathway.species import SPECIES, species_of
from bayesma.translation.people.rows import EFFECT, NUMBERS, SPECS, STEPS, Row, Z, read_row

__all__ = ["Draft", "counted", "draft_of"]

# Likeness from which an unknown header is a typo.
TYPO = 0.8
# Rounding of print makes no larger difference between a standard error and its interval.
DISAGREE = 1.2


@dataclass(frozen=True)
class Draft:
    """A table of human results, with what is wrong in it and what it lacks.

    Attributes
    ----------
    frame : pandas.DataFrame
        Every row of the table; None or NaN where a cell is missing or faulty.
    source : str
    rows : tuple of str
        Row names for messages.
    wrong, gaps : Checker
        Cells that must be mended; cells that are missing, for which a row may be left out.
    notes : tuple of str
    leave_out : bool
        Whether rows with gaps are left out, and counted, rather than refused.
    """

    frame: pd.DataFrame
    source: str
    rows: tuple[str, ...]
    wrong: Checker
    gaps: Checker
    notes: tuple[str, ...]
    leave_out: bool

    def assigned(self, columns: Mapping[str, list[Any]]) -> Draft:
        """Return the draft with columns as a fit knows them."""
        return replace(self, frame=self.frame.assign(**columns))

    def settled(self) -> Draft:
        """Return the rows that can stay, with notes on the others.

        Raises
        ------
        TableError
            With every fault.
        """
        found = list(self.wrong.found)
        if not self.leave_out:
            found += self.gaps.found
        out = {place for place, _ in self.gaps.found}
        if not found and len(out) == len(self.frame):
            found = [*self.gaps.found, (-1, Fault("no row is left", "mend the rows"))]
        if found:
            raise TableError(self.source, [f for _, f in sorted(found, key=lambda pair: pair[0])])
        stay = [i for i in range(len(self.frame)) if i not in out]
        frame = self.frame.iloc[stay].reset_index(drop=True)
        rows = tuple(self.rows[i] for i in stay)
        # A record that was checked before has told its steps.
        steps = _notes(frame) if STEPS[0] in frame else []
        notes = (*self.notes, *self._left_out(), *steps)
        frame = frame.drop(columns=STEPS, errors="ignore")
        return replace(self, frame=frame, rows=rows, notes=notes)

    def _left_out(self) -> list[str]:
        """Return a sentence for each column whose gaps cost rows."""
        by_column: dict[str, list[str]] = {}
        for place, fault in self.gaps.found:
            name = str(self.frame["row_id"].iloc[place])
            by_column.setdefault(str(fault.column), []).append(name)
        return [
            counted(f"left out, no {column}", names, len(self.frame))
            for column, names in by_column.items()
        ]


def counted(what: str, names: list[str], total: int) -> str:
    """Return a note on some rows, which names them."""
    return f"human evidence: {what}: {len(names)} of {total} rows ({', '.join(names)})"


def draft_of(
    raw: pd.DataFrame,
    source: str,
    rows: tuple[str, ...],
    names: Mapping[str, str],
    sd: float | Mapping[str, float] | None,
    leave_out: bool,
) -> Draft:
    """Return the table with every cell read.

    Parameters
    ----------
    raw : pandas.DataFrame
        With the headers of its source.
    source : str
    rows : tuple of str
    names : mapping of str to str
        Canonical column to header, where they differ by more than case and spaces.
    sd : float or mapping of str to float, optional
        Standard deviation of outcomes on another scale; by study.
    leave_out : bool
    """
    wrong, gaps = Checker(raw, rows), Checker(raw, rows)
    _map_headers(wrong, names)
    gaps.names = wrong.names
    if not len(raw):
        wrong.fault(None, None, "the table has no rows", "check the file")
    for name in ("study", "y"):
        if name not in wrong.names:
            wrong.fault(None, name, "is missing", "add it")
    cells = {
        # A header that stands twice is a fault; its first column is read for theirs.
        name: raw.iloc[:, wrong.headers.index(header)].tolist()
        for name, header in wrong.names.items()
        if name in SPECS
    }
    sd = _checked_sd(wrong, sd, cells.get("study", []))
    found = [read_row(wrong, gaps, i, cells, sd) for i in range(len(raw))]
    _check_unique(wrong, found)
    for name, column in cells.items():
        note_words(wrong, name, column, not_known)
    canonical = {header: name for name, header in wrong.names.items()}
    others = {
        canonical.get(header, header): wrong.raw[header].tolist()
        for header in wrong.headers
        if canonical.get(header, header) not in SPECS and wrong.headers.count(header) == 1
    }
    _check_people(wrong, others)
    frame = pd.DataFrame(found).assign(**others)
    if not found:
        raise TableError(source, [fault for _, fault in wrong.found])
    frame = frame.astype(dict.fromkeys((*NUMBERS, "delay", "start", "sd", "spread"), float))
    notes = tuple(f"human evidence: {note}" for note in wrong.notes)
    if sd is not None and not any(row["divided"] for row in found):
        notes += ("human evidence: sd= is given, and no row is on another scale",)
    return Draft(frame, source, rows, wrong, gaps, notes, leave_out)


def _map_headers(check: Checker, names: Mapping[str, str]) -> None:
    """Find the columns by their names up to case and spaces; refuse what looks like a typo."""
    check.names = {name: header for name, header in names.items() if header in check.headers}
    free = [header for header in check.headers if header not in check.names.values()]
    for header in free:
        name = "_".join(header.lower().split())
        known = name in SPECS or name in COLUMNS
        if known and (name in check.names or check.headers.count(header) > 1):
            check.fault(None, header, f"reads as '{name}', and so does another", "rename one")
        elif known:
            check.names[name] = header
    for header in free:
        name = "_".join(header.lower().split())
        absent = [one for one in SPECS if one not in check.names]
        near = None if name in (*SPECS, *COLUMNS) else nearest(name, absent, TYPO)
        if near is not None:
            problem = f"is not a known column; did you mean '{near}'?"
            check.fault(None, header, problem, f"rename it to '{near}', or to something else")


def _checked_sd(check: Checker, sd: Any, studies: list[Any]) -> Any:
    """Return the stated SD; 1 stands for one that is told as a fault, so that the rest is read."""
    known = sorted({as_text(cell) for cell in studies if not is_missing(cell)})
    given = sd if isinstance(sd, Mapping) else {} if sd is None else {"": sd}
    found = {}
    for study, value in given.items():
        if study and study not in known:
            check.fault(None, None, f"sd: no study '{study}'", did_you_mean(study, known))
        number = isinstance(value, Real) and not isinstance(value, bool)
        usable = number and math.isfinite(value) and value > 0
        if not usable:
            said = f"sd = {value!r} is no standard deviation"
            check.fault(None, None, said, "state a positive number, in the unit of y")
        found[study] = value if usable else 1.0
    return found.get("") if sd is not None and not isinstance(sd, Mapping) else found or None


def _check_people(check: Checker, others: Mapping[str, Any]) -> None:
    """Refuse rows that say they are of another species."""
    for i, cell in enumerate(others.get("species", [])):
        if is_missing(cell) or not_known(cell):
            continue
        try:
            people = species_of(as_text(cell)) is SPECIES["human"]
        except ValueError:
            people = False
        if not people:
            check.fault(i, "species", "is not human", "keep animals out of the human evidence")


def _check_unique(check: Checker, found: list[Row]) -> None:
    first: dict[str, int] = {}
    for i, row in enumerate(found):
        name = row["row_id"]
        if name in first:
            place = f"already stands in row {check.rows[first[name]]}"
            check.fault(i, "row_id", place, "give every row its own id")
        first.setdefault(name, i)


def _notes(frame: pd.DataFrame) -> list[str]:
    """Return what was done to the rows."""
    sds = frame.loc[frame["divided"].astype(bool), "sd"].unique()
    stated = ", ".join(f"{value:g}" for value in sorted(sds))
    told = [
        (f"divided by a stated SD ({stated})", frame["divided"]),
        ("direction -1, turned so that a benefit is positive", frame["turned"]),
        ("no unit, taken as an effect in the fit's own measure", frame["unnamed"]),
        ("se and interval disagree by more than a fifth, se is used", _disagree(frame)),
        ("no interval: it has a position, and updates nothing", frame["spread"].isna()),
    ]
    return [
        counted(what, frame.loc[where.astype(bool), "row_id"].tolist(), len(frame))
        for what, where in told
        if where.any()
    ]


def _disagree(frame: pd.DataFrame) -> pd.Series[bool]:
    """Return which effects have an interval that is not that of their standard error.

    The interval of a half-life is one of its logarithm, and goes before se.
    """
    ratio = (frame["ci_high"] - frame["ci_low"]) / (2 * Z * frame["spread"])
    return (frame["quantity"] == EFFECT) & ((ratio > DISAGREE) | (ratio < 1 / DISAGREE))
