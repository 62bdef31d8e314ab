"""NumPy's side of the formulas: the functions of `decay.Maths` on arrays of draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, special

__all__ = ["NumPyMaths"]

Floats = NDArray[np.float64]


class NumPyMaths:
    """Formulas on draws: the last axis holds points, rows or groups; others broadcast."""

    exp = staticmethod(np.exp)
    exp2 = staticmethod(np.exp2)
    expm1 = staticmethod(np.expm1)
    gammainc = staticmethod(special.gammainc)
    gammaincc = staticmethod(special.gammaincc)
    gammaln = staticmethod(special.gammaln)
    log = staticmethod(np.log)
    log2 = staticmethod(np.log2)
    where = staticmethod(np.where)

    @staticmethod
    def logsumexp(x: ArrayLike) -> Floats:
        """Return log sum exp x over the last axis."""
        return np.asarray(special.logsumexp(x, axis=-1))

    @staticmethod
    def largest(x: Floats) -> Floats:
        """Return the largest over the last axis, shape (..., 1)."""
        return np.asarray(x).max(axis=-1, keepdims=True)

    @staticmethod
    def take(x: ArrayLike, index: NDArray[np.int64]) -> Floats:
        """Return x[..., index]."""
        return np.asarray(x)[..., index]

    @staticmethod
    def segment_sum(x: ArrayLike, index: NDArray[np.int64], n: int) -> Floats:
        """Return sums over the last axis by segment, shape (..., n)."""
        values = np.asarray(x, dtype=float)
        entries: Any = (np.ones(len(index)), (index, np.arange(len(index))))
        gather = sparse.csr_array(entries, shape=(n, len(index)))
        flat = values.reshape(math.prod(values.shape[:-1]), values.shape[-1])
        return np.asarray((gather @ flat.T).T).reshape(*values.shape[:-1], n)
