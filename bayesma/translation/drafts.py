"""Cells of a table of human results, read before any of them is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bayesma.cells import as_text, is_missing, not_known
from bayesma.errors import Fault, TableError, did_you_mean, nearest
from bayesma.measures import MEASURES
from bayesma.schema import COLUMNS, Column
from bayesma.table.checker import Checker
from bayesma.table.parsing import Reading, note_words, read_cell
from bayesma.translation.species import SPECIES, species_of
from bayesma.units import DAYS_PER_UNIT

__all__ = ["HALF_LIFE", "STANDARDISED", "Z", "Draft", "counted", "draft_of"]

EFFECT, HALF_LIFE = "effect", "half_life"
# Measures that are effects in units of a standard deviation.
STANDARDISED = ("SMD", "SMDH")
# Half the width of a 95% interval in standard errors.
Z = 1.959963984540054
# Likeness from which an unknown header is a typo.
TYPO = 0.8
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
_NUMBERS = ("y", "v", "se", "ci_low", "ci_high")
_TRAILING_UNIT = re.compile(r"[A-Za-z]+$")

# What is only counted on the way.
STEPS = ["turned", "divided", "unnamed"]

Row = dict[str, Any]


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
        name: wrong.raw[header].iloc[:, 0].tolist()
        if wrong.headers.count(header) > 1
        else wrong.raw[header].tolist()
        for name, header in wrong.names.items()
        if name in SPECS
    }
    _check_sd(wrong, sd, cells.get("study", []))
    found = [_row(wrong, gaps, i, cells, sd) for i in range(len(raw))]
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
    if found:
        frame = frame.astype(dict.fromkeys((*_NUMBERS, "delay", "start", "sd", "spread"), float))
    notes = tuple(f"human evidence: {note}" for note in wrong.notes)
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


def _check_sd(check: Checker, sd: Any, studies: list[Any]) -> None:
    known = sorted({as_text(cell) for cell in studies if not is_missing(cell)})
    given = sd if isinstance(sd, Mapping) else {} if sd is None else {"": sd}
    for study, value in given.items():
        if study and study not in known:
            check.fault(None, None, f"sd: no study '{study}'", did_you_mean(study, known))
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and value > 0):
            said = f"sd = {value!r} is no standard deviation"
            check.fault(None, None, said, "state a positive number, in the unit of y")


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


def _row(
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
        for name in _NUMBERS:
            spec = Column(name, "duration", SPECS[name].doc, low=0, open_low=True)
            told[name] = read(name, spec, unit)
        told["unit"] = "d"
        _check_half_life(wrong, i, told)
    else:
        told |= {name: read(name) for name in _NUMBERS}
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
    if any((i, name) in check.bad_cells for name in _NUMBERS):
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
        wrong.fault(i, "sd", "has nothing to divide: y is an SMD", "empty the cell, or mend unit")
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


def _notes(frame: pd.DataFrame) -> list[str]:
    """Return what was done to the rows."""
    sds = frame.loc[frame["divided"].astype(bool), "sd"].unique()
    stated = ", ".join(f"{value:g}" for value in sorted(sds))
    told = [
        (f"divided by a stated SD ({stated})", frame["divided"]),
        ("direction -1, turned so that a benefit is positive", frame["turned"]),
        ("no unit, taken as an effect in the fit's own measure", frame["unnamed"]),
        ("no interval: it has a position, and updates nothing", frame["spread"].isna()),
    ]
    return [
        counted(what, frame.loc[where.astype(bool), "row_id"].tolist(), len(frame))
        for what, where in told
        if where.any()
    ]
