"""Modes: where the integrand over group effects peaks, and how wide it is there.

Newton steps over all effects of a branch at once, those inside eliminated as in block Gaussian
elimination of a tree. Slope and curvature are those of the saddlepoint form, and the first step
takes d as normal with its plug-in variance: nodes need to stand near the mode, not on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bayesma.noncentral.branches import Branch
from bayesma.noncentral.grams import Gram, plug_in, pull

__all__ = ["Spreads", "placed"]

Floats = NDArray[np.float64]

# Newton steps at least, at most, and the longest in widths that ends them.
FEWEST, MOST, NEAR = 2, 40, 0.3


@dataclass(frozen=True)
class Spreads:
    """Standard deviations of the effects.

    Attributes
    ----------
    taus : tuple of ndarray, shape (draws,)
        Innermost first.
    columns : tuple of int
        Which loading is each level's.
    """

    taus: tuple[Floats, ...]
    columns: tuple[int, ...]

    def tau(self, branch: Branch) -> Floats:
        """Return the standard deviation of the effects that a branch stands for."""
        squares = [tau**2 for tau in self.taus[branch.low : branch.high + 1]]
        return np.asarray(np.sqrt(np.sum(squares, axis=0)))


@dataclass
class _Step:
    """A branch on the way to the maximum.

    Attributes
    ----------
    branch : Branch
    direct : Gram
        Of the direct elements.
    inner : list of _Step
    effect : ndarray, shape (groups, ...)
    prior : float
        Precision of the effect before data.
    """

    branch: Branch
    direct: Gram
    inner: list[_Step]
    effect: Floats
    prior: float
    slope: Floats = field(default_factory=lambda: np.zeros(0))
    d: Floats = field(default_factory=lambda: np.zeros(0))
    h: Mapping[int, Floats] = field(default_factory=dict)


def _started(branch: Branch, gram: Gram, prior: float) -> _Step:
    inner = [
        _started(own, gram.take(densities), 1.0)
        for (own, _), densities in zip(branch.inner, branch.inner_places, strict=True)
    ]
    shape = np.broadcast_shapes(gram.m.shape[1:], gram.cc[0, 0].shape[1:])
    effect = np.zeros((len(branch.groups), *shape))
    return _Step(branch, gram.take(branch.direct_places), inner, effect, prior)


def placed(branch: Branch, gram: Gram, spreads: Spreads, prior: float) -> tuple[Floats, Floats]:
    """Return the mode of each group's effect, in units of tau, and its width there."""
    step = _started(branch, gram, prior)
    for count in range(MOST):
        _eliminated(step, {}, spreads, count == 0)
        moved = _moved(step, {}, spreads)
        if count >= FEWEST and float(np.max(np.abs(moved) * np.sqrt(step.d), initial=0.0)) < NEAR:
            break
    return step.effect, 1 / np.sqrt(step.d)


def _eliminated(
    step: _Step, outer: Mapping[int, Floats], spreads: Spreads, first: bool
) -> tuple[dict[int, Floats], dict[tuple[int, int], Floats]]:
    """Return slopes and curvatures by group, the group's own effect eliminated.

    Parameters
    ----------
    step : _Step
    outer : mapping of int to ndarray, shape (groups, ...)
        Shifts by the effects further out, by loading.
    spreads : Spreads
    first : bool
        Whether no effect is known yet, and d is taken as normal.
    """
    branch, own = step.branch, spreads.columns[step.branch.low]
    tau = spreads.tau(branch)
    shifts = dict(outer)
    shifts[own] = shifts.get(own, 0.0) + tau * step.effect
    parts: list[tuple[Mapping[int, Floats], Mapping[tuple[int, int], Floats]]] = []
    if len(branch.direct):
        parts.append(_pulled(step, shifts, first))
    start = len(branch.direct)
    for inner in step.inner:
        group = branch.children[start : start + len(inner.branch.groups)]
        start += len(group)
        parts.append(_eliminated(inner, {j: x[group] for j, x in shifts.items()}, spreads, first))
    g = {j: _summed(branch, [part[0][j] for part in parts]) for j in parts[-1][0]}
    h = {key: _summed(branch, [part[1][key] for part in parts]) for key in parts[-1][1]}
    step.d = step.prior + tau**2 * h[own, own]
    step.slope = tau * g[own] - step.prior * step.effect
    step.h = {j: h[min(j, own), max(j, own)] for j in g}
    gain, part = tau**2 / step.d, tau * step.slope / step.d
    return (
        {j: x - step.h[j] * part for j, x in g.items()},
        {(j, k): x - gain * step.h[j] * step.h[k] for (j, k), x in h.items()},
    )


def _summed(branch: Branch, parts: list[Floats]) -> Floats:
    values = np.concatenate(parts)
    return np.asarray(np.add.reduceat(values[branch.order], branch.starts, axis=0))


def _pulled(
    step: _Step, shifts: Mapping[int, Floats], first: bool
) -> tuple[dict[int, Floats], Mapping[tuple[int, int], Floats]]:
    branch, gram = step.branch, step.direct
    laws = branch.direct_laws
    if first:
        found = plug_in(laws, gram)
    else:
        group = branch.group[branch.direct][laws.of]
        for j, shift in shifts.items():
            gram = gram.shifted(j, shift[group])
        found = pull(laws, gram)
    return dict(enumerate(found.g)), found.h


def _moved(step: _Step, outer: Mapping[int, Floats], spreads: Spreads) -> Floats:
    """Move the effects of a branch and of those inside; return by how much its own."""
    branch, own = step.branch, spreads.columns[step.branch.low]
    tau = spreads.tau(branch)
    pulled = sum((step.h[j] * x for j, x in outer.items()), 0.0)
    by = (step.slope - tau * pulled) / step.d
    step.effect = step.effect + by
    shifts = dict(outer)
    shifts[own] = shifts.get(own, 0.0) + tau * by
    start = len(branch.direct)
    for inner in step.inner:
        group = branch.children[start : start + len(inner.branch.groups)]
        start += len(group)
        _moved(inner, {j: x[group] for j, x in shifts.items()}, spreads)
    return by
