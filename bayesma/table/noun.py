"""The checked table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

__all__ = ["StudyTable"]


@dataclass(frozen=True)
class StudyTable:
    """A checked table of studies: one row per comparison (or per published pooled result).

    Attributes
    ----------
    frame : pandas.DataFrame
        Canonical columns first (durations in days, doses in the canonical unit of their kind), the
        reviewer's own after them.
    source : str
        File, or "DataFrame".
    names : dict
        Canonical column name to the name in the file.
    rows : tuple of str
        Row names as the source numbers them.
    notes : tuple of str
        What was converted, read as missing or left out on the way here, with counts.
    sd_sources : mapping of str to mapping
        "sd_treated" and "sd_control" to row id to what bears the SD out: the SEM, the CI or the
        median it was computed from or agrees with. Rows not in it have only the word of the table.
    """

    frame: pd.DataFrame
    source: str
    names: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sd_sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def told(self) -> tuple[str, ...]:
        """The notes, each with the name of the table; for tables beside the main one."""
        return tuple(f"{self.source}: {note}" for note in self.notes)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    def __repr__(self) -> str:
        """Say what the table holds."""
        studies = self.frame["study"].nunique()
        return f"<StudyTable {self.source}: {len(self)} rows, {studies} studies>"
