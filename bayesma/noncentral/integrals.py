"""Integrals over q and the group effects: the exact likelihood of groups and of rows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayesma.grouping import Groups
from bayesma.noncentral.branches import Branch, Rest, Tree, tree_of
from bayesma.noncentral.elements import Elements, clusters_of, elements_of
from bayesma.noncentral.grams import Gram, Laws, log_densities
from bayesma.noncentral.modes import Spreads
from bayesma.noncentral.quadrature import PLAIN, WIDE, Setting, integral

if TYPE_CHECKING:
    from bayesma.noncentral.rows import Standardised

__all__ = ["group_log_likelihoods", "log_likelihoods"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Numbers of one array, at most: 8 MB.
AT_ONCE = 1_000_000
# Trees of the last few designs are kept: an optimiser asks a thousand times.
KEPT = 8


def group_log_likelihoods(
    exact: Standardised,
    mean: Floats,
    scales: Sequence[Floats],
    taus: Sequence[Floats],
    groups: Groups,
    nu: Floats | None = None,
) -> Floats:
    """Return log p(y in group), every q and every group effect integrated out.

    Parameters
    ----------
    exact : Standardised
        The rows; linked ones stand in one innermost group.
    mean : ndarray, shape (..., rows)
    scales : sequence of ndarray, shape (..., rows)
        Loadings: one that all levels share, or one per level, innermost first.
    taus : sequence of ndarray, shape (..., 1)
        Standard deviation of each level's effect, innermost first; 0 is one.
    groups : Groups
    nu : ndarray, shape (..., 1), optional
        Degrees of freedom of a Student-t effect of the outermost groups.

    Returns
    -------
    ndarray, shape (..., groups)
        Of the outermost groups.
    """
    return _evaluated(exact, mean, scales, taus, groups, nu, False)[0]


def log_likelihoods(
    exact: Standardised,
    mean: Floats,
    scales: Sequence[Floats],
    taus: Sequence[Floats],
    groups: Groups,
    nu: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return the marginal log likelihood by outermost group and by row.

    Parameters
    ----------
    exact, mean, scales, taus, groups, nu
        See `group_log_likelihoods`.

    Returns
    -------
    by_group : ndarray, shape (..., groups)
    by_row : ndarray, shape (..., rows)
        log p(y_i | the other rows of its outermost group).
    """
    by_group, without = _evaluated(exact, mean, scales, taus, groups, nu, True)
    return by_group, by_group[..., groups.outermost] - without


# -- what data and groups alone decide -------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """Elements and the tree they hang in."""

    elements: Elements
    tree: Tree
    left: Elements
    rest: Rest | None
    groups: int

    @cached_property
    def closed(self) -> tuple[Laws, Ints]:
        """Densities of the elements that are a closed form."""
        laws = self.elements.laws
        return laws.take(self.tree.closed), laws.places(self.tree.closed)

    @cached_property
    def places(self) -> tuple[Ints, ...]:
        """Densities of each branch."""
        return tuple(self.elements.laws.places(own.elements) for own in self.tree.branches)

    @cached_property
    def left_places(self) -> tuple[Ints, ...]:
        """Densities of what is left of each branch without a row."""
        return tuple(self.left.laws.places(own.left) for own in self.tree.branches)

    @cached_property
    def closed_rows(self) -> tuple[Ints, Laws, Ints]:
        """Rows of closed elements that leave something, and the densities of that."""
        assert self.rest is not None
        rows = [self.rest.rows[e] for e in self.tree.closed]
        closed = np.concatenate([np.zeros(0, dtype=np.int64), *rows])
        closed = closed[self.rest.left[closed] >= 0]
        which = self.rest.left[closed]
        return closed, self.rest.laws.take(which), self.rest.laws.places(which)

    @cached_property
    def depths(self) -> Ints:
        """How many levels each element that is left has in its covariance."""
        assert self.rest is not None
        out = np.zeros(len(self.left), dtype=np.int64)
        for element, rows in enumerate(self.rest.rows):
            some = self.rest.left[rows]
            out[some[some >= 0]] = self.tree.absorbed[element]
        return out


_LOCK = threading.Lock()
_PLANS: dict[tuple[int, int, bool, bool, bool], tuple[Standardised, Groups, _Plan]] = {}


def _plan_of(exact: Standardised, groups: Groups, merged: bool, kept: bool, rows: bool) -> _Plan:
    key = (id(exact), id(groups), merged, kept, rows)
    # Replicates of a calibration come here in threads, each with a design of its own.
    with _LOCK:
        if key not in _PLANS:
            if len(_PLANS) >= KEPT:
                _PLANS.pop(next(iter(_PLANS)))
            # The nouns are kept beside, so that their ids stay their own.
            _PLANS[key] = (exact, groups, _planned(exact, groups, merged, kept, rows))
        return _PLANS[key][2]


def _planned(exact: Standardised, groups: Groups, merged: bool, kept: bool, rows: bool) -> _Plan:
    clusters = clusters_of(exact)
    elements = elements_of(exact, clusters)
    members: list[Ints] = []
    left = np.full(len(exact.y), -1)
    if rows:
        for index in clusters:
            for row in index[: len(index) if len(index) > 1 else 0]:
                left[row] = len(members)
                members.append(index[index != row])
    others = elements_of(exact, members)
    rest = Rest(others.laws, elements.rows, left) if rows else None
    tree = tree_of(groups, elements.rows, elements.laws, merged, kept, rest)
    return _Plan(elements, tree, others, rest, len(groups.labels[0]))


