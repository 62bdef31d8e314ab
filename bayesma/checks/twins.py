"""Twins: the classical answers to the quantities of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bayesma.checks.quantities import SCALES, Quantity, alone
from bayesma.design import Design
from bayesma.errors import BayesmaError
from bayesma.frequentist.classical import ClassicalFit, classical_fit
from bayesma.frequentist.criterion import Criterion, criterion_of
from bayesma.frequentist.levels import levels_of
from bayesma.frequentist.nested import Multilevel, multilevel
from bayesma.frequentist.pooled import Pooled, pool
from bayesma.frequentist.profile import sigma2_ci
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean
from bayesma.posterior import Fit

__all__ = ["NOTHING", "Answer", "Twin", "criterion_of_design", "level_basis", "twin_of"]

Floats = NDArray[np.float64]

MATHS = NumPyMaths()
# Step of a numerical derivative, as a share of the variance: a third of the digits.
STEP = 1e-4


@dataclass(frozen=True)
class Answer:
    """A classical estimate.

    Attributes
    ----------
    estimate : float
        NaN where there is none.
    se : float
        On the quantity's scale; NaN where there is none.
    low, high : float
        Confidence interval; NaN where there is none.
    trouble : str
        What keeps the estimate from being one: a boundary, a flat likelihood.
    """

    estimate: float
    se: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    trouble: str = ""


NOTHING = Answer(float("nan"))


@dataclass(frozen=True)
class Twin:
    """The classical fit of the same model.

    Attributes
    ----------
    method : str
        In words.
    answers : mapping of (str, str) to Answer
        By name and place of the quantity.
    variances : ndarray or None
        tau2 by level, outermost first, where they are estimated.
    refused : str
        Why there is none; else empty.
    notes : tuple of str
    """

    method: str
    answers: Mapping[tuple[str, str], Answer] = field(repr=False)
    variances: Floats | None = None
    refused: str = ""
    notes: tuple[str, ...] = ()

    def answer(self, quantity: Quantity) -> Answer:
        """Return the answer to a quantity; one without numbers where there is none."""
        return self.answers.get((quantity.name, quantity.where), NOTHING)


def twin_of(fit: Fit, asked: Sequence[Quantity], ci_prob: float) -> Twin:
    """Return the classical twin of a fit; one that says why where it is refused."""
    plan = fit.design
    try:
        if alone(plan) and plan.spec.population == "normal" and not plan.kappa_names:
            if not plan.varying_tau and plan.small_study is None:
                return _pooled(plan, ci_prob)
        return _classical(plan, asked, ci_prob)
    except BayesmaError as error:
        return Twin("none", {}, refused=str(error))


# -- one mean ------------------------------------------------------------------------------------


def _pooled(plan: Design, ci_prob: float) -> Twin:
    effects, names = plan.effects, plan.groups.names
    correlated = bool(effects.covariance.blocks)
    if not names and not correlated:
        return _of_pool(pool(effects, method="common", ci="z", ci_prob=ci_prob), "")
    single = len(plan.groups.labels[0]) == len(effects)
    if len(names) == 1 and single and not correlated:
        return _of_pool(pool(effects, ci_prob=ci_prob), names[0])
    return _of_multilevel(plan, multilevel(effects, random="/".join(names), ci_prob=ci_prob))


def _of_pool(found: Pooled, level: str) -> Twin:
    answers = {("mean", ""): Answer(found.estimate, found.se, *found.ci)}
    if not level:
        return Twin("common effect, z", answers)
    low, high = found.tau2_ci or (np.nan, np.nan)
    se = np.nan if found.tau2_se is None else found.tau2_se
    answers |= _spread(level, found.tau2, se, low, high)
    if found.prediction is not None:
        se = float(np.hypot(found.se, np.sqrt(found.tau2)))
        answers["new study", ""] = Answer(found.estimate, se, *found.prediction)
    answers["I2", ""] = Answer(found.i2)
    return Twin("REML, Knapp-Hartung", answers, np.array([found.tau2]))


def _of_multilevel(plan: Design, found: Multilevel) -> Twin:
    row = found.table.iloc[0]
    answers = {("mean", ""): Answer(row["estimate"], row["se"], row["ci_low"], row["ci_high"])}
    variances = found.sigma2.to_numpy(dtype=float)
    criterion, ends = criterion_of_design(plan), sigma2_ci(found)
    errors = _errors(criterion, variances)
    for i, level in enumerate(plan.groups.names):
        low, high = (float(ends[name].iloc[i]) for name in ("ci_low", "ci_high"))
        answers |= _spread(level, float(variances[i]), float(errors[i]), low, high)
    if found.prediction is not None:
        se = float(np.sqrt(row["se"] ** 2 + variances.sum()))
        answers["new study", ""] = Answer(row["estimate"], se, *found.prediction)
    answers["I2", ""] = Answer(float(found.i2.sum()))
    return Twin("REML, t with containment degrees of freedom", answers, variances)


def _spread(
    level: str, tau2: float, se: float, low: float, high: float
) -> dict[tuple[str, str], Answer]:
    """Return the answers of a variance and of its root; se(tau) = se(tau2) / (2 tau)."""
    at_zero = tau2 <= 0
    trouble = "boundary" if at_zero else ""
    tau = float(np.sqrt(tau2))
    se_tau = np.nan if at_zero else se / (2 * tau)
    ends = float(np.sqrt(low)), float(np.sqrt(high))
    return {
        (f"tau ({level})", ""): Answer(tau, se_tau, *ends, trouble),
        (f"tau2 ({level})", ""): Answer(tau2, np.nan if at_zero else se, low, high, trouble),
    }


# -- a mean that fades, or goes with covariates ------------------------------------------------


def _classical(plan: Design, asked: Sequence[Quantity], ci_prob: float) -> Twin:
    found = classical_fit(plan.effects, plan.spec, ci_prob=ci_prob)
    z = float(stats.norm.ppf((1 + ci_prob) / 2))
    rows = found.quantities().to_dict("records")
    answers = {}
    for quantity in asked:
        answer = _classical_answer(found, quantity, rows, z)
        if answer is not None:
            answers[quantity.name, quantity.where] = answer
    variances = None
    if plan.tau_names and not plan.kappa_names:
        variances = np.array([found.tau[name] for name in plan.groups.names]) ** 2
    return Twin(f"{found.method}, z and profile likelihood", answers, variances, notes=_said(found))


def _said(found: ClassicalFit) -> tuple[str, ...]:
    fresh = [note for note in found.notes if note not in found.design.notes]
    return tuple(f"classical twin: {text}" for text in (*fresh, *found.problems))


def _classical_answer(
    found: ClassicalFit, quantity: Quantity, rows: Sequence[Mapping[str, Any]], z: float
) -> Answer | None:
    """Return the classical answer to a quantity; None where there is none."""
    if quantity.kind == "mean" and quantity.points is not None:
        row = found.mean_at(quantity.points, [quantity.weights]).iloc[0]
        return Answer(*(float(row[name]) for name in ("estimate", "se", "ci_low", "ci_high")))
    if quantity.kind == "row":
        return _row_answer(found, int(quantity.parameter))
    for row in rows:
        levels = {name: row[name] for name in quantity.cell if row.get(name)}
        if row["quantity"] == quantity.parameter and levels.items() <= quantity.cell.items():
            return _profiled(found, quantity, row, z)
    return None


def _row_answer(found: ClassicalFit, i: int) -> Answer:
    """Return the mean of a pooled row; its weights are held at the estimate's."""
    plan, pooling = found.design, found.design.pooling
    assert pooling is not None
    at = {name: np.asarray(value)[None] for name, value in found.estimates.items()}
    mean = effect_mean({n: at[VARIABLES[n]] for n in plan.spec.predictors}, plan.points,
                       plan.spec.family, MATHS)[0]
    weights = np.where(pooling.row == i, 1 / (pooling.floor + pooling.slope * mean**2), 0.0)
    row = found.mean_at(plan.points, [weights / weights.sum()]).iloc[0]
    return Answer(*(float(row[name]) for name in ("estimate", "se", "ci_low", "ci_high")))


