"""Arm summaries, published effects and pooled results to y and v.

`measures` has the formulas, on arrays; `effect_sizes` takes tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.covariance import Blocks, compound_symmetry
from bayesma.errors import Fault, SpecError, TableError, did_you_mean, nearest
from bayesma.measures import Measure, hedges_correction, hedges_g, measure_of
from bayesma.outcomes import with_outcomes
from bayesma.readers import read_table
from bayesma.sharing import Sharing, cluster_labels, shared_covariance
from bayesma.table import StudyTable, require_outcomes
from bayesma.units import Ranges

__all__ = [
    "SEPARATOR",
    "Effects",
    "effect_sizes",
    "hedges_correction",
    "hedges_g",
    "split_members",
    "told_apart",
    "with_rho",
]

Floats = NDArray[np.float64]

# Between the name of a row and the id that tells it from others of that name.
SEPARATOR = " · "


@dataclass(frozen=True)
class Effects:
    """Effects with their sampling variances, ready for a model.

    Attributes
    ----------
    frame : pandas.DataFrame
        The table's columns with `y` and `v` filled in; one row per effect.
    measure, variance : str
        As metafor names them ("SMD", "LS"). Effects are treated minus control, turned where
        `direction` is -1; NMD is control minus treated, turned where `direction` is 1 and the row
        has no sham. Given effects keep their sign.
    covariance : Blocks
        Sampling covariance.
    members : pandas.DataFrame or None
        Covariates of the comparisons that pooled rows stand for, indexed by row id.
    notes : tuple of str
        What was computed, flipped, rebuilt or left out, with counts.
    source : str
        Where the rows came from.
    sharing : Sharing
        Which rows share animals, from which the covariance was made.
    """

    frame: pd.DataFrame
    measure: str
    variance: str
    covariance: Blocks
    members: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    source: str = "DataFrame"
    sharing: Sharing = field(default_factory=Sharing)

    def __len__(self) -> int:
        """Return the number of effects."""
        return len(self.frame)

    def __repr__(self) -> str:
        """Say what is there."""
        studies = self.frame["study"].nunique()
        return f"<Effects {self.measure}: {len(self)} effects, {studies} studies>"

    @property
    def y(self) -> Floats:
        """Effects, shape (n,)."""
        return self.frame["y"].to_numpy(dtype=float)

    @property
    def v(self) -> Floats:
        """Sampling variances, shape (n,)."""
        return self.frame["v"].to_numpy(dtype=float)

    @property
    def V(self) -> Floats | None:
        """Full sampling covariance, shape (n, n); None where the effects are independent."""
        return self.covariance.dense() if self.covariance.blocks else None


def effect_sizes(
    data: StudyTable | pd.DataFrame,
    measure: str = "SMD",
    variance: str | None = None,
    columns: Mapping[str, str] | None = None,
    members: StudyTable | pd.DataFrame | None = None,
    rho: float = 0.0,
    within: str = "experiment",
    correct: bool = True,
    units: Mapping[str, str] | None = None,
    ranges: Ranges | None = None,
    shared_control: str | None = None,
    same_animals: str | None = None,
) -> Effects:
    """Return the effect and sampling variance of every row.

    A row that carries `y` keeps it, sign included, with `v`, or `se`, or the 95% interval as its
    spread; a row of arm summaries is computed, and flipped where its `direction` is -1, so that a
    benefit is positive.

    Parameters
    ----------
    data : StudyTable or pandas.DataFrame
        A frame is checked first, as `read_table` does.
    measure : {"SMD", "SMDH", "MD", "NMD", "ROM"}
        Treated minus control in standard deviations (SMD: Hedges g, pooled SD; SMDH: root mean
        square of both SDs), in the outcome's units (MD) or as log ratio (ROM). NMD is *control
        minus treated*, in percent of control minus `mean_sham`. With a sham it is positive for
        a benefit whichever way the outcome runs, and `direction` is not applied; without one (0)
        it counts a reduction as positive, and an increase where `direction` is 1.
        `bayesma.measures` has the formulas and their sources.
    variance : str, optional
        metafor's name: LS, LS2, UB or AV for SMD; LS, LS2 or LS3 for SMDH; LS or HO for MD; LS
        for NMD; LS, HO, AV, AVHO or LS2 for ROM. LS where absent. AV and AVHO average over the
        rows computed from arms, so that each variance depends on which rows are there.
    columns : mapping, optional
        Canonical column name to the frame's own.
    members : StudyTable or pandas.DataFrame, optional
        The comparisons that pooled rows stand for (column `members`). Its notes are told too.
    rho : float
        Sampling correlation of effects that share a cluster.
    within : str
        The cluster column; used when `rho` > 0. Its labels are read within their study; a row
        without one stands alone.
    correct : bool
        Whether SMD, SMDH and ROM are corrected for small samples, as in metafor 5.0; its 3.8 leaves
        ROM uncorrected.
    units, ranges : mapping, {"refuse", "midpoint"}, optional
        How frames are read, as `read_table` takes them; a frame of members too.
    shared_control : str, optional
        Column that names the control group of each row. Effects computed from arms covary
        through a control group they share, as `bayesma.sharing` has it. Labels are read within
        their study and, where the table has that column, `within`.
    same_animals : str, optional
        Column that names the animals of each row, both arms: rows with one label are the same
        animals, measured again. `rho` is then the correlation of two measurements of one animal
        (Gleser & Olkin 2009), of a shared control group with other numbers too, and no longer
        that of all effects of a cluster.

    Returns
    -------
    Effects

    Raises
    ------
    TableError
        With every fault of the table, and every row for which the measure is not defined.
    SpecError
        If the measure, its variance or the cluster column is unknown; if effects that share
        animals have no positive definite covariance; if `members` and the
        column `members` come without each other; if `columns`, `units` or `ranges` is given and
        there is no frame that it is for.
    """
    found, chosen = measure_of(measure, variance)
    if same_animals and not rho:
        raise SpecError("same_animals needs rho=: the correlation of measurements of one animal")
    _refuse_unread(data, members, columns, units, ranges)
    how: Ranges = ranges or "refuse"
    table = data
    if isinstance(table, pd.DataFrame):
        table = read_table(table, columns, units, ranges=how)
    if isinstance(members, pd.DataFrame):
        members = read_table(members, units=units, outcomes=False, ranges=how)
    require_outcomes(table)
    frame, told = with_outcomes(table, found, chosen, correct)
    compared = _member_frame(table, members)
    notes = [*table.notes, *told, *(() if members is None else members.told)]
    sharing = Sharing(rho, within, shared_control, same_animals)
    covariance, counts = _dependence(frame, found, sharing)
    notes += counts
    return Effects(
        frame,
        measure,
        chosen,
        covariance,
        compared,
        tuple(notes),
        table.source,
        sharing,
    )


def _refuse_unread(
    data: StudyTable | pd.DataFrame,
    members: StudyTable | pd.DataFrame | None,
    columns: Mapping[str, str] | None,
    units: Mapping[str, str] | None,
    ranges: Ranges | None,
) -> None:
    """Refuse what says how to read a frame where all tables have been read already."""
    read, all_read = not isinstance(data, pd.DataFrame), not isinstance(members, pd.DataFrame)
    asked: dict[str, tuple[object, bool]] = {
        "columns": (columns, read),
        "units": (units, read and all_read),
        "ranges": (ranges, read and all_read),
    }
    idle = [name for name, (value, useless) in asked.items() if value and useless]
    if idle:
        given = " and ".join(f"{name}=" for name in idle)
        raise SpecError(f"{given} is for a DataFrame; give it to read_table, which read this table")


def with_rho(
    effects: Effects,
    rho: float,
    within: str = "experiment",
    shared_control: str | None = None,
    same_animals: str | None = None,
) -> Effects:
    """Return the same effects with another sampling covariance; as `effect_sizes` takes them.

    Raises
    ------
    SpecError
        If rho is no correlation, a column is unknown, or the covariance is not positive definite.
    """
    measure, _ = measure_of(effects.measure)
    sharing = Sharing(rho, within, shared_control, same_animals)
    covariance, counts = _dependence(effects.frame, measure, sharing)
    # What was told of the covariance that this one replaces is true no more.
    former = _dependence(effects.frame, measure, effects.sharing)[1] if effects.notes else []
    notes = (*(note for note in effects.notes if note not in former), *counts)
    return replace(effects, covariance=covariance, notes=notes, sharing=sharing)


def _dependence(
    frame: pd.DataFrame, measure: Measure, sharing: Sharing
) -> tuple[Blocks, list[str]]:
    """Return the sampling covariance, and what is to be said of it."""
    rho, within = sharing.rho, sharing.within
    if sharing.labelled:
        return shared_covariance(
            frame, measure, rho, within, sharing.shared_control, sharing.same_animals
        )
    v = frame["v"].to_numpy(dtype=float)
    if not rho:
        return Blocks(v), []
    if within not in frame:
        raise SpecError(
            f"no column '{within}' to correlate within; {did_you_mean(within, list(frame))}"
        )
    blocks = compound_symmetry(v, [repr(label) for label in cluster_labels(frame, within)], rho)
    rows = sum(len(index) for index, _ in blocks.blocks)
    note = (
        f"effects that correlate (rho = {rho:g}) with others of their {within}: "
        f"{rows} of {len(v)}, in {len(blocks.blocks)} clusters"
    )
    return blocks, [note]


def _member_frame(table: StudyTable, members: StudyTable | None) -> pd.DataFrame | None:
    """Return the comparisons the pooled rows name, or one error for all that are not there."""
    if "members" not in table.frame or table.frame["members"].isna().all():
        if members is not None:
            raise SpecError("members= is given, but no row names any in a column 'members'")
        return None
    if members is None:
        raise SpecError("pooled rows need members=: the table of comparisons they stand for")
    known = members.frame.set_index("row_id")
    cells = table.frame["members"]
    listed = {i: split_members(cell) for i, cell in enumerate(cells) if not pd.isna(cell)}
    header = table.names.get("members", "members")
    faults = [
        Fault(problem, remedy, table.rows[i], header, value)
        for i, names in listed.items()
        for problem, remedy, value in _member_faults(names, list(known.index))
    ]
    if faults:
        raise TableError(table.source, faults)
    return known.loc[list(dict.fromkeys(name for names in listed.values() for name in names))]


def _member_faults(names: list[str], known: list[str]) -> list[tuple[str, str, str | None]]:
    """Return (problem, remedy, value) for what is wrong with the members of one row."""
    if not names:
        return [("names no comparison", "name some, or leave the cell empty", None)]
    faults: list[tuple[str, str, str | None]] = []
    for name, count in Counter(names).items():
        if name not in known:
            near = nearest(name, known)
            remedy = "correct it" if near is None else f"did you mean '{near}'?"
            faults.append(("is not the row_id of a comparison", remedy, name))
        elif count > 1:
            faults.append(("is named more than once", "name it once", name))
    return faults


def split_members(text: str) -> list[str]:
    """Return the row ids in a `members` cell."""
    return [name.strip() for name in text.split(";") if name.strip()]


def told_apart(names: Iterable[str], ids: Iterable[object]) -> list[str]:
    """Return the names of rows; one that several rows have is followed by the row's id."""
    plain = [" ".join(str(name).split()) for name in names]
    counts = Counter(plain)
    return [
        f"{name}{SEPARATOR}{own}" if counts[name] > 1 else name
        for name, own in zip(plain, ids, strict=True)
    ]
