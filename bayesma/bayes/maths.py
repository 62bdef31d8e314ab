"""PyTensor's side of the formulas: the functions of `decay.Maths` on symbols."""

from __future__ import annotations

from typing import Any

import pytensor.tensor as pt

__all__ = ["PyTensorMaths"]


class PyTensorMaths:
    """Formulas on symbolic vectors."""

    exp = staticmethod(pt.exp)
    exp2 = staticmethod(pt.exp2)
    expm1 = staticmethod(pt.expm1)
    gammainc = staticmethod(pt.gammainc)
    gammaincc = staticmethod(pt.gammaincc)
    gammaln = staticmethod(pt.gammaln)
    log = staticmethod(pt.log)
    log2 = staticmethod(pt.log2)
    where = staticmethod(pt.switch)

    @staticmethod
    def logsumexp(x: Any) -> Any:
        """Return log sum exp x over the last axis."""
        return pt.logsumexp(x, axis=-1)

    @staticmethod
    def largest(x: Any) -> Any:
        """Return the largest over the last axis, shape (..., 1)."""
        return pt.max(x, axis=-1, keepdims=True)

    @staticmethod
    def take(x: Any, index: Any) -> Any:
        """Return x[index]."""
        return pt.as_tensor(x)[index]

    @staticmethod
    def segment_sum(x: Any, index: Any, n: int) -> Any:
        """Return sums by segment, shape (n,)."""
        return pt.zeros(n)[index].inc(x)
