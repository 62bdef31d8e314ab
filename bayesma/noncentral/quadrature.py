"""Quadrature over group effects, branch by branch.

The likelihood of a branch's group is log-concave in its effect. Nodes stand around the maximum of
the integrand, in units of its width there, found by Newton steps with the saddlepoint form; the
trapezoidal rule then converges exponentially. Spacing grows gently outward (e = mode + width
sinh(a u) / a), so that one set of nodes also serves the integrand without one of its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bayesma.noncentral.branches import Branch
from bayesma.noncentral.densities import LOG_2PI
from bayesma.noncentral.grams import Gram, log_densities, plug_in, pull

__all__ = ["Setting", "integral"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Newton steps at least, at most, and the longest in widths that ends them.
FEWEST, MOST, NEAR = 2, 40, 0.3

# Precision of a Student-t effect before data, where nodes are placed by the likelihood alone.
VAGUE = 1e-16
STUDENT, REACH, HALVINGS, POLISH = 160, 12.0, 30, 3


@dataclass(frozen=True)
class Nodes:
    """The trapezoidal rule in u, for e = mode + width sinh(a u) / a.

    Attributes
    ----------
    at : ndarray, shape (nodes,)
        sinh(a u) / a.
    log_weight : ndarray, shape (nodes,)
        log of step times cosh(a u).
    """

    at: Floats
    log_weight: Floats


def nodes(reach: float, step: float, stretch: float) -> Nodes:
    """Return nodes up to `reach` in u on either side."""
    count = int(np.ceil(reach / step))
    u = step * np.arange(-count, count + 1)
    return Nodes(np.sinh(stretch * u) / stretch, np.log(step * np.cosh(stretch * u)))


# For an integrand of width 1 the rule is off by 2 exp(-2 pi^2 / step^2).
PLAIN = nodes(7.2, 0.9, 0.12)
# Without a row an integrand is wider, and elsewhere.
WIDE = nodes(8.4, 0.7, 0.25)


@dataclass(frozen=True)
class Setting:
    """What the effects are.

    Attributes
    ----------
    taus : tuple of ndarray, shape (draws,)
        Innermost first.
    columns : tuple of int
        Which loading is each level's.
    nu : ndarray, shape (draws,), or None
        Degrees of freedom of the outermost effect.
    nodes : Nodes
    """

    taus: tuple[Floats, ...]
    columns: tuple[int, ...]
    nu: Floats | None
    nodes: Nodes

    def tau(self, branch: Branch) -> Floats:
        """Return the standard deviation of the effects that a branch stands for."""
        squares = [tau**2 for tau in self.taus[branch.low : branch.high + 1]]
        return np.asarray(np.sqrt(np.sum(squares, axis=0)))


def integral(
    branch: Branch, gram: Gram, rest: Gram | None, setting: Setting
) -> tuple[Floats, Floats | None]:
    """Return log p of each group, and without each of its rows.

    Parameters
    ----------
    branch : Branch
    gram : Gram
        Of the branch's elements.
    rest : Gram or None
        Of what is left of them without a row each, in the order of `branch.left`.
    setting : Setting

    Returns
    -------
    by_group : ndarray, shape (groups, ...)
    without : ndarray, shape (rows, ...), or None
        In the order of `branch.rows`.
    """
    column, tau = setting.columns[branch.low], setting.tau(branch)
    student = setting.nu is not None and branch.high == len(setting.taus) - 1
    centre, width = _placed(branch, gram, setting, VAGUE if student else 1.0)
    effect, log_weight = (_student_nodes if student else _nodes)(centre, width, setting)
    by = tau * effect

    children, leaves = [], []
    left = None if rest is None else rest.opened().shifted(column, by[branch.left_group])
    start = 0
    if len(branch.direct):
        own = gram.take(branch.direct_places).opened()
        moves = by[branch.group[branch.direct][branch.direct_laws.of]]
        children.append(log_densities(branch.direct_laws, own.values_at(column, moves)))
        if left is not None:
            start = len(branch.left_laws.of)
            leaves.append(_left(branch, left, children[0].shape))
    for (inner, places), densities in zip(branch.inner, branch.inner_places, strict=True):
        moves = by[branch.group[places][inner.laws.of]]
        some = gram.take(densities).opened().shifted(column, moves)
        others = None
        if left is not None:
            stop = start + len(inner.left_group)
            others, start = left.take(slice(start, stop)), stop
        found, without = integral(inner, some, others, setting)
        children.append(found)
        if without is not None:
            leaves.append(without)
    values = np.concatenate(children)
    total = np.add.reduceat(values[branch.order], branch.starts, axis=0) + log_weight
    if rest is None:
        return _log_sum(total), None
    out = total[branch.row_group] - values[branch.row_child] + np.concatenate(leaves)
    return _log_sum(total), _log_sum(out)


def _left(branch: Branch, left: Gram, shape: tuple[int, ...]) -> Floats:
    """Return log p of direct elements without each of their rows, shape (rows, ...)."""
    out = np.zeros((len(branch.direct_rows[0]), *shape[1:]))
    if len(branch.left_rows):
        own = left.take(slice(0, len(branch.left_laws.of)))
        out[branch.left_rows] = log_densities(branch.left_laws, own)
    return out


def _log_sum(values: Floats) -> Floats:
    """Return log sum exp over the axis of nodes, the second."""
    most = values.max(axis=1, keepdims=True)
    most = np.where(np.isfinite(most), most, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(values - most).sum(axis=1)) + most[:, 0])


# -- where the nodes stand -------------------------------------------------------------------------


def _nodes(centre: Floats, width: Floats, setting: Setting) -> tuple[Floats, Floats]:
    """Return effects at the nodes, in units of tau, and log weights with the effect's density."""
    rule = setting.nodes
    shape = (1, -1, *(1,) * (centre.ndim - 1))
    effect = centre[:, None] + width[:, None] * rule.at.reshape(shape)
    log_weight = rule.log_weight.reshape(shape) + np.log(width)[:, None]
    return effect, log_weight - 0.5 * (effect**2 + LOG_2PI)


