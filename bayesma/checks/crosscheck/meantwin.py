"""The classical twin of one mean: pooling, or a multilevel meta-analysis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesma.checks.crosscheck.answers import BOUNDARY, Answer, Answers, Twin
from bayesma.checks.crosscheck.likelihood import criterion_of_design, standard_errors
from bayesma.design import Design
from bayesma.frequentist.linear.pooled import Pooled, pool
from bayesma.frequentist.nested.multilevels import Multilevel, multilevel
from bayesma.frequentist.nested.variances import sigma2_ci

__all__ = ["twin_of_mean"]

Floats = NDArray[np.float64]
NAN = float("nan")


def twin_of_mean(plan: Design, ci_prob: float) -> Twin:
    """Return the twin of a design whose mean is one number."""
    effects, names = plan.effects, plan.groups.names
    correlated = bool(effects.covariance.blocks)
    if not names and not correlated:
        return _of_pool(pool(effects, method="common", ci="z", ci_prob=ci_prob), "")
    single = len(plan.groups.labels[0]) == len(effects)
    if len(names) == 1 and single and not correlated:
        # Intervals of the likelihood, as the Bayesian ones are: those of Knapp & Hartung and of the
        # Q-profile rest on Q, which the same variances may contradict (evidence/crosscheck.md).
        found = pool(effects, ci="t", ci_prob=ci_prob, tau2_ci="profile-likelihood")
        return _of_pool(found, names[0])
    return _of_multilevel(plan, multilevel(effects, random="/".join(names), ci_prob=ci_prob))


def _of_pool(found: Pooled, level: str) -> Twin:
    answers: Answers = {("mean", ""): Answer(found.estimate, found.se, *found.ci)}
    if not level:
        return Twin("common effect, z", answers)
    low, high = found.tau2_ci or (NAN, NAN)
    error = NAN if found.tau2_se is None else found.tau2_se
    answers |= _spread(level, found.tau2, error, low, high)
    if found.prediction is not None:
        error = float(np.hypot(found.se, np.sqrt(found.tau2)))
        answers["new study", ""] = Answer(found.estimate, error, *found.prediction)
    answers["I2", ""] = Answer(found.i2)
    return Twin("REML, t with k - 1 degrees of freedom", answers, np.array([found.tau2]))


def _of_multilevel(plan: Design, found: Multilevel) -> Twin:
    row = found.table.iloc[0]
    names = ("estimate", "se", "ci_low", "ci_high")
    mean, se, first, last = (float(row[name]) for name in names)
    answers: Answers = {("mean", ""): Answer(mean, se, first, last)}
    variances: Floats = np.array(found.sigma2, dtype=float)
    table = sigma2_ci(found)
    errors = standard_errors(criterion_of_design(plan), variances)
    for i, level in enumerate(plan.groups.names):
        low, high = (float(table[name].iloc[i]) for name in ("ci_low", "ci_high"))
        answers |= _spread(level, float(variances[i]), float(errors[i]), low, high)
    if found.prediction is not None:
        error = float(np.sqrt(se**2 + variances.sum()))
        answers["new study", ""] = Answer(mean, error, *found.prediction)
    answers["I2", ""] = Answer(float(found.i2.sum()))
    return Twin("REML, t with containment degrees of freedom", answers, variances)


def _spread(level: str, tau2: float, se: float, low: float, high: float) -> Answers:
    """Return the answers of a variance and of its root; se(tau) = se(tau2) / (2 tau)."""
    names = (f"tau ({level})", ""), (f"tau2 ({level})", "")
    ends = float(np.sqrt(low)), float(np.sqrt(high))
    if tau2 <= 0:
        return {
            names[0]: Answer(0.0, NAN, *ends, BOUNDARY),
            names[1]: Answer(0.0, NAN, low, high, BOUNDARY),
        }
    tau = float(np.sqrt(tau2))
    return {names[0]: Answer(tau, se / (2 * tau), *ends), names[1]: Answer(tau2, se, low, high)}
