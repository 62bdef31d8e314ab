"""Cells as read to a checked table, or one error with every fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from bayesma.cells import as_column, is_missing
from bayesma.errors import Fault, SpecError, TableError, did_you_mean
from bayesma.schema import COLUMNS
from bayesma.table.checker import Checker
from bayesma.table.headers import map_headers, require_columns
from bayesma.table.noun import StudyTable
from bayesma.table.parsing import Reading, own_columns, parse_columns
from bayesma.table.rows import check_clock, check_outcomes, check_unique
from bayesma.table.settling import settle_doses, settle_durations
from bayesma.table.summaries import fill_arms
from bayesma.units import DAYS_PER_UNIT, RANGES, Ranges

__all__ = ["require_outcomes", "validated"]


def validated(
    raw: pd.DataFrame,
    source: str,
    rows: Sequence[str],
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    outcomes: bool = True,
    ragged: Mapping[int, Fault] | None = None,
    ranges: Ranges = "refuse",
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
        Unit of bare numbers in duration columns, e.g. ``{"delay": "h"}``; days otherwise, which
        is noted, and refused beside cells that name their unit.
    outcomes : bool
        Whether rows must carry effects; False for tables of covariates only.
    ragged : mapping, optional
        Position of rows that cannot be trusted to the reader's fault about them.
    ranges : {"refuse", "midpoint"}
        What is done with ranges of durations and doses ("1-2 h").

    Returns
    -------
    StudyTable
        Its notes count what was converted or read as missing.

    Raises
    ------
    TableError
        With one fault per line.
    SpecError
        If `units` names a column that is no duration, or an unknown unit; or `ranges` is unknown.
    """
    reading = _reading(units or {}, ranges)
    check = Checker(raw, rows, ragged)
    if not len(raw):
        check.fault(None, None, "the table has no rows", "check the file")
    map_headers(check, columns or {})
    complete = require_columns(check, outcomes)
    cells = parse_columns(check, reading)
    settle_durations(check, cells, reading.units)
    settle_doses(check, cells)
    fill_arms(check, cells)
    given = cells.pop("row_id", [None] * len(rows))
    names = [name or label for name, label in zip(given, rows, strict=True)]
    check_unique(check, names)
    check_clock(check, cells)
    if outcomes and complete:
        check_outcomes(check, cells)
    own = own_columns(check)
    if faults := check.faults():
        raise TableError(source, faults)
    everything = {"row_id": names} | {name: cells[name] for name in COLUMNS if name in cells} | own
    frame = pd.DataFrame({name: as_column(name, list(v)) for name, v in everything.items()})
    told = {sd: {names[i]: why for i, why in at.items()} for sd, at in check.sd_sources.items()}
    return StudyTable(frame, source, dict(check.names), tuple(rows), tuple(check.notes), told)


def _reading(units: Mapping[str, str], ranges: Ranges) -> Reading:
    durations = [name for name, column in COLUMNS.items() if column.kind == "duration"]
    for name, unit in units.items():
        if name not in durations:
            raise SpecError(f"units: '{name}' is no duration; {did_you_mean(name, durations)}")
        if unit not in DAYS_PER_UNIT:
            raise SpecError(f"units: {name} in '{unit}'; {did_you_mean(unit, list(DAYS_PER_UNIT))}")
    if ranges not in RANGES:
        raise SpecError(f"ranges: '{ranges}' is unknown; {did_you_mean(ranges, RANGES)}")
    return Reading(units, ranges)


def require_outcomes(table: StudyTable) -> None:
    """Check that every row of a table carries an effect, for one read without that check.

    Raises
    ------
    TableError
        With one fault per line.
    """
    known = {name: table.names.get(name, name) for name in COLUMNS if name in table.frame}
    raw = table.frame.rename(columns=known)
    check = Checker(raw, table.rows or [str(label) for label in table.frame.index])
    check.names = known
    if require_columns(check, outcomes=True):
        check_outcomes(
            check,
            {
                name: [None if is_missing(cell) else cell for cell in table.frame[name].tolist()]
                for name in known
            },
        )
    if faults := check.faults():
        raise TableError(table.source, faults)
