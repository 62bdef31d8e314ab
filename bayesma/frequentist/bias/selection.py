"""Selection: what effects would be if significance had not helped them into print."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bayesma.effects import Effects
from bayesma.errors import SpecError, did_you_mean
from bayesma.frequentist.bias.peaks import Peak, highest
from bayesma.frequentist.bias.stepwise import Steps, Stepwise
from bayesma.frequentist.linear.heterogeneity import log_likelihood, tau2_of
from bayesma.frequentist.linear.inference import Inference, check_probability, infer
from bayesma.frequentist.linear.leastsquares import check_rank
from bayesma.frequentist.linear.regression import coefficient_table, design_of
from bayesma.frequentist.linear.rows import Rows, numbers_of, rows_of

__all__ = ["ALTERNATIVES", "SelectionModel", "selection_model"]

Floats = NDArray[np.float64]

ALTERNATIVES = ("greater", "less", "two-sided")
# An interval with so few p-values says little of its weight.
FEW = 3


@dataclass(frozen=True)
class SelectionModel:
    """A fitted step-function selection model.

    Attributes
    ----------
    terms : tuple of str
    beta : ndarray, shape (p,)
        Coefficients as they would be without selection.
    inference : Inference
        Their standard errors, z tests and intervals.
    covariance : ndarray, shape (p, p)
    tau2 : float
    tau2_se : float or None
        None where tau2 is 0.
    delta, delta_se : ndarray, shape (m,)
        Relative weight of each interval of p-values. The first is 1 by definition, its standard
        error NaN.
    lrt, lrt_df, lrt_p : float, int, float
        Likelihood-ratio test of no selection (all weights 1), chi2.
    log_likelihood, log_likelihood_unselected : float
        Of this model and of the same without selection, by ML.
    rows_in : tuple of int, length m
        p-values in each interval.
    steps : tuple of float, length m
        Upper bounds of the intervals.
    alternative : {"greater", "less", "two-sided"}
        Which effects small p-values stand for.
    k : int
    ci_prob : float
    notes : tuple of str
    """

    terms: tuple[str, ...]
    beta: Floats = field(repr=False)
    inference: Inference = field(repr=False)
    covariance: Floats = field(repr=False)
    tau2: float
    tau2_se: float | None
    delta: Floats
    delta_se: Floats = field(repr=False)
    lrt: float
    lrt_df: int
    lrt_p: float
    log_likelihood: float
    log_likelihood_unselected: float
    rows_in: tuple[int, ...]
    steps: tuple[float, ...]
    alternative: str
    k: int
    ci_prob: float
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say the result as a sentence of a paper would."""
        low, high = self.ci
        return (
            f"<SelectionModel {self.terms[0]} {self.estimate:.4g} [{low:.4g}, {high:.4g}], "
            f"k = {self.k}, {self.alternative}: tau2 = {self.tau2:.4g}, "
            f"weights {', '.join(f'{d:.3g}' for d in self.delta)}, p = {self.lrt_p:.3g}>"
        )

    @property
    def estimate(self) -> float:
        """The first coefficient: the mean effect where there are no other terms."""
        return float(self.beta[0])

    @property
    def se(self) -> float:
        """Standard error of the estimate."""
        return float(self.inference.se[0])

    @property
    def ci(self) -> tuple[float, float]:
        """Interval of the estimate."""
        return float(self.inference.ci[0, 0]), float(self.inference.ci[0, 1])

    @property
    def statistic(self) -> float:
        """Test statistic z of the estimate against 0."""
        return float(self.inference.statistic[0])

    @property
    def p(self) -> float:
        """Two-sided p of the estimate against 0."""
        return float(self.inference.p[0])

    @cached_property
    def table(self) -> pd.DataFrame:
        """Coefficients; index and columns as in `MetaRegression.table`."""
        return coefficient_table(self.terms, self.beta, self.inference)

    @cached_property
    def weights_table(self) -> pd.DataFrame:
        """Weights; index: interval; rows, delta, se, ci_low, ci_high (not below 0), and test of 1.

        Columns statistic and p. All but rows and delta are NaN for the first, which is 1.
        """
        found = infer(self.delta - 1, np.diag(self.delta_se**2), None, self.ci_prob)
        columns = {
            "rows": self.rows_in,
            "delta": self.delta,
            "se": self.delta_se,
            "ci_low": np.maximum(1 + found.ci[:, 0], 0.0),
            "ci_high": 1 + found.ci[:, 1],
            "statistic": found.statistic,
            "p": found.p,
        }
        return pd.DataFrame(columns, index=pd.Index(Steps(self.steps).names, name="p-value"))


