"""Deletion: how a result moves when a row, or a study, is left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bayesma.effects import Effects
from bayesma.errors import SpecError, did_you_mean
from bayesma.frequentist.deletion.refits import refits
from bayesma.frequentist.linear.heterogeneity import tau2_of
from bayesma.frequentist.linear.inference import scale_of
from bayesma.frequentist.linear.leastsquares import Weighted, independent, weighted
from bayesma.frequentist.linear.regression import MetaRegression, meta_regression
from bayesma.frequentist.linear.rows import Rows, rows_of

__all__ = ["UNITS", "influence", "leave_one_out"]

Floats = NDArray[np.float64]

UNITS = ("row", "study")
MEASURES = (
    "rstudent",
    "dffits",
    "cook_d",
    "cov_ratio",
    "tau2_deleted",
    "q_deleted",
)


def leave_one_out(
    effects: Effects | ArrayLike,
    v: ArrayLike | None = None,
    *,
    by: str = "row",
    data: pd.DataFrame | None = None,
    method: str = "REML",
    ci: str = "knapp-hartung",
    ci_prob: float = 0.95,
) -> pd.DataFrame:
    """Return the pooled effect without each row, or without all rows of each study.

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances, or y alone.
    v, data : array_like and pandas.DataFrame, optional
        Sampling variances and covariates (`study`) of a bare y.
    by : {"row", "study"}
        What is left out at a time.
    method, ci : str
        As in `pool`.
    ci_prob : float

    Returns
    -------
    pandas.DataFrame
        One row per row or study, in their order: left_out (row id, row number from 1 of a bare
        y, or study), k (rows that stay), estimate, se, statistic, df (NaN for z), p, ci_low,
        ci_high, q, q_p, tau2, i2 (percent), h2.

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        If a name is unknown, nothing would stay, studies are not known, or the rows that stay
        agree exactly, which leaves Knapp-Hartung no variance.
    """
    rows = rows_of(effects, v, data=data)
    units = _units(rows, by)
    if len(units) < 2:
        raise SpecError(f"only one {by}, {units[0][0]}: nothing stays when it is left out")
    everything = np.arange(len(rows))
    subsets = [(f"without {by} {name}", np.delete(everything, at).tolist()) for name, at in units]
    found = refits(rows, subsets, method, ci, ci_prob)
    found.insert(0, "left_out", [name for name, _ in units])
    return found


def influence(
    effects: Effects | ArrayLike,
    v: ArrayLike | None = None,
    formula: str = "~ 1",
    *,
    data: pd.DataFrame | None = None,
    method: str = "REML",
    ci: str = "z",
) -> pd.DataFrame:
    """Return how each row sways a pooled effect or a meta-regression.

    With b, W, P and tau2 of all rows and b', C' and t' of all but row i (Viechtbauer & Cheung
    2010, Research Synthesis Methods 1:112; h the diagonal of X (X'W X)^-1 X'W, D = X'W' X at
    W' = 1/(v + t') for *all* rows, s' the Knapp-Hartung factor without row i, else 1):

    ============ =========================================================================
    rstudent     (y_i - x_i b') / sqrt(s' (v_i + t') + x_i C' x_i')
    dffits       x_i (b - b') / sqrt(s' h_i (v_i + t'))
    cook_d       (b - b')' C^-1 (b - b')
    cov_ratio    det C' / det C
    tau2_deleted t'
    q_deleted    test of residual heterogeneity without row i
    hat, weight  h_i; share of row i in the weights, percent
    dfbeta_j     (b_j - b'_j) / sqrt(s' (D^-1)_jj)
    ============ =========================================================================

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances and covariates, or y alone.
    v, data : array_like and pandas.DataFrame, optional
        Sampling variances and covariates of a bare y.
    formula : str
        As in `meta_regression`.
    method, ci : str
        As in `meta_regression`.

    Returns
    -------
    pandas.DataFrame
        Index: row. The columns above, ``dfbeta[<term>]`` for each term; flag: whether
        ``|dffits| > 3 sqrt(p / (k - p))``, chi2_p(cook_d) > 0.5, hat > 3 p / k or any
        ``|dfbeta| > 1`` (metafor's rule; arbitrary bounds, as Viechtbauer & Cheung say); and
        note: why measures are missing (NaN) where a term rests on that row alone. Such a row is
        flagged.

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        As `meta_regression`; and if too few rows would stay, or agree exactly.
    """
    model = meta_regression(effects, formula, v=v, data=data, method=method, ci=ci)
    k, p = model.X.shape
    # One row left is its own mean; otherwise residuals are needed to see heterogeneity.
    if k - 1 <= p and not (p == 1 and k == 2):
        raise SpecError(
            f"{k} rows and {p} coefficients: without any one row there would be too few left"
        )
    fit = weighted(model.rows.y, 1 / (model.rows.v + model.tau2), model.X)
    found = pd.DataFrame(
        [_deleted(model, fit, i) for i in range(k)],
        columns=[*MEASURES, *(f"dfbeta[{term}]" for term in model.terms)],
        index=pd.Index(model.rows.labels, name="row"),
        dtype=float,
    )
    found.insert(len(MEASURES), "hat", fit.hat)
    found.insert(len(MEASURES) + 1, "weight", model.weights)
    lost = found["rstudent"].isna()
    found["flag"] = _flags(found, k, p) | lost
    found["note"] = ["a term rests on this row alone" if alone else "" for alone in lost]
    return found


def _units(rows: Rows, by: str) -> list[tuple[str, list[int]]]:
    """Return the name and the rows of each unit, in order."""
    if by not in UNITS:
        raise SpecError(f"by = '{by}' is unknown; {did_you_mean(by, UNITS)}")
    if by == "row":
        return [(label, [i]) for i, label in enumerate(rows.labels)]
    if rows.studies is None:
        raise SpecError("by = 'study' needs a column 'study': give effects, or data= with one")
    found: dict[str, list[int]] = {}
    for i, study in enumerate(rows.studies):
        found.setdefault(study, []).append(i)
    return list(found.items())


def _deleted(model: MetaRegression, full: Weighted, i: int) -> tuple[float, ...]:
    """Return `MEASURES` and dfbetas of row i; NaN where the others do not carry all terms."""
    k, p = model.X.shape
    keep = np.arange(k) != i
    y, v, X = model.rows.y[keep], model.rows.v[keep], model.X[keep]
    # A row that a term rests on alone has no residual of its own.
    if len(independent(X)) < p:
        return tuple(np.full(len(MEASURES) + p, np.nan).tolist())
    tau2 = tau2_of(y, v, X, model.method).value if k - 1 > p else 0.0
    fit = weighted(y, 1 / (v + tau2), X)
    scale = _scale(model, fit, i)
    x, v_i = model.X[i], model.rows.v[i]
    change = full.beta - fit.beta
    predicted = scale * float(x @ fit.cov @ x)
    everywhere = weighted(model.rows.y, 1 / (model.rows.v + tau2), model.X).cov
    residual = float(model.rows.y[i] - x @ fit.beta)
    return (
        float(residual / np.sqrt(scale * (v_i + tau2) + predicted)),
        float(x @ change / np.sqrt(scale * full.hat[i] * (v_i + tau2))),
        float(change @ np.linalg.solve(model.covariance, change)),
        float(np.linalg.det(scale * fit.cov) / np.linalg.det(model.covariance)),
        tau2,
        weighted(y, 1 / v, X).q,
        *(change / np.sqrt(scale * np.diag(everywhere))).tolist(),
    )


def _scale(model: MetaRegression, fit: Weighted, i: int) -> float:
    k, p = model.X.shape
    if k - 1 == p:
        return 1.0
    try:
        return scale_of(model.ci_kind, fit.q, k - 1 - p)
    except SpecError as error:
        raise SpecError(f"without row {model.rows.labels[i]}: {error}") from error


def _flags(found: pd.DataFrame, k: int, p: int) -> NDArray[np.bool_]:
    dfbetas = found.filter(like="dfbeta[").abs()
    return np.asarray(
        (found["dffits"].abs() > 3 * np.sqrt(p / (k - p)))
        | (special.chdtr(p, found["cook_d"]) > 0.5)
        | (found["hat"] > 3 * p / k)
        | (dfbetas > 1).any(axis=1)
    )
