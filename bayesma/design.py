"""Spec and effects to the arrays a model needs; grids to the same arrays afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.coding import AVERAGE, Predictor, code
from bayesma.covariance import Blocks
from bayesma.decay import Decay
from bayesma.effects import Effects, split_members
from bayesma.errors import SpecError
from bayesma.spec import ModelSpec

__all__ = ["Design", "Groups", "Points", "Pooling", "design", "effect_clock"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Points:
    """Where a mean is evaluated.

    Attributes
    ----------
    matrices : mapping of str to ndarray, shape (points, terms)
        Design matrix by parameter.
    clock : ndarray, shape (points,)
        Days since the last dose or the end of the infusion; 0 while exposed.
    reference : ndarray, shape (points,)
        Delay at which the level of the point's decay cell is stated.
    """

    matrices: Mapping[str, Floats]
    clock: Floats
    reference: Floats


@dataclass(frozen=True)
class Pooling:
    """How comparisons average to rows: weight 1 / (floor + slope m^2).

    Attributes
    ----------
    row : ndarray of int, shape (points,)
        The row a point belongs to.
    floor, slope : ndarray, shape (points,)
        tau_G^2 + 1/n_tilde and 1/(2N) of Hedges g; equal weights are floor 1 and slope 0.
    """

    row: Ints
    floor: Floats
    slope: Floats


@dataclass(frozen=True)
class Groups:
    """Nested groups of rows.

    Attributes
    ----------
    names : tuple of str
        Columns with a group effect, outermost first; empty if there is none.
    labels : tuple of tuple of str
        Labels of the groups, per level, outermost first. The first level always exists: it is
        the unit of cross-validation, with or without an effect.
    parent : tuple of ndarray of int
        For each level but the outermost, innermost first: the group above each group.
    innermost : ndarray of int, shape (rows,)
        Innermost group of each row.
    """

    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    parent: tuple[Ints, ...]
    innermost: Ints

    @property
    def outermost(self) -> Ints:
        """Outermost group of each row, shape (rows,)."""
        index = self.innermost
        for parent in self.parent:
            index = parent[index]
        return index


@dataclass(frozen=True)
class Design:
    """Everything a fit needs to know about its rows.

    Attributes
    ----------
    spec : ModelSpec
        With its priors resolved.
    effects : Effects
        The rows used, after complete cases.
    predictors : mapping of str to Predictor
        By parameter.
    frame : pandas.DataFrame
        Covariates of the points, shape (points, columns): the rows themselves, or the
        comparisons that pooled rows stand for.
    points : Points
    pooling : Pooling or None
        None where every row is its own point.
    groups : Groups
    pooled : ndarray of bool, shape (rows,)
        Rows that group effects never enter.
    cells : tuple of str
        Factors by which the effect fades differently.
    references : mapping
        Decay cell to its reference delay in days.
    notes : tuple of str
        What was left out, and why.
    """

    spec: ModelSpec
    effects: Effects
    predictors: Mapping[str, Predictor]
    frame: pd.DataFrame
    points: Points
    pooling: Pooling | None
    groups: Groups
    pooled: NDArray[np.bool_]
    cells: tuple[str, ...]
    references: Mapping[tuple[str, ...], float]
    notes: tuple[str, ...]

    @property
    def covariates(self) -> tuple[str, ...]:
        """Columns that the mean's formulas use."""
        names: set[str] = set()
        for parameter in self.spec.predictors:
            names |= self.spec.formula(parameter).variables
        return tuple(sorted(names))

    @property
    def unit(self) -> str:
        """The outermost grouping column, unit of cross-validation."""
        return self.groups.names[0] if self.groups.names else "study"

    @property
    def tau_names(self) -> tuple[str, ...]:
        """Posterior names of the group standard deviations, outermost first."""
        names = self.groups.names
        return tuple("tau" if i == 0 else f"tau_{name}" for i, name in enumerate(names))

    @property
    def varying_tau(self) -> bool:
        """Whether tau has a formula of its own."""
        return bool(self.groups.names) and len(self.predictors["tau"].terms) > 1

    def at(self, frame: pd.DataFrame) -> Points:
        """Return the points of new rows: covariates and `delay`.

        Raises
        ------
        UnseenLevelError
            If a level is not in the data.
        """
        matrices = {name: self.predictors[name].matrix(frame) for name in self.spec.predictors}
        fades = self.spec.family.parameters
        clock = effect_clock(frame) if fades else np.zeros(len(frame))
        if AVERAGE in set(frame[list(self.cells)].to_numpy().ravel()):
            raise SpecError(f"the effect fades differently by {', '.join(self.cells)}: name it")
        keys = zip(*(frame[name].astype(str) for name in self.cells), strict=True)
        cells = list(keys) if self.cells else [()] * len(frame)
        reference = [self.references.get(cell, self.references[()]) for cell in cells]
        return Points(matrices, clock, np.array(reference, dtype=float))


