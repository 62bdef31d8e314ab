"""The classical twin of a mean that fades or goes with covariates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from bayesma.checks.crosscheck.answers import BOUNDARY, Answer, Answers, Twin
from bayesma.checks.crosscheck.quantities import SCALES, Quantity
from bayesma.design import Design
from bayesma.frequentist.fading.classical import ClassicalFit, classical_fit
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean

__all__ = ["twin_of_curve"]

MATHS = NumPyMaths()
NAN = float("nan")


def twin_of_curve(plan: Design, asked: Sequence[Quantity], ci_prob: float) -> Twin:
    """Return the twin of any design that has a classical fit."""
    found = classical_fit(plan.effects, plan.spec, ci_prob=ci_prob)
    z = float(stats.norm.ppf((1 + ci_prob) / 2))
    wanted = [q.parameter for q in asked if q.kind in ("decay", "spread")]
    table = found.quantities(only=wanted).to_dict("records") if wanted else []
    rows = [{str(key): value for key, value in row.items()} for row in table]
    answers: Answers = {}
    for quantity in asked:
        answer = _answer(found, quantity, rows, z)
        if answer is not None:
            answers[quantity.name, quantity.where] = answer
    variances = None
    if plan.tau_names and not plan.kappa_names:
        variances = np.array([found.tau[name] for name in plan.groups.names]) ** 2
    fresh = [note for note in found.notes if note not in found.design.notes]
    notes = tuple(f"classical twin: {text}" for text in (*fresh, *found.problems))
    return Twin(f"{found.method}, z and profile likelihood", answers, variances, notes=notes)


def _answer(
    found: ClassicalFit, quantity: Quantity, rows: Sequence[Mapping[str, Any]], z: float
) -> Answer | None:
    """Return the classical answer to a quantity; None where there is none."""
    if quantity.kind == "mean" and quantity.points is not None:
        return _wald(found, quantity.points, quantity.weights)
    if quantity.name == "I2":  # a share of the taus, and no row of its own
        names = zip(found.design.tau_names, found.design.groups.names, strict=True)
        return Answer(float(quantity.of({tau: np.array(found.tau[name]) for tau, name in names})))
    if quantity.kind == "row":
        return _row(found, int(quantity.parameter))
    for row in rows:
        levels = {name: row[name] for name in quantity.cell if row.get(name)}
        if row["quantity"] == quantity.parameter and levels.items() <= quantity.cell.items():
            return _profiled(quantity, row, z)
    return None


def _wald(found: ClassicalFit, points: Any, weights: Any) -> Answer:
    row = found.mean_at(points, [weights]).iloc[0]
    estimate, se, low, high = (float(row[n]) for n in ("estimate", "se", "ci_low", "ci_high"))
    open_end = not (np.isfinite(low) and np.isfinite(high))
    return Answer(estimate, se, low, high, "not identified by the likelihood" if open_end else "")


def _row(found: ClassicalFit, i: int) -> Answer:
    """Return the mean of a pooled row; its members' weights are held at the estimate's."""
    plan, pooling = found.design, found.design.pooling
    if pooling is None:
        return Answer(NAN)
    at = {name: np.asarray(found.estimates[VARIABLES[name]]) for name in plan.spec.predictors}
    mean = effect_mean(at, plan.points, plan.spec.family, MATHS)
    weights = np.where(pooling.row == i, 1 / (pooling.floor + pooling.slope * mean**2), 0.0)
    answer = _wald(found, plan.points, weights / weights.sum())
    # The row determines its own mean even where single parameters are not determined; Wald's
    # interval with the weights held does not know.
    return Answer(answer.estimate) if answer.trouble else answer


def _profiled(quantity: Quantity, row: Mapping[str, Any], z: float) -> Answer:
    """Return an estimate with its profile interval, whose width gives the standard error."""
    ends = np.array([row["estimate"], row["ci_low"], row["ci_high"]], dtype=float)
    if quantity.name.startswith("tau2"):
        ends = ends**2
    estimate, low, high = (float(end) for end in ends)
    if quantity.kind == "spread" and estimate == 0:
        return Answer(0.0, NAN, low, high, BOUNDARY)
    with np.errstate(divide="ignore"):
        first, last = SCALES[quantity.scale][0](ends[1:])
    se = float(last - first) / (2 * z)
    return Answer(estimate, se if np.isfinite(se) else NAN, low, high, str(row["note"]))
