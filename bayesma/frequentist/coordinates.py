"""Coordinates: every parameter of a model as one vector of free numbers, without redundancy.

A coefficient vector is basis @ coordinates, with the bases of `coding` side by side; a standard
deviation is |x|, so that 0 lies inside the space and the likelihood is smooth there; degrees of
freedom are exp(x). Effects and their spread are in units of `scale`, so that one step suits all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesma.clock import effect_clock
from bayesma.design import Design
from bayesma.mean import VARIABLES

__all__ = ["Coordinates", "Edges", "Part", "coordinates", "edges_of", "unpooled_scale"]

Floats = NDArray[np.float64]

# Past its edge a decay parameter changes no mean by more than about a millionth: 2^-20.
HALVINGS = 20.0
EDGES = {"persistent": (-14.0, 14.0), "shape": (-3.0, 3.0)}
NU = (-1.0, 9.0)


@dataclass(frozen=True)
class Part:
    """One parameter's place in the vector.

    Attributes
    ----------
    name : str
        Of the posterior variable: `level`, `log2_half_life`, `tau`, ...
    kind : str
        `linear` (enters the mean linearly), `decay`, `ratio` (log tau), `spread` or `log`.
    place : slice
    basis : ndarray, shape (terms, coordinates)
        In units of what it multiplies.
    terms : tuple of str
        Labels of the terms; empty for a single number.
    """

    name: str
    kind: str
    place: slice
    basis: Floats
    terms: tuple[str, ...]

    def natural(self, x: Floats) -> Floats:
        """Return coefficients (..., terms), or a single number (...,)."""
        values = x[..., self.place] @ self.basis.T
        if self.kind == "log":
            values = np.exp(np.clip(values, *NU))
        elif self.kind == "spread":
            values = np.abs(values)
        return np.asarray(values if self.terms else values[..., 0])


@dataclass(frozen=True)
class Coordinates:
    """The parts of the vector, linear ones first.

    Attributes
    ----------
    parts : tuple of Part
    held : tuple of str
        Single numbers that are held at 0.
    """

    parts: tuple[Part, ...]
    held: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many free numbers there are."""
        return max((part.place.stop for part in self.parts), default=0)

    @property
    def linear(self) -> int:
        """How many of them enter the mean linearly."""
        return self.count("linear")

    @property
    def of_mean(self) -> int:
        """How many of them the mean depends on: the first ones."""
        return self.count("linear") + self.count("decay")

    def count(self, kind: str) -> int:
        """Return how many free numbers are of a kind."""
        return sum(p.place.stop - p.place.start for p in self.parts if p.kind == kind)

    def part(self, name: str) -> Part:
        """Return a part by the name of its posterior variable."""
        return next(part for part in self.parts if part.name == name)

    def draws(self, x: Floats) -> dict[str, Floats]:
        """Return every parameter by its posterior name, shape (..., terms) or (...)."""
        found = {part.name: part.natural(x) for part in self.parts}
        return found | {name: np.zeros(x.shape[:-1]) for name in self.held}


def unpooled_scale(plan: Design) -> float:
    """Return the spread of the effects: the unit of effects in the vector."""
    spread = float(np.std(plan.effects.y))
    return spread if spread > 0 else float(np.sqrt(np.mean(plan.effects.v)))


def coordinates(plan: Design, held: Sequence[str] = ()) -> Coordinates:
    """Return the coordinates of a design, some single numbers held at 0."""
    scale, found, start = unpooled_scale(plan), [], 0

    def add(name: str, kind: str, basis: Floats, terms: tuple[str, ...] = ()) -> None:
        nonlocal start
        stop = start + basis.shape[1]
        found.append(Part(name, kind, slice(start, stop), basis, terms))
        start = stop

    one = np.ones((1, 1))
    bases = {
        name: np.hstack([p.average_basis, p.contrast_basis]) for name, p in plan.predictors.items()
    }
    terms = {name: p.terms for name, p in plan.predictors.items()}
    add(VARIABLES["peak"], "linear", bases["peak"] * scale, terms["peak"])
    if plan.small_study is not None:
        add("small_study", "linear", one * scale)
    for name in plan.spec.family.parameters:
        add(VARIABLES[name], "decay", bases[name], terms[name])
    if plan.varying_tau:
        # The average belongs to tau itself.
        add(VARIABLES["tau"], "ratio", plan.predictors["tau"].contrast_basis, terms["tau"])
    for name, prior in plan.scalars.items():
        if prior in ("tau", "kappa") and name not in held:
            add(name, "spread", one * (scale if prior == "tau" else 1.0))
        elif prior == "nu":
            add(name, "log", one)
    return Coordinates(tuple(found), tuple(held))


@dataclass(frozen=True)
class Edges:
    """How far a decay parameter matters, where its linear predictor differs.

    Attributes
    ----------
    parameter : str
        Of the spec: `half_life`, `persistent`, `shape`.
    matrix : ndarray, shape (kinds, coordinates of the parameter)
    low, high : ndarray, shape (kinds,)
        Of the linear predictor. Beyond them the mean is that at the limit.
    shortest, longest : ndarray, shape (kinds,)
        Of a half-life: log2 of the spans of delays that show it; else as `low` and `high`.
    """

    parameter: str
    matrix: Floats
    low: Floats
    high: Floats
    shortest: Floats
    longest: Floats

    @property
    def far_up(self) -> Floats:
        """Where a predictor may be on its way to the upper edge."""
        return np.where(self.longest < self.high, self.longest + 4, self.high / 2)

    @property
    def far_down(self) -> Floats:
        """Where a predictor may be on its way to the lower edge."""
        return np.where(self.shortest > self.low, self.shortest - 2, self.low / 2)

    def excess(self, x: Floats) -> Floats:
        """Return how far the predictors lie outside, shape (..., kinds)."""
        at = x @ self.matrix.T
        return np.maximum(0, at - self.high) + np.maximum(0, self.low - at)


def edges_of(plan: Design) -> tuple[Edges, ...]:
    """Return the edges of every decay parameter over the points of a design."""
    found = []
    for name in plan.spec.family.parameters:
        p = plan.predictors[name]
        matrix, kind = np.unique(plan.points.matrices[name], axis=0, return_inverse=True)
        inner = matrix @ np.hstack([p.average_basis, p.contrast_basis])
        if name in EDGES:
            low, high = (np.full(len(matrix), edge) for edge in EDGES[name])
            found.append(Edges(name, inner, low, high, low, high))
        else:
            reach = [_reach(plan, np.ravel(kind) == k) for k in range(len(matrix))]
            first, last = np.log2(np.array(reach)).T
            slow = 3 if "shape" in plan.spec.family.parameters else 1
            low, high = first - np.log2(HALVINGS), last + HALVINGS * slow
            found.append(Edges(name, inner, low, high, first, last))
    return tuple(found)


def _reach(plan: Design, mine: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the shortest and the longest span of delays that a half-life can show itself in."""
    clock, reference = plan.points.clock[mine], float(plan.points.reference[mine].min())
    known = np.unique(np.concatenate([clock, [reference]]))
    longest = float(known[-1])
    if len(known) < 2:  # nothing fades from one delay to itself
        everywhere = effect_clock(plan.frame)
        longest = float(np.nanmax(everywhere))
        return longest, longest
    # Before the reference a share grows without bound as the half-life shrinks.
    before = reference - float(known[0])
    return max(float(np.diff(known).min()), before), longest
