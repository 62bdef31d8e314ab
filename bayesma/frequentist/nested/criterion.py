"""The likelihood of nested variances, restricted or not, and its minimum."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesma.covariance import Blocks
from bayesma.errors import SpecError
from bayesma.frequentist.linear.leastsquares import weighted
from bayesma.frequentist.nested.levels import Levels, check_levels
from bayesma.frequentist.nested.sums import Engine, engine_of

__all__ = ["Criterion", "Solution", "criterion_of", "minimised", "starts"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LOG_2PI = float(np.log(2 * np.pi))

# Newton stops when no variance moves by more than this share of itself: far below what is
# reported, far above the rounding of the slope.
SETTLED = 1e-11
# A step may raise the deviance by this share of it: the rounding of a sum of so many logarithms.
ROUNDING = 1e-12


# Points of the grid along each variance, by the number of variances.
POINTS = {1: 30, 2: 6, 3: 4}


@dataclass(frozen=True)
class Solution:
    """The criterion at given variances; leading axes are theirs.

    Attributes
    ----------
    deviance : ndarray, shape (...)
        -2 log likelihood.
    slope : ndarray, shape (..., levels)
        Its derivative in each variance.
    beta : ndarray, shape (..., p)
        Generalised least squares of the criterion's residual on Q.
    covariance : ndarray, shape (..., p, p)
        (Q'S^-1 Q)^-1.
    """

    deviance: Floats
    slope: Floats
    beta: Floats
    covariance: Floats


@dataclass(frozen=True)
class Criterion:
    """-2 log likelihood of the variances, the coefficients at their best or integrated out.

    ML: n log 2 pi + log |S| + r'S^-1 r. REML: (n - p) log 2 pi + log |S| + log |X'S^-1 X|
    - log |X'X| + r'S^-1 r (Harville 1974, Biometrika 61:383; constant included), with r the
    residual of generalised least squares. The slopes (Harville 1977, JASA 72:320) are
    tr(P ZZ') - y'P ZZ'P y, with tr(S^-1 ZZ') in place of the first term under ML.

    Attributes
    ----------
    engine : Tree or Stacks
        Of the residual of least squares weighted by 1/v and Q of X = Q R: the heavier a row, the
        smaller its residual, and log |Q'Q| = 0.
    rows : int
    restricted : bool
        REML rather than ML.
    offset : ndarray, shape (p,)
        The coefficients of Q that leave that residual.
    triangle : ndarray, shape (p, p)
        R.
    spread : float
        Mean square of the residual of ordinary least squares.
    """

    engine: Engine
    rows: int
    restricted: bool
    offset: Floats
    triangle: Floats
    spread: float

    def at(self, sigma2: Floats) -> Solution:
        """Return the criterion at variances of shape (..., levels), outermost first."""
        sums = self.engine.sums(np.asarray(sigma2, dtype=float))
        xx, xy = sums.products[..., 1:, 1:], sums.products[..., 1:, 0]
        covariance = np.linalg.inv(xx)
        # Not covariance @ xy: beside a huge study the inverse has not the digits.
        beta = np.linalg.solve(xx, xy[..., None])[..., 0]
        # [1, -beta] takes the columns [y, X] to the residual, whose square errs with the square
        # of the error of beta.
        residual = np.concatenate([np.ones_like(beta[..., :1]), -beta], axis=-1)
        quadratic = np.einsum("...i,...ij,...j->...", residual, sums.products, residual)
        squares = np.einsum("...i,...lij,...j->...l", residual, sums.crosses, residual)
        slope = sums.traces - squares
        free = self.rows
        deviance = sums.log_det + quadratic
        if self.restricted:
            free -= beta.shape[-1]
            deviance = deviance + np.linalg.slogdet(xx)[1]
            slope = slope - np.einsum("...ij,...lji->...l", covariance, sums.crosses[..., 1:, 1:])
        return Solution(deviance + free * LOG_2PI, slope, beta, covariance)

    def coefficients(self, sigma2: Floats) -> tuple[Floats, Floats]:
        """Return the coefficients of X and their covariance at given variances."""
        found = self.at(sigma2)
        back = np.linalg.inv(self.triangle)
        return back @ (self.offset + found.beta), back @ found.covariance @ back.T


def criterion_of(
    y: Floats, X: Floats, covariance: Blocks, levels: Levels, restricted: bool
) -> Criterion:
    """Return the criterion of rows, their sampling covariance and their nested groups.

    Raises
    ------
    SpecError
        If the rows cannot tell the variances.
    """
    basis, triangle = np.linalg.qr(X)
    check_levels(levels, basis, restricted)
    offset = weighted(y, 1 / covariance.v, basis).beta
    rest = y - basis @ offset
    columns = np.column_stack([rest, basis])
    engine = engine_of(columns, covariance, levels.codes)
    spread = float(((rest - basis @ (basis.T @ rest)) ** 2).sum() / (len(y) - X.shape[1]))
    return Criterion(engine, len(y), restricted, offset, triangle, spread)


def starts(
    criterion: Criterion, held: Floats, free: Bools, low: float, high: float
) -> list[Floats]:
    """Return where to start: the points of a coarse grid that are lower than their neighbours.

    Parameters
    ----------
    criterion : Criterion
    held : ndarray, shape (levels,)
        Values of the variances that are not free.
    free : ndarray of bool, shape (levels,)
    low, high : float
        Variances that hardly matter, and that are more than the rows can show.
    """
    levels = int(free.sum())
    # Rows of unlike precision can have a maximum at the scale of each; few points are enough
    # where they are many directions.
    steps = np.concatenate([[0.0], np.geomspace(low, high, POINTS.get(levels, 3))])
    shape = (len(steps),) * levels
    points = np.tile(held, (len(steps) ** levels, 1))
    points[:, free] = list(itertools.product(steps, repeat=levels))
    deviance = criterion.at(points).deviance.reshape(shape)
    padded = np.pad(deviance, 1, constant_values=np.inf)
    lowest = np.ones(shape, dtype=bool)
    for axis in range(levels):
        for shift in (-1, 1):
            beside = np.roll(padded, shift, axis)[(slice(1, -1),) * levels]
            lowest &= deviance <= beside
    return list(points[lowest.reshape(-1)])


def minimised(criterion: Criterion, start: Floats, free: Bools, least: float) -> Floats:
    """Return the variances at a minimum, shape (levels,): exactly 0 where it lies at the edge.

    Newton's method on the variances themselves, not their roots or logarithms, so that 0 is an
    ordinary point with a slope of its own. Curvature comes from differences of the exact slope;
    where it is not that of a minimum it is made so, which keeps every step downhill.

    Parameters
    ----------
    criterion : Criterion
    start : ndarray, shape (levels,)
    free : ndarray of bool, shape (levels,)
        Which variances may move.
    least : float
        A variance that is small beside the sampling variances.

    Raises
    ------
    SpecError
        If it does not settle, which a likelihood with a minimum does not do.
    """
    at = np.array(start, dtype=float)
    damping = 0.0
    step = 1e-5 * (at + least)
    for _ in range(300):
        step = 1e-5 * (at + least)
        found = criterion.at(np.vstack([at, at + np.diag(step)]))
        slope = found.slope[0]
        moving = free & ~((at <= 0) & (slope >= 0))
        if not moving.any():
            return at
        curvature = ((found.slope[1:] - slope) / step[:, None])[np.ix_(moving, moving)]
        target, damping = _downhill(
            criterion, at, moving, slope[moving], curvature, float(found.deviance[0]), damping
        )
        change = np.abs(target - at)
        at = target
        if np.all(change <= SETTLED * (at + 1e-3 * least)):
            return at
    raise SpecError(
        "the variances of the levels do not settle: the rows do not tell them apart; drop a level"
    )


def _downhill(
    criterion: Criterion,
    at: Floats,
    moving: Bools,
    slope: Floats,
    curvature: Floats,
    deviance: float,
    damping: float,
) -> tuple[Floats, float]:
    """Return the next variances and the damping that led there."""
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    bent = np.abs(values) + 1e-12 * np.abs(values).max()
    bent = np.where(bent > 0, bent, 1.0)
    along = vectors.T @ slope
    allowed = deviance + ROUNDING * (1 + abs(deviance))
    for _ in range(60):
        target = at.copy()
        target[moving] -= vectors @ (along / (bent + damping * bent.max()))
        target = np.maximum(target, 0)
        if criterion.at(target).deviance <= allowed:
            return target, damping / 10 if damping > 1e-6 else 0.0
        damping = max(4 * damping, 1e-3)
    return at, 0.0
