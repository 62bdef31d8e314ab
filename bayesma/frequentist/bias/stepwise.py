"""Stepwise selection: the likelihood of effects seen with a probability that steps down with p.

Row i is N(mu_i, s_i^2), s_i^2 = v_i + tau2, times the weight d of its interval of p-values, over
the mean weight A_i (Hedges 1992, Statistical Science 7:246; Vevea & Hedges 1995, Psychometrika
60:419, eq. 9):

    l = sum_i [ log d(p_i) - log(2 pi s_i^2)/2 - (y_i - mu_i)^2 / (2 s_i^2) - log A_i ]
    A_i = sum_r d_r [Phi(t_ir) - Phi(t_i,r-1)],  t_ir = (c_r sqrt(v_i) - mu_i) / s_i

where the pieces r between cuts c of z = y / sqrt(v) are the intervals of p.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["Steps", "Stepwise", "Value"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Steps:
    """Intervals of p-values as pieces of the z line.

    Attributes
    ----------
    bounds : tuple of float
        Upper bounds of the intervals of p, the last 1.
    two_sided : bool
        Whether p is two-sided; else small p are large z.
    """

    bounds: tuple[float, ...]
    two_sided: bool = False

    @property
    def cuts(self) -> Floats:
        """Cuts of z, rising."""
        inner = np.array(self.bounds[:-1])
        if not self.two_sided:
            return np.asarray(-special.ndtri(inner[::-1]))
        upper = -special.ndtri(inner[::-1] / 2)
        return np.concatenate([-upper[::-1], upper])

    @property
    def groups(self) -> Integers:
        """Interval of each piece between cuts, shape (cuts + 1,)."""
        last = len(self.bounds) - 1
        falling = np.arange(last, -1, -1)
        return np.concatenate([np.arange(last), falling]) if self.two_sided else falling

    def interval(self, z: Floats) -> Integers:
        """Return the interval of each z."""
        p = 2 * special.ndtr(-np.abs(z)) if self.two_sided else special.ndtr(-z)
        return np.asarray(np.searchsorted(np.array(self.bounds), p, side="left"), dtype=np.int64)

    @property
    def names(self) -> tuple[str, ...]:
        """How the intervals are written."""
        lower = (0.0, *self.bounds[:-1])
        return tuple(f"({low:g}, {high:g}]" for low, high in zip(lower, self.bounds, strict=True))


@dataclass(frozen=True)
class Value:
    """Log likelihood with its first and second derivatives.

    Attributes
    ----------
    value : float
    slope : ndarray, shape (p + m,)
        By coefficients (p), tau2, and weights from the second (m - 1).
    curvature : ndarray, shape (p + m, p + m)
    """

    value: float
    slope: Floats
    curvature: Floats


@dataclass(frozen=True)
class Stepwise:
    """The likelihood of some rows.

    Attributes
    ----------
    y, v : ndarray, shape (k,)
        Turned so that small p are large y.
    X : ndarray, shape (k, p)
    steps : Steps
    """

    y: Floats
    v: Floats
    X: Floats
    steps: Steps

    @cached_property
    def intervals(self) -> Integers:
        """Interval of the p-value of each row, shape (k,)."""
        return self.steps.interval(self.y / np.sqrt(self.v))

    def at(self, beta: Floats, tau2: float, weights: Floats) -> Value:
        """Return the log likelihood at coefficients, tau2 and the weights after the first."""
        d = np.concatenate([[1.0], weights])
        mean, variance = self.X @ beta, self.v + tau2
        mass = _Mass.of(self, mean, np.sqrt(variance), d)
        counts = np.bincount(self.intervals, minlength=len(d))[1:]
        r = self.y - mean
        # - log A, and its derivatives; then the normal density's; then the observed weights'.
        ratio = mass.slope / mass.value[:, None]
        value = -np.log(mass.value)
        slope = -ratio
        second = ratio[:, :, None] * ratio[:, None, :] - mass.second / mass.value[:, None, None]
        value -= 0.5 * (LOG_2PI + np.log(variance) + r**2 / variance)
        slope[:, 0] += r / variance
        slope[:, 1] += 0.5 * (r**2 / variance - 1) / variance
        second[:, 0, 0] -= 1 / variance
        second[:, 0, 1] -= r / variance**2
        second[:, 1, 0] -= r / variance**2
        second[:, 1, 1] += (0.5 - r**2 / variance) / variance**2
        total, p = self._gathered(second), self.X.shape[1]
        by_parameter = np.concatenate([self.X.T @ slope[:, 0], slope[:, 1:].sum(axis=0)])
        by_parameter[p + 1 :] += counts / weights
        at = np.arange(p + 1, len(by_parameter))
        total[at, at] -= counts / weights**2
        return Value(float(value.sum() + counts @ np.log(weights)), by_parameter, total)

    def _gathered(self, second: Floats) -> Floats:
        """Return second derivatives by rows' means as those by coefficients, summed over rows."""
        p, others = self.X.shape[1], second.shape[1] - 1
        found = np.empty((p + others, p + others))
        found[:p, :p] = (self.X.T * second[:, 0, 0]) @ self.X
        found[:p, p:] = self.X.T @ second[:, 0, 1:]
        found[p:, :p] = found[:p, p:].T
        found[p:, p:] = second[:, 1:, 1:].sum(axis=0)
        return found