def _profiled(
    found: ClassicalFit, quantity: Quantity, row: Mapping[str, Any], z: float
) -> Answer:
    """Return an estimate with its profile interval, whose width gives the standard error."""
    ends = np.array([row["estimate"], row["ci_low"], row["ci_high"]], dtype=float)
    if quantity.name.startswith("tau2"):
        ends = ends**2
    with np.errstate(divide="ignore"):
        low, high = SCALES[quantity.scale][0](ends[1:])
    se = float(high - low) / (2 * z)
    trouble = str(row["note"])
    if quantity.kind == "spread" and ends[0] == 0:
        return Answer(0.0, float("nan"), float(ends[1]), float(ends[2]), "boundary")
    return Answer(*map(float, (ends[0], se if np.isfinite(se) else np.nan, *ends[1:])), trouble)


# -- the likelihood of the variances ---------------------------------------------------------------


def level_basis(plan: Design) -> Floats:
    """Return the basis of the level's coefficients, shape (terms, free)."""
    peak = plan.predictors["peak"]
    return np.hstack([peak.average_basis, peak.contrast_basis])


def criterion_of_design(plan: Design) -> Criterion:
    """Return the restricted likelihood of the variances of a design without decay."""
    frame = plan.effects.frame
    levels = levels_of("/".join(plan.groups.names), frame, list(frame["row_id"].astype(str)))
    X = plan.points.matrices["peak"] @ level_basis(plan)
    return criterion_of(plan.effects.y, X, plan.effects.covariance, levels, True)


def _errors(criterion: Criterion, variances: Floats) -> Floats:
    """Return standard errors of the variances, from the observed information H = J / 2.

    J is the derivative of the deviance's slope; a variance at 0 has none.
    """
    out, free = np.full(len(variances), np.nan), np.flatnonzero(variances > 0)
    if not len(free):
        return out
    steps = STEP * np.diag(variances)[free]
    slopes = [criterion.at(variances + s).slope - criterion.at(variances - s).slope for s in steps]
    rises = np.array(slopes)[:, free] / (2 * STEP * variances[free][:, None])
    found = np.diag(np.linalg.inv((rises + rises.T) / 4))
    out[free] = np.sqrt(np.where(found > 0, found, np.nan))
    return out