def selection_model(
    effects: Effects | ArrayLike,
    v: ArrayLike | None = None,
    formula: str = "~ 1",
    *,
    steps: Sequence[float] = (0.025,),
    alternative: str | None = None,
    data: pd.DataFrame | None = None,
    ci_prob: float = 0.95,
) -> SelectionModel:
    """Return the step-function selection model of Vevea & Hedges 1995, by maximum likelihood.

    y ~ N(X b, v + tau2) among all studies made; one with a p-value in interval j is seen with
    weight delta_j relative to the first interval (Psychometrika 60:419, eq. 9; `stepwise` has
    the likelihood). Standard errors are those of the inverse observed information; where tau2
    is 0 it is held there.

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances and covariates, or y alone.
    v, data : array_like and pandas.DataFrame, optional
        Sampling variances and covariates of a bare y.
    formula : str
        As in `meta_regression`.
    steps : sequence of float
        Where the weight may change, one-sided p-values in (0, 1).
    alternative : {"greater", "less", "two-sided"}, optional
        Whether p is small for large effects, for small ones, or for either. Where absent, on
        the side of the pooled effect without selection.
    ci_prob : float
        Probability of the intervals.

    Returns
    -------
    SelectionModel

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        If an interval holds no p-value, so that its weight cannot be known; if there are fewer
        rows than parameters; if terms are collinear; if the likelihood has no peak; or a name or
        step is wrong.
    """
    check_probability(ci_prob)
    bounds = _bounds(steps)
    rows, X, terms, notes = design_of(rows_of(effects, v, data=data), formula)
    chosen = _alternative(alternative, rows)
    turn = -1.0 if chosen == "less" else 1.0
    model = Stepwise(turn * rows.y, rows.v, X, Steps(bounds, chosen == "two-sided"))
    counts = _counts(model, terms)
    start = tau2_of(model.y, model.v, X, "ML").value
    plain = log_likelihood(start, model.y, model.v, X, restricted=False)
    peak = highest(model, start)
    found = infer(turn * peak.beta, peak.covariance, None, ci_prob)
    lrt, df = max(0.0, 2 * (peak.value - plain)), len(bounds) - 1
    return SelectionModel(
        terms=terms,
        beta=turn * peak.beta,
        inference=found,
        covariance=peak.covariance,
        tau2=peak.tau2,
        tau2_se=peak.tau2_se,
        delta=np.concatenate([[1.0], peak.weights]),
        delta_se=np.concatenate([[np.nan], peak.weights_se]),
        lrt=lrt,
        lrt_df=df,
        lrt_p=float(special.chdtrc(df, lrt)),
        log_likelihood=peak.value,
        log_likelihood_unselected=plain,
        rows_in=counts,
        steps=bounds,
        alternative=chosen,
        k=len(rows),
        ci_prob=ci_prob,
        notes=rows.notes + notes + _advice(model.steps, counts, peak),
    )


def _bounds(steps: Sequence[float]) -> tuple[float, ...]:
    """Return the upper bounds of the intervals, the last 1."""
    found = tuple(float(step) for step in numbers_of(np.atleast_1d(steps), "steps"))
    inner = found[:-1] if found and found[-1] == 1 else found
    rising = all(low < high for low, high in itertools.pairwise(inner))
    if not inner or not rising or not all(0 < step < 1 for step in inner):
        raise SpecError(
            f"steps = {found}: p-values in (0, 1), each larger than the one before, e.g. "
            "(0.025, 0.5)"
        )
    return (*inner, 1.0)


def _alternative(name: str | None, rows: Rows) -> str:
    if name is None:
        mean = np.ones((len(rows), 1))
        w = 1 / (rows.v + (tau2_of(rows.y, rows.v, mean, "ML").value if len(rows) > 1 else 0))
        return "less" if float(w @ rows.y) < 0 else "greater"
    if name not in ALTERNATIVES:
        raise SpecError(f"alternative = '{name}' is unknown; {did_you_mean(name, ALTERNATIVES)}")
    return name


def _counts(model: Stepwise, terms: tuple[str, ...]) -> tuple[int, ...]:
    """Return the p-values in each interval, or refuse what cannot be estimated."""
    k, parameters = len(model.y), len(terms) + len(model.steps.bounds)
    check_rank(model.X, terms, k)
    if k < parameters:
        raise SpecError(
            f"{k} rows cannot carry {parameters} parameters (coefficients, tau2 and weights); use "
            "fewer steps or terms"
        )
    counts = np.bincount(model.intervals, minlength=len(model.steps.bounds))
    empty = [name for name, count in zip(model.steps.names, counts, strict=True) if not count]
    if empty:
        raise SpecError(
            f"no p-value in {', '.join(empty)}: the weight of an interval without any cannot be "
            "known; choose other steps, or alternative="
        )
    return tuple(int(count) for count in counts)


def _advice(steps: Steps, counts: tuple[int, ...], peak: Peak) -> tuple[str, ...]:
    notes = []
    few = [
        f"{count} in {name}"
        for name, count in zip(steps.names, counts, strict=True)
        if count <= FEW
    ]
    if few:
        notes.append(
            f"few p-values: {', '.join(few)}; weights that rest on {FEW} or fewer are hardly known"
        )
    if peak.tau2 == 0:
        notes.append("tau2 is estimated as 0; standard errors hold it there")
    return tuple(notes)
