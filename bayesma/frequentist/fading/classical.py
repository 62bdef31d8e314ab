"""ClassicalFit: the decay model without priors, its maximum likelihood and what is sure of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.design import Design, Points, design
from bayesma.effects import Effects
from bayesma.errors import QueryError, SpecError
from bayesma.frequentist.fading.effecttables import coefficient_table, mean_table
from bayesma.frequentist.fading.optimum import Optimum, optimum
from bayesma.frequentist.fading.problems import problems_of
from bayesma.frequentist.fading.quantities import quantity_table
from bayesma.frequentist.fading.refusals import (
    check_choices,
    check_held,
    check_rank,
    with_stand_ins,
)
from bayesma.frequentist.fading.surface import why_not_linear
from bayesma.spec import ModelSpec

__all__ = ["ClassicalFit", "classical_fit"]

Floats = NDArray[np.float64]

KINDS = ("wald", "profile")


@dataclass(frozen=True)
class ClassicalFit:
    """A decay model at its maximum likelihood.

    Attributes
    ----------
    design : Design
        Rows and their coding, as those of a Bayesian fit; `grid` takes this fit too.
    method : {"REML", "ML"}
    ci_prob : float
        Coverage of its intervals.
    log_likelihood : float
        Restricted for REML: the levels integrated out under a flat prior on the effect at the
        reference delay, given the decay and the variances; with metafor's constant.
    notes : tuple of str
        What was left out, and which likelihood it is.
    """

    design: Design
    method: str
    ci_prob: float
    log_likelihood: float
    notes: tuple[str, ...]
    _optimum: Optimum = field(repr=False)

    def __repr__(self) -> str:
        """Say what was fitted, and whether anything stands in the way of trusting it."""
        spec, n = self.spec, len(self.problems)
        state = f"{n} problem{'s' * (n > 1)}" if n else "no problem"
        return (
            f"<ClassicalFit {self.design.effects.measure}, {len(self.design.effects)} rows, "
            f"{self.method}: peak = {spec.peak}, decay = {spec.decay}; {state}>"
        )

    @property
    def spec(self) -> ModelSpec:
        """The spec; its priors are not used."""
        return self.design.spec

    @property
    def parameters(self) -> int:
        """How many parameters were estimated."""
        return self._optimum.surface.joint.size

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 k - 2 l; of REML fits only those of one mean compare."""
        return 2 * self.parameters - 2 * self.log_likelihood

    @property
    def estimates(self) -> dict[str, Floats]:
        """Every parameter by its posterior name: coefficients (terms,) or a number."""
        return self._optimum.estimates

    @property
    def tau(self) -> dict[str, float]:
        """Standard deviation between groups by level, outermost first; exactly 0 at its edge."""
        names = zip(self.design.groups.names, self.design.tau_names, strict=False)
        return {level: float(self.estimates[name]) for level, name in names}

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """Sentences: what has not converged, what runs to an edge, what is not identified."""
        return tuple(problems_of(self._optimum))

    @cached_property
    def table(self) -> pd.DataFrame:
        """The parameters as the model holds them, with Wald intervals.

        Index as of a Bayesian summary: `level[...]` in units of the effect measure at the
        reference delay, `log2_half_life[...]`, `logit_persistent[...]`, `log_shape[...]`,
        `log_tau_ratio[...]`, `tau`, `kappa`, `nu`. Columns estimate, se, ci_low, ci_high. A
        parameter that runs to its edge is infinite; a `tau` at 0 has no standard error, and its
        interval is that of the profile in `quantities`.
        """
        return coefficient_table(self._optimum)

    def quantities(self, loss: float = 0.7, only: Sequence[str] = ()) -> pd.DataFrame:
        """Return what the fit is about, with profile-likelihood intervals.

        An open end is 0 or infinite (a share: 0 or 1), and `note` says so: the data do not
        identify it from that side.

        Parameters
        ----------
        loss : float
            Share of the peak whose loss is timed.
        only : sequence of str, optional
            Quantities wanted; all by default. Profiles are slow where they have no end.

        Returns
        -------
        pandas.DataFrame
            One row per half-life (days), persistent share, shape and time to loss (days) by decay
            cell, and per tau, kappa and nu. Columns: quantity, one column per factor by which the
            effect fades (empty where it does not matter), estimate, ci_low, ci_high, interval,
            note.

        Raises
        ------
        QueryError
            If `loss` is not between 0 and 1.
        """
        if not 0 < loss < 1:
            raise QueryError(f"loss = {loss}: a share between 0 and 1")
        return quantity_table(self._optimum, loss, only)

    def half_lives(self) -> pd.DataFrame:
        """Return the half-lives in days by decay cell, with profile-likelihood intervals."""
        return quantity_table(self._optimum, 0.5, ("half_life",))

    def curve(self, at: Any, interval: str = "wald") -> pd.DataFrame:
        """Return the population mean effect at rows of covariates and delays.

        Parameters
        ----------
        at : pandas.DataFrame or xarray.Dataset
            Rows of covariates and `delay` in days; or a grid from `grid(fit, ...)`.
        interval : {"wald", "profile"}
            See `mean_at`.

        Returns
        -------
        pandas.DataFrame
            The rows, with estimate, se, ci_low, ci_high and interval.
        """
        if not isinstance(at, pd.DataFrame):
            names = [name for name in at.coords if name not in ("point", "beyond_data")]
            at = pd.DataFrame({str(name): at[name].values for name in names})
        rows: pd.DataFrame = at.reset_index(drop=True)
        if self.spec.family.parameters and "delay" not in at:
            raise QueryError("the effect depends on the delay: give a column 'delay'")
        found = self.mean_at(self.design.at(rows), interval=interval)
        return pd.concat([rows, found], axis=1)

    def mean_at(self, points: Points, weights: Any = None, interval: str = "wald") -> pd.DataFrame:
        """Return population mean effects at points, or linear combinations of them.

        Parameters
        ----------
        points : Points
            From ``fit.design.at(frame)``.
        weights : array_like, shape (combinations, points), optional
            ``[[1, -1]]`` is the difference of two points; each point by itself by default.
        interval : {"wald", "profile"}
            Wald intervals by the delta method; profile likelihood takes a second or so a value.

        Returns
        -------
        pandas.DataFrame
            Columns estimate, se, ci_low, ci_high, interval; an open end is infinite.

        Raises
        ------
        QueryError
            If the kind of interval or the shape of the weights is none.
        """
        if interval not in KINDS:
            raise QueryError(f"interval = '{interval}'; known: {', '.join(KINDS)}")
        size = len(points.reference)
        A = np.eye(size) if weights is None else np.atleast_2d(np.asarray(weights, dtype=float))
        if A.shape[1] != size:
            raise QueryError(f"weights have {A.shape[1]} columns for {size} points")
        return mean_table(self._optimum, points, A, interval)


