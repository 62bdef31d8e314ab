"""Profile likelihood: how far a scalar can go before the data object.

The interval of g is {c: 2 (l_max - max l subject to g = c) <= chi2_1(ci_prob)} (Wilks 1938, Ann.
Math. Statist. 9:60; Venzon & Moolgavkar 1988, Appl. Statist. 37:87). With a restricted likelihood,
l(beta, rest) - log|A| / 2 stands for l: its maximum over beta is the criterion of REML
(Lindstrom & Bates 1990, Biometrics 46:673, for nonlinear mixed models).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space

from bayesma.frequentist.descent import descend
from bayesma.frequentist.optimum import Optimum
from bayesma.frequentist.starts import heights, lifted
from bayesma.frequentist.surface import NOWHERE, Surface
from bayesma.frequentist.targets import Target
from bayesma.mean import VARIABLES

__all__ = ["Profile", "endpoint", "interval_of", "profile_of"]

Floats = NDArray[np.float64]

# Doublings of the step before a likelihood that never falls far enough counts as open.
DOUBLINGS = 24
# A deviance this near the critical value is that.
EXACT, STEPS = 1e-7, 60


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
    shifts : tuple of ndarray, shape (size,)
        Moves to further places to look from.
    """

    surface: Surface
    target: Target
    value: float
    axes: Floats
    known: dict[float, Floats] = field(default_factory=dict)
    shifts: tuple[Floats, ...] = ()

    def deviance(self, c: float) -> float:
        """Return 2 (l_max - max l subject to g = c)."""
        near = min(self.known, key=lambda other: abs(other - c))

        def height(x: Floats) -> Floats:
            moved = self.target.impose(x, c)
            fine = np.isfinite(moved).all(axis=-1)
            moved = np.where(fine[:, None], moved, self.known[near])
            found = heights(self.surface, moved) + self.target.toll(moved, c)
            return np.where(fine & np.isfinite(found), found, NOWHERE)

        ends = [descend(height, x, self.axes, exact=False) for x in self.starts(near)]
        end = min(ends, key=lambda end: end.value)
        self.known[c] = self.target.impose(end.x[None], c)[0]
        return 2 * (end.value - self.value)

    def starts(self, near: float) -> list[Floats]:
        """Return where to look from: what was found nearby, and where that is no dead end."""
        x = self.known[near]
        others = [lifted(self.surface, x), *(x + shift for shift in self.shifts)]
        return [x, *(other for other in others if not np.array_equal(other, x))]


def free_axes(fit: Optimum, target: Target) -> Floats:
    """Return the directions that stay free: not those of pins, nor the one a target is held by."""
    held = target.held_by
    rows = [row for row in fit.top.rows if held is None or not _parallel(row, held)]
    rows += [] if held is None else [held]
    return null_space(np.array(rows)) if rows else np.eye(len(fit.top.x))


def _parallel(a: Floats, b: Floats) -> bool:
    return bool(abs(abs(a @ b) - np.linalg.norm(a) * np.linalg.norm(b)) < 1e-9 * (b @ b))


def profile_of(fit: Optimum, target: Target, c: float, x: Floats) -> Profile:
    """Return the profile of a target that is c at coordinates x."""
    axes = free_axes(fit, target)
    return Profile(fit.surface, target, fit.top.value, axes, {c: x}, _shifts(fit))


def _shifts(fit: Optimum) -> tuple[Floats, ...]:
    """Return the move of persistent shares near 0 or 1, where no fading shows, to one half."""
    if not fit.top.pins or "persistent" not in fit.plan.spec.family.parameters:
        return ()
    edges, place = fit.edges("persistent"), fit.place(VARIABLES["persistent"])
    at = edges.matrix @ fit.top.x[place]
    out = np.zeros(len(fit.top.x))
    out[place] = np.linalg.lstsq(edges.matrix, np.where(np.abs(at) > 2, -at, 0.0), rcond=None)[0]
    return (out,)


def interval_of(fit: Optimum, target: Target, step: float = 1.0) -> tuple[float, float]:
    """Return the profile interval of a target on its own scale; an open end is infinite."""
    c = float(target.at(fit.top.x[None])[0])
    if not np.isfinite(c):
        return -np.inf, np.inf
    c = min(max(c, target.low), target.high)
    step = step if np.isfinite(step) and step > 0 else 1.0
    profile = profile_of(fit, target, c, fit.top.x)
    return (
        endpoint(profile, c, -2.0 * step, fit.z**2),
        endpoint(profile, c, 2.0 * step, fit.z**2),
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
    nowhere = float(np.copysign(np.inf, step))
    if np.isfinite(edge) and (edge == c or profile.deviance(edge) <= critical):
        return nowhere
    inside, first = c, -np.sqrt(critical)
    for _ in range(DOUBLINGS):
        outside = inside + step
        if (outside - edge) * step > 0:
            outside = edge
        last = _root(profile, outside, critical)
        if last > 0:
            return _between(profile, (inside, first), (outside, last), critical)
        # On by what is left at this slope and a little more, but never by less than before.
        step *= min(max(1.0, 1.1 * -last / max(last - first, 1e-9)), 2.0)
        inside, first = outside, last
    return nowhere


def _between(
    profile: Profile, inside: tuple[float, float], outside: tuple[float, float], critical: float
) -> float:
    """Return where the deviance is critical, between two values with their roots (Illinois)."""
    (a, low), (b, high) = inside, outside
    c, side = b, 0
    for _ in range(STEPS):
        c = (a * high - b * low) / (high - low)
        root = _root(profile, c, critical)
        if abs(root) * 2 * np.sqrt(critical) < EXACT or c in (a, b):
            break
        # An end that stays twice in a row counts half, so that both come nearer.
        if root > 0:
            b, high, low = c, root, low / 2 if side > 0 else low
            side = 1
        else:
            a, low, high = c, root, high / 2 if side < 0 else high
            side = -1
    return c


def _root(profile: Profile, c: float, critical: float) -> float:
    """Return the root of the deviance less that of the critical value: nearly straight in c."""
    return float(np.sqrt(max(profile.deviance(c), 0.0)) - np.sqrt(critical))
