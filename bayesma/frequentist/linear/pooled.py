"""Pooling: one mean of all effects."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesma.effects import Effects
from bayesma.errors import SpecError, did_you_mean
from bayesma.frequentist.linear.heterogeneity import COMMON
from bayesma.frequentist.linear.inference import critical
from bayesma.frequentist.linear.regression import MetaRegression, linear_model
from bayesma.frequentist.linear.rows import rows_of

__all__ = ["PREDICTIONS", "Pooled", "pool", "pooled_from"]

Floats = NDArray[np.float64]

PREDICTIONS = ("as-ci", "riley")


@dataclass(frozen=True)
class Pooled:
    """A pooled effect.

    Attributes
    ----------
    estimate, se : float
        In units of the effect measure.
    ci : tuple of float
    statistic, df, p : float, float or None, float
        Test against 0; df is None for z.
    tau2, tau2_se, tau2_ci : float, float or None, tuple of float or None
        Variance of true effects; None for the common-effect model, where there is none.
    i2, h2 : float
        I2 in percent.
    q, q_df, q_p : float, int, float
        Cochran's Q and its test.
    prediction : tuple of float or None
        Interval for the true effect of a new study; None for the common-effect model.
    weights : ndarray, shape (k,)
        Percent.
    k : int
    method, ci_kind : str
    ci_prob : float
    model : MetaRegression
        The same fit as a regression on the intercept: likelihood, rows, covariance.
    notes : tuple of str
    """

    estimate: float
    se: float
    ci: tuple[float, float]
    statistic: float
    df: float | None
    p: float
    tau2: float
    tau2_se: float | None
    tau2_ci: tuple[float, float] | None
    i2: float
    h2: float
    q: float
    q_df: int
    q_p: float
    prediction: tuple[float, float] | None
    weights: Floats = field(repr=False)
    k: int
    method: str
    ci_kind: str
    ci_prob: float
    model: MetaRegression = field(repr=False)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say the result as a sentence of a paper would."""
        low, high = self.ci
        return (
            f"<Pooled {self.estimate:.4g} [{low:.4g}, {high:.4g}], k = {self.k}, {self.method}, "
            f"{self.ci_kind}: tau2 = {self.tau2:.4g}, I2 = {self.i2:.1f}%>"
        )


def pool(
    effects: Effects | ArrayLike,
    v: ArrayLike | None = None,
    *,
    method: str = "REML",
    ci: str = "knapp-hartung",
    ci_prob: float = 0.95,
    tau2_ci: str = "q-profile",
    prediction: str = "as-ci",
) -> Pooled:
    """Return the pooled effect, sum w y / sum w with w = 1/(v + tau2).

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances, or y alone.
    v : array_like, shape (k,), optional
        Sampling variances of a bare y.
    method : str
        Estimator of tau2: "DL", "HE", "HS", "SJ", "ML", "REML", "EB", "PM"; "common" ("EE") for
        one effect that all studies share.
    ci : {"knapp-hartung", "knapp-hartung-adhoc", "t", "z"}
        Variance and distribution of the test and of the interval; metafor's names "knha" and
        "adhoc" are known too. Knapp-Hartung is not defined for the common-effect model, which
        then says so.
    ci_prob : float
        Probability of the intervals.
    tau2_ci : {"q-profile", "profile-likelihood"}
    prediction : {"as-ci", "riley"}
        Quantile of the prediction interval: of the distribution that the confidence interval
        uses (metafor's predict), or t with k - 2 degrees of freedom (Riley, Higgins & Deeks
        2011, BMJ 342:d549).

    Returns
    -------
    Pooled

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        If a name is unknown, the effects correlate, there are too few rows, or an interval is
        not defined for these data.
    """
    if prediction not in PREDICTIONS:
        raise SpecError(
            f"prediction = '{prediction}' is unknown; {did_you_mean(prediction, PREDICTIONS)}"
        )
    rows = rows_of(effects, v)
    X = np.ones((len(rows), 1))
    return pooled_from(
        linear_model(rows, X, ("Intercept",), method, ci, ci_prob, tau2_ci), prediction
    )


def pooled_from(model: MetaRegression, prediction: str = "as-ci") -> Pooled:
    """Return a regression on the intercept alone as a pooled effect."""
    found = model.inference
    df = None if model.ci_kind == "z" else float(model.qe_df)
    return Pooled(
        estimate=float(model.beta[0]),
        se=float(found.se[0]),
        ci=(float(found.ci[0, 0]), float(found.ci[0, 1])),
        statistic=float(found.statistic[0]),
        df=df,
        p=float(found.p[0]),
        tau2=model.tau2,
        tau2_se=model.tau2_se,
        tau2_ci=model.tau2_ci,
        i2=model.i2,
        h2=model.h2,
        q=model.qe,
        q_df=model.qe_df,
        q_p=model.qe_p,
        prediction=_prediction(model, df, prediction),
        weights=model.weights,
        k=model.k,
        method=model.method,
        ci_kind=model.ci_kind,
        ci_prob=model.ci_prob,
        model=model,
        notes=model.notes,
    )


def _prediction(model: MetaRegression, df: float | None, kind: str) -> tuple[float, float] | None:
    """Return estimate +- quantile sqrt(se^2 + tau2) (Higgins, Thompson & Spiegelhalter 2009)."""
    if model.method == COMMON:
        return None
    if kind == "riley":
        if model.k < 3:
            raise SpecError(
                f"prediction='riley' has k - 2 = {model.k - 2} degrees of freedom; use 'as-ci'"
            )
        df = float(model.k - 2)
    estimate = float(model.beta[0])
    half = float(critical(df, model.ci_prob) * np.sqrt(model.covariance[0, 0] + model.tau2))
    return estimate - half, estimate + half
