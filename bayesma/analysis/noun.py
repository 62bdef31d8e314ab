"""Analysis: data, how to prepare them, and the spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from bayesma.analysis.published import Published
from bayesma.catalogue import load_dataset
from bayesma.cells import range_fault
from bayesma.effects import Effects, effect_sizes
from bayesma.errors import SpecError, did_you_mean
from bayesma.readers import SUFFIXES, headers, read_table
from bayesma.schema import COLUMNS
from bayesma.spec import ModelSpec
from bayesma.table import StudyTable
from bayesma.units import Ranges

__all__ = ["Analysis"]


@dataclass(frozen=True)
class Analysis:
    """A model file: data and spec.

    Attributes
    ----------
    name : str
        The file's name without its ending, with the variant after a slash.
    title : str
        One line for people.
    folder : Path
        Folder of the file; relative data paths start there.
    data : str
        Dataset name, or path of a file that `read_table` reads.
    table, members : str or None
        Table of the dataset; table (or path) of the comparisons behind pooled rows.
    measure, variance, correct : str, str or None, bool
        As `effect_sizes` takes them.
    columns : mapping
        Canonical column name to the file's own; in a file of members too, as far as it has them.
    sheet : str or None
        Sheet of a workbook that holds the data.
    ranges : {"refuse", "midpoint"}
        What to do with durations and doses such as "1-2 h".
    units : mapping
        Unit of bare numbers in duration columns of files, as `read_table` takes it.
    keep : mapping of str to list
        Rows kept: column to allowed values.
    recode : mapping of str to mapping
        Levels renamed or merged: column to {old: new}; "" stands for a missing cell.
    fill : mapping of str to number or str
        Cells filled in where missing, for instance a printed median group size.
    rho, within : float, str
        Sampling correlation within a column's clusters.
    shared_control, same_animals : str or None
        Columns that name control groups and animals that rows share, as `effect_sizes` takes
        them; an empty text is none, for a variant that leaves them out.
    sampling : mapping of str to number
        `draws`, `tune`, `chains` or `target_accept` where the model needs other than usual.
    published : tuple of Published
        What the source printed for this very model, for a cross-check.
    spec : ModelSpec
    """

    name: str
    title: str
    folder: Path
    data: str
    spec: ModelSpec
    table: str | None = None
    members: str | None = None
    measure: str = "SMD"
    variance: str | None = None
    correct: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    sheet: str | None = None
    ranges: Ranges = "refuse"
    units: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, list[Any]] = field(default_factory=dict)
    recode: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fill: Mapping[str, Any] = field(default_factory=dict)
    rho: float = 0.0
    within: str = "experiment"
    shared_control: str | None = None
    same_animals: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    published: tuple[Published, ...] = ()

    def effects(self, folder: str | Path | None = None) -> Effects:
        """Return the effects that the file describes.

        Parameters
        ----------
        folder : str or Path, optional
            Where prepared third-party datasets are, instead of BAYESMA_DATA.

        Raises
        ------
        DataError, TableError, SpecError
            If the data are not at hand, faulty, or lack a column the file names.
        """
        notes: list[str] = []
        whole, members = self._load(self.table, True, folder), None
        if self.members is not None:
            members = self._load(self.members, False, folder)
        # Against every row: a level that `keep` leaves out is no typo.
        self._check_recode([t.frame for t in (whole, members) if t is not None])
        table = self._recoded(self._kept(whole, notes), notes)
        if members is not None:
            members = self._recoded(members, notes)
        found = effect_sizes(
            table,
            self.measure,
            self.variance,
            members=members,
            rho=self.rho,
            within=self.within,
            correct=self.correct,
            shared_control=self.shared_control or None,
            same_animals=self.same_animals or None,
        )
        return replace(found, notes=(*notes, *found.notes))

    def _load(self, table: str | None, outcomes: bool, folder: str | Path | None) -> StudyTable:
        path = self._file(self.data if outcomes else str(table))
        if path is None:
            return load_dataset(self.data, table, folder)
        sheet = self.sheet if outcomes else None
        return read_table(
            path, self._columns_of(path, outcomes), self.units, outcomes, sheet, self.ranges
        )

    def _file(self, name: str) -> Path | None:
        """Return the path of a file; None for the name of a dataset or of its table."""
        path = self.folder / name
        return path if path.suffix.lower() in SUFFIXES else None

    def _columns_of(self, path: Path, outcomes: bool) -> dict[str, str]:
        """Return the columns to map in one file: members may hold some that the data do not.

        What neither holds is left to the data, whose error names it.
        """
        members = None if self.members is None else self._file(self.members)
        if members is None:
            return dict(self.columns)
        held = headers(members)
        if not outcomes:
            return {name: header for name, header in self.columns.items() if header in held}
        own = headers(path, self.sheet)
        return {n: h for n, h in self.columns.items() if h in own or h not in held}

    def _kept(self, table: StudyTable, notes: list[str]) -> StudyTable:
        frame, stays = table.frame, pd.Series(True, index=table.frame.index)
        for column, allowed in self.keep.items():
            _require(column, frame, self.name)
            stays &= frame[column].isin(allowed)
            for value in allowed:
                if value not in set(frame[column]):
                    raise SpecError(f"{self.name}: keep.{column} names '{value}', which no row has")
        if not stays.all():
            notes.append(
                f"{int((~stays).sum())} of {len(frame)} rows of {table.source} are not "
                f"part of this analysis (keep: {', '.join(self.keep)})"
            )
        rows = tuple(r for r, stay in zip(table.rows, stays, strict=True) if stay)
        return replace(table, frame=frame[stays].reset_index(drop=True), rows=rows)

    def _check_recode(self, frames: list[pd.DataFrame]) -> None:
        """Refuse to merge what no row has: a typo would leave the level as it was."""
        for column, mapping in self.recode.items():
            holders = [frame[column] for frame in frames if column in frame]
            if not holders:
                known = [str(name) for frame in frames for name in frame]
                raise SpecError(
                    f"{self.name}: recode: no column '{column}'; {did_you_mean(column, known)}"
                )
            levels = {str(cell) for cells in holders for cell in cells.fillna("")}
            for old in mapping:
                if old not in levels:
                    raise SpecError(
                        f"{self.name}: recode.{column} names '{old}', which no row has; "
                        f"{did_you_mean(old, sorted(levels))}"
                    )

    def _recoded(self, table: StudyTable, notes: list[str]) -> StudyTable:
        frame = table.frame.copy()
        for column, mapping in self.recode.items():
            if column not in frame:
                continue
            cells = frame[column].fillna("")
            counts = cells[cells.isin(list(mapping))].value_counts()
            frame[column] = cells.map(lambda cell, m=mapping: m.get(cell, cell)).replace("", None)
            for old, count in counts.items():
                told = str(old) or "(missing)"
                notes.append(f"{column}: {count} rows '{told}' taken as '{mapping[str(old)]}'")
        # A pooled row's own n is not what its members' median stands for.
        for column, value in ({} if "members" in frame else self.fill).items():
            _check_fill(column, value, self.name)
            before = frame[column] if column in frame else pd.Series(float("nan"), frame.index)
            frame[column] = before.fillna(value)
            notes.append(
                f"{column} = {value} filled in for {int(before.isna().sum())} rows "
                f"of {table.source}"
            )
        return replace(table, frame=frame)


def _check_fill(column: str, value: Any, name: str) -> None:
    """Refuse to fill in what the column could not hold."""
    spec = COLUMNS.get(column)
    if spec is None:
        return
    fits = isinstance(value, str) == (spec.kind == "text")
    problem, remedy = range_fault(spec, value) if fits and spec.kind != "text" else ("", "")
    if not fits or problem:
        raise SpecError(
            f"{name}: fill.{column} = {value!r} {problem or 'is of the wrong kind'}; "
            f"{remedy or f'the column holds a {spec.kind}'}"
        )


def _require(column: str, frame: pd.DataFrame, name: str) -> None:
    if column not in frame:
        raise SpecError(f"{name}: no column '{column}'; {did_you_mean(column, list(frame))}")