def classical_fit(
    effects: Effects,
    spec: ModelSpec,
    method: str | None = None,
    *,
    ci_prob: float = 0.95,
    hold: Sequence[str] = (),
) -> ClassicalFit:
    """Return the maximum likelihood fit of a decay model: the twin of `fit`, without priors.

    y ~ N(m, V + group effects), m = level x share(t) / share(t_ref), as in the Bayesian model; or,
    with `likelihood = "exact"`, the noncentral t of SMDs with every group effect integrated out
    (`bayesma.noncentral`), for which there is only ML.

    Parameters
    ----------
    effects : Effects
    spec : ModelSpec
        Its priors are not used.
    method : {"REML", "ML"}, optional
        REML integrates the levels out under a flat prior, given the decay and the variances
        (Harville 1974, Biometrika 61:383): decay parameters and variances are at the maximum of
        what is left. By default REML where it exists, and else ML, which a note says: it needs
        variances and weights that do not depend on the level.
    ci_prob : float
        Coverage of the intervals.
    hold : sequence of str, optional
        `tau` and `kappa` (with their suffixes) that are held at 0, for nested models.

    Returns
    -------
    ClassicalFit

    Raises
    ------
    SpecError
        If the model has no maximum that the rows determine, or REML does not exist for it.
    """
    check_choices(method, ci_prob, spec)
    plan = design(with_stand_ins(spec, effects), effects)
    check_held(plan, hold)
    check_rank(plan)
    reason = why_not_linear(plan)
    if method == "REML" and reason:
        raise SpecError(f"method = 'REML': {reason}, so it cannot be integrated out; use 'ML'")
    notes = [*plan.notes]
    if method is None and reason:
        notes.append(f"maximum likelihood, not REML: {reason}")
    chosen = method or ("ML" if reason else "REML")
    found = optimum(plan, chosen == "REML", tuple(hold), ci_prob)
    return ClassicalFit(plan, chosen, ci_prob, -found.top.value, tuple(notes), found)
