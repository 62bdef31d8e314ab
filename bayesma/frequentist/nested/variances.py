"""Intervals of the variances of a multilevel fit, by profile likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import brentq

from bayesma.errors import SpecError
from bayesma.frequentist.linear.inference import check_probability
from bayesma.frequentist.nested.criterion import Criterion, criterion_of, minimised
from bayesma.frequentist.nested.multilevels import Multilevel

__all__ = ["sigma2_ci"]

Floats = NDArray[np.float64]


def sigma2_ci(result: Multilevel, *, ci_prob: float | None = None) -> pd.DataFrame:
    """Return profile-likelihood intervals of the variances of the levels.

    The values s at which 2 (l(best) - l(s)) <= chi2_1(ci_prob), where l(s) is the highest
    (restricted) log-likelihood with that variance at s (Venzon & Moolgavkar 1988, Applied
    Statistics 37:87; Hardy & Thompson 1996, Statistics in Medicine 15:619).

    Parameters
    ----------
    result : Multilevel
    ci_prob : float, optional
        The fit's own where absent.

    Returns
    -------
    pandas.DataFrame
        Index: level; columns estimate, ci_low, ci_high. NaN where the variance was given; a low
        end of 0 is a variance the rows are compatible with.

    Raises
    ------
    SpecError
        If no variance was estimated, or the result is of another kind.
    """
    if not isinstance(result, Multilevel):
        raise SpecError(
            f"sigma2_ci is of a result of bm.multilevel, not of {type(result).__name__}; a pooled "
            "effect has its tau2_ci"
        )
    prob = result.ci_prob if ci_prob is None else ci_prob
    check_probability(prob)
    if not any(result.estimated):
        raise SpecError("every sigma2 was given: there is nothing to put an interval on")
    criterion = criterion_of(
        result.rows.y, result.X, result.V, result.levels, result.method == "REML"
    )
    profiles = [
        _interval(_Profile(criterion, result, level), prob) if free else (np.nan, np.nan)
        for level, free in enumerate(result.estimated)
    ]
    low, high = zip(*profiles, strict=True)
    return pd.DataFrame(
        {"estimate": result.sigma2, "ci_low": low, "ci_high": high}, index=result.sigma2.index
    )


class _Profile:
    """The deviance above its minimum with one variance held; starts from where it was last."""

    def __init__(self, criterion: Criterion, result: Multilevel, level: int) -> None:
        self.criterion, self.level = criterion, level
        self.best = result.variances
        self.free = np.array(result.estimated)
        self.free[level] = False
        self.typical = float(1 / np.mean(1 / result.rows.v))
        self.least = float(criterion.at(self.best).deviance)
        self.last = self.best

    def __call__(self, value: float) -> float:
        start = self.last.copy()
        start[self.level] = value
        if self.free.any():
            start = minimised(self.criterion, start, self.free, self.typical)
        self.last = start
        return float(self.criterion.at(start).deviance) - self.least


def _interval(profile: _Profile, prob: float) -> tuple[float, float]:
    beyond = float(special.chdtri(1, 1 - prob))
    best = profile.best[profile.level]

    def gap(value: float) -> float:
        return profile(value) - beyond

    # Steps of brentq end far below the digits that are shown.
    low = 0.0
    if best > 0 and gap(0.0) > 0:
        low = brentq(gap, 0.0, best, xtol=1e-10 * best, rtol=1e-10)
    profile.last = profile.best
    reach = max(2 * best, profile.typical)
    while gap(reach) < 0:
        reach *= 2
        if not np.isfinite(reach):
            return low, np.inf
    high = brentq(gap, best, reach, xtol=1e-10 * reach, rtol=1e-10)
    return low, float(high)
