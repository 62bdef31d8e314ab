"""Multilevel meta-analysis: nested group effects around a linear predictor, with a full V."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bayesma.covariance import Blocks
from bayesma.effects import Effects
from bayesma.errors import SpecError, did_you_mean
from bayesma.formulas import parse
from bayesma.frequentist.linear.coding import complete, treatment_matrix
from bayesma.frequentist.linear.inference import (
    Inference,
    check_probability,
    critical,
    infer,
    joint_test,
)
from bayesma.frequentist.linear.leastsquares import check_rank
from bayesma.frequentist.linear.regression import Criteria, coefficient_table
from bayesma.frequentist.linear.rows import Rows
from bayesma.frequentist.nested.correlated import correlated_rows, fixed_effects
from bayesma.frequentist.nested.criterion import Criterion, criterion_of, minimised, starts
from bayesma.frequentist.nested.levels import Levels, containment, levels_of

__all__ = ["Multilevel", "multilevel"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

METHODS = ("REML", "ML")
# Two ends of one flat ridge are no two maxima: their likelihoods agree to a sum's rounding.
RIDGE = 1e-7
DFS = {"z": "z", "t": "t", "residual": "t", "containment": "containment", "contain": "containment"}


@dataclass(frozen=True)
class Multilevel:
    """A fitted multilevel meta-analysis.

    Attributes
    ----------
    terms : tuple of str, length p
    beta : ndarray, shape (p,)
        Coefficients; `table` shows them.
    inference : Inference
        Their standard errors, tests and intervals.
    covariance : ndarray, shape (p, p)
        Of the coefficients.
    levels : Levels
    variances : ndarray, shape (levels,)
        Of the group effects, outermost first, in squared units of the effect; `sigma2` shows
        them. Exactly 0 where the likelihood is highest there.
    estimated : tuple of bool
        Whether each was estimated rather than given.
    prediction : tuple of float or None
        Interval for the true effect of a new row of a new group, b -+ q sqrt(se^2 + sum sigma2);
        None with terms.
    typical_v : float
        Typical sampling variance, (k - p) / tr P; see `i2`.
    qm, qm_df, qm_p : float, tuple, float; or None
        Test of all terms but the intercept: chi2 with (m,) degrees of freedom, or F with (m, the
        least of theirs).
    qe, qe_df, qe_p : float, int, float
        Test of residual heterogeneity: r'V^-1 r with no group effects.
    criteria : Criteria
        Log-likelihood, AIC, BIC and AICc; restricted for REML, with k - p in place of k.
    k : int
    method, df_kind : str
    ci_prob : float
    rows : Rows
    X : ndarray, shape (k, p)
    V : Blocks
        Sampling covariance.
    notes : tuple of str
    """

    terms: tuple[str, ...]
    beta: Floats = field(repr=False)
    inference: Inference = field(repr=False)
    covariance: Floats = field(repr=False)
    levels: Levels = field(repr=False)
    variances: Floats
    estimated: tuple[bool, ...] = field(repr=False)
    prediction: tuple[float, float] | None
    typical_v: float
    qm: float | None
    qm_df: tuple[float, ...] | None
    qm_p: float | None
    qe: float
    qe_df: int
    qe_p: float
    criteria: Criteria = field(repr=False)
    k: int
    method: str
    df_kind: str
    ci_prob: float
    rows: Rows = field(repr=False)
    X: Floats = field(repr=False)
    V: Blocks = field(repr=False)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say what was fitted."""
        spread = ", ".join(f"{name} {value:.4g}" for name, value in self.sigma2.items())
        return (
            f"<Multilevel {self.method}, {self.df_kind}, k = {self.k}: "
            f"{', '.join(self.terms)}; sigma2: {spread}>"
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """Index: term; columns estimate, se, ci_low, ci_high, statistic, df (NaN for z), p."""
        return coefficient_table(self.terms, self.beta, self.inference)

    @property
    def sigma2(self) -> pd.Series[float]:
        """Variance of each level, outermost first; index: level."""
        return self._by_level(self.variances, "sigma2")

    @property
    def groups(self) -> pd.Series[int]:
        """Number of groups of each level; index: level."""
        return self._by_level(np.array(self.levels.counts), "groups")

    @property
    def i2(self) -> pd.Series[float]:
        """Share of each level in sum sigma2 + typical v, in percent; their sum is I2.

        Higgins & Thompson (2002, Statistics in Medicine 21:1539, eq. 9, 10) with the sum of the
        variances for tau2.
        """
        return self._by_level(100 * self.variances / (self.variances.sum() + self.typical_v), "i2")

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
    def aicc(self) -> float:
        """Akaike's criterion as corrected by Hurvich & Tsai (1989)."""
        return self.criteria.aicc

    def _by_level(self, values: NDArray[Any], name: str) -> pd.Series[Any]:
        return pd.Series(values, index=pd.Index(self.levels.names, name="level"), name=name)


@dataclass(frozen=True)
class _Model:
    """What is to be fitted."""

    rows: Rows
    X: Floats
    terms: tuple[str, ...]
    V: Blocks
    levels: Levels
    method: str
    df_kind: str
    ci_prob: float
    notes: tuple[str, ...]


def multilevel(
    effects: Effects | ArrayLike,
    formula: str = "~ 1",
    *,
    random: str = "study/experiment",
    v: ArrayLike | None = None,
    V: Blocks | ArrayLike | None = None,
    data: pd.DataFrame | None = None,
    method: str = "REML",
    df: str = "containment",
    ci_prob: float = 0.95,
    sigma2: Sequence[float | None] | None = None,
) -> Multilevel:
    """Return a multilevel meta-analysis, y ~ N(X b, V + sum_l sigma2_l Z_l Z_l').

    b = (X'S^-1 X)^-1 X'S^-1 y at the variances of highest (restricted) likelihood (Harville 1977,
    JASA 72:320; for meta-analysis Konstantopoulos 2011, Research Synthesis Methods 2:61). The
    prediction interval is that of Higgins, Thompson & Spiegelhalter (2009, JRSS A 172:137)
    with the sum of the variances.

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances and covariances, or y alone.
    formula : str
        Terms of the mean, as `meta_regression` takes them.
    random : str
        Nested columns, outermost first: ``"study/experiment"``, ``"(1 | study/experiment)"``.
        Labels are read within the level above; a row without one is a group of its own.
    v : array_like, shape (k,), optional
        Sampling variances of a bare y.
    V : Blocks or array_like, shape (k, k), optional
        Sampling covariance, such as `compound_symmetry` gives. It takes the place of the
        variances that effects hold.
    data : pandas.DataFrame, optional
        Columns of a bare y.
    method : {"REML", "ML"}
    df : {"containment", "t", "z"}
        Degrees of freedom of each coefficient: by containment, k - p, or none. By containment
        it is the fewest groups among the levels within which the coefficient's column does not
        vary (k if there is none) minus p, and at least 1.
    ci_prob : float
        Probability of the intervals.
    sigma2 : sequence of float or None, optional
        Variances to hold fixed, outermost first; None where one is to be estimated.

    Returns
    -------
    Multilevel

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        If a name is unknown, V is no covariance, terms are collinear, or the rows cannot tell
        the variances.
    """
    method, df_kind = _known(method, df, ci_prob)
    rows, covariance = correlated_rows(effects, v, V, data)
    parsed = parse(formula, "formula")
    if parsed.groups:
        raise SpecError(f"formula = '{formula}': give groups as random='{'/'.join(parsed.groups)}'")
    keep, notes = complete(parsed, rows.frame), rows.notes
    if not keep.all():
        left = int((~keep).sum())
        notes = (*notes, f"{left} of {len(rows)} rows left out: a term of '{formula}' is missing")
        index = np.flatnonzero(keep)
        rows, covariance = rows.take(index), covariance.take(index)
    X, terms = treatment_matrix(parsed, rows.frame)
    check_rank(X, terms, len(rows))
    levels = levels_of(random, rows.frame, rows.labels)
    criterion = criterion_of(rows.y, X, covariance, levels, method == "REML")
    variances, free, told = _variances(criterion, rows, levels, sigma2)
    notes = (*notes, *told)
    model = _Model(rows, X, terms, covariance, levels, method, df_kind, ci_prob, notes)
    return _fitted(model, criterion, variances, free)


def _known(method: str, df: str, ci_prob: float) -> tuple[str, str]:
    """Return the names of the method and of the degrees of freedom, or refuse them."""
    if method not in METHODS:
        raise SpecError(f"method = '{method}' is unknown; {did_you_mean(method, METHODS)}")
    if df not in DFS:
        known = list(dict.fromkeys(DFS.values()))
        raise SpecError(f"df = '{df}' is unknown; {did_you_mean(df, known)}")
    check_probability(ci_prob)
    return method, DFS[df]


def _variances(
    criterion: Criterion, rows: Rows, levels: Levels, given: Sequence[float | None] | None
) -> tuple[Floats, Bools, tuple[str, ...]]:
    """Return the variances of the levels, which were estimated, and what is to be said of them."""
    n = len(levels.names)
    fixed = [None] * n if given is None else np.atleast_1d(np.asarray(given, dtype=object)).tolist()
    if len(fixed) != n:
        raise SpecError(f"sigma2 has {len(fixed)} values for {n} levels: {', '.join(levels.names)}")
    for value in fixed:
        if value is not None and not (
            isinstance(value, int | float | np.integer) and 0 <= value < np.inf
        ):
            raise SpecError(f"sigma2 = {value}: a variance is a number, 0 or above")
    free = np.array([value is None for value in fixed])
    held = np.array([0.0 if value is None else float(value) for value in fixed])
    if not free.any():
        return held, free, ()
    # A typical sampling variance.
    typical = float(1 / np.mean(1 / rows.v))
    grid = starts(criterion, held, free, rows.v.min() / 10, 3 * max(criterion.spread, rows.v.min()))
    found = [minimised(criterion, start, free, typical) for start in grid]
    deviance = np.array([float(criterion.at(variances).deviance) for variances in found])
    best = found[int(np.argmin(deviance))]
    # Far beyond what Newton leaves between two ways to one maximum.
    apart = [np.abs(one - best).max() > 1e-4 * (best.max() + typical) for one in found]
    return best, free, _other_maxima(found, deviance, np.array(apart))


def _other_maxima(found: Sequence[Floats], deviance: Floats, apart: Bools) -> tuple[str, ...]:
    """Return a note on the likeliest variances elsewhere, if the likelihood has such a maximum."""
    if not apart.any():
        return ()
    next_best = int(np.argmin(np.where(apart, deviance, np.inf)))
    values = ", ".join(f"{value:.4g}" for value in found[next_best])
    lower = (deviance[next_best] - deviance.min()) / 2
    if lower < RIDGE:
        return ()
    return (
        f"the likelihood has another maximum, lower by {lower:.3g}, at sigma2 = {values}; the "
        "highest is reported",
    )


def _fitted(model: _Model, criterion: Criterion, sigma2: Floats, free: Bools) -> Multilevel:
    """Return the fit at the variances found."""
    k, p = model.X.shape
    beta, covariance = criterion.coefficients(sigma2)
    df = _degrees(model)
    inference = infer(beta, covariance, df, model.ci_prob)
    qm, qm_df, qm_p = _moderators(model.terms, beta, covariance, df)
    qe, typical = fixed_effects(model.rows.y, model.X, model.V)
    found = -float(criterion.at(sigma2).deviance) / 2
    only_mean = model.terms == ("Intercept",)
    return Multilevel(
        terms=model.terms,
        beta=beta,
        inference=inference,
        covariance=covariance,
        levels=model.levels,
        variances=sigma2,
        estimated=tuple(bool(one) for one in free),
        prediction=_prediction(beta, covariance, df, sigma2, model.ci_prob) if only_mean else None,
        typical_v=typical,
        qm=qm,
        qm_df=qm_df,
        qm_p=qm_p,
        qe=qe,
        qe_df=k - p,
        qe_p=float(special.chdtrc(k - p, qe)),
        criteria=Criteria.of(found, k - p if model.method == "REML" else k, p + int(free.sum())),
        k=k,
        method=model.method,
        df_kind=model.df_kind,
        ci_prob=model.ci_prob,
        rows=model.rows,
        X=model.X,
        V=model.V,
        notes=(*model.notes, *_notes(model)),
    )


def _degrees(model: _Model) -> Floats | None:
    """Return the degrees of freedom of each coefficient; None for z."""
    k, p = model.X.shape
    if model.df_kind == "containment":
        return containment(model.levels, model.X)
    return np.full(p, float(k - p)) if model.df_kind == "t" else None


def _notes(model: _Model) -> tuple[str, ...]:
    p, fewest = model.X.shape[1], model.levels.counts[0]
    if model.df_kind != "containment" or fewest > p:
        return ()
    return (
        f"{fewest} groups of {model.levels.names[0]} carry {p} coefficients: degrees of freedom "
        "by containment would be below 1 and are set to 1",
    )


def _moderators(
    terms: tuple[str, ...], beta: Floats, covariance: Floats, df: Floats | None
) -> tuple[float | None, tuple[float, ...] | None, float | None]:
    tested = [j for j, term in enumerate(terms) if term != "Intercept"]
    if not tested:
        return None, None, None
    least = None if df is None else float(df[tested].min())
    qm, qm_p = joint_test(beta[tested], covariance[np.ix_(tested, tested)], least)
    return qm, (len(tested),) if least is None else (len(tested), least), qm_p


def _prediction(
    beta: Floats, covariance: Floats, df: Floats | None, sigma2: Floats, ci_prob: float
) -> tuple[float, float]:
    q = critical(None if df is None else float(df[0]), ci_prob)
    half = float(q * np.sqrt(covariance[0, 0] + sigma2.sum()))
    return float(beta[0]) - half, float(beta[0]) + half
