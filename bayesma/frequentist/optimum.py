"""Optimum: a likelihood's maximum with what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bayesma.design import Design
from bayesma.frequentist.coordinates import Edges
from bayesma.frequentist.starts import Top, heights, surface_of, top_of
from bayesma.frequentist.surface import Surface
from bayesma.frequentist.wald import Information, information_of, variance_covariance
from bayesma.mean import VARIABLES

__all__ = ["Optimum", "optimum"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Optimum:
    """The maximum of a likelihood.

    Attributes
    ----------
    surface : Surface
    top : Top
    ci_prob : float
        Coverage of intervals made from it.
    """

    surface: Surface
    top: Top
    ci_prob: float

    @property
    def plan(self) -> Design:
        """The design."""
        return self.surface.plan

    @cached_property
    def full(self) -> Floats:
        """The coordinates of all parameters."""
        return np.asarray(self.surface.full(self.top.x[None])[0])

    @cached_property
    def estimates(self) -> dict[str, Floats]:
        """Every parameter by its posterior name: coefficients (terms,) or a number."""
        draws = self.surface.joint.draws(self.full[None])
        return {name: np.asarray(values[0]) for name, values in draws.items()}

    @cached_property
    def information(self) -> Information:
        """The information on the mean's coordinates."""
        return information_of(self.surface, self.full)

    @cached_property
    def variance_covariance(self) -> Floats:
        """Covariance of the surface's coordinates from its own curvature."""
        return variance_covariance(self.surface, self.top)

    @cached_property
    def z(self) -> float:
        """The normal quantile of the intervals; its square is that of chi-squared."""
        return float(stats.norm.ppf(0.5 + self.ci_prob / 2))

    def edges(self, parameter: str) -> Edges:
        """Return the edges of a decay parameter."""
        return next(edges for edges in self.surface.edges if edges.parameter == parameter)

    def place(self, name: str) -> slice:
        """Return where a posterior variable stands in the surface's coordinates."""
        place = self.surface.joint.part(name).place
        return slice(place.start - self.surface.skipped, place.stop - self.surface.skipped)

    @cached_property
    def runs(self) -> Floats:
        """The direction in which pinned parameters run, in all coordinates."""
        out = np.zeros(self.surface.joint.size)
        for parameter, kind, side in self.top.pins:
            edges = self.edges(parameter)
            wanted = np.zeros(len(edges.low))
            wanted[kind] = side
            place = self.surface.joint.part(VARIABLES[parameter]).place
            out[place] += np.linalg.lstsq(edges.matrix, wanted, rcond=None)[0]
        return out


def optimum(plan: Design, restricted: bool, held: tuple[str, ...], ci_prob: float) -> Optimum:
    """Return the maximum of a design's likelihood."""
    surface = surface_of(plan, restricted, held)
    return Optimum(surface, _with_exact_zeros(surface, top_of(surface)), ci_prob)


def _with_exact_zeros(surface: Surface, top: Top) -> Top:
    """Return the maximum with spreads of one sign, and at 0 where that is as high."""
    x = top.x.copy()
    for part in surface.joint.parts:
        at = part.place.start - surface.skipped
        if part.kind == "spread":
            x[at] = abs(x[at])
        if part.kind == "spread" and x[at] < 1e-3:
            zero = x.copy()
            zero[at] = 0.0
            before, after = heights(surface, np.array([x, zero]))
            x = zero if after < before + 1e-9 else x  # the rounding of a log likelihood
    return replace(top, x=x, value=float(surface.value(x[None])[0]))
