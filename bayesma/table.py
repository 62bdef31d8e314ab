"""StudyTable: the validated noun. Every fault of a table is found before any is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bayesma.cells import (
    as_column,
    as_text,
    is_missing,
    listed,
    number_remedy,
    own_column,
    plain_number,
    range_fault,
)
from bayesma.errors import Fault, SpecError, TableError, did_you_mean, nearest
from bayesma.schema import ARMS, COLUMNS, EFFECT, Column
from bayesma.units import DAYS_PER_UNIT, UnitError, duration

__all__ = ["StudyTable", "require_outcomes", "validated"]

# Below this likeness an unknown header is a covariate of the reviewer's own, above it a typo.
TYPO = 0.8
SPREAD = ("v", "se", "ci_low", "ci_high")


@dataclass(frozen=True)
class StudyTable:
    """A checked table of studies: one row per comparison (or per published pooled result).

    Attributes
    ----------
    frame : pandas.DataFrame
        Canonical columns first (durations in days), the reviewer's own after them.
    source : str
        File, or "DataFrame".
    names : dict
        Canonical column name to the name in the file.
    rows : tuple of str
        Row names as the source numbers them.
    notes : tuple of str
        What was converted, read as missing or left out on the way here, with counts.
    """

    frame: pd.DataFrame
    source: str
    names: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    def __repr__(self) -> str:
        """Say what the table holds."""
        studies = self.frame["study"].nunique()
        return f"<StudyTable {self.source}: {len(self)} rows, {studies} studies>"


def _is_kin(header: str, name: str) -> bool:
    """Return whether one is made of whole words of the other: control, dose_norm; no typo."""
    words, known = set(header.split("_")), set(name.split("_"))
    return words <= known or known <= words


class _Checker:
    """Collects the faults of one table while it is turned into canonical columns."""

    def __init__(
        self,
        raw: pd.DataFrame,
        rows: Sequence[str],
        units: Mapping[str, str],
        ragged: Mapping[int, Fault],
    ) -> None:
        self.headers = [str(header) for header in raw.columns]
        self.raw = raw.set_axis(self.headers, axis=1)
        self.rows = rows
        self.units = units
        self.ragged = ragged
        self.names: dict[str, str] = {}
        # Canonical columns that stand more than once: there, but not to be read.
        self.doubled: set[str] = set()
        # Faults with the position of their row: -1 for a column or the table.
        self.found = [*ragged.items()]
        self.bad_cells: set[tuple[int, str]] = set()

    def fault(self, row: int | None, name: str | None, problem: str, remedy: str) -> None:
        """Note a fault of a cell, a column (no row) or the table (neither)."""
        header = None if name is None else self.names.get(name, name)
        if row is None:
            self.found.append((-1, Fault(problem, remedy, None, header)))
        elif row not in self.ragged:  # its cells may stand under the wrong headers
            self.bad_cells.add((row, name or ""))
            self.found.append(
                (row, Fault(problem, remedy, self.rows[row], header, self._written(row, header)))
            )

    def _written(self, row: int, header: str | None) -> str | None:
        """Return a cell as it stands; None if it is blank."""
        if header not in self.headers:
            return None
        cell = self.raw[header].iloc[row]
        said = isinstance(cell, str) and cell.strip()
        return None if is_missing(cell) and not said else str(cell)

    def faults(self) -> list[Fault]:
        """Return every fault: the table's, the columns', then row by row."""
        return [fault for _, fault in sorted(self.found, key=lambda pair: pair[0])]

    # -- headers ---------------------------------------------------------------------------

    def map_headers(self, columns: Mapping[str, str]) -> None:
        """Decide which header holds which canonical column."""
        doubled = {header for header, count in Counter(self.headers).items() if count > 1}
        for header in sorted(doubled):
            self.fault(None, header, "stands more than once", "rename one of them")
        self.doubled = {_canonical(header) for header in doubled} & set(COLUMNS)
        for name, header in columns.items():
            self._map_explicitly(name, str(header), doubled)
        free = [h for h in self.headers if h not in doubled | set(self.names.values())]
        holders: dict[str, str] = {}
        for header in free:
            name = _canonical(header)
            if name in COLUMNS and name not in columns:
                if name in holders:
                    self.fault(
                        None,
                        header,
                        f"reads as '{name}', and so does '{holders[name]}'",
                        "rename one of them",
                    )
                holders.setdefault(name, header)
        self.names |= holders
        self._refuse_typos([h for h in free if _canonical(h) not in COLUMNS])

    def _map_explicitly(self, name: str, header: str, doubled: Collection[str]) -> None:
        near = None if name in COLUMNS or name == header else nearest(name, COLUMNS, TYPO)
        if near is not None:
            problem = f"is mapped to '{name}', which is not a known column"
            self.fault(None, header, problem, f"did you mean '{near}'?")
        elif header not in self.headers:
            like = nearest(header, self.headers)
            hint = "" if like is None else f"; the nearest is '{like}'"
            remedy = f"correct the mapping of '{name}'"
            self.fault(None, header, f"is not in the table{hint}", remedy)
        elif header not in doubled:
            self.names[name] = header

    def _refuse_typos(self, extras: Iterable[str]) -> None:
        for header in extras:
            absent = [name for name in COLUMNS if name not in self.names]
            near = nearest(_canonical(header), absent, TYPO)
            if near is not None and not _is_kin(_canonical(header), near):
                keep = f"keep it with columns={{'{header}': '{header}'}}"
                problem = f"is not a known column; did you mean '{near}'?"
                self.fault(None, header, problem, f"rename it to '{near}', or {keep}")
                # Said once is enough: the column it stands for is not called missing as well.
                self.names[near] = header

    def require_columns(self, outcomes: bool) -> bool:
        """Note the columns without which the table says nothing; return whether all are there."""
        needed = [name for name, column in COLUMNS.items() if column.required]
        if outcomes:
            needed += self._outcome_columns()
        gaps = [name for name in needed if name not in self.names]
        for name in gaps:
            if name in self.doubled:
                continue
            like = nearest(name, [h for h in self.headers if h not in self.names.values()])
            hint = "" if like is None else f"; the nearest is '{like}'"
            remedy = f"add it, or map yours with columns={{'{name}': ...}}"
            self.fault(None, name, f"is missing{hint}", remedy)
        return not gaps and not self.doubled

    def _outcome_columns(self) -> list[str]:
        present = set(self.names) | self.doubled
        if "y" in present:
            spread = present & {"v", "se"} or {"ci_low", "ci_high"} <= present
            return [] if spread or present.issuperset(ARMS) else ["v"]
        return list(ARMS)

    # -- cells -----------------------------------------------------------------------------

    def column(self, name: str) -> list[Any]:
        """Return one canonical column, parsed; faults are noted, their cells left missing."""
        spec = COLUMNS[name]
        cells = self.raw[self.names[name]].tolist()
        return [self._cell(spec, i, cell) for i, cell in enumerate(cells)]

    def _cell(self, spec: Column, row: int, cell: Any) -> Any:
        if is_missing(cell):
            if spec.required:
                self.fault(row, spec.name, "is missing", "fill it in")
            return None
        if spec.kind == "text":
            return self._text(spec, row, cell)
        return self._number(spec, row, cell)

    def _text(self, spec: Column, row: int, cell: Any) -> str | None:
        text = as_text(cell)
        if spec.levels and text.lower() not in spec.levels:
            self.fault(row, spec.name, "is not one of its levels", f"use {listed(spec.levels)}")
            return None
        return text.lower() if spec.levels else text

    def _number(self, spec: Column, row: int, cell: Any) -> float | None:
        try:
            if spec.kind == "duration":
                number = duration(cell, self.units.get(spec.name, "d"))
            else:
                number = plain_number(cell)
        except UnitError as error:
            self.fault(row, spec.name, error.reason, "write e.g. '30 min', '24 h' or '7 d'")
            return None
        except ValueError as error:
            self.fault(row, spec.name, str(error), number_remedy(cell))
            return None
        problem, remedy = range_fault(spec, number)
        if problem:
            self.fault(row, spec.name, problem, remedy)
            return None
        return number

    # -- rows ------------------------------------------------------------------------------

    def check_unique(self, names: Sequence[str]) -> None:
        """Note row ids that stand twice."""
        own = "row_id" in self.names
        remedy = "give every row its own id" if own else "add a column row_id, or reset the index"
        first: dict[str, int] = {}
        for i, name in enumerate(names):
            if name in first:
                place = f"in row {self.rows[first[name]]}" if own else "above"
                self.fault(i, "row_id", f"already stands {place}", remedy)
            first.setdefault(name, i)

    def check_clock(self, cells: Mapping[str, Sequence[Any]]) -> None:
        """Note rows whose delay contradicts their exposure."""
        if not {"delay", "exposure"} <= set(cells):
            return
        for i, (delay, exposure) in enumerate(zip(cells["delay"], cells["exposure"], strict=True)):
            if exposure == "on" and delay is not None and delay > 0:
                problem = "is positive though exposure is 'on'"
                self.fault(i, "delay", problem, "write 0 while exposed, or exposure 'off'")

    def check_outcomes(self, cells: Mapping[str, Sequence[Any]]) -> None:
        """Note rows that carry neither whole arms nor an effect with its spread."""
        present = [name for name in (*ARMS, *EFFECT) if name in cells]
        for i, values in enumerate(zip(*(cells[name] for name in present), strict=True)):
            bad = {name for name in present if (i, name) in self.bad_cells}
            for name, problem, remedy in _outcome_gaps(
                dict(zip(present, values, strict=True)), bad
            ):
                self.fault(i, name, problem, remedy)


def _canonical(header: str) -> str:
    return "_".join(header.lower().split())


def _outcome_gaps(row: Mapping[str, Any], bad: Set[str]) -> list[tuple[str, str, str]]:
    """Return (column, problem, remedy) for what keeps a row from being an effect.

    Columns in `bad` hold a fault that is noted already.
    """
    if "y" in bad:
        return []
    if row.get("y") is not None:
        return [] if bad & set(SPREAD) else _spread_gaps(row)
    arms = [name for name in ARMS if name in row]
    gaps = [name for name in arms if row[name] is None and name not in bad]
    if "y" in row and all(row[name] is None for name in arms) and not bad & set(arms):
        return [("y", "is missing", "give y with v, se or CI, or all six arm columns")]
    return [(name, "is missing", "fill it in, or leave the row out") for name in gaps]


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


def validated(
    raw: pd.DataFrame,
    source: str,
    rows: Sequence[str],
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    outcomes: bool = True,
    ragged: Mapping[int, Fault] | None = None,
) -> StudyTable:
    """Return the checked table, or raise one TableError with every fault in it.

    Parameters
    ----------
    raw : pandas.DataFrame
        Cells as read, text or values; shape (rows, columns).
    source : str
        Name for messages.
    rows : sequence of str
        Row names for messages, as long as `raw`.
    columns : mapping, optional
        Canonical name to the table's own. A column of the table that has the canonical name
        already gives way.
    units : mapping, optional
        Unit of bare numbers in duration columns, e.g. ``{"delay": "h"}``; days otherwise.
    outcomes : bool
        Whether rows must carry effects; False for tables of covariates only.
    ragged : mapping, optional
        Position of rows that cannot be trusted to the reader's fault about them.

    Returns
    -------
    StudyTable

    Raises
    ------
    TableError
        With one fault per line.
    SpecError
        If `units` names a column that is no duration, or an unknown unit.
    """
    _check_units(units or {})
    check = _Checker(raw, rows, units or {}, ragged or {})
    if not len(raw):
        check.fault(None, None, "the table has no rows", "check the file")
    check.map_headers(columns or {})
    complete = check.require_columns(outcomes)
    cells = {name: check.column(name) for name in COLUMNS if name in check.names}
    given = cells.get("row_id", [None] * len(rows))
    names = [name or label for name, label in zip(given, rows, strict=True)]
    check.check_unique(names)
    check.check_clock(cells)
    if outcomes and complete:
        check.check_outcomes(cells)
    if faults := check.faults():
        raise TableError(source, faults)
    everything = {"row_id": names, **{n: v for n, v in cells.items() if n != "row_id"}}
    everything |= _own_columns(check)
    frame = pd.DataFrame({name: as_column(name, list(v)) for name, v in everything.items()})
    return StudyTable(frame, source, dict(check.names), tuple(rows))


def _check_units(units: Mapping[str, str]) -> None:
    durations = [name for name, column in COLUMNS.items() if column.kind == "duration"]
    for name, unit in units.items():
        if name not in durations:
            raise SpecError(f"units: '{name}' is no duration; {did_you_mean(name, durations)}")
        if unit not in DAYS_PER_UNIT:
            raise SpecError(f"units: {name} in '{unit}'; {did_you_mean(unit, list(DAYS_PER_UNIT))}")


def _own_columns(check: _Checker) -> dict[str, list[Any]]:
    """Return the columns that are not canonical, under the names the mapping gives them."""
    taken = set(check.names.values())
    own = {name: header for name, header in check.names.items() if name not in COLUMNS}
    free = [h for h in check.headers if h not in taken and h not in check.names]
    own |= {header: header for header in free}
    return {name: own_column(check.raw[header].tolist()) for name, header in own.items()}


def require_outcomes(table: StudyTable) -> None:
    """Check that every row of a table carries an effect, for one read without that check.

    Raises
    ------
    TableError
        With one fault per line.
    """
    known = {name: table.names.get(name, name) for name in COLUMNS if name in table.frame}
    raw = table.frame.rename(columns=known)
    check = _Checker(raw, table.rows or [str(label) for label in table.frame.index], {}, {})
    check.names = known
    if check.require_columns(outcomes=True):
        present = [name for name in (*ARMS, *EFFECT) if name in known]
        check.check_outcomes(
            {
                name: [None if is_missing(cell) else cell for cell in table.frame[name].tolist()]
                for name in present
            }
        )
    if faults := check.faults():
        raise TableError(table.source, faults)
