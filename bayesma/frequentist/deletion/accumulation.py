"""Accumulation: how a pooled effect moves as studies are added one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesma.effects import Effects
from bayesma.errors import DataError, SpecError, did_you_mean
from bayesma.frequentist.deletion.refits import refits
from bayesma.frequentist.linear.rows import Rows, rows_of

__all__ = ["cumulative"]


def cumulative(
    effects: Effects | ArrayLike,
    v: ArrayLike | None = None,
    *,
    order: str | ArrayLike | None = None,
    data: pd.DataFrame | None = None,
    method: str = "REML",
    ci: str = "knapp-hartung",
    ci_prob: float = 0.95,
) -> pd.DataFrame:
    """Return the pooled effect of the first 1, 2, ..., k rows (Lau et al. 1992).

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances, or y alone.
    v, data : array_like and pandas.DataFrame, optional
        Sampling variances and covariates of a bare y.
    order : str or array_like of shape (k,), optional
        A column, or values, by which rows are sorted, smallest first, ordered categories as they
        are ordered; rows with the same value keep their order. As the rows stand where absent.
    method, ci : str
        As in `pool`.
    ci_prob : float

    Returns
    -------
    pandas.DataFrame
        k rows: added (row id; row number from 1 of a bare y), order (where given), k, estimate,
        se, statistic, df (NaN for z), p, ci_low, ci_high, q, q_p, tau2, i2 (percent), h2. The
        first row is a single study: its own se on z, and no heterogeneity.

    Raises
    ------
    DataError
        With every row whose y, v or order cannot be used.
    SpecError
        If a name is unknown, lengths differ, or some first rows agree exactly, which leaves
        Knapp-Hartung no variance.
    """
    rows = rows_of(effects, v, data=data)
    keys = _keys(rows, order)
    place = np.arange(len(rows)) if keys is None else _sorted(keys)
    labels = [rows.labels[i] for i in place]
    subsets = [(f"up to row {labels[i]}", place[: i + 1].tolist()) for i in range(len(rows))]
    found = refits(rows, subsets, method, ci, ci_prob)
    if keys is not None:
        found.insert(0, "order", keys.to_numpy()[place])
    found.insert(0, "added", labels)
    return found


def _keys(rows: Rows, order: str | ArrayLike | None) -> pd.Series | None:
    """Return what rows are sorted by, or one error for all rows that have none."""
    if order is None:
        return None
    if isinstance(order, str):
        if order not in rows.frame:
            known = [str(name) for name in rows.frame]
            raise SpecError(f"order: no column '{order}'; {did_you_mean(order, known)}")
        keys = rows.frame[order]
    elif np.ndim(order) != 1:
        raise SpecError("order must be the name of a column or one value for each row")
    else:
        keys = pd.Series(order).reset_index(drop=True)
    if len(keys) != len(rows):
        raise SpecError(f"order has {len(keys)} values and y {len(rows)} rows; each row has one")
    faults = [
        f"row {label}: order is missing: give it a place or leave the row out"
        for label, missing in zip(rows.labels, keys.isna(), strict=True)
        if missing
    ]
    if faults:
        raise DataError("\n".join(faults))
    return keys


def _sorted(keys: pd.Series) -> NDArray[np.int64]:
    """Return the places of rows from the smallest value on; categories stand in their order."""
    ordered = isinstance(keys.dtype, pd.CategoricalDtype) and keys.cat.ordered
    try:
        values = (keys.cat.codes if ordered else keys).to_numpy()
        return np.argsort(values, kind="stable")
    except TypeError as error:
        raise SpecError(
            "order mixes values that have no order among them, such as numbers and text; give one "
            "kind throughout"
        ) from error