def effect_clock(frame: pd.DataFrame) -> Floats:
    """Return the delay that fades the effect: 0 while exposed, shape (rows,)."""
    clock = frame["delay"].to_numpy(dtype=float)
    if "exposure" not in frame:
        return clock
    return np.where(frame["exposure"].fillna("off") == "on", 0.0, clock)


def design(spec: ModelSpec, effects: Effects) -> Design:
    """Return the design of a spec on effects; complete cases, the rest counted.

    Raises
    ------
    SpecError
        If the formulas and the rows do not fit each other.
    """
    spec = spec.resolved(effects.measure)
    _check_columns(spec, effects)
    effects, notes = _complete(spec, effects)
    pooled = _is_pooled(effects)
    frame, membership = _point_frame(effects, pooled)
    groups = _groups(spec, effects, pooled)
    _check_blocks(effects.covariance, groups)
    decay = spec.family
    predictors = {
        name: code(spec.formula(name), frame if name != "tau" else effects.frame, name)
        for name in (*spec.predictors, "tau")
    }
    cells = _cells(spec, predictors)
    references = _references(frame, cells, decay)
    pooling, more = _pooling(spec, effects, frame, membership, pooled)
    if decay.parameters and len(np.unique(_clock(frame))) < 2:
        raise SpecError(
            f"decay = '{spec.decay}': every row has the delay "
            f"{_clock(frame)[0]:g} d; use decay = 'none'"
        )
    empty = Points({}, np.zeros(0), np.zeros(0))
    plan = Design(
        spec,
        effects,
        predictors,
        frame,
        empty,
        pooling,
        groups,
        pooled,
        cells,
        references,
        (*effects.notes, *notes, *more),
    )
    return replace(plan, points=plan.at(frame))


def _clock(frame: pd.DataFrame) -> Floats:
    return effect_clock(frame) if "delay" in frame else np.zeros(len(frame))


def _needed(spec: ModelSpec) -> list[str]:
    names = {v for name in (*spec.predictors, "tau") for v in spec.formula(name).variables}
    return sorted(names) + (["delay"] if spec.family.parameters else [])


def _check_columns(spec: ModelSpec, effects: Effects) -> None:
    # A covariate of pooled rows lives with their members; one of plain rows with the rows.
    frame = effects.frame if effects.members is None else effects.members
    if "delay" in _needed(spec) and "delay" not in frame:
        raise SpecError(
            f"decay = '{spec.decay}' needs the column 'delay'; add it, or use decay = 'none'"
        )
    for name in spec.groups:
        if name not in effects.frame:
            raise SpecError(f"(1 | {'/'.join(spec.groups)}): no column '{name}'")


def _complete(spec: ModelSpec, effects: Effects) -> tuple[Effects, list[str]]:
    """Return the rows with every needed cell, and a note for each column that cost rows."""
    frame, keep, notes = effects.frame, np.ones(len(effects), dtype=bool), []
    pooled = _is_pooled(effects)
    for name in _needed(spec):
        gap = np.zeros(len(frame), dtype=bool)
        if name in frame:
            gap = frame[name].isna().to_numpy() & ~pooled
            if name == "delay":
                gap &= np.isnan(effect_clock(frame))
        if effects.members is not None and name in effects.members:
            gap |= _gap_among_members(effects, name)
        if (gap & keep).any():
            notes.append(f"{int((gap & keep).sum())} of {len(frame)} rows left out: no {name}")
        keep &= ~gap
    if not keep.any():
        raise SpecError(f"no row has all of: {', '.join(_needed(spec))}")
    rows = np.flatnonzero(keep)
    kept = replace(
        effects,
        frame=frame.iloc[rows].reset_index(drop=True),
        covariance=effects.covariance.take(rows),
    )
    return (kept if len(rows) < len(frame) else effects), notes


def _is_pooled(effects: Effects) -> NDArray[np.bool_]:
    if effects.members is None:
        return np.zeros(len(effects), dtype=bool)
    return effects.frame["members"].notna().to_numpy()


def _gap_among_members(effects: Effects, name: str) -> NDArray[np.bool_]:
    assert effects.members is not None
    blank = set(effects.members.index[effects.members[name].isna()])
    cells = effects.frame["members"]
    return np.array([not pd.isna(c) and bool(blank & set(split_members(c))) for c in cells])


def _point_frame(effects: Effects, pooled: NDArray[np.bool_]) -> tuple[pd.DataFrame, Ints]:
    """Return the frame of points and the row each belongs to."""
    if not pooled.any():
        return effects.frame, np.arange(len(effects))
    assert effects.members is not None
    names, row = [], []
    for i, cell in enumerate(effects.frame["members"]):
        for name in split_members(cell) if pooled[i] else []:
            names.append(name)
            row.append(i)
    _refuse_overlap(names, row, effects)
    members = effects.members.loc[names].reset_index()
    plain = effects.frame[~pooled]
    frame = pd.concat([members, plain], ignore_index=True) if len(plain) else members
    return frame, np.array([*row, *np.flatnonzero(~pooled)], dtype=np.int64)


