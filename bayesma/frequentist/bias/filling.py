"""Filling: the funnel's missing side put back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesma.effects import Effects
from bayesma.errors import SpecError, did_you_mean
from bayesma.frequentist.bias.asymmetry import PREDICTORS, line_design
from bayesma.frequentist.linear.heterogeneity import method_of, tau2_of
from bayesma.frequentist.linear.leastsquares import weighted
from bayesma.frequentist.linear.pooled import Pooled, pool
from bayesma.frequentist.linear.rows import Rows, rows_of

__all__ = ["ESTIMATORS", "SIDES", "Filled", "trim_and_fill"]

Floats = NDArray[np.float64]

ESTIMATORS = ("L0", "R0", "Q0")
SIDES = ("left", "right")


@dataclass(frozen=True)
class Filled:
    """A pooled effect after the studies that the funnel lacks were put in.

    Attributes
    ----------
    k0 : int
        How many were put in.
    k0_se : float or None
        Standard error of k0; None where its formula gives none.
    p_k0 : float or None
        Probability of so many by chance; R0 alone has it.
    side : {"left", "right"}
        Where they were missing: left are the smaller effects.
    estimator : str
    pooled : Pooled
        Of all k + k0 rows.
    observed : Pooled
        Of the k rows there were.
    y, v : ndarray, shape (k + k0,)
        The rows pooled; the last k0 were put in.
    k : int
    notes : tuple of str
    """

    k0: int
    k0_se: float | None
    p_k0: float | None
    side: str
    estimator: str
    pooled: Pooled
    observed: Pooled
    y: Floats = field(repr=False)
    v: Floats = field(repr=False)
    k: int
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say the result as a sentence of a paper would."""
        (low, high), before = self.pooled.ci, self.observed
        return (
            f"<Filled {self.estimator}, {self.k0} put in on the {self.side} of {self.k}: "
            f"{self.pooled.estimate:.4g} [{low:.4g}, {high:.4g}], before {before.estimate:.4g} "
            f"[{before.ci[0]:.4g}, {before.ci[1]:.4g}]>"
        )


def trim_and_fill(
    effects: Effects | ArrayLike,
    v: ArrayLike | None = None,
    *,
    estimator: str = "L0",
    side: str | None = None,
    method: str = "REML",
    ci: str = "knapp-hartung",
    ci_prob: float = 0.95,
) -> Filled:
    """Return the pooled effect after trim and fill (Duval & Tweedie 2000).

    Journal of the American Statistical Association 95:89 and Biometrics 56:455. With r_i the
    rank of ``|y_i - m|`` and S the sum of ranks where y_i > m, on the side that is too full:

    == ==============================================================================
    L0 [4 S - k (k + 1)] / (2 k - 1)
    R0 g - 1, g the length of the run of highest ranks that all lie above m
    Q0 k - 1/2 - sqrt(2 k^2 - 4 S + 1/4)
    == ==============================================================================

    k0, rounded, of the largest effects are set aside, m is estimated anew from the rest, until
    k0 stays; then each is given its mirror image 2 m - y. What is filled in is no data: the
    result says how much the funnel's shape matters, not what the true effect is.

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances, or y alone; at least 2, or 3 where no side is given.
    v : array_like, shape (k,), optional
        Sampling variances of a bare y.
    estimator : {"L0", "R0", "Q0"}
        Q0 is not defined for all data.
    side : {"left", "right"}, optional
        Where studies are missing. Where absent, right if effects fall with their standard error
        in a meta-regression by `method`, left otherwise.
    method, ci : str
        As in `pool`; `method` also estimates m.
    ci_prob : float

    Returns
    -------
    Filled

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        If a name is unknown; the effects are too few or all equal; no side is given and all have
        the same v; or k0 does not settle or is not defined.
    """
    if estimator not in ESTIMATORS:
        raise SpecError(
            f"estimator = '{estimator}' is unknown; {did_you_mean(estimator, ESTIMATORS)}"
        )
    if side is not None and side not in SIDES:
        raise SpecError(f"side = '{side}' is unknown; {did_you_mean(side, SIDES)}")
    canonical = method_of(method)
    rows = rows_of(effects, v)
    observed = pool(rows.y, rows.v, method=method, ci=ci, ci_prob=ci_prob)
    # As equal as rounding leaves what was computed alike.
    if np.ptp(rows.y) <= 1e-12 * np.abs(rows.y).max():
        raise SpecError("all effects are equal: their funnel has no sides")
    where = side or _side(rows, canonical)
    turn = -1.0 if where == "right" else 1.0
    order = np.argsort(turn * rows.y, kind="stable")
    y, variances = turn * rows.y[order], rows.v[order]
    k0, k0_se, mean = _settle(y, variances, estimator, canonical)
    extreme = slice(len(y) - k0, None)
    full_y = np.concatenate([rows.y, turn * (2 * mean - y[extreme])])
    full_v = np.concatenate([rows.v, variances[extreme]])
    pooled = pool(full_y, full_v, method=method, ci=ci, ci_prob=ci_prob) if k0 else observed
    return Filled(
        k0=k0,
        k0_se=k0_se,
        # P(R0 >= k0), R0 + 1 being geometric with 1/2 (Duval & Tweedie 2000, Biometrics).
        p_k0=0.5 ** (k0 + 1) if estimator == "R0" else None,
        side=where,
        estimator=estimator,
        pooled=pooled,
        observed=observed,
        y=full_y,
        v=full_v,
        k=len(rows),
        notes=rows.notes,
    )