@dataclass(frozen=True)
class _Mass:
    """A of each row, with derivatives by (mean, tau2, weights after the first)."""

    value: Floats
    slope: Floats
    second: Floats

    @classmethod
    def of(cls, model: Stepwise, mean: Floats, sd: Floats, d: Floats) -> _Mass:
        """Return A at means, standard deviations and weights."""
        groups = model.steps.groups
        s = sd[:, None]
        t = (model.steps.cuts * np.sqrt(model.v)[:, None] - mean[:, None]) / s
        density = np.exp(-0.5 * (t**2 + LOG_2PI))
        # Derivatives of Phi(t) at each cut, 0 beyond the first and the last.
        at_cuts = np.zeros((5, len(mean), t.shape[1] + 2))
        at_cuts[0, :, 1:-1] = -density / s
        at_cuts[1, :, 1:-1] = -0.5 * density * t / s**2
        at_cuts[2, :, 1:-1] = -density * t / s**2
        at_cuts[3, :, 1:-1] = 0.5 * density * (1 - t**2) / s**3
        at_cuts[4, :, 1:-1] = 0.25 * density * t * (3 - t**2) / s**4
        # Those of a piece are the difference of its two cuts; pieces are summed over the
        # intervals they belong to: (pieces,) @ (pieces, intervals).
        member = (groups[:, None] == np.arange(len(d))).astype(float)
        chance = _pieces(t) @ member
        by_interval = (at_cuts[:, :, 1:] - at_cuts[:, :, :-1]) @ member
        mean1, tau1, mean2, both, tau2 = by_interval @ d
        slope = np.column_stack([mean1, tau1, chance[:, 1:]])
        second = np.zeros((len(mean), slope.shape[1], slope.shape[1]))
        second[:, 0, 0], second[:, 1, 1] = mean2, tau2
        second[:, 0, 1] = second[:, 1, 0] = both
        for j in (0, 1):
            second[:, j, 2:] = second[:, 2:, j] = by_interval[j][:, 1:]
        return cls(chance @ d, slope, second)


def _pieces(t: Floats) -> Floats:
    """Return the normal probability of each piece, from the nearer tail."""
    edges = np.full((t.shape[0], t.shape[1] + 2), np.inf)
    edges[:, 0], edges[:, 1:-1] = -np.inf, t
    low, high = edges[:, :-1], edges[:, 1:]
    flip = low > 0
    first = special.ndtr(np.where(flip, -low, high))
    return np.asarray(first - special.ndtr(np.where(flip, -high, low)))