def _student_nodes(centre: Floats, width: Floats, setting: Setting) -> tuple[Floats, Floats]:
    """Return the same for a Student-t effect: nodes that are dense where either is narrow.

    They are even in G(e) = asinh(e) + asinh((e - mode) / width), over the reach of both.
    """
    assert setting.nu is not None
    rule = np.linspace(0, 1, STUDENT).reshape(1, -1, *(1,) * (centre.ndim - 1))
    mode, w = centre[:, None], width[:, None]

    def total(e: Floats) -> Floats:
        return np.arcsinh(e) + np.arcsinh((e - mode) / w)

    low = np.minimum(mode - REACH * w, -REACH)
    high = np.maximum(mode + REACH * w, REACH)
    first, span = total(low), total(high) - total(low)
    goal = first + span * rule
    below, above = low + 0 * goal, high + 0 * goal
    for _ in range(HALVINGS):
        e = np.sinh(0.5 * (np.arcsinh(below) + np.arcsinh(above)))
        under = total(e) < goal
        below, above = np.where(under, e, below), np.where(under, above, e)
    e = 0.5 * (below + above)
    for _ in range(POLISH):
        slope = 1 / np.sqrt(1 + e * e) + 1 / np.sqrt(w * w + (e - mode) ** 2)
        e = e - (total(e) - goal) / slope
    slope = 1 / np.sqrt(1 + e * e) + 1 / np.sqrt(w * w + (e - mode) ** 2)
    nu = setting.nu
    log_weight = np.log(span / (STUDENT - 1) / slope)
    log_t = gammaln(0.5 * (nu + 1)) - gammaln(0.5 * nu) - 0.5 * np.log(np.pi * nu)
    return e, log_weight + log_t - 0.5 * (nu + 1) * np.log1p(e * e / nu)


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


def _placed(branch: Branch, gram: Gram, setting: Setting, prior: float) -> tuple[Floats, Floats]:
    """Return the mode of each group's effect, in units of tau, and its width there."""
    step = _started(branch, gram, prior)
    for count in range(MOST):
        _eliminated(step, {}, setting, count == 0)
        moved = _moved(step, {}, setting)
        if count >= FEWEST and float(np.max(np.abs(moved) * np.sqrt(step.d), initial=0.0)) < NEAR:
            break
    return step.effect, 1 / np.sqrt(step.d)


def _eliminated(
    step: _Step, outer: Mapping[int, Floats], setting: Setting, first: bool
) -> tuple[dict[int, Floats], dict[tuple[int, int], Floats]]:
    """Return slopes and curvatures by group, the group's own effect eliminated.

    Parameters
    ----------
    step : _Step
    outer : mapping of int to ndarray, shape (groups, ...)
        Shifts by the effects further out, by loading.
    setting : Setting
    first : bool
        Whether no effect is known yet, and d is taken as normal.
    """
    branch, own = step.branch, setting.columns[step.branch.low]
    tau = setting.tau(branch)
    shifts = dict(outer)
    shifts[own] = shifts.get(own, 0.0) + tau * step.effect
    parts: list[tuple[Mapping[int, Floats], Mapping[tuple[int, int], Floats]]] = []
    if len(branch.direct):
        parts.append(_pulled(step, shifts, first))
    start = len(branch.direct)
    for inner in step.inner:
        group = branch.children[start : start + len(inner.branch.groups)]
        start += len(group)
        parts.append(_eliminated(inner, {j: x[group] for j, x in shifts.items()}, setting, first))
    g, h = ({key: _summed(branch, parts, kind, key) for key in parts[-1][kind]} for kind in (0, 1))
    step.d = step.prior + tau**2 * h[own, own]
    step.slope = tau * g[own] - step.prior * step.effect
    step.h = {j: h[min(j, own), max(j, own)] for j in g}
    gain, part = tau**2 / step.d, tau * step.slope / step.d
    return (
        {j: x - step.h[j] * part for j, x in g.items()},
        {(j, k): x - gain * step.h[j] * step.h[k] for (j, k), x in h.items()},
    )


def _summed(branch: Branch, parts: list[Any], kind: int, key: Any) -> Floats:
    values = np.concatenate([part[kind][key] for part in parts])
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


def _moved(step: _Step, outer: Mapping[int, Floats], setting: Setting) -> Floats:
    """Move the effects of a branch and of those inside; return by how much its own."""
    branch, own = step.branch, setting.columns[step.branch.low]
    tau = setting.tau(branch)
    pulled = sum((step.h[j] * x for j, x in outer.items()), 0.0)
    by = (step.slope - tau * pulled) / step.d
    step.effect = step.effect + by
    shifts = dict(outer)
    shifts[own] = shifts.get(own, 0.0) + tau * by
    start = len(branch.direct)
    for inner in step.inner:
        group = branch.children[start : start + len(inner.branch.groups)]
        start += len(group)
        _moved(inner, {j: x[group] for j, x in shifts.items()}, setting)
    return by
