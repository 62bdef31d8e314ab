"""What is found out about a table on the way: faults, notes, which header holds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bayesma.cells import is_missing
from bayesma.errors import Fault

__all__ = ["Cells", "Checker"]

# Canonical column to its cells, parsed; None where missing or faulty.
Cells = dict[str, list[Any]]


class Checker:
    """Collects the faults and notes of one table while it is turned into canonical columns.

    Attributes
    ----------
    names : dict
        Canonical column to header.
    doubled : set of str
        Canonical columns that stand more than once: there, but not to be read.
    bad_cells : set of (int, str)
        Position and canonical column of the cells with a fault.
    notes : list of str
        What was converted or read as missing, with counts.
    sd_sources : dict
        SD column to position to what its SD was computed from, or agrees with.
    """

    def __init__(
        self, raw: pd.DataFrame, rows: Sequence[str], ragged: Mapping[int, Fault] | None = None
    ) -> None:
        self.headers = [str(header) for header in raw.columns]
        self.raw = raw.set_axis(self.headers, axis=1)
        self.rows = rows
        self.ragged = ragged or {}
        self.names: dict[str, str] = {}
        self.doubled: set[str] = set()
        # Faults with the position of their row: -1 for a column or the table.
        self.found = [*self.ragged.items()]
        self.bad_cells: set[tuple[int, str]] = set()
        self.notes: list[str] = []
        self.sd_sources: dict[str, dict[int, str]] = {}

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

    def note(self, text: str, rows: int) -> None:
        """Note what was done to some rows; nothing if there are none."""
        if rows:
            self.notes.append(f"{text}: {rows} of {len(self.rows)} rows")

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
