"""Profile likelihood: how far a scalar can go before the data object.

The interval of g is {c: 2 (l_max - max l subject to g = c) <= chi2_1(ci_prob)} (Wilks 1938, Ann.
Math. Statist. 9:60; Venzon & Moolgavkar 1988, Appl. Statist. 37:87). With a restricted likelihood,
l(beta, rest) - log|A| / 2 stands for l: its maximum over beta is the criterion of REML
(Lindstrom & Bates 1990, Biometrics 46:673, for nonlinear mixed models).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import brentq

from bayesma.frequentist.descent import descend
from bayesma.frequentist.optimum import Optimum
from bayesma.frequentist.starts import heights, lifted
from bayesma.frequentist.surface import NOWHERE, Surface
from bayesma.frequentist.targets import Target

__all__ = ["Profile", "endpoint", "free_axes", "interval_of"]

Floats = NDArray[np.float64]

# Doublings of the step before a likelihood that never falls far enough counts as open.
DOUBLINGS = 24


@dataclass
class Profile:
    """The deviance of a scalar from the maximum; it remembers where it has been.

    Attributes
    ----------
    surface : Surface
    target : Target
    value : float
        Minus the log likelihood at the maximum.
    axes : ndarray, shape (size, free)
        Directions in which the other parameters are free.
    known : dict
        Value held to the coordinates found there.
    """

    surface: Surface
    target: Target
    value: float
    axes: Floats
    known: dict[float, Floats] = field(default_factory=dict)

    def deviance(self, c: float) -> float:
        """Return 2 (l_max - max l subject to g = c)."""
        near = min(self.known, key=lambda other: abs(other - c))

        def height(x: Floats) -> Floats:
            moved = self.target.impose(x, c)
            fine = np.isfinite(moved).all(axis=-1)
            moved = np.where(fine[:, None], moved, self.known[near])
            found = heights(self.surface, moved) + self.target.toll(moved, c)
            return np.where(fine & np.isfinite(found), found, NOWHERE)

        starts = [self.known[near], lifted(self.surface, self.known[near])]
        same = np.array_equal(*starts)
        ends = [descend(height, x, self.axes) for x in starts[: 1 if same else 2]]
        end = min(ends, key=lambda end: end.value)
        self.known[c] = self.target.impose(end.x[None], c)[0]
        return 2 * (end.value - self.value)


def free_axes(fit: Optimum, target: Target) -> Floats:
    """Return the directions that stay free: not those of pins, nor the one a target is held by."""
    held = target.held_by
    rows = [row for row in fit.top.rows if held is None or not _parallel(row, held)]
    rows += [] if held is None else [held]
    return null_space(np.array(rows)) if rows else np.eye(len(fit.top.x))


def _parallel(a: Floats, b: Floats) -> bool:
    return abs(abs(a @ b) - np.linalg.norm(a) * np.linalg.norm(b)) < 1e-9 * (b @ b)


def interval_of(fit: Optimum, target: Target, step: float = 1.0) -> tuple[float, float]:
    """Return the profile interval of a target on its own scale; an open end is infinite."""
    c = float(target.at(fit.top.x[None])[0])
    if not np.isfinite(c):
        return -np.inf, np.inf
    c = min(max(c, target.low), target.high)
    step = step if np.isfinite(step) and step > 0 else 1.0
    profile = Profile(
        fit.surface, target, fit.top.value, free_axes(fit, target), {c: fit.top.x}
    )
    return (
        endpoint(profile, c, -1.5 * step, fit.z**2),
        endpoint(profile, c, 1.5 * step, fit.z**2),
    )


def endpoint(profile: Profile, c: float, step: float, critical: float) -> float:
    """Return where the deviance rises to a critical value; infinite if it never does.

    Parameters
    ----------
    profile : Profile
        With the coordinates at c known.
    c : float
        Where the deviance is below the critical value.
    step : float
        Which way to go, and how far at first.
    critical : float
    """
    edge = profile.target.high if step > 0 else profile.target.low
    if np.isfinite(edge) and (edge == c or profile.deviance(edge) <= critical):
        return float(np.copysign(np.inf, step))
    z = _rooted(profile, critical)
    inside, first = c, z(c)
    for _ in range(DOUBLINGS):
        outside = inside + step
        if (outside - edge) * step > 0:
            outside = edge
        last = z(outside)
        if last > 0:
            return _between(z, inside, outside, (first, last))
        inside, first, step = outside, last, 2 * step
    return float(np.copysign(np.inf, step))


def _between(
    z: Callable[[float], float], inside: float, outside: float, ends: tuple[float, float]
) -> float:
    """Return the root of z between two ends whose values are known."""
    told = {inside: ends[0], outside: ends[1]}

    def known(c: float) -> float:
        if c not in told:
            told[c] = z(c)
        return told[c]

    # The deviance at the end is then right to about 1e-8: its slope against c is a few per step.
    tolerance = 1e-9 * max(abs(outside - inside), 1e-3)
    return float(brentq(known, inside, outside, xtol=tolerance, rtol=1e-12))


def _rooted(profile: Profile, critical: float) -> Callable[[float], float]:
    """Return the root of the deviance less that of the critical value: nearly straight in c."""

    def z(c: float) -> float:
        return float(np.sqrt(max(profile.deviance(c), 0.0)) - np.sqrt(critical))

    return z
