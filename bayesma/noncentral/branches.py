"""Branches: which group effects are integrated over nodes, and which in closed form.

An element alone in its group takes the group's effect into its covariance. Other groups are
integrated by quadrature, inside those further out; a group that is the only one of the next group
out takes that effect too, where the loadings are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bayesma.grouping import Groups
from bayesma.noncentral.grams import Laws

__all__ = ["Branch", "Rest", "Tree", "tree_of"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Rest:
    """What is left of elements without one of their rows.

    Attributes
    ----------
    laws : Laws
        Of all of them.
    rows : tuple of ndarray of int
        Of each element.
    left : ndarray of int, shape (rows,)
        The element that is left without each row, -1 where none is.
    """

    laws: Laws
    rows: tuple[Ints, ...]
    left: Ints


@dataclass(frozen=True)
class Branch:
    """Groups of a level, with what they hold.

    Attributes
    ----------
    low, high : int
        First and last level whose effects are integrated as one.
    groups : ndarray of int, shape (groups,)
        Of level `high`.
    elements : ndarray of int
        All elements inside.
    group : ndarray of int, shape (elements,)
        Position in `groups`.
    direct : ndarray of int
        Positions of the elements that no branch inside holds.
    inner : tuple of (Branch, ndarray of int)
        Branches inside, and the positions of their elements.
    laws : Laws
        Of the elements.
    rest : Rest or None
    """

    low: int
    high: int
    groups: Ints
    elements: Ints
    group: Ints
    direct: Ints
    inner: tuple[tuple[Branch, Ints], ...]
    laws: Laws
    rest: Rest | None

    @cached_property
    def children(self) -> Ints:
        """Group of each child: the direct elements, then the groups of the branches inside."""
        parts = [self.group[self.direct]]
        for branch, places in self.inner:
            first = np.unique(branch.group, return_index=True)[1]
            parts.append(self.group[places[first]])
        return np.concatenate(parts)

    @cached_property
    def order(self) -> Ints:
        """The children, those of one group side by side."""
        return np.argsort(self.children, kind="stable")

    @cached_property
    def starts(self) -> Ints:
        """Where each group starts in `order`."""
        return np.flatnonzero(np.diff(self.children[self.order], prepend=-1))

    @cached_property
    def direct_laws(self) -> Laws:
        """Of the direct elements."""
        return self.laws.take(self.direct)

    @cached_property
    def direct_places(self) -> Ints:
        """Densities of the direct elements."""
        return self.laws.places(self.direct)

    @cached_property
    def inner_places(self) -> tuple[Ints, ...]:
        """Densities of the branches inside."""
        return tuple(self.laws.places(places) for _, places in self.inner)

    # -- elements without one row ----------------------------------------------------------------

    @cached_property
    def direct_rows(self) -> tuple[Ints, Ints]:
        """Rows of the direct elements, and their child."""
        assert self.rest is not None
        rows = [self.rest.rows[e] for e in self.elements[self.direct]]
        child = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
        return np.concatenate([np.zeros(0, dtype=np.int64), *rows]), child

    @cached_property
    def left_rows(self) -> Ints:
        """Which of the direct rows leave something behind."""
        assert self.rest is not None
        return np.flatnonzero(self.rest.left[self.direct_rows[0]] >= 0)

    @cached_property
    def left_laws(self) -> Laws:
        """Of what is left of direct elements."""
        assert self.rest is not None
        return self.rest.laws.take(self.rest.left[self.direct_rows[0][self.left_rows]])

    @cached_property
    def left(self) -> Ints:
        """All that is left, of the direct elements and then of the branches inside: elements."""
        assert self.rest is not None
        own = self.rest.left[self.direct_rows[0][self.left_rows]]
        return np.concatenate([own, *(branch.left for branch, _ in self.inner)])

    @cached_property
    def left_group(self) -> Ints:
        """Group of each density of what is left."""
        own = self.children[self.direct_rows[1][self.left_rows]]
        parts, start = [own[self.left_laws.of]], len(self.direct)
        for branch, _ in self.inner:
            children = self.children[start : start + len(branch.groups)]
            parts.append(children[branch.left_group])
            start += len(branch.groups)
        return np.concatenate(parts)

    @cached_property
    def rows(self) -> Ints:
        """All rows inside: of the direct elements, then of the branches inside."""
        return np.concatenate([self.direct_rows[0], *(branch.rows for branch, _ in self.inner)])

    @cached_property
    def row_child(self) -> Ints:
        """Child that each of the rows belongs to."""
        parts, start = [self.direct_rows[1]], len(self.direct)
        for branch, _ in self.inner:
            parts.append(start + branch.row_group)
            start += len(branch.groups)
        return np.concatenate(parts)

    @cached_property
    def row_group(self) -> Ints:
        """Group of each of the rows."""
        return np.asarray(self.children[self.row_child])


@dataclass(frozen=True)
class Tree:
    """All elements in their places.

    Attributes
    ----------
    absorbed : ndarray of int, shape (elements,)
        Number of levels, innermost first, whose effect is in the element's covariance.
    closed : ndarray of int
        Elements that have taken in every level.
    outermost : ndarray of int, shape (elements,)
        Group of each element.
    branches : tuple of Branch
    """

    absorbed: Ints
    closed: Ints
    outermost: Ints
    branches: tuple[Branch, ...]


def tree_of(
    groups: Groups,
    rows: Sequence[Ints],
    laws: Laws,
    merged: bool,
    kept: bool,
    rest: Rest | None,
) -> Tree:
    """Return the branches of elements.

    Parameters
    ----------
    groups : Groups
    rows : sequence of ndarray of int
        Of each element, inside one innermost group.
    laws : Laws
    merged : bool
        Whether all levels have one loading, so that two effects of the same rows are one.
    kept : bool
        Whether the outermost effect has a distribution of its own, and is always integrated.
    rest : Rest or None
        To leave out a row at a time.
    """
    paths = [groups.innermost[[own[0] for own in rows]]]
    for parent in groups.parent:
        paths.append(parent[paths[-1]])
    counts = [np.bincount(path)[path] for path in paths]
    alone = np.array(counts) == 1
    if kept:
        alone[-1] = False
    absorbed = np.cumprod(alone, axis=0).sum(axis=0)
    grower = _Grower(paths, counts, absorbed, laws, merged, kept, rest)
    open_ended = np.flatnonzero(absorbed < len(paths))
    branches = grower.grown(open_ended, len(paths) - 1)
    return Tree(absorbed, np.flatnonzero(absorbed == len(paths)), paths[-1], branches)


@dataclass(frozen=True)
class _Grower:
    """What every branch is grown from; see `tree_of`."""

    paths: Sequence[Ints]
    counts: Sequence[Ints]
    absorbed: Ints
    laws: Laws
    merged: bool
    kept: bool
    rest: Rest | None

    def grown(self, elements: Ints, high: int) -> tuple[Branch, ...]:
        """Return branches of the groups of a level that hold some elements."""
        low = np.full(len(elements), high)
        outermost = high == len(self.paths) - 1
        if self.merged and not (self.kept and outermost):
            for level in range(high, 0, -1):
                inside = self.counts[level - 1][elements] == self.counts[high][elements]
                low = np.where((low == level) & inside, level - 1, low)
        found = [self.branch(elements[low == own], int(own), high) for own in np.unique(low)]
        return tuple(found)

    def branch(self, elements: Ints, low: int, high: int) -> Branch:
        """Return the branch of groups that are one from `low` to `high`."""
        path = self.paths[high][elements]
        elements = elements[np.argsort(path, kind="stable")]
        groups, group = np.unique(self.paths[high][elements], return_inverse=True)
        direct = np.flatnonzero(self.absorbed[elements] == low)
        deeper = np.flatnonzero(self.absorbed[elements] < low)
        inner = []
        place = np.full(len(self.absorbed), -1)
        place[elements] = np.arange(len(elements))
        for branch in self.grown(elements[deeper], low - 1) if len(deeper) else ():
            inner.append((branch, place[branch.elements]))
        laws = self.laws.take(elements)
        return Branch(low, high, groups, elements, group, direct, tuple(inner), laws, self.rest)
