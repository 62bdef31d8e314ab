"""Sampling covariance V of dependent effects, kept as the blocks it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from bayesma.errors import SpecError

__all__ = ["Blocks", "Whitening", "blocks_of", "check_definite", "compound_symmetry"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Whitening:
    """The inverse Cholesky factor of V as coordinates: L^-1[rows, cols] = values.

    Attributes
    ----------
    rows, cols : ndarray of int, shape (entries,)
    values : ndarray, shape (entries,)
    log_det : ndarray, shape (n,)
        Row i holds 2 log L[i, i]; their sum is log det V.
    n : int
        Rows of V.
    diagonal : bool
        Whether V is, in which case `values` stand in the order of the rows.
    """

    rows: Ints
    cols: Ints
    values: Floats
    log_det: Floats
    n: int
    diagonal: bool


@dataclass(frozen=True)
class Blocks:
    """A covariance matrix that is diagonal outside a few blocks.

    Attributes
    ----------
    v : ndarray, shape (n,)
        Sampling variances, the diagonal.
    blocks : tuple of (indices, matrix)
        Blocks of two rows or more; every row stands in one at most.
    """

    v: Floats
    blocks: tuple[tuple[Ints, Floats], ...] = ()

    def dense(self) -> Floats:
        """Return the full matrix, shape (n, n)."""
        full = np.diag(self.v)
        for index, matrix in self.blocks:
            full[np.ix_(index, index)] = matrix
        return full

    def labels(self) -> Ints:
        """Return the block each row stands in, -1 for a row of its own; shape (n,)."""
        label = np.full(len(self.v), -1, dtype=np.int64)
        for number, (index, _) in enumerate(self.blocks):
            label[index] = number
        return label

    def take(self, rows: Sequence[int] | Ints) -> Blocks:
        """Return the covariance of some rows, each once, in their new order.

        Raises
        ------
        SpecError
            If `rows` are not positions, or hold one twice.
        """
        rows = np.asarray(rows)
        if rows.size and (rows.dtype.kind not in "iu" or len(np.unique(rows)) < len(rows)):
            raise SpecError("rows must be positions, each once; a mask goes through np.flatnonzero")
        rows = rows.astype(np.int64)
        place = np.full(len(self.v), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        kept = []
        for index, matrix in self.blocks:
            stays = place[index] >= 0
            if stays.sum() > 1:
                kept.append((place[index[stays]], matrix[np.ix_(stays, stays)]))
        return Blocks(self.v[rows], tuple(kept))

    def without(self, rows: Sequence[int] | Ints) -> Whitening:
        """Return the whitening of all other rows, at the coordinates that `whitening` has.

        Those rows' entries of L^-1 and of log det V are 0, so that neither their residuals nor
        their loadings enter any sum: what is left is the density of the rows that stay.

        Parameters
        ----------
        rows : sequence of int
            Positions of the rows left out.

        Returns
        -------
        Whitening
        """
        out = np.asarray(rows, dtype=np.int64)
        v = self.v.copy()
        v[out] = 1.0
        blocks = []
        for index, matrix in self.blocks:
            gone = np.isin(index, out)
            # A row apart, of variance 1: it moves no entry of the others' factor.
            apart = np.where(gone[:, None] | gone, np.eye(len(index)), matrix)
            blocks.append((index, apart))
        found = Blocks(v, tuple(blocks)).whitening()
        kept = ~np.isin(found.rows, out)
        return replace(found, values=found.values * kept)

    def whitening(self) -> Whitening:
        """Return L^-1 of V = L L' and its log determinant.

        Raises
        ------
        SpecError
            If a block is not positive definite.
        """
        single = np.flatnonzero(self.labels() < 0)
        rows, cols, values = [single], [single], [1 / np.sqrt(self.v[single])]
        log_det = np.log(self.v)
        for index, matrix in self.blocks:
            try:
                factor = np.linalg.cholesky(matrix)
            except np.linalg.LinAlgError as error:
                raise SpecError(
                    f"the sampling covariance of rows {index.tolist()} is not positive definite"
                ) from error
            inverse = np.linalg.inv(factor)
            lower = _lower(len(index))
            rows.append(index[lower[0]])
            cols.append(index[lower[1]])
            values.append(inverse[lower])
            log_det[index] = 2 * np.log(np.diag(factor))
        return Whitening(
            np.concatenate(rows),
            np.concatenate(cols),
            np.concatenate(values),
            log_det,
            len(self.v),
            not self.blocks,
        )


@cache
def _lower(n: int) -> tuple[Ints, Ints]:
    """Return the coordinates of a lower triangle: most blocks are of a few sizes."""
    return np.tril_indices(n)


def compound_symmetry(
    v: ArrayLike, cluster: Sequence[str] | NDArray[np.str_], rho: float
) -> Blocks:
    """Return V with one correlation among the rows of a cluster.

    Cov(y_i, y_j) = rho sqrt(v_i v_j) for i, j in one cluster, 0 otherwise (the constant
    sampling correlation model, Hedges, Tipton & Johnson 2010, Research Synthesis Methods 1:39).

    Parameters
    ----------
    v : array_like, shape (n,)
        Sampling variances.
    cluster : sequence of str, shape (n,)
        Cluster of each row.
    rho : float
        Correlation, 0 <= rho < 1.

    Returns
    -------
    Blocks

    Raises
    ------
    SpecError
        If rho lies outside [0, 1), a variance is not above 0, or a row has no cluster.
    """
    if not isinstance(rho, Real) or not 0 <= rho < 1:
        raise SpecError(f"rho = {rho}: a sampling correlation lies in [0, 1)")
    try:
        variances = np.asarray(v, dtype=float)
    except (TypeError, ValueError) as error:
        raise SpecError(f"v must be numbers ({error})") from error
    if variances.ndim != 1:
        raise SpecError(f"v must be one column of numbers, not of shape {variances.shape}")
    if not (np.isfinite(variances) & (variances > 0)).all():
        bad = np.flatnonzero(~(np.isfinite(variances) & (variances > 0)))
        names = [str(i) for i in range(1, len(variances) + 1)]
        raise SpecError(
            f"v is not above 0 in {_named(bad, names)}; correct it or leave the row out"
        )
    labels = np.asarray(cluster, dtype=object)
    if labels.shape != variances.shape or pd.isna(labels).any():
        raise SpecError("every row needs a cluster; give one of its own to a row that has none")
    _, codes = np.unique(labels.astype(str), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    blocks = []
    for index in groups:
        if len(index) > 1 and rho > 0:
            sd = np.sqrt(variances[index])
            matrix = rho * np.outer(sd, sd)
            np.fill_diagonal(matrix, variances[index])
            blocks.append((index, matrix))
    return Blocks(variances, tuple(blocks))


def blocks_of(matrix: ArrayLike, labels: Sequence[str] | None = None) -> Blocks:
    """Return a full covariance matrix as the blocks it is made of.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Finite, symmetric and positive definite.
    labels : sequence of str, shape (n,), optional
        Names of the rows in messages; their numbers from 1 where absent.

    Returns
    -------
    Blocks
        One block for each set of rows that covary, directly or through others.

    Raises
    ------
    SpecError
        If the matrix is no covariance; the rows are named.
    """
    full = np.asarray(matrix, dtype=float)
    if full.ndim != 2 or full.shape[0] != full.shape[1]:
        raise SpecError(f"V must be a square matrix, not of shape {full.shape}")
    names = labels or [str(i) for i in range(1, len(full) + 1)]
    _check_entries(full, names)
    full = (full + full.T) / 2
    _, label = connected_components(csr_array(full), directed=False)
    order = np.argsort(label, kind="stable")
    sets = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    blocks = tuple((rows, full[np.ix_(rows, rows)]) for rows in sets if len(rows) > 1)
    found = Blocks(np.diag(full).copy(), blocks)
    check_definite(found, names)
    return found


def _check_entries(full: Floats, names: Sequence[str]) -> None:
    """Refuse what a covariance cannot hold, naming the first few rows."""
    if not np.isfinite(full).all():
        bad = np.flatnonzero(~np.isfinite(full).all(axis=1))
        raise SpecError(f"V is not a number in {_named(bad, names)}; complete it")
    # Rounding of a matrix that was computed one half at a time.
    uneven = np.abs(full - full.T) > 1e-8 * np.abs(full).max()
    if uneven.any():
        bad = np.flatnonzero(uneven.any(axis=1))
        raise SpecError(f"V is not symmetric in {_named(bad, names)}; V[i, j] must be V[j, i]")
    if (np.diag(full) <= 0).any():
        bad = np.flatnonzero(np.diag(full) <= 0)
        raise SpecError(
            f"the diagonal of V is not above 0 in {_named(bad, names)}; a sampling variance is"
        )


def check_definite(covariance: Blocks, names: Sequence[str]) -> None:
    """Refuse blocks that are not positive definite, all at once.

    Raises
    ------
    SpecError
        Naming the rows of each.
    """
    bad = [index for index, matrix in covariance.blocks if not _definite(matrix)]
    if bad:
        sets = "; ".join(_named(index, names) for index in bad)
        raise SpecError(
            f"the sampling covariance is not positive definite among {sets}; "
            "lower the correlation or correct the variances"
        )


def _definite(matrix: Floats) -> bool:
    """Return whether a matrix is positive definite, beyond the rounding of its entries."""
    sd = np.sqrt(np.diag(matrix))
    least = np.linalg.eigvalsh(matrix / np.outer(sd, sd))[0]
    return bool(least > 1e-12 * len(matrix))


def _named(index: Ints, names: Sequence[str]) -> str:
    shown = ", ".join(names[i] for i in index[:8])
    return f"{'row' if len(index) == 1 else 'rows'} {shown}{', ...' if len(index) > 8 else ''}"
