"""Wald: standard errors from the curvature of the likelihood, by the delta method.

Where Sigma does not depend on the mean, the information on the mean's parameters is
D' Sigma^-1 D, with D the slope of the rows' means; it is apart from that on the variances, so for
a model without decay these are the standard errors of generalised least squares. Elsewhere it is
the observed information of all parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesma.frequentist.descent import hessian
from bayesma.frequentist.starts import Top, heights
from bayesma.frequentist.surface import Profiled, Surface
from bayesma.predictive import mean_at_rows

__all__ = ["Information", "information_of", "jacobian", "variance_covariance"]

Floats = NDArray[np.float64]

STEP = 1e-4
# Directions with this share of the largest information, parameter by parameter scaled, or less
# have none: differences are exact to about 1e-8.
NOTHING = 1e-9


@dataclass(frozen=True)
class Information:
    """Information on some coordinates, by its principal axes.

    Attributes
    ----------
    roots : ndarray, shape (n,)
    axes : ndarray, shape (n, n)
        Of the coordinates divided by `unit`.
    unit : ndarray, shape (n,)
    """

    roots: Floats
    axes: Floats
    unit: Floats

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Which axes the data say nothing of."""
        return np.asarray(self.roots < NOTHING)

    def errors(self, slopes: Floats) -> Floats:
        """Return standard errors of functions by their slopes (functions, n); inf if unknown."""
        along = (slopes * self.unit) @ self.axes
        size = np.maximum((along**2).sum(axis=-1), 1e-300)
        blind = (along[:, self.silent] ** 2).sum(axis=-1) > 1e-8 * size
        roots = np.where(self.silent, np.inf, self.roots)
        return np.where(blind, np.inf, np.sqrt((along**2 / roots).sum(axis=-1)))

    def silent_slopes(self) -> Floats:
        """Return the directions the data say nothing of, shape (directions, n)."""
        return np.asarray((self.axes[:, self.silent] * self.unit[:, None]).T)


def jacobian(f: Callable[[Floats], Floats], x: Floats) -> Floats:
    """Return the slopes of f, (points, n) to (points, values), at x; shape (values, n)."""
    unit = STEP * np.eye(len(x))
    with np.errstate(over="ignore", invalid="ignore"):
        values = f(np.concatenate([x + unit, x - unit]))
        slopes = (values[: len(x)] - values[len(x) :]) / (2 * STEP)
    return np.asarray(np.where(np.isfinite(slopes), slopes, 0.0).T)


def information_of(surface: Surface, full: Floats) -> Information:
    """Return the information on all coordinates but those of the variances, where it is apart."""
    if isinstance(surface, Profiled):
        plan, n = surface.plan, surface.joint.of_mean

        def means(x: Floats) -> Floats:
            rest = np.broadcast_to(full[n:], (len(x), len(full) - n))
            return mean_at_rows(plan, surface.joint.draws(np.concatenate([x, rest], axis=-1)))

        columns = jacobian(means, full[:n]).T
        return _axes_of(surface.weighted(full, columns))
    return _axes_of(hessian(lambda x: heights(surface, x), full))


def _axes_of(square: Floats) -> Information:
    diagonal = np.diag(square)
    unit = 1 / np.sqrt(np.where(diagonal > 1e-12 * max(diagonal.max(initial=0), 1e-300), diagonal,
                                np.inf))  # fmt: skip
    # A coordinate without any information keeps its own unit.
    unit = np.where(unit > 0, unit, 1.0)
    roots, axes = np.linalg.eigh(square * unit[:, None] * unit)
    return Information(roots, axes, unit)


def variance_covariance(surface: Surface, top: Top) -> Floats:
    """Return the covariance of the surface's coordinates from its own curvature, (size, size).

    Directions without information are left out: for what the variances alone depend on.
    """

    def height(u: Floats) -> Floats:
        return heights(surface, top.x + u @ top.axes.T)

    free = top.axes.shape[1]
    if not free:
        return np.zeros((len(top.x), len(top.x)))
    found = _axes_of(hessian(height, np.zeros(free)))
    axes = top.axes @ (found.axes * found.unit[:, None])[:, ~found.silent]
    return np.asarray(axes / found.roots[~found.silent] @ axes.T)
