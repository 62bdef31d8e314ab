"""Generalised sums of squares under nested variances, for any variances at once.

With S = V + sum_l s_l Z_l Z_l' (Z_l tells the groups of level l) and columns A = [y, X], the
likelihood and its slope in each s_l need only

    A'S^-1 A,  log |S|,  tr(Z_l'S^-1 Z_l)  and  A'S^-1 Z_l Z_l'S^-1 A.

Where V stays within the innermost groups this is a nested analysis of variance. A group has a
weight w = 1'S^-1 1 and means m = 1'S^-1 A / w. Its own effect turns w into w / (1 + s w) and
leaves the means and the sums of squares about them as they are (Sherman & Morrison 1950); a group
further out has the sum of these weights, the weighted means, and the sums of squares between its
members. No large numbers cancel, and the cost is linear in the groups. Elsewhere S is inverted,
one matrix per set of rows that depend on each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bayesma.covariance import Blocks

__all__ = ["Engine", "Sums", "dependent_rows", "engine_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Matrices of more rows than this are inverted one at a time, to bound the memory.
MANY_ROWS = 128


@dataclass(frozen=True)
class Sums:
    """What the likelihood needs; leading axes are those of the variances asked for.

    Attributes
    ----------
    log_det : ndarray, shape (...)
        log |S|.
    products : ndarray, shape (..., columns, columns)
        A'S^-1 A.
    traces : ndarray, shape (..., levels)
        tr(Z_l'S^-1 Z_l), outermost level first.
    crosses : ndarray, shape (..., levels, columns, columns)
        A'S^-1 Z_l Z_l'S^-1 A.
    """

    log_det: Floats
    products: Floats
    traces: Floats
    crosses: Floats


@dataclass(frozen=True)
class Tree:
    """Innermost groups reduced to weights and means, and how they nest.

    Attributes
    ----------
    weight : ndarray, shape (groups,)
        1'V^-1 1 of each innermost group.
    mean : ndarray, shape (groups, columns)
        Weighted means of the columns.
    scatter : ndarray, shape (columns, columns)
        Sums of squares and products about these means.
    log_det : float
        log |V|.
    starts : tuple of ndarray of int
        Innermost first: where each group of the next level out begins among its members.
    parents : tuple of ndarray of int
        Innermost first: the group of the next level out of each group.
    """

    weight: Floats
    mean: Floats
    scatter: Floats
    log_det: float
    starts: tuple[Ints, ...]
    parents: tuple[Ints, ...]

    def sums(self, sigma2: Floats) -> Sums:
        """Return the sums at variances of shape (..., levels), outermost first."""
        weight, mean = self.weight, self.mean
        log_det: Any = self.log_det
        products: Any = self.scatter
        steps = []
        for depth in range(sigma2.shape[-1]):
            variance = sigma2[..., -1 - depth, None]
            d = 1 + variance * weight
            kept = weight / d
            log_det = log_det + np.log(d).sum(-1)
            steps.append(_Step(variance, weight, mean, d, kept))
            if depth < len(self.starts):
                starts, parent = self.starts[depth], self.parents[depth]
                weight = np.add.reduceat(kept, starts, axis=-1)
                total = np.add.reduceat(kept[..., None] * mean, starts, axis=-2)
                outer = total / weight[..., None]
                products = products + _square(kept, mean - outer[..., parent, :])
                mean = outer
            else:
                products = products + _square(kept, mean)
        found = [self._slope(steps, depth) for depth in range(len(steps))][::-1]
        traces = np.stack([trace for trace, _ in found], axis=-1)
        return Sums(log_det, products, traces, np.stack([cross for _, cross in found], axis=-3))

    def _slope(self, steps: Sequence[_Step], depth: int) -> tuple[Floats, Floats]:
        """Return the trace and the cross products of one level: its Z'S^-1 through all others.

        Adding s 11' further out takes s (z'S^-1 1)(1'S^-1 a) / d from z'S^-1 a.
        """
        own = steps[depth]
        trace = ones = own.kept
        columns = own.kept[..., None] * own.mean
        index = np.arange(own.kept.shape[-1])
        for outer, parent in zip(steps[depth + 1 :], self.parents[depth:], strict=True):
            index = parent[index]
            gain = (outer.variance / outer.d)[..., index] * ones
            trace = trace - gain * ones
            columns = (
                columns - (gain * outer.weight[..., index])[..., None] * outer.mean[..., index, :]
            )
            ones = ones / outer.d[..., index]
        return trace.sum(-1), np.swapaxes(columns, -1, -2) @ columns


@dataclass(frozen=True)
class _Step:
    """One level on the way out: weights and means before and after its effect."""

    variance: Floats
    weight: Floats
    mean: Floats
    d: Floats
    kept: Floats


def _square(weight: Floats, columns: Floats) -> Floats:
    return np.asarray(np.swapaxes(columns * weight[..., None], -1, -2) @ columns)


@dataclass(frozen=True)
class Stack:
    """Sets of rows of about one size, each filled up to it with rows that say nothing.

    Attributes
    ----------
    v : ndarray, shape (sets, rows, rows)
        Sampling covariance; the identity in rows that say nothing.
    columns : ndarray, shape (sets, rows, columns)
    same : ndarray, shape (levels, sets, rows, rows)
        Z_l Z_l': 1 where two rows share a group, outermost first.
    """

    v: Floats
    columns: Floats
    same: Floats

    def sums(self, sigma2: Floats) -> Sums:
        """Return the sums at variances of shape (..., levels), outermost first."""
        if sigma2.ndim > 1 and self.v.shape[-1] > MANY_ROWS:
            return _stacked([self.sums(one) for one in sigma2])
        full = self.v + np.tensordot(sigma2, self.same, axes=1)
        inverse = np.linalg.inv(full)
        solved = inverse @ self.columns
        traces = np.einsum("...cij,lcij->...l", inverse, self.same)
        shared = self.same @ solved[..., None, :, :, :]
        crosses = np.swapaxes(solved, -1, -2)[..., None, :, :, :] @ shared
        products = np.swapaxes(self.columns, -1, -2) @ solved
        return Sums(np.linalg.slogdet(full)[1].sum(-1), products.sum(-3), traces, crosses.sum(-3))


def _stacked(parts: Sequence[Sums]) -> Sums:
    return Sums(
        np.stack([part.log_det for part in parts]),
        np.stack([part.products for part in parts]),
        np.stack([part.traces for part in parts]),
        np.stack([part.crosses for part in parts]),
    )


@dataclass(frozen=True)
class Stacks:
    """All rows, as stacks."""

    parts: tuple[Stack, ...]

    def sums(self, sigma2: Floats) -> Sums:
        """Return the sums at variances of shape (..., levels), outermost first."""
        found = [part.sums(sigma2) for part in self.parts]
        return Sums(
            np.asarray(sum(part.log_det for part in found)),
            np.asarray(sum(part.products for part in found)),
            np.asarray(sum(part.traces for part in found)),
            np.asarray(sum(part.crosses for part in found)),
        )


Engine = Tree | Stacks


def engine_of(columns: Floats, covariance: Blocks, codes: Sequence[Ints]) -> Engine:
    """Return what gives the sums for columns, a sampling covariance and nested groups.

    Parameters
    ----------
    columns : ndarray, shape (rows, columns)
        y and X.
    covariance : Blocks
        V, positive definite.
    codes : sequence of ndarray of int, shape (rows,)
        Group of each row per level, outermost first, numbered from 0.
    """
    inside = all(len(np.unique(codes[-1][index])) == 1 for index, _ in covariance.blocks)
    if inside:
        return _tree(columns, covariance, codes)
    return Stacks(_stacks(columns, covariance, codes))


def _tree(columns: Floats, covariance: Blocks, codes: Sequence[Ints]) -> Tree:
    # Groups in an order in which the members of each stand together, at every level.
    paths = np.stack(codes, axis=1)
    groups, of_row = np.unique(paths, axis=0, return_inverse=True)
    of_row = of_row.reshape(-1)
    n = len(groups)
    whitening = covariance.whitening()

    def white(x: Floats) -> Floats:
        entries = whitening.values * x[whitening.cols]
        return np.bincount(whitening.rows, entries, minlength=whitening.n)

    ones = white(np.ones(len(columns)))
    weight = np.bincount(of_row, ones**2, minlength=n)
    mean = np.empty((n, columns.shape[1]))
    about = np.empty_like(columns)
    for j, column in enumerate(columns.T):
        mean[:, j] = np.bincount(of_row, ones * white(column), minlength=n) / weight
        about[:, j] = white(column - mean[of_row, j])
    starts, parents = [], []
    for depth in range(groups.shape[1] - 1, 0, -1):
        inner = np.unique(groups[:, : depth + 1], axis=0)
        _, first, parent = np.unique(
            inner[:, :depth], axis=0, return_index=True, return_inverse=True
        )
        starts.append(first)
        parents.append(parent.reshape(-1))
    return Tree(
        weight, mean, about.T @ about, float(whitening.log_det.sum()), tuple(starts), tuple(parents)
    )


def _stacks(columns: Floats, covariance: Blocks, codes: Sequence[Ints]) -> tuple[Stack, ...]:
    sets = dependent_rows(covariance, codes[0])
    sizes = np.array([1 << (len(rows) - 1).bit_length() for rows in sets])
    parts = []
    for size in np.unique(sizes):
        chosen = [rows for rows, own in zip(sets, sizes, strict=True) if own == size]
        longest = max(map(len, chosen))
        v = np.tile(np.eye(longest), (len(chosen), 1, 1))
        filled = np.zeros((len(chosen), longest, columns.shape[1]))
        same = np.zeros((len(codes), len(chosen), longest, longest))
        for i, rows in enumerate(chosen):
            n = len(rows)
            v[i, :n, :n] = covariance.take(rows).dense()
            filled[i, :n] = columns[rows]
            for level, code in enumerate(codes):
                same[level, i, :n, :n] = code[rows][:, None] == code[rows]
        parts.append(Stack(v, filled, same))
    return tuple(parts)


def dependent_rows(covariance: Blocks, outermost: Ints) -> list[Ints]:
    """Return the rows that depend on each other, through a group or through V, set by set."""
    n = len(outermost)
    pairs = [np.stack([index[:-1], index[1:]]) for index, _ in covariance.blocks]
    order = np.argsort(outermost, kind="stable")
    together = outermost[order[:-1]] == outermost[order[1:]]
    pairs.append(np.stack([order[:-1][together], order[1:][together]]))
    rows, cols = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(rows)), (rows, cols)), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
