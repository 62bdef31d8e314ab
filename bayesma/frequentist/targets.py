"""Targets: the scalars that a profile holds, each with a way to hold it.

A target is a function g of the coordinates, on a scale without bounds, and `impose` moves
coordinates to where g = c. The likelihood over the moved coordinates is that under the constraint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bayesma.design import Points
from bayesma.frequentist.surface import Joint, Profiled, Surface
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean

__all__ = ["Along", "Effect", "Loss", "Target"]

Floats = NDArray[np.float64]

MATHS = NumPyMaths()


class Target(Protocol):
    """A scalar to be held at a value.

    Attributes
    ----------
    low, high : float
        Its edges; beyond them the likelihood is level, or there is nothing.
    """

    @property
    def low(self) -> float:
        """The lower edge."""

    @property
    def high(self) -> float:
        """The upper edge."""

    @property
    def held_by(self) -> Floats | None:
        """The direction along which `impose` moves; None if there is no one direction."""

    def at(self, x: Floats) -> Floats:
        """Return the scalar, shape (points,), of coordinates (points, size)."""

    def impose(self, x: Floats, c: float) -> Floats:
        """Return coordinates moved to where the scalar is c."""

    def toll(self, x: Floats, c: float) -> Floats:
        """Return what the constraint costs where it is no matter of the coordinates."""


@dataclass(frozen=True)
class Along:
    """A linear function of the coordinates: a half-life's log2, a logit, a tau.

    Attributes
    ----------
    row : ndarray, shape (size,)
    low, high : float
    """

    row: Floats
    low: float
    high: float

    @property
    def held_by(self) -> Floats | None:
        """The row."""
        return self.row

    def at(self, x: Floats) -> Floats:
        """Return row'x."""
        return np.asarray(x @ self.row)

    def impose(self, x: Floats, c: float) -> Floats:
        """Return x moved along the row."""
        gap = (c - self.at(x)) / (self.row @ self.row)
        return np.asarray(x + gap[:, None] * self.row)

    def toll(self, x: Floats, c: float) -> Floats:
        """Return 0."""
        return np.zeros(len(x))


@dataclass(frozen=True)
class Loss:
    """log2 of the days until a share of the peak is lost: a half-life times what follows of it.

    Attributes
    ----------
    surface : Surface
    rows : mapping of str to ndarray, shape (size,)
        Linear predictor of each decay parameter.
    share : float
        What is left.
    low, high : float
    """

    surface: Surface
    rows: Mapping[str, Floats]
    share: float
    low: float
    high: float

    @property
    def held_by(self) -> Floats | None:
        """The row of the half-life."""
        return self.rows["half_life"]

    def at(self, x: Floats) -> Floats:
        """Return log2 of the delay; infinite where it is never reached."""
        predictors = {name: x @ row for name, row in self.rows.items()}
        with np.errstate(all="ignore"):
            delay = self.surface.plan.spec.family.delay_at(self.share, predictors, MATHS)
            return np.asarray(np.log2(delay))

    def impose(self, x: Floats, c: float) -> Floats:
        """Return x with the half-life that puts the loss at c; not a number where none does."""
        row = self.rows["half_life"]
        gap = (c - self.at(x)) / (row @ row)
        with np.errstate(invalid="ignore"):
            return np.asarray(x + gap[:, None] * row)

    def toll(self, x: Floats, c: float) -> Floats:
        """Return 0."""
        return np.zeros(len(x))


@dataclass(frozen=True)
class Effect:
    """A linear combination of mean effects at points, in units of the effect measure.

    Attributes
    ----------
    surface : Surface
    points : Points
    weights : ndarray, shape (points,)
    low, high : float
    """

    surface: Surface
    points: Points
    weights: Floats
    low: float = -np.inf
    high: float = np.inf

    @property
    def held_by(self) -> Floats | None:
        """None."""
        return None

    def loadings(self, x: Floats) -> Floats:
        """Return w with the effect w'beta, shape (..., level coordinates)."""
        joint, plan = self.surface.joint, self.surface.plan
        padded = np.concatenate([np.zeros((len(x), self.surface.skipped)), x], axis=-1)
        draws = joint.draws(padded)
        names = plan.spec.family.parameters
        coefficients = {name: draws[VARIABLES[name]] for name in names}
        coefficients["peak"] = np.ones((len(x), 1))
        matrices = {name: self.points.matrices[name] for name in names}
        flat = np.ones((len(self.weights), 1))
        unit = Points({"peak": flat, **matrices}, self.points.clock, self.points.reference)
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = effect_mean(coefficients, unit, plan.spec.family, MATHS)
            level = self.points.matrices["peak"] @ joint.part(VARIABLES["peak"]).basis
            return np.asarray((ratio * self.weights) @ level)

    def at(self, x: Floats) -> Floats:
        """Return w'beta."""
        w = self.loadings(x)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray((w * self.surface.full(x)[:, : w.shape[-1]]).sum(axis=-1))

    def impose(self, x: Floats, c: float) -> Floats:
        """Return x, or with beta moved along w where beta is among the coordinates."""
        if not isinstance(self.surface, Joint):
            return x
        w = self.loadings(x)
        n = w.shape[-1]
        gap = (c - (w * x[:, :n]).sum(axis=-1)) / (w**2).sum(axis=-1)
        return np.concatenate([x[:, :n] + gap[:, None] * w, x[:, n:]], axis=-1)

    def toll(self, x: Floats, c: float) -> Floats:
        """Return (c - w'beta)^2 / (2 w' A^-1 w): generalised least squares under a constraint."""
        if not isinstance(self.surface, Profiled):
            return np.zeros(len(x))
        w = self.loadings(x)
        n = w.shape[-1]
        beta, covariance, _, _ = self.surface.solved(x)
        with np.errstate(over="ignore", invalid="ignore"):
            variance = np.einsum("bi,bij,bj->b", w, covariance[:, :n, :n], w)
            return np.asarray(0.5 * (c - (w * beta[:, :n]).sum(axis=-1)) ** 2 / variance)
