"""Spec and effects to the arrays a model needs; grids to the same arrays afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.clock import (
    LatentDelays,
    check_clock,
    effect_clock,
    latent_delays,
    reference_delays,
)
from bayesma.clusters import Clusters, clusters_of
from bayesma.coders import AVERAGE, cell_keys, cell_text
from bayesma.coding import Predictor, code
from bayesma.controls import undeclared_note
from bayesma.covariance import Blocks
from bayesma.effects import Effects
from bayesma.errors import SpecError, UnseenLevelError
from bayesma.grouping import Groups, check_blocks, grouped
from bayesma.noncentral.rows import Standardised, standardised, why_not
from bayesma.pooling import Pooling, gaps_among_members, is_pooled, point_frame, weigh_members
from bayesma.smallstudy import SIZES, SmallStudy, small_study_term
from bayesma.spec import SCALARS, ModelSpec
from bayesma.spreads import Uneven, uneven_spreads

__all__ = ["Design", "Points", "design", "undeclared_of", "uneven_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Points:
    """Where a mean is evaluated.

    Attributes
    ----------
    matrices : mapping of str to ndarray, shape (points, terms)
        Design matrix by parameter.
    clock : ndarray, shape (points,) or (..., points)
        Days since the last dose or the end of the infusion; 0 while exposed. By draw where
        delays are unknown.
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
    latent : LatentDelays or None
        Unknown delays, which stand at 0 in `points`.
    small_study : SmallStudy or None
        1/sqrt(n) by row, where the effect may go with it.
    exact : Standardised or None
        The rows as the exact likelihood takes them; None where the likelihood is normal.
    clusters : Clusters or None
        Rows whose errors correlate by a rho that is a parameter; None where it is known.
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
    latent: LatentDelays | None
    small_study: SmallStudy | None
    exact: Standardised | None
    clusters: Clusters | None
    notes: tuple[str, ...]

    @property
    def y(self) -> Floats:
        """Effects as the likelihood takes them, shape (rows,)."""
        return self.effects.y if self.exact is None else self.exact.y

    @property
    def covariance(self) -> Blocks:
        """Sampling covariance: of y, or of y's numerators where the likelihood is exact."""
        return self.effects.covariance if self.exact is None else self.exact.covariance

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
    def kappa_names(self) -> tuple[str, ...]:
        """Posterior names of what heterogeneity gains with the mean, as `tau_names`."""
        if self.spec.heterogeneity != "proportional":
            return ()
        return tuple(f"kappa{name.removeprefix('tau')}" for name in self.tau_names)

    @property
    def scalars(self) -> dict[str, str]:
        """Posterior names of single numbers to the name of their prior."""
        found = dict.fromkeys(self.tau_names, "tau") | dict.fromkeys(self.kappa_names, "kappa")
        if self.spec.population == "student":
            found["nu"] = "nu"
        if self.small_study is not None:
            found["small_study"] = "small_study"
        if self.clusters is not None:
            found["rho"] = "rho"
        return found

    @property
    def vectors(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Posterior names of what is unknown one by one, to their dimension and its labels."""
        return {} if self.latent is None else {"latent_delay": ("delay_of", self.latent.labels)}

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
                    f"no row of the data has {cell_text(self.cells, key)}, so there is no curve "
                    "for it"
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
    asked, spec = spec, spec.resolved(effects.measure)
    _check_columns(spec, effects)
    effects, notes = _complete(spec, effects)
    pooled = is_pooled(effects)
    frame, membership = point_frame(effects, pooled)
    groups = grouped(spec.groups, effects, pooled)
    spec, exact, chosen = _likelihood(spec, effects)
    clusters = clusters_of(effects, groups) if "rho" in spec.priors else None
    chosen += [*_cluster_notes(spec, effects, clusters), *_arm_notes(spec, effects)]
    check_blocks(effects.covariance if exact is None else exact.covariance, groups)
    decay = spec.family
    check_clock(frame, decay)
    predictors = {
        name: code(spec.formula(name), effects.frame[~pooled] if name == "tau" else frame, name)
        for name in (*spec.predictors, "tau")
    }
    cells = _cells(spec, predictors)
    references = reference_delays(frame, cells, decay)
    pooling, more = weigh_members(spec.pooled_weights, effects, frame, membership, pooled)
    latent, unknown = _latent(spec, frame, cells, pooled)
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
        latent,
        _small_study(spec, effects, pooled),
        exact,
        clusters,
        # A saved fit's notes stand already.
        tuple(
            dict.fromkeys((*effects.notes, *notes, *more, *unknown, *_unused(asked, spec), *chosen))
        ),
    )
    known = frame if latent is None else frame.fillna({"delay": 0.0})
    return replace(plan, points=plan.at(known))


def _likelihood(
    spec: ModelSpec, effects: Effects
) -> tuple[ModelSpec, Standardised | None, list[str]]:
    """Return the spec with its likelihood named, the rows as it takes them, and a note of it."""
    if spec.likelihood == "normal":
        return spec, None, []
    # A likelihood of known rho integrates the variance ratios out for one rho at a time.
    reason = why_not(effects) or ("rho" in spec.priors and "rho has a prior") or ""
    if spec.likelihood == "auto" and reason:
        told = f"likelihood: normal, which takes v as known; not exact: {reason}"
        return replace(spec, likelihood="normal"), None, [told]
    found = standardised(effects)
    told = "likelihood: exact (noncentral t), from the arms; the SD is pooled over " + (
        "the arms of each row, and v is not used"
        if len(found.df) == len(effects)
        else "all arms of the rows that share a control, and neither v nor covariances of "
        "effects are used"
    )
    notes = [told]
    if len(found.df) < len(effects):
        notes.append(
            f"rows that share a control measurement with others: "
            f"{int((np.bincount(found.of)[found.of] > 1).sum())} of {len(effects)}, one SD and "
            f"one control mean for each of {int((np.bincount(found.of) > 1).sum())} sets"
        )
    if len(found.visits.df):
        notes.append(
            f"groups of animals measured more than once, rho = {found.rho:g}: "
            f"{len(found.visits.df)}"
        )
    return replace(spec, likelihood="exact"), found, notes


def _cluster_notes(spec: ModelSpec, effects: Effects, clusters: Clusters | None) -> list[str]:
    if clusters is None:
        return []
    rows, label = int(clusters.together.sum()), clusters.groups.innermost
    sets = len(np.unique(label[clusters.together > 0]))
    return [
        f"effects that correlate with others of their {effects.sharing.within}, rho ~ "
        f"{spec.priors['rho']}: {rows} of {len(effects)}, in {sets} clusters"
    ]


def _arm_notes(spec: ModelSpec, effects: Effects) -> list[str]:
    """Return what the arms say against the effects computed from them."""
    uneven = uneven_of(effects)
    found = [undeclared_of(spec, effects), uneven.sentence if uneven else ""]
    return [note for note in found if note]


def undeclared_of(spec: ModelSpec, effects: Effects) -> str:
    """Return a sentence on control groups that rows share without saying so, or nothing.

    Where rho has a prior, rows of a cluster are said to correlate.
    """
    told = replace(effects.sharing, rho=0.5) if "rho" in spec.priors else effects.sharing
    return undeclared_note(effects.frame, told, spec.likelihood == "exact")


def uneven_of(effects: Effects) -> Uneven | None:
    """Return what unequal SDs in unbalanced arms do to effects on the pooled SD, if anything."""
    return uneven_spreads(effects.frame) if effects.measure == "SMD" else None


def _latent(
    spec: ModelSpec,
    frame: pd.DataFrame,
    cells: tuple[str, ...],
    pooled: NDArray[np.bool_],
) -> tuple[LatentDelays | None, list[str]]:
    """Return the unknown delays, and a note of how many there are."""
    if spec.missing_delay != "latent":
        return None, []
    found = latent_delays(frame, cells)
    if found is None:
        return None, []
    if pooled.any():
        raise SpecError(
            "missing_delay = 'latent' does not go with pooled rows, whose comparisons need their "
            "delays; use missing_delay = 'drop'"
        )
    said = (
        f"{int(found.unknown.sum())} of {len(frame)} rows have no delay: kept, with "
        f"{len(found.labels)} unknown delays ~ {spec.priors['delay']} d"
    )
    return found, [said]


def _unused(asked: ModelSpec, spec: ModelSpec) -> list[str]:
    """Return a note for each prior that the model has no use for: a choice may be forgotten."""
    found = []
    for name in asked.priors:
        if name not in spec.priors:
            choice = SCALARS[name][0] if name in SCALARS else "decay"
            found.append(f"prior of {name} is not used: {choice} = '{getattr(spec, choice)}'")
    return found


def _small_study(spec: ModelSpec, effects: Effects, pooled: NDArray[np.bool_]) -> SmallStudy | None:
    if spec.small_study == "none":
        return None
    if pooled.any():
        raise SpecError(
            "small_study: a pooled row has no size of its own; use small_study = 'none'"
        )
    return small_study_term(effects.frame)


def _needed(spec: ModelSpec, tau: bool = True) -> list[str]:
    parameters = (*spec.predictors, "tau") if tau else spec.predictors
    names = {v for name in parameters for v in spec.formula(name).variables}
    names |= set(SIZES if spec.small_study != "none" else ())
    delays = spec.family.parameters and spec.missing_delay == "drop"
    return sorted(names) + (["delay"] if delays else [])


def _check_columns(spec: ModelSpec, effects: Effects) -> None:
    # A covariate of pooled rows lives with their members; one of plain rows with the rows.
    pooled = is_pooled(effects)
    holders = {} if pooled.all() else {"the rows": effects.frame}
    if effects.members is not None and pooled.any():
        holders["the comparisons behind pooled rows"] = effects.members
    needed = dict.fromkeys(_needed(spec, tau=False))
    for name in [*needed, *(["delay"] if spec.family.parameters and "delay" not in needed else [])]:
        lacking = [where for where, frame in holders.items() if name not in frame]
        if name == "delay" and lacking:
            raise SpecError(
                f"decay = '{spec.decay}' needs the column 'delay' of {' and '.join(lacking)}; "
                "add it, or use decay = 'none'"
            )
        if lacking and len(lacking) < len(holders):
            raise SpecError(f"column '{name}' is missing from {lacking[0]}; add it there too")
    if spec.small_study != "none" and not pooled.any() and not set(SIZES) <= set(effects.frame):
        raise SpecError(
            f"small_study = '{spec.small_study}' needs the columns {' and '.join(SIZES)}; add "
            "them, or use small_study = 'none'"
        )
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
