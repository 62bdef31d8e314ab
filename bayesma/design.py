"""Spec and effects to the arrays a model needs; grids to the same arrays afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.coding import AVERAGE, Predictor, code, level_text
from bayesma.decay import Decay
from bayesma.effects import Effects
from bayesma.errors import SpecError, UnseenLevelError
from bayesma.grouping import Groups, check_blocks, grouped
from bayesma.pooling import Pooling, gaps_among_members, is_pooled, point_frame, weigh_members
from bayesma.spec import ModelSpec

__all__ = ["Design", "Points", "design", "effect_clock"]

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
        keys = cell_keys(frame, self.cells)
        for key in dict.fromkeys(keys):
            if AVERAGE in key:
                raise SpecError(f"the effect fades differently by {', '.join(self.cells)}: name it")
            if key not in self.references:
                raise UnseenLevelError(
                    f"no row of the data has {_said(self.cells, key)}, so there is no curve for it"
                )
        reference = [self.references[key] for key in keys]
        return Points(matrices, clock, np.array(reference, dtype=float))

    @property
    def tau_matrix(self) -> Floats:
        """Design matrix of the tau formula, shape (rows, terms); 0 for pooled rows."""
        predictor = self.predictors["tau"]
        out = np.zeros((len(self.effects), len(predictor.terms)))
        out[~self.pooled] = predictor.matrix(self.effects.frame[~self.pooled])
        return out


def cell_keys(frame: pd.DataFrame, cells: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the decay cell of each row; the empty tuple where no factor makes cells."""
    if not cells:
        return [()] * len(frame)
    return list(zip(*(frame[name].map(level_text) for name in cells), strict=True))


def _said(cells: Sequence[str], key: Sequence[str]) -> str:
    return ", ".join(f"{name} '{level}'" for name, level in zip(cells, key, strict=True))


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
    if not isinstance(effects, Effects):
        raise SpecError(
            f"a model needs effects, not a {type(effects).__name__}: bm.effect_sizes(table)"
        )
    spec = spec.resolved(effects.measure)
    _check_columns(spec, effects)
    effects, notes = _complete(spec, effects)
    pooled = is_pooled(effects)
    frame, membership = point_frame(effects, pooled)
    groups = grouped(spec.groups, effects, pooled)
    check_blocks(effects.covariance, groups)
    decay = spec.family
    _check_clock(frame, decay)
    predictors = {
        name: code(spec.formula(name), effects.frame[~pooled] if name == "tau" else frame, name)
        for name in (*spec.predictors, "tau")
    }
    cells = _cells(spec, predictors)
    references = _references(frame, cells, decay)
    pooling, more = weigh_members(spec.pooled_weights, effects, frame, membership, pooled)
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
        tuple(dict.fromkeys((*effects.notes, *notes, *more))),  # a saved fit's stand already
    )
    return replace(plan, points=plan.at(frame))


def _check_clock(frame: pd.DataFrame, decay: Decay) -> None:
    """Refuse delays that count from the start of many doses: they are not time to fade."""
    if not decay.parameters or "delay_reference" not in frame:
        return
    wrong = (frame["delay_reference"] == "start") & (effect_clock(frame) > 0)
    if "regimen" in frame:  # after one dose, its start is its end
        wrong &= frame["regimen"] != "single"
    if wrong.any():
        some = ", ".join(frame.loc[wrong, "row_id"].head(5))
        raise SpecError(
            f"the delay counts from the start of dosing in {int(wrong.sum())} rows ({some}): give "
            "it since the last dose or the end of the infusion, or leave it empty"
        )


def _clock(frame: pd.DataFrame) -> Floats:
    return effect_clock(frame) if "delay" in frame else np.zeros(len(frame))


def _needed(spec: ModelSpec, tau: bool = True) -> list[str]:
    parameters = (*spec.predictors, "tau") if tau else spec.predictors
    names = {v for name in parameters for v in spec.formula(name).variables}
    return sorted(names) + (["delay"] if spec.family.parameters else [])


def _check_columns(spec: ModelSpec, effects: Effects) -> None:
    # A covariate of pooled rows lives with their members; one of plain rows with the rows.
    pooled = is_pooled(effects)
    holders = {} if pooled.all() else {"the rows": effects.frame}
    if effects.members is not None and pooled.any():
        holders["the comparisons behind pooled rows"] = effects.members
    for name in _needed(spec, tau=False):
        lacking = [where for where, frame in holders.items() if name not in frame]
        if name == "delay" and lacking:
            raise SpecError(
                f"decay = '{spec.decay}' needs the column 'delay' of {' and '.join(lacking)}; "
                "add it, or use decay = 'none'"
            )
        if lacking and len(lacking) < len(holders):
            raise SpecError(f"column '{name}' is missing from {lacking[0]}; add it there too")
    for name in spec.groups:
        if name not in effects.frame:
            raise SpecError(f"(1 | {'/'.join(spec.groups)}): no column '{name}'")


def _complete(spec: ModelSpec, effects: Effects) -> tuple[Effects, list[str]]:
    """Return the rows with every needed cell, and a note for each column that cost rows."""
    frame, keep, notes = effects.frame, np.ones(len(effects), dtype=bool), []
    pooled = is_pooled(effects)
    for name in _needed(spec):
        gap = np.zeros(len(frame), dtype=bool)
        if name in frame:
            gap = frame[name].isna().to_numpy() & ~pooled
            if name == "delay":
                gap &= np.isnan(effect_clock(frame))
        if effects.members is not None and name in effects.members:
            blank = effects.members[name].isna().to_numpy()
            if name == "delay":
                blank = blank & np.isnan(effect_clock(effects.members))
            gap |= gaps_among_members(effects, blank)
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


def _cells(spec: ModelSpec, predictors: Mapping[str, Predictor]) -> tuple[str, ...]:
    """Return the factors in the formulas of the decay."""
    names: set[str] = set()
    for parameter in spec.family.parameters:
        for coder in predictors[parameter].coders.values():
            if coder.levels:
                names.add(coder.name)
    return tuple(sorted(names))


def _references(
    frame: pd.DataFrame, cells: tuple[str, ...], decay: Decay
) -> dict[tuple[str, ...], float]:
    """Return the lower-quartile delay of each decay cell, in days."""
    if not decay.parameters:
        return dict.fromkeys(cell_keys(frame, cells), 0.0)
    clock = effect_clock(frame)

    found: dict[tuple[str, ...], list[float]] = {}
    for key, delay in zip(cell_keys(frame, cells), clock, strict=True):
        found.setdefault(key, []).append(delay)
    return {key: float(np.quantile(found[key], 0.25, method="lower")) for key in sorted(found)}
