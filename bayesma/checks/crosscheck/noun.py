"""The cross-check: every Bayesian answer beside its classical twin and what was published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from bayesma.analysis import Analysis, Published
from bayesma.checks.crosscheck.answers import Answer, Twin
from bayesma.checks.crosscheck.averaging import Averaged, averaged_over_tau, can_average
from bayesma.checks.crosscheck.printed import Printed, printed_values, printed_verdict
from bayesma.checks.crosscheck.pulls import Pulls, pulls_of
from bayesma.checks.crosscheck.quantities import SCALES, Quantity, at_points, quantities
from bayesma.checks.crosscheck.sentences import sentences_of
from bayesma.checks.crosscheck.twins import twin_of
from bayesma.checks.crosscheck.verdicts import FEW, Findings, judged
from bayesma.posterior import Fit
from bayesma.predictive import prior_draws
from bayesma.queries.curves import decay_curve
from bayesma.queries.grids import grid, points_of
from bayesma.queries.summaries import check_interval

__all__ = ["CrossCheck", "cross_check"]

Floats = NDArray[np.float64]
Draws = Mapping[str, Floats]

PRIOR_DRAWS = 4000
# Draws of a new study and of the prior are the same in every check of a fit.
SEED = 1
# Quartiles of a normal density lie this many standard deviations apart.
QUARTILES = 1.3489795003921634
NAN = float("nan")


@dataclass(frozen=True)
class CrossCheck:
    """Bayesian, frequentist and published answers side by side.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a quantity: quantity, where, unit, scale; bayesian (posterior mean; on the scale
        log2 the geometric one), bayesian_median, bayesian_sd (on the scale), bayesian_ci_low and
        _high; frequentist, frequentist_se (on the scale), frequentist_ci_low and _high; published,
        published_ci_low and _high; difference and published_difference, from the Bayesian in
        posterior standard deviations, on the scale; verdict and reason; published_verdict and
        published_reason. NaN where there is no such number, and the reason then says why.
    method : str
        Of the classical twin.
    measure : str
    ci_prob : float
        Of the Bayesian and frequentist intervals; published ones are 95%.
    sentences : tuple of str
        Where they agree, where they differ and why.
    notes : tuple of str
        What the fit cannot be trusted with, and how the twin was made.
    """

    table: pd.DataFrame = field(repr=False)
    method: str
    measure: str
    ci_prob: float
    sentences: tuple[str, ...] = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)

    def __repr__(self) -> str:
        """Say how many agree."""
        verdicts = self.table["verdict"]
        held = int((verdicts != "no twin").sum())
        agree = int((verdicts == "agree").sum())
        return f"<CrossCheck {self.measure}, {self.method}: {agree} of {held} quantities agree>"


def cross_check(
    fit: Fit,
    published: Analysis | pd.DataFrame | Iterable[Published] | None = None,
    at: xr.Dataset | None = None,
    ci_prob: float = 0.95,
) -> CrossCheck:
    """Hold a fit against its classical twin, and both against what was published.

    d = (frequentist - bayesian) / posterior SD; `agree` is ``|d| <= 0.25`` with intervals that are
    within a factor of 1.25 of each other. Causes are computed: averaging over tau by generalised
    least squares at draws of tau (Gelman et al. 2013, Bayesian Data Analysis, section 5.4); the
    pull of the priors as what is left of the difference or, where the mean is not linear, as the
    way from the highest likelihood to the highest posterior density.

    Parameters
    ----------
    fit : Fit
    published : Analysis, DataFrame or iterable of Published, optional
        Printed results; the fit's own, from its model file, where absent. A frame has columns
        quantity and estimate, and as far as printed where, ci_low, ci_high, source.
    at : xarray.Dataset, optional
        From `grid`: points of the curve to compare; else the quartiles of the delays of each
        level by which the effect fades.
    ci_prob : float
        Probability of the intervals.

    Returns
    -------
    CrossCheck

    Raises
    ------
    QueryError
        If `ci_prob` is no probability, or `at` is no grid.
    SpecError
        If a published result cannot be read.
    """
    check_interval(ci_prob, None)
    plan = fit.design
    printed = printed_values(fit, published)
    asked = [*quantities(fit, at), *_extra(fit, printed)]
    asked = list({(q.name, q.where): q for q in asked}.values())
    twin = twin_of(plan, asked, ci_prob)
    draws = _flat(fit)
    prior = prior_draws(plan, PRIOR_DRAWS, np.random.default_rng(SEED))
    averaged = None
    if twin.variances is not None and can_average(plan):
        averaged = averaged_over_tau(plan, draws, twin.variances)
    pulls = None if twin.refused else pulls_of(plan, draws)
    work = _Work(fit, twin, draws, prior, averaged, pulls, ci_prob)
    rows = [work.row(quantity, printed) for quantity in asked]
    known = {(q.name, q.where) for q in asked}
    rows += [_stray(value, asked) for key, value in printed.items() if key not in known]
    table = pd.DataFrame(rows)
    table.attrs = {"estimand": _estimand(fit), "ci_prob": ci_prob, "method": twin.method}
    return CrossCheck(
        table=table,
        method=twin.method,
        measure=plan.effects.measure,
        ci_prob=ci_prob,
        sentences=sentences_of(table, twin, _groups(fit)),
        notes=_notes(fit, twin),
    )


def _estimand(fit: Fit) -> str:
    spec = fit.spec
    return (
        f"Bayesian, frequentist and published answers ({fit.design.effects.measure}) of the model "
        f"peak = {spec.peak}, decay = {spec.decay}"
    )


def _notes(fit: Fit, twin: Twin) -> tuple[str, ...]:
    found = [] if fit.converged else ["this fit has NOT converged: its numbers may be wrong"]
    found += fit.problems
    if twin.refused:
        found.append(f"no classical twin: {twin.refused}")
    return (*found, *twin.notes)


def _flat(fit: Fit) -> dict[str, Floats]:
    """Return posterior draws by name, chains joined: shape (draws, ...)."""
    return {
        str(name): array.values.reshape(-1, *array.values.shape[2:])
        for name, array in fit.posterior.data_vars.items()
    }


def _groups(fit: Fit) -> int:
    """Return how many studies (or pooled rows) the answers rest on."""
    plan = fit.design
    if not plan.groups.names:
        return len(plan.effects)
    return len(np.unique(plan.groups.outermost[~plan.pooled]))


def _grouped(fit: Fit) -> str:
    """Return what the answers rest on, in words."""
    plan, count = fit.design, _groups(fit)
    if plan.groups.names:
        return f"{count} groups of {plan.groups.names[0]}"
    return f"{count} pooled rows" if plan.pooling is not None else f"{count} rows"


def _extra(fit: Fit, printed: Mapping[tuple[str, str], Printed]) -> list[Quantity]:
    """Return the means at points that were published and are not asked for."""
    found: list[Quantity] = []
    for value in printed.values():
        if value.at and value.quantity == "mean":
            found += at_points(fit.design, points_of(grid(fit, **value.at)))
    return found


def _stray(value: Printed, asked: Sequence[Quantity]) -> dict[str, Any]:
    """Return the row of a published result that the fit has no answer to."""
    known = ", ".join(dict.fromkeys(q.name for q in asked))
    place = f" at {value.where}" if value.where else ""
    row = _empty(value.quantity, value.where, "", "identity")
    return row | {
        "published": value.estimate,
        "published_ci_low": value.low,
        "published_ci_high": value.high,
        "verdict": "no twin",
        "reason": f"this fit has no '{value.quantity}'{place}; it has {known}",
        "published_verdict": "not compared",
    }


def _empty(name: str, where: str, unit: str, scale: str) -> dict[str, Any]:
    numbers = [
        *("bayesian", "bayesian_median", "bayesian_sd", "bayesian_ci_low", "bayesian_ci_high"),
        *("frequentist", "frequentist_se", "frequentist_ci_low", "frequentist_ci_high"),
        *("published", "published_ci_low", "published_ci_high"),
        *("difference", "published_difference"),
    ]
    words = ("verdict", "reason", "published_verdict", "published_reason")
    labels = {"quantity": name, "where": where, "unit": unit, "scale": scale}
    return labels | dict.fromkeys(numbers, NAN) | dict.fromkeys(words, "")


@dataclass(frozen=True)
class _Bayesian:
    """A posterior in numbers: mean, median, SD and interval on the scale."""

    mean: float
    median: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True)
class _Work:
    """What the rows of the table are made from."""

    fit: Fit
    twin: Twin
    draws: Draws
    prior: Draws
    averaged: Averaged | None
    pulls: Pulls | None
    ci_prob: float

    def row(self, quantity: Quantity, printed: Mapping[tuple[str, str], Printed]) -> dict[str, Any]:
        """Return one row of the table."""
        back = SCALES[quantity.scale][1]
        bayes, answer = self.bayesian(quantity), self.twin.answer(quantity)
        value = printed.get((quantity.name, quantity.where))
        difference = self.difference(quantity, answer.estimate, bayes)
        verdict, reason = judged(self.findings(quantity, answer, bayes, difference))
        if self.twin.refused:
            reason = self.twin.refused
        row = _empty(quantity.name, quantity.where, quantity.unit, quantity.scale) | {
            "bayesian": float(back(bayes.mean)),
            "bayesian_median": float(back(bayes.median)),
            "bayesian_sd": bayes.sd,
            "bayesian_ci_low": float(back(bayes.low)),
            "bayesian_ci_high": float(back(bayes.high)),
            "frequentist": answer.estimate,
            "frequentist_se": answer.se,
            "frequentist_ci_low": answer.low,
            "frequentist_ci_high": answer.high,
            "difference": difference,
            "verdict": verdict,
            "reason": reason,
        }
        if value is None:
            return row
        off = self.difference(quantity, value.estimate, bayes)
        found = printed_verdict(self.fit.design, self.twin, quantity, answer, value, off, row)
        return row | {
            "published": value.estimate,
            "published_ci_low": value.low,
            "published_ci_high": value.high,
            "published_difference": off,
            "published_verdict": found[0],
            "published_reason": found[1],
        }

    def values(self, quantity: Quantity) -> Floats:
        """Return the posterior draws of a quantity on its scale."""
        if quantity.kind != "new":
            return quantity.scaled(self.draws).ravel()
        drawn = decay_curve(self.fit, grid(self.fit), study="new", seed=SEED)
        return np.asarray(drawn.values, dtype=float).ravel()

    def bayesian(self, quantity: Quantity) -> _Bayesian:
        values = self.values(quantity)
        tail = (1 - self.ci_prob) / 2
        with np.errstate(all="ignore"):  # towards delay 0 a draw may be infinite, and is shown so
            low, median, high = np.quantile(values, [tail, 0.5, 1 - tail])
            mean, sd = float(values.mean()), float(values.std(ddof=1))
        return _Bayesian(mean, float(median), sd, float(low), float(high))

    def difference(self, quantity: Quantity, estimate: float, bayes: _Bayesian) -> float:
        with np.errstate(all="ignore"):
            return float((SCALES[quantity.scale][0](estimate) - bayes.mean) / bayes.sd)

    def findings(
        self, quantity: Quantity, answer: Answer, bayes: _Bayesian, difference: float
    ) -> Findings:
        there = SCALES[quantity.scale][0]
        with np.errstate(all="ignore"):
            span = float(there(answer.high) - there(answer.low))
        prior_sd = self.prior_sd(quantity)
        averaging, inflation = self.averaging(quantity, bayes)
        pull = -difference - averaging
        if np.isnan(averaging) and self.pulls is not None:
            pull = self.pulls.of(quantity) / bayes.sd
            averaging = -difference - pull
        z = float(stats.norm.ppf((1 + self.ci_prob) / 2))
        return Findings(
            difference=difference,
            kind=quantity.kind,
            groups=_grouped(self.fit),
            few=_groups(self.fit) < FEW,
            pull=pull,
            averaging=averaging,
            width=(bayes.high - bayes.low) / span if 0 < span < np.inf else NAN,
            inflation=inflation,
            shrink=float(prior_sd / np.hypot(prior_sd, answer.se)),
            quantile=span / 2 / (z * answer.se),
            kept=bayes.sd / prior_sd if quantity.kind in ("decay", "spread") else NAN,
            outside=self.outside(quantity, answer),
            fades=bool(self.fit.spec.family.parameters),
            trouble=answer.trouble,
        )

    def outside(self, quantity: Quantity, answer: Answer) -> float:
        """Return the posterior probability outside the classical interval."""
        if np.isnan(answer.low) or np.isnan(answer.high):
            return NAN
        values = SCALES[quantity.scale][1](self.values(quantity))
        return float(((values < answer.low) | (values > answer.high)).mean())

    def prior_sd(self, quantity: Quantity) -> float:
        """Return the prior's SD, from its quartiles, for some priors have no variance.

        A curve has no prior that an SD could stand for: at late delays most of it lies at 0.
        """
        if quantity.kind not in ("decay", "spread") and self.fit.spec.family.parameters:
            return NAN
        low, high = np.nanquantile(quantity.scaled(self.prior).ravel(), [0.25, 0.75])
        return float((high - low) / QUARTILES)

    def averaging(self, quantity: Quantity, bayes: _Bayesian) -> tuple[float, float]:
        """Return how far averaging over tau moves a mean, and what it multiplies its SE by."""
        if self.averaged is None or quantity.kind not in ("mean", "new"):
            return NAN, NAN
        centre, spread, classical, error = self.averaged.centre_and_errors(quantity)
        widening = spread / error if quantity.kind == "mean" else NAN
        return (centre - classical) / bayes.sd, widening