# -- evaluation ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Draws:
    """Parameters of some draws, the draws last: (rows, draws) and (draws,)."""

    mean: Floats
    scales: tuple[Floats, ...]
    taus: tuple[Floats, ...]
    nu: Floats | None

    def part(self, some: slice) -> _Draws:
        """Return those of some draws."""
        return _Draws(
            self.mean[:, some],
            tuple(x if x.shape[1] == 1 else x[:, some] for x in self.scales),
            tuple(x[some] for x in self.taus),
            None if self.nu is None else self.nu[some],
        )


def _evaluated(
    exact: Standardised,
    mean: Floats,
    scales: Sequence[Floats],
    taus: Sequence[Floats],
    groups: Groups,
    nu: Floats | None,
    rows: bool,
) -> tuple[Floats, Floats]:
    """Return log p by group and, if asked for, of the group without each row."""
    mean = np.asarray(mean, dtype=float)
    lead = mean.shape[:-1]
    draws = _Draws(
        mean.reshape(-1, mean.shape[-1]).T,
        tuple(_columns(scale, lead) for scale in scales),
        tuple(np.broadcast_to(tau[..., 0], lead).ravel() for tau in taus),
        None if nu is None else np.broadcast_to(nu[..., 0], lead).ravel(),
    )
    plan = _plan_of(exact, groups, len(scales) == 1, nu is not None, rows)
    size = draws.mean.shape[1]
    by_group = np.empty((plan.groups, size))
    without = np.zeros((len(exact.y) if rows else 0, size))
    nodes = WIDE if rows else PLAIN
    step = max(1, AT_ONCE // _weight(plan, len(nodes.at)))
    for start in range(0, size, step):
        some = slice(start, start + step)
        found, left = _chunk(plan, draws.part(some), rows)
        by_group[:, some] = found
        if left is not None:
            without[:, some] = left
    return by_group.T.reshape(*lead, -1), without.T.reshape(*lead, -1)


def _columns(scale: Floats, lead: tuple[int, ...]) -> Floats:
    """Return a loading as (rows, draws), or (rows, 1) where all draws share it."""
    scale = np.asarray(scale, dtype=float)
    if all(stride == 0 for stride in scale.strides[:-1]):
        return np.asarray(scale[(0,) * (scale.ndim - 1)][:, None])
    whole = np.broadcast_to(scale, (*lead, scale.shape[-1]))
    return np.asarray(whole.reshape(-1, scale.shape[-1]).T)


def _weight(plan: _Plan, nodes: int) -> int:
    """Return how many numbers the largest array holds for each draw."""

    def deepest(branch: Branch) -> int:
        inner = [deepest(own) for own, _ in branch.inner]
        own = len(branch.direct_laws.of) + sum(len(b.laws.of) for b, _ in branch.inner)
        return nodes * max([own, *inner], default=1)

    parts = [deepest(branch) for branch in plan.tree.branches]
    return max([len(plan.elements.laws.of), *parts])


def _chunk(plan: _Plan, draws: _Draws, rows: bool) -> tuple[Floats, Floats | None]:
    """Return log p by group, and without each row, shapes (groups, draws) and (rows, draws)."""
    tree, levels = plan.tree, len(draws.taus)
    columns = tuple(range(levels)) if len(draws.scales) > 1 else (0,) * levels
    setting = Setting(Spreads(draws.taus, columns), draws.nu, WIDE if rows else PLAIN)
    gram = _absorbed(_gram(plan.elements, draws), plan.elements, tree.absorbed, setting.spreads)
    out = np.zeros((plan.groups, draws.mean.shape[1]))
    laws, places = plan.closed
    out[tree.outermost[tree.closed]] = log_densities(laws, gram.take(places))
    if plan.rest is None:
        for branch, places in zip(tree.branches, plan.places, strict=True):
            out[branch.groups] = integral(branch, gram.take(places), None, setting)[0]
        return out, None
    return out, _left(plan, draws, setting, gram, out)


def _left(plan: _Plan, draws: _Draws, setting: Setting, gram: Gram, out: Floats) -> Floats:
    """Return log p without each row, and fill in that of groups that branches hold."""
    gram_left = _absorbed(_gram(plan.left, draws), plan.left, plan.depths, setting.spreads)
    left = np.zeros(draws.mean.shape)
    closed, laws, places = plan.closed_rows
    if len(closed):
        left[closed] = log_densities(laws, gram_left.take(places))
    for branch, own, others in zip(plan.tree.branches, plan.places, plan.left_places, strict=True):
        found, without = integral(branch, gram.take(own), gram_left.take(others), setting)
        out[branch.groups] = found
        if without is not None:
            left[branch.rows] = without
    return left


def _gram(elements: Elements, draws: _Draws) -> Gram:
    """Return the inner products, (densities, draws) or (densities, 1)."""
    of, laws = elements.laws.of, elements.laws

    def summed(x: Floats) -> Floats:
        found = np.add.reduceat(x, elements.starts, axis=0) if len(elements) else x
        return np.asarray(found[of] if laws.mixed else found)

    white = elements.white @ draws.mean
    loadings = [elements.white @ scale for scale in draws.scales]
    return Gram(
        laws.a[:, None],
        elements.project @ draws.mean,
        summed(white * white),
        np.zeros((len(of), 1)),
        tuple(elements.project @ scale for scale in draws.scales),
        tuple(summed(white * own) for own in loadings),
        {
            (j, k): summed(loadings[j] * loadings[k])
            for j in range(len(loadings))
            for k in range(j, len(loadings))
        },
    )


def _absorbed(gram: Gram, elements: Elements, depth: Ints, spreads: Spreads) -> Gram:
    """Return the inner products with the effects of so many levels in the covariance."""
    depth = depth[elements.laws.of][:, None]
    for level in range(int(depth.max(initial=0))):
        tau2 = np.where(depth > level, spreads.taus[level] ** 2, 0.0)
        gram = gram.absorbed(spreads.columns[level], tau2)
    return gram
