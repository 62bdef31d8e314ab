"""Rows whose sampling errors may covary, checked, with their covariance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesma.covariance import Blocks, Whitening, blocks_of, check_definite
from bayesma.effects import Effects
from bayesma.errors import SpecError
from bayesma.frequentist.linear.rows import Rows, check_spread, rows_of

__all__ = ["correlated_rows", "fixed_effects", "whitened"]

Floats = NDArray[np.float64]


def correlated_rows(
    effects: Effects | ArrayLike,
    v: ArrayLike | None = None,
    V: Blocks | ArrayLike | None = None,
    data: pd.DataFrame | None = None,
) -> tuple[Rows, Blocks]:
    """Return checked rows and their sampling covariance.

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances and covariances, or y alone.
    v : array_like, shape (k,), optional
        Sampling variances of a bare y.
    V : Blocks or array_like, shape (k, k), optional
        Sampling covariance, in place of v and of what effects hold.
    data : pandas.DataFrame, optional
        Columns of a bare y.

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        If v or V is missing, given twice, of another size, or no covariance.
    """
    if V is not None and v is not None:
        raise SpecError("v and V are both given; the diagonal of V is v: drop v=")
    if isinstance(effects, Effects):
        rows = replace(
            rows_of(replace(effects, covariance=Blocks(effects.v)), v, data=data), notes=()
        )
        if V is None:
            check_definite(effects.covariance, rows.labels)
            return rows, effects.covariance
        covariance = _given(V, rows.labels)
        note = "the sampling covariance V given stands in for that of the effects"
        return replace(rows, v=covariance.v, notes=(note,)), covariance
    if V is None:
        if v is None:
            raise SpecError("y needs its sampling variances, v=, or their covariance, V=")
        rows = rows_of(effects, v, data=data)
        return rows, Blocks(rows.v)
    ones = np.ones(len(np.atleast_1d(np.asarray(effects))))
    rows = rows_of(effects, ones, data=data)
    covariance = _given(V, rows.labels)
    return replace(rows, v=covariance.v), covariance


def _given(V: Blocks | ArrayLike, labels: tuple[str, ...]) -> Blocks:
    k = len(labels)
    if isinstance(V, Blocks):
        if len(V.v) != k:
            raise SpecError(f"V has {len(V.v)} rows and y {k}; they must go together")
        V = V.dense()
    if np.iscomplexobj(V):
        raise SpecError("V must be a matrix of numbers of one part, not complex")
    try:
        found = np.asarray(V, dtype=float)
    except (TypeError, ValueError) as error:
        raise SpecError(f"V must be a matrix of numbers ({error})") from error
    if found.ndim == 1:
        raise SpecError(f"V is a matrix, {k} by {k}; give the variances alone as v=")
    if found.shape != (k, k):
        raise SpecError(f"V has shape {found.shape} for {k} rows; it must be {k} by {k}")
    covariance = blocks_of(found, labels)
    check_spread(covariance.v, labels)
    return covariance


def whitened(columns: Floats, whitening: Whitening, transposed: bool = False) -> Floats:
    """Return L^-1 times columns of shape (k, columns), or L^-T times them, for V = L L'."""
    to, source = whitening.rows, whitening.cols
    if transposed:
        to, source = source, to
    return np.column_stack(
        [
            np.bincount(to, whitening.values * column[source], minlength=whitening.n)
            for column in columns.T
        ]
    )


def fixed_effects(y: Floats, X: Floats, covariance: Blocks) -> tuple[float, float]:
    """Return r'V^-1 r of generalised least squares, and the typical sampling variance.

    (k - p) / tr P with P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1: that of Higgins & Thompson (2002,
    Statistics in Medicine 21:1539, eq. 9) where V is diagonal and X a column of ones.
    """
    whitening = covariance.whitening()
    white = whitened(np.column_stack([y, X]), whitening)
    basis, _ = np.linalg.qr(white[:, 1:])
    residual = white[:, 0] - basis @ (basis.T @ white[:, 0])
    back = whitened(basis, whitening, transposed=True)
    trace = (whitening.values**2).sum() - (back**2).sum()
    return float(residual @ residual), float((len(y) - X.shape[1]) / trace)