def _side(rows: Rows, method: str) -> str:
    """Return the side that small studies avoid."""
    try:
        X = line_design(rows, "se", PREDICTORS["se"](rows.v, rows.v))
    except SpecError as error:
        raise SpecError(f"side cannot be told from the data, give side=: {error}") from error
    tau2 = tau2_of(rows.y, rows.v, X, method).value
    return "right" if weighted(rows.y, 1 / (rows.v + tau2), X).beta[1] < 0 else "left"


def _settle(y: Floats, v: Floats, estimator: str, method: str) -> tuple[int, float | None, float]:
    """Return k0, its standard error and the mean of what is not trimmed, y being sorted."""
    seen, k0 = [-1], 0
    while k0 not in seen:
        seen.append(k0)
        rest = len(y) - k0
        if rest < 1:
            raise SpecError(f"{estimator} would trim all {len(y)} effects; use another estimator")
        mean = _mean(y[:rest], v[:rest], method)
        raw, se = _missing(y - mean, estimator)
        k0 = max(0, round(raw))
    if k0 != seen[-1]:
        raise SpecError(
            f"{estimator} does not settle: it goes round {seen[seen.index(k0) :]} missing studies; "
            "use another estimator"
        )
    return k0, se, mean


def _mean(y: Floats, v: Floats, method: str) -> float:
    if len(y) == 1:
        return float(y[0])
    X = np.ones((len(y), 1))
    return float(weighted(y, 1 / (v + tau2_of(y, v, X, method).value), X).beta[0])


def _missing(residual: Floats, estimator: str) -> tuple[float, float | None]:
    """Return the estimate of how many studies are missing, and its standard error."""
    k, size = len(residual), np.abs(residual)
    # Ties keep their order, as in metafor.
    rank = np.empty(k)
    rank[np.argsort(size, kind="stable")] = np.arange(1, k + 1)
    # A residual of rounding's size is 0, on neither side.
    sign = np.where(size > 1e-14 * size.max(), np.sign(residual), 0.0)
    if estimator == "R0":
        k0 = float(k - rank[sign < 0].max(initial=0.0) - 1)
        return k0, float(np.sqrt(2 * max(0.0, k0) + 2))
    total = float(rank[sign > 0].sum())
    if estimator == "L0":
        k0 = (4 * total - k * (k + 1)) / (2 * k - 1)
        factor = 4 / (2 * k - 1)
    else:
        inside = 2 * k**2 - 4 * total + 0.25
        if inside < 0:
            raise SpecError(
                "Q0 is not defined for these effects (the root of a negative number); use 'L0' "
                "or 'R0'"
            )
        k0 = k - 0.5 - float(np.sqrt(inside))
        factor = 2 / float(np.sqrt((k - 0.5) ** 2 - k0 * (2 * k - k0 - 1)))
    variance = _rank_sum_variance(k, k0)
    return k0, factor * float(np.sqrt(variance)) if variance >= 0 else None


def _rank_sum_variance(k: int, k0: float) -> float:
    """Return the variance of S where k0 studies are missing (Duval & Tweedie 2000)."""
    return (
        k * (k + 1) * (2 * k + 1)
        + 10 * k0**3
        + 27 * k0**2
        + 17 * k0
        - 18 * k * k0**2
        - 18 * k * k0
        + 6 * k**2 * k0
    ) / 24
