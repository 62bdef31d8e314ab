"""Meta-regression: random effects around a linear predictor."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bayesma.effects import Effects
from bayesma.errors import SpecError
from bayesma.formulas import parse
from bayesma.frequentist.linear.coding import complete, treatment_matrix
from bayesma.frequentist.linear.heterogeneity import COMMON, log_likelihood, method_of, tau2_of
from bayesma.frequentist.linear.inference import (
    Inference,
    check_probability,
    infer,
    joint_test,
    kind_of,
    scale_of,
    width_notes,
)
from bayesma.frequentist.linear.intervals import check_interval, tau2_interval
from bayesma.frequentist.linear.leastsquares import Weighted, check_rank, weighted
from bayesma.frequentist.linear.rows import Rows, rows_of

__all__ = [
    "Criteria",
    "MetaRegression",
    "coefficient_table",
    "design_of",
    "linear_model",
    "meta_regression",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Criteria:
    """Likelihood and what is computed from it.

    Attributes
    ----------
    log_likelihood : float
        Restricted for REML.
    aic, bic, aicc : float
    """

    log_likelihood: float
    aic: float
    bic: float
    aicc: float

    @classmethod
    def of(cls, log_likelihood: float, n: int, parameters: int) -> Criteria:
        """Return AIC, BIC and AICc (Hurvich & Tsai 1989) from n observations."""
        spare = max(n, parameters + 2)
        return cls(
            log_likelihood,
            -2 * log_likelihood + 2 * parameters,
            -2 * log_likelihood + parameters * float(np.log(n)),
            -2 * log_likelihood + 2 * parameters * spare / (spare - parameters - 1),
        )


@dataclass(frozen=True)
class MetaRegression:
    """A fitted meta-regression.

    Attributes
    ----------
    terms : tuple of str
    beta : ndarray, shape (p,)
        Coefficients.
    inference : Inference
        Their standard errors, tests and intervals.
    covariance : ndarray, shape (p, p)
        Of the coefficients, with the Knapp-Hartung factor where asked for.
    tau2 : float
        Residual heterogeneity, in squared units of the effect.
    tau2_se : float or None
    tau2_ci : tuple of float or None
        None for the common-effect model.
    qm, qm_df, qm_p : float, tuple, float; or None
        Test of all terms but the intercept: chi2 with (m,) or F with (m, k - p) degrees of
        freedom. None where there is no such term.
    qe, qe_df, qe_p : float, int, float
        Test of residual heterogeneity.
    i2, h2 : float
        I2 in percent, H2 as ratio (Higgins & Thompson 2002, with their typical variance).
    r2 : float or None
        Share of tau2 that the terms account for, in percent (Raudenbush 2009). None without an
        intercept or without terms.
    criteria : Criteria
    k : int
    method, ci_kind : str
    ci_prob : float
    rows : Rows
    X : ndarray, shape (k, p)
    notes : tuple of str
    """

    terms: tuple[str, ...]
    beta: Floats = field(repr=False)
    inference: Inference = field(repr=False)
    covariance: Floats = field(repr=False)
    tau2: float
    tau2_se: float | None
    tau2_ci: tuple[float, float] | None
    qm: float | None
    qm_df: tuple[int, ...] | None
    qm_p: float | None
    qe: float
    qe_df: int
    qe_p: float
    i2: float
    h2: float
    r2: float | None
    criteria: Criteria = field(repr=False)
    k: int
    method: str
    ci_kind: str
    ci_prob: float
    rows: Rows = field(repr=False)
    X: Floats = field(repr=False)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say what was fitted."""
        return (
            f"<MetaRegression {self.method}, {self.ci_kind}, k = {self.k}: "
            f"{', '.join(self.terms)}; tau2 = {self.tau2:.4g}>"
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """Index: term; columns estimate, se, ci_low, ci_high, statistic, df (NaN for z), p."""
        return coefficient_table(self.terms, self.beta, self.inference)

    @property
    def log_likelihood(self) -> float:
        """Log likelihood; restricted for REML."""
        return self.criteria.log_likelihood

    @property
    def aic(self) -> float:
        """Akaike's criterion; of the restricted likelihood for REML."""
        return self.criteria.aic

    @property
    def bic(self) -> float:
        """The Bayesian information criterion; of the restricted likelihood for REML."""
        return self.criteria.bic

    @property
    def weights(self) -> Floats:
        """Share of each row in the weights 1/(v + tau2), percent, shape (k,)."""
        w = 1 / (self.rows.v + self.tau2)
        return np.asarray(100 * w / w.sum())


def meta_regression(
    effects: Effects | ArrayLike,
    formula: str = "~ 1",
    *,
    v: ArrayLike | None = None,
    data: pd.DataFrame | None = None,
    method: str = "REML",
    ci: str = "knapp-hartung",
    ci_prob: float = 0.95,
    tau2_ci: str = "q-profile",
) -> MetaRegression:
    """Return a mixed-effects meta-regression, y ~ N(X b, v + tau2).

    b = (X'W X)^-1 X'W y with W = 1/(v + tau2).

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with variances and covariates, or y alone.
    formula : str
        Terms of the mean, e.g. ``"~ species + log(dose)"``. The first level of a factor is its
        reference. Rows in which a term is missing are left out and counted.
    v, data : array_like and pandas.DataFrame, optional
        Sampling variances and covariates of a bare y.
    method : str
        Estimator of tau2: "DL", "HE", "HS", "SJ", "ML", "REML", "EB", "PM", or "common" ("EE").
    ci : {"knapp-hartung", "knapp-hartung-adhoc", "t", "z"}
        Variance and distribution of tests and intervals; metafor's "knha" and "adhoc" are known.
    ci_prob : float
        Probability of the intervals.
    tau2_ci : {"q-profile", "profile-likelihood"}

    Returns
    -------
    MetaRegression

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        If a name is unknown, terms are collinear, or there are too few rows.
    """
    rows, X, terms, notes = design_of(rows_of(effects, v, data=data), formula)
    return linear_model(rows, X, terms, method, ci, ci_prob, tau2_ci, notes)


def design_of(rows: Rows, formula: str) -> tuple[Rows, Floats, tuple[str, ...], tuple[str, ...]]:
    """Return the rows that have all terms, their design matrix, its terms, and what was left out.

    Raises
    ------
    SpecError
        If a name is unknown, or the formula has group effects.
    """
    parsed = parse(formula, "formula")
    if parsed.groups:
        raise SpecError(
            f"formula = '{formula}': group effects are for bm.multilevel(effects, formula, "
            f"random='{'/'.join(parsed.groups)}')"
        )
    keep = complete(parsed, rows.frame)
    notes: tuple[str, ...] = ()
    if not keep.all():
        left = int((~keep).sum())
        notes = (f"{left} of {len(rows)} rows left out: a term of '{formula}' is missing",)
        rows = rows.take(np.flatnonzero(keep))
    return rows, *treatment_matrix(parsed, rows.frame), notes


def linear_model(
    rows: Rows,
    X: Floats,
    terms: tuple[str, ...],
    method: str = "REML",
    ci: str = "z",
    ci_prob: float = 0.95,
    tau2_ci: str = "q-profile",
    notes: tuple[str, ...] = (),
) -> MetaRegression:
    """Return the meta-regression of a design matrix; see `meta_regression`.

    Parameters
    ----------
    rows : Rows
    X : ndarray, shape (k, p)
    terms : tuple of str, length p
    """
    method, kind = method_of(method), kind_of(ci)
    check_probability(ci_prob)
    check_interval(tau2_ci)
    y, v, (k, p) = rows.y, rows.v, X.shape
    check_rank(X, terms, k)
    _check_common(method, kind)
    tau2 = tau2_of(y, v, X, method)
    fit, fixed = weighted(y, 1 / (v + tau2.value), X), weighted(y, 1 / v, X)
    scale = scale_of(kind, fit.q, k - p)
    covariance = fit.cov * scale
    df = None if kind == "z" else float(k - p)
    interval: tuple[float, float] | None = None
    more: tuple[str, ...] = ()
    if method != COMMON:
        interval, more = tau2_interval(tau2_ci, y, v, X, tau2.value, method, ci_prob)
    i2, h2 = _heterogeneity(method, tau2.value, fixed, k - p)
    qm, qm_df, qm_p = _moderators(terms, fit.beta, covariance, df)
    return MetaRegression(
        terms=terms,
        beta=fit.beta,
        inference=infer(fit.beta, covariance, df, ci_prob),
        covariance=covariance,
        tau2=tau2.value,
        tau2_se=tau2.se,
        tau2_ci=interval,
        qm=qm,
        qm_df=qm_df,
        qm_p=qm_p,
        qe=fixed.q,
        qe_df=k - p,
        qe_p=float(special.chdtrc(k - p, fixed.q)),
        i2=i2,
        h2=h2,
        r2=_explained(y, v, X, terms, method, tau2.value),
        criteria=_criteria(y, v, X, method, tau2.value),
        k=k,
        method=method,
        ci_kind=kind,
        ci_prob=ci_prob,
        rows=rows,
        X=X,
        notes=(*rows.notes, *notes, *tau2.notes, *more, *width_notes(kind, scale, df, ci_prob)),
    )


def coefficient_table(terms: tuple[str, ...], beta: Floats, found: Inference) -> pd.DataFrame:
    """Return coefficients with their tests, a row a term; df is NaN for z."""
    columns = {
        "estimate": beta,
        "se": found.se,
        "ci_low": found.ci[:, 0],
        "ci_high": found.ci[:, 1],
        "statistic": found.statistic,
        "df": np.broadcast_to(np.nan if found.df is None else found.df, len(beta)),
        "p": found.p,
    }
    return pd.DataFrame(columns, index=pd.Index(terms, name="term"))


def _check_common(method: str, kind: str) -> None:
    if method == COMMON and kind.startswith("knapp-hartung"):
        raise SpecError(
            "the Knapp-Hartung variance is for random effects; with method='common' use ci='z' "
            "or ci='t'"
        )


def _heterogeneity(method: str, tau2: float, fixed: Weighted, df: int) -> tuple[float, float]:
    """Return I2 in percent, and H2.

    I2 = tau2 / (tau2 + s2) with the typical variance s2 = (k - p) / tr P (Higgins & Thompson
    2002, Statistics in Medicine 21:1539, eq. 9, 10); (Q - df) / Q where tau2 is not estimated.
    """
    if method == COMMON:
        return (max(0.0, 100 * (1 - df / fixed.q)) if fixed.q > 0 else 0.0), fixed.q / df
    typical = df / fixed.trace()
    return 100 * tau2 / (typical + tau2), tau2 / typical + 1


def _moderators(
    terms: tuple[str, ...], beta: Floats, covariance: Floats, df: float | None
) -> tuple[float | None, tuple[int, ...] | None, float | None]:
    tested = [j for j, term in enumerate(terms) if term != "Intercept"]
    if not tested:
        return None, None, None
    qm, qm_p = joint_test(beta[tested], covariance[np.ix_(tested, tested)], df)
    return qm, (len(tested),) if df is None else (len(tested), int(df)), qm_p


def _explained(
    y: Floats, v: Floats, X: Floats, terms: tuple[str, ...], method: str, tau2: float
) -> float | None:
    """Return R2 in percent: the share of tau2 that goes; adjusted R2 for a common effect."""
    if "Intercept" not in terms or len(terms) == 1:
        return None
    k, p = X.shape
    mean = np.ones((k, 1))
    if method == COMMON:
        total = weighted(y, 1 / v, mean).q
        left = weighted(y, 1 / v, X).q
        return max(0.0, 100 * (1 - left / total * (k - 1) / (k - p))) if total > 0 else 0.0
    before = tau2_of(y, v, mean, method).value
    return max(0.0, 100 * (before - tau2) / before) if before > 0 else 0.0


def _criteria(y: Floats, v: Floats, X: Floats, method: str, tau2: float) -> Criteria:
    restricted = method == "REML"
    k, p = X.shape
    found = log_likelihood(tau2, y, v, X, restricted)
    return Criteria.of(found, k - p if restricted else k, p + (method != COMMON))