def _refuse_overlap(names: Sequence[str], row: Sequence[int], effects: Effects) -> None:
    labels = list(effects.frame["row_id"])
    holder: dict[str, int] = {}
    shared: dict[tuple[str, str], int] = {}
    for name, i in zip(names, row, strict=True):
        first = holder.setdefault(name, i)
        if first != i:
            pair = (labels[first], labels[i])
            shared[pair] = shared.get(pair, 0) + 1
    if shared:
        pairs = "; ".join(f"{a} and {b} share {n}" for (a, b), n in shared.items())
        raise SpecError(f"pooled rows count comparisons twice: {pairs}; fit a partition of them")


def _groups(spec: ModelSpec, effects: Effects, pooled: NDArray[np.bool_]) -> Groups:
    if spec.groups and pooled.all():
        raise SpecError(
            f"every row is a pooled result, whose standard error already holds the "
            f"heterogeneity: drop (1 | {'/'.join(spec.groups)})"
        )
    columns = spec.groups or ("study",)
    frame = effects.frame
    cells = [frame[name].fillna(frame["row_id"]).astype(str) for name in columns]
    paths = cells[0]
    labels, codes = [], []
    for depth in range(len(columns)):
        paths = cells[0] if depth == 0 else paths + "/" + cells[depth]
        code, names = pd.factorize(paths)
        codes.append(code.astype(np.int64))
        labels.append(tuple(str(name) for name in names))
    if spec.groups and len(np.unique(codes[0][~pooled])) < 2:
        raise SpecError(
            f"one {columns[0]} only ('{labels[0][0]}'): the heterogeneity between "
            f"groups cannot be seen; drop (1 | {'/'.join(columns)})"
        )
    parents = []
    for inner, outer in zip(codes[:0:-1], codes[-2::-1], strict=True):
        parent = np.zeros(inner.max() + 1, dtype=np.int64)
        parent[inner] = outer
        parents.append(parent)
    return Groups(spec.groups, tuple(labels), tuple(parents), codes[-1])


def _check_blocks(covariance: Blocks, groups: Groups) -> None:
    for index, _ in covariance.blocks:
        if len(np.unique(groups.innermost[index])) > 1:
            raise SpecError(
                "the sampling covariance links rows of different groups; correlate "
                f"within {groups.names[-1] if groups.names else 'study'}"
            )


def _cells(spec: ModelSpec, predictors: Mapping[str, Predictor]) -> tuple[str, ...]:
    """Return the factors in the formulas of the decay."""
    names: set[str] = set()
    for parameter in spec.family.parameters:
        for coder in predictors[parameter].coders.values():
            if coder.levels:
                names.add(coder.expression.removeprefix("C(").removesuffix(")"))
    return tuple(sorted(names))


def _references(
    frame: pd.DataFrame, cells: tuple[str, ...], decay: Decay
) -> dict[tuple[str, ...], float]:
    """Return the lower-quartile delay of each decay cell; key () is that of all rows."""
    if not decay.parameters:
        return {(): 0.0}
    clock = pd.Series(effect_clock(frame))

    def lower_quartile(delays: pd.Series[float]) -> float:
        return float(np.quantile(delays, 0.25, method="lower"))

    references: dict[tuple[str, ...], float] = {(): lower_quartile(clock)}
    if cells:
        keys = frame[list(cells)].astype(str).agg("\t".join, axis=1)
        for key, delays in clock.groupby(keys.to_numpy()):
            references[tuple(str(key).split("\t"))] = lower_quartile(delays)
    return references


def _pooling(
    spec: ModelSpec,
    effects: Effects,
    frame: pd.DataFrame,
    row: Ints,
    pooled: NDArray[np.bool_],
) -> tuple[Pooling | None, list[str]]:
    """Return the weights of comparisons in their pooled rows (Hedges & Vevea 1998 form).

    w_i = 1 / (tau_G^2 + 1/n_t + 1/n_c + m_i^2 / (2 (n_t + n_c))), with tau_G^2 = I2 k se_G^2,
    which is exact where the k sampling variances are equal.
    """
    if not pooled.any():
        return None, []
    sizes = [n for n in ("n_treated", "n_control") if n in frame]
    known = len(sizes) == 2 and "i2" in effects.frame and spec.pooled_weights == "precision"
    if known:
        gaps = frame.loc[pooled[row], sizes].isna().any().any()
        known = not gaps and bool(effects.frame.loc[pooled, "i2"].notna().all())
    if not known:
        note = (
            []
            if spec.pooled_weights == "equal"
            else [
                "members of pooled rows are weighted equally: precision weights need their "
                "n_treated and n_control, and I2 of the pooled row"
            ]
        )
        return Pooling(row, np.ones(len(row)), np.zeros(len(row))), note
    k = np.bincount(row, minlength=len(effects))
    tau2 = np.nan_to_num(effects.frame["i2"].to_numpy(dtype=float)) / 100 * k * effects.v
    n_t, n_c = (frame[name].fillna(1.0).to_numpy(dtype=float) for name in sizes)
    return Pooling(row, tau2[row] + 1 / n_t + 1 / n_c, 1 / (2 * (n_t + n_c))), []
