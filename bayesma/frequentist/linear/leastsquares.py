"""Weighted least squares, and the traces of the projection that heterogeneity needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from bayesma.errors import SpecError

__all__ = ["Weighted", "check_rank", "independent", "solved", "weighted"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Weighted:
    """y = X b + e, e ~ (0, W^-1), solved through W^1/2 X = Q R.

    P = W - W X (X'W X)^-1 X'W is W^1/2 (I - Q Q') W^1/2.

    Attributes
    ----------
    w : ndarray, shape (k,)
        Weights.
    beta : ndarray, shape (p,)
    cov : ndarray, shape (p, p)
        (X'W X)^-1.
    residual : ndarray, shape (k,)
        y - X b.
    basis : ndarray, shape (k, p)
        Q.
    log_det : float
        log det X'W X.
    """

    w: Floats
    beta: Floats
    cov: Floats
    residual: Floats
    basis: Floats
    log_det: float

    @property
    def hat(self) -> Floats:
        """Diagonal of the hat matrix X (X'W X)^-1 X'W, shape (k,)."""
        return np.asarray((self.basis**2).sum(axis=1))

    @property
    def q(self) -> float:
        """Weighted sum of squares, r'W r = y'P y."""
        return float((self.w * self.residual**2).sum())

    def trace(self, a: Floats | float = 1.0) -> float:
        """Return tr(P A) of a diagonal A."""
        return float((self.w * a * self._left).sum())

    def trace2(self, a: Floats | float = 1.0, b: Floats | float = 1.0) -> float:
        """Return tr(P A P B) of diagonal A and B."""
        left, right = self.w * a, self.w * b
        rows, columns = self._heavy
        light = np.delete(np.arange(len(self.w)), rows) if len(rows) else slice(None)
        basis, one, two = self.basis[light], left[light], right[light]
        inner = (basis.T * one) @ basis, (basis.T * two) @ basis
        total = float((one * two * (1 - 2 * self.hat[light])).sum() + (inner[0] * inner[1]).sum())
        if len(rows):
            across = columns[light] ** 2
            total += float((one @ across) @ right[rows] + (two @ across) @ left[rows])
            total += float(left[rows] @ (columns.T @ columns) ** 2 @ right[rows])
        return total

    @cached_property
    def _heavy(self) -> tuple[NDArray[np.int64], Floats]:
        """Rows that all but settle a coefficient, and their columns of I - Q Q'.

        Their 1 - h is a difference of nearly equal numbers, and weights of huge studies multiply
        what rounding leaves of it; a column that is projected twice keeps its digits. Rows of
        h > 1/2 are fewer than 2 p; among the others nothing cancels.
        """
        rows = np.flatnonzero(self.hat > 0.5)
        columns = np.zeros((len(self.w), len(rows)))
        columns[rows, np.arange(len(rows))] = 1.0
        for _ in range(2 if len(rows) else 0):
            columns = columns - self.basis @ (self.basis.T @ columns)
        return rows, columns

    @cached_property
    def _left(self) -> Floats:
        """1 - h, shape (k,)."""
        rows, columns = self._heavy
        left = 1 - self.hat
        left[rows] = (columns**2).sum(axis=0)
        return np.asarray(left)


def weighted(y: Floats, w: Floats, X: Floats) -> Weighted:
    """Return the least-squares fit of y on X with weights w.

    Parameters
    ----------
    y, w : ndarray, shape (k,)
    X : ndarray, shape (k, p)
        Of full rank.
    """
    root = np.sqrt(w)
    basis, triangle = np.linalg.qr(root[:, None] * X)
    inverse = np.linalg.inv(triangle)
    beta = inverse @ (basis.T @ (root * y))
    # Twice, as for any projection: what rounding leaves along X is taken out again.
    residual = y - X @ beta
    more = inverse @ (basis.T @ (root * residual))
    log_det = 2 * float(np.log(np.abs(np.diag(triangle))).sum())
    return Weighted(w, beta + more, inverse @ inverse.T, residual - X @ more, basis, log_det)


def solved(inner: Floats, right: Floats) -> Floats:
    """Return inner^-1 right for a small positive definite matrix.

    LAPACK itself: one search for tau2 solves dozens of these, and the checks around it in NumPy
    cost ten times as much as the solution.
    """
    _, found, failed = lapack.dposv(inner, right)
    if failed:
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    return np.asarray(found)


def check_rank(X: Floats, terms: Sequence[str], k: int) -> None:
    """Refuse a design in which a coefficient is not determined, naming the terms.

    Raises
    ------
    SpecError
        If there are no more rows than terms, or a term follows from others.
    """
    p = X.shape[1]
    if k == 1:
        raise SpecError(
            "one row: there is nothing to pool it with and no heterogeneity to see; report the "
            "effect itself"
        )
    if k <= p:
        raise SpecError(
            f"{k} rows cannot carry {p} coefficients ({', '.join(terms)}) and a variance; "
            "leave terms out"
        )
    kept = independent(X)
    redundant = [terms[j] for j in range(p) if j not in kept]
    if redundant:
        raise SpecError(
            f"collinear: {', '.join(redundant)} follow{'s' if len(redundant) == 1 else ''} from "
            f"the other terms ({', '.join(terms[j] for j in kept)}); leave out what repeats"
        )


def independent(X: Floats) -> list[int]:
    """Return the columns that do not follow from those before them."""
    size = np.sqrt((X**2).sum(axis=0))
    unit = X / np.where(size > 0, size, 1.0)
    kept: list[int] = []
    for j in range(X.shape[1]):
        # The length of a column of length 1 outside the span of those before it; below 1e-9,
        # the root of rounding's square over some rows, it is none.
        rest = unit[:, j]
        if kept:
            basis = np.linalg.qr(unit[:, kept])[0]
            rest = rest - basis @ (basis.T @ rest)
        if np.linalg.norm(rest) > 1e-9:
            kept.append(j)
    return kept
