"""Elements: rows whose likelihood given the group effects is one closed form, or a sum of such.

A cluster is what a set of rows is linked by: a common SD, covarying numerators, or a cohort of
animals. With q integrated out, a cluster of one set is a multivariate noncentral t, and one of
several sets, or of a set whose SD holds the same animals twice, a mean of them over `points`. A
`Gram` holds the inner products of their columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from bayesma.noncentral.densities import log_constant
from bayesma.noncentral.grams import Laws
from bayesma.noncentral.points import Linked, shares_of

if TYPE_CHECKING:
    from bayesma.noncentral.rows import Standardised

__all__ = ["Elements", "clusters_of", "elements_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Elements:
    """Clusters, or what is left of them, and the noncentral t densities each is a mean of.

    Attributes
    ----------
    rows : tuple of ndarray of int
        Of each element.
    white : sparse array, shape (rows of all elements, rows)
        L^-1 of each element's numerator covariance L L'.
    starts : ndarray of int, shape (elements,)
        First of its rows.
    project : sparse array, shape (densities, rows)
        d' S^-1 of each density, d as its point scales it.
    laws : Laws
        Of the densities.
    """

    rows: tuple[Ints, ...]
    white: csr_array
    starts: Ints
    project: csr_array
    laws: Laws

    def __len__(self) -> int:
        return len(self.rows)


def clusters_of(exact: Standardised) -> list[Ints]:
    """Return the rows of each cluster."""
    rows, sets = len(exact.y), len(exact.df)
    visits = exact.visits
    first = [np.arange(rows), rows + visits.set]
    second = [rows + exact.of, rows + sets + visits.cohort]
    for index, _ in exact.covariance.blocks:
        first.append(index[1:])
        second.append(np.full(len(index) - 1, index[0]))
    i, j = np.concatenate(first), np.concatenate(second)
    size = rows + sets + len(visits.df)
    _, label = connected_components(csr_array((np.ones(len(i)), (i, j)), shape=(size, size)), False)
    order = np.argsort(label[:rows], kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[:rows][order])) + 1)


def elements_of(exact: Standardised, members: Sequence[Ints]) -> Elements:
    """Return the elements of some rows each."""
    found = _Columns(exact)
    for index in members:
        found.add(index)
    return found.elements()


class _Columns:
    """Elements as they are gathered."""

    def __init__(self, exact: Standardised) -> None:
        self.exact, self.d = exact, exact.d
        self.label = exact.covariance.labels()
        self.rows: list[Ints] = []
        self.white: list[tuple[Ints, Ints, Floats]] = []
        self.project: list[tuple[Ints, Ints, Floats]] = []
        self.a: list[Floats] = []
        self.df: list[float] = []
        self.constant: list[Floats] = []
        self.starts = [0]
        self.densities = 0

    def add(self, index: Ints) -> None:
        """Add the element of some rows."""
        inverse, log_det = self._whitening(index)
        k, start = len(index), self.starts[-1]
        i, j = np.nonzero(inverse)
        self.white.append((start + i, index[j], inverse[i, j]))
        shares, log_weight, df = self._shares(index)
        scaled = np.sqrt(shares) * self.d[index]
        white = scaled @ inverse.T
        along = white @ inverse
        points = np.arange(len(shares)) + self.densities
        self.project.append((np.repeat(points, k), np.tile(index, len(shares)), along.ravel()))
        self.a.append((white**2).sum(axis=1))
        jacobian = 0.5 * np.log(shares).sum(axis=1) + self.exact.log_jacobian[index].sum()
        fixed = log_constant(df, k) - 0.5 * log_det + log_weight
        self.constant.append(fixed + jacobian)
        self.df.append(df)
        self.rows.append(index)
        self.starts.append(start + k)
        self.densities += len(shares)

    def _whitening(self, index: Ints) -> tuple[Floats, float]:
        """Return L^-1 and log det of the numerator covariance of some rows."""
        covariance = self.exact.covariance
        if len(index) == 1:
            v = covariance.v[index[0]]
            return np.array([[1 / np.sqrt(v)]]), float(np.log(v))
        square = np.diag(covariance.v[index])
        for number in np.unique(self.label[index]):
            if number >= 0:
                block, matrix = covariance.blocks[number]
                mine = np.flatnonzero(self.label[index] == number)
                place = np.searchsorted(block, index[mine], sorter=np.argsort(block))
                place = np.argsort(block)[place]
                square[np.ix_(mine, mine)] = matrix[np.ix_(place, place)]
        factor = np.linalg.cholesky(square)
        return np.linalg.inv(factor), float(2 * np.log(np.diag(factor)).sum())

    def _shares(self, index: Ints) -> tuple[Floats, Floats, float]:
        """Return the shares of the rows' q in a common one by point, log weights, and its df."""
        exact = self.exact
        sets, place = np.unique(exact.of[index], return_inverse=True)
        visits, cohorts = exact.visits, []
        seen_here = visits.cohort[np.isin(visits.set, sets)]
        # Animals that an SD holds twice, as beside a control measured once, spread its q wider.
        if len(sets) == 1 and len(np.unique(seen_here)) == len(seen_here):
            return np.ones((1, len(index))), np.zeros(1), float(exact.df[sets[0]])
        for cohort in np.unique(seen_here):
            seen = np.searchsorted(sets, visits.set[visits.cohort == cohort])
            among = np.isin(visits.set[visits.cohort == cohort], sets)
            cohorts.append((float(visits.df[cohort]), tuple(int(s) for s in seen[among])))
        df, own = exact.df[sets], exact.own_df[sets]
        linked = Linked(
            tuple(map(float, df)), tuple(map(float, own)), tuple(cohorts), float(exact.rho)
        )
        shares, log_weight, total = shares_of(linked)
        return shares[:, place], log_weight, total

    def elements(self) -> Elements:
        """Return what was gathered."""
        n = len(self.d)
        counts = np.array([len(a) for a in self.a], dtype=np.int64)
        of = np.repeat(np.arange(len(counts)), counts)
        size = np.array([len(rows) for rows in self.rows], dtype=float)[of]
        df = np.array(self.df)[of]
        return Elements(
            tuple(self.rows),
            _sparse(self.white, (self.starts[-1], n)),
            np.array(self.starts[:-1], dtype=np.int64),
            _sparse(self.project, (self.densities, n)),
            Laws(of, df, size, _joined(self.a), _joined(self.constant)),
        )


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def _sparse(entries: Sequence[tuple[Ints, Ints, Floats]], shape: tuple[int, int]) -> csr_array:
    if not entries:
        return csr_array(shape)
    i, j, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return csr_array((values, (i, j)), shape=shape)
