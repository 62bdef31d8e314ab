"""Refits: the same pooling again and again, of some of the rows each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayesma.errors import SpecError
from bayesma.frequentist.linear.heterogeneity import method_of
from bayesma.frequentist.linear.inference import check_probability, infer, kind_of
from bayesma.frequentist.linear.pooled import Pooled, pooled_from
from bayesma.frequentist.linear.regression import linear_model
from bayesma.frequentist.linear.rows import Rows

__all__ = ["COLUMNS", "refits"]

COLUMNS = (
    "k",
    "estimate",
    "se",
    "statistic",
    "df",
    "p",
    "ci_low",
    "ci_high",
    "q",
    "q_p",
    "tau2",
    "i2",
    "h2",
)


def refits(
    rows: Rows, subsets: Sequence[tuple[str, Sequence[int]]], method: str, ci: str, ci_prob: float
) -> pd.DataFrame:
    """Return one pooled effect per subset, in columns `COLUMNS`.

    A single row is its own pooled effect: se = sqrt(v) on z whatever `ci`, with no
    heterogeneity to see (tau2 = 0, Q = 0), as metafor has it.

    Parameters
    ----------
    rows : Rows
    subsets : sequence of (str, sequence of int)
        What to call the subset in an error, and its rows.
    method, ci : str
    ci_prob : float
    """
    method, ci = method_of(method), kind_of(ci)
    check_probability(ci_prob)
    found = [_refit(rows.take(index), name, method, ci, ci_prob) for name, index in subsets]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _refit(rows: Rows, name: str, method: str, ci: str, ci_prob: float) -> tuple[float, ...]:
    if len(rows) == 1:
        return _single(rows, ci_prob)
    X = np.ones((len(rows), 1))
    try:
        model = linear_model(rows, X, ("Intercept",), method, ci, ci_prob)
    except SpecError as error:
        raise SpecError(f"{name}: {error}") from error
    return _values(pooled_from(model))


def _values(found: Pooled) -> tuple[float, ...]:
    return (
        found.k,
        found.estimate,
        found.se,
        found.statistic,
        np.nan if found.df is None else found.df,
        found.p,
        *found.ci,
        found.q,
        found.q_p,
        found.tau2,
        found.i2,
        found.h2,
    )


def _single(rows: Rows, ci_prob: float) -> tuple[float, ...]:
    found = infer(rows.y, np.diag(rows.v), None, ci_prob)
    test = (float(found.statistic[0]), np.nan, float(found.p[0]))
    low, high = found.ci[0]
    return (1, float(rows.y[0]), float(found.se[0]), *test, low, high, 0.0, 1.0, 0.0, 0.0, 1.0)
