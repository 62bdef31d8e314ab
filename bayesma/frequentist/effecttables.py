"""Coefficients and mean effects of a maximum likelihood fit, with their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.design import Points
from bayesma.frequentist.coordinates import Part
from bayesma.frequentist.optimum import Optimum
from bayesma.frequentist.profiles import interval_of
from bayesma.frequentist.targets import Effect
from bayesma.frequentist.wald import jacobian
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean

__all__ = ["coefficient_table", "mean_table"]

Floats = NDArray[np.float64]

MATHS = NumPyMaths()


def coefficient_table(fit: Optimum) -> pd.DataFrame:
    """Return estimate, standard error and Wald interval of every parameter."""
    rows = {}
    for part in fit.surface.joint.parts:
        values = np.atleast_1d(fit.estimates[part.name]).astype(float)
        if part.kind in ("linear", "decay"):
            errors = _mean_errors(fit, part)
            away = part.basis @ fit.runs[part.place]
            values = np.where(np.abs(away) > 1e-9, np.copysign(np.inf, away), values)
        else:
            errors = _variance_errors(fit, part, values)
        labels = [f"{part.name}[{term}]" for term in part.terms] or [part.name]
        for label, value, error in zip(labels, values, errors, strict=True):
            rows[label] = _wald(value, error, fit.z, part.kind in ("spread", "log"))
    columns = ["estimate", "se", "ci_low", "ci_high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def _mean_errors(fit: Optimum, part: Part) -> Floats:
    slopes = np.zeros((len(part.basis), len(fit.information.roots)))
    slopes[:, part.place] = part.basis
    return fit.information.errors(slopes)


def _variance_errors(fit: Optimum, part: Part, values: Floats) -> Floats:
    """Return standard errors of what only the variances depend on; none at an edge."""
    cov = fit.variance_covariance[fit.place(part.name), fit.place(part.name)]
    slopes = part.basis * (values[:, None] if part.kind == "log" else 1.0)
    errors = np.sqrt(np.einsum("ti,ij,tj->t", slopes, cov, slopes))
    return np.where((part.kind == "spread") & (values == 0), np.nan, errors)


def _wald(value: float, error: float, z: float, positive: bool) -> tuple[float, ...]:
    """Return estimate, error and ends; all numbers where nothing is known."""
    if not np.isfinite(value) or np.isinf(error):
        return value, np.inf, 0.0 if positive else -np.inf, np.inf
    low = value - z * error
    return value, error, max(0.0, low) if positive else low, value + z * error


class _Level:
    """Combinations of mean effects as a function of all coordinates."""

    def __init__(self, fit: Optimum, points: Points, weights: Floats) -> None:
        self.joint, self.spec = fit.surface.joint, fit.plan.spec
        self.points, self.weights = points, weights

    def __call__(self, full: Floats) -> Floats:
        """Return them, shape (points of the surface, combinations)."""
        draws = self.joint.draws(full)
        coefficients = {name: draws[VARIABLES[name]] for name in self.spec.predictors}
        with np.errstate(over="ignore", invalid="ignore"):
            mean = effect_mean(coefficients, self.points, self.spec.family, MATHS)
            return np.asarray(mean @ self.weights.T)


def mean_table(fit: Optimum, points: Points, weights: Floats, interval: str) -> pd.DataFrame:
    """Return combinations of mean effects with their intervals of one kind."""
    level, n = _Level(fit, points, weights), len(fit.information.roots)
    estimate, rest = level(fit.full[None])[0], fit.full[n:]

    def of_mean(x: Floats) -> Floats:
        return level(np.concatenate([x, np.broadcast_to(rest, (len(x), len(rest)))], axis=-1))

    se = fit.information.errors(jacobian(of_mean, fit.full[:n]))
    se = np.where(np.isfinite(estimate), se, np.inf)
    low = np.where(np.isinf(se), -np.inf, estimate - fit.z * np.where(np.isinf(se), 0, se))
    high = np.where(np.isinf(se), np.inf, estimate + fit.z * np.where(np.isinf(se), 0, se))
    if interval == "profile":
        targets = [Effect(fit.surface, points, own) for own in weights]
        ends = [interval_of(fit, target, s) for target, s in zip(targets, se, strict=True)]
        low, high = np.array(ends).T
    return pd.DataFrame(
        {"estimate": estimate, "se": se, "ci_low": low, "ci_high": high, "interval": interval}
    )
