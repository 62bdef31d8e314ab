"""Intervals of tau2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import brentq

from bayesma.errors import SpecError, did_you_mean
from bayesma.frequentist.linear.heterogeneity import TIGHT, log_likelihood, q_root

__all__ = [
    "TAU2_INTERVALS",
    "check_interval",
    "profile_likelihood",
    "q_profile",
    "tau2_interval",
]

Floats = NDArray[np.float64]

TAU2_INTERVALS = ("q-profile", "profile-likelihood")
EMPTY = (
    "the Q-profile interval of tau2 is empty (the effects agree better than chance would let "
    "them), and is given as 0 to 0"
)


def check_interval(kind: str) -> None:
    """Refuse an unknown kind of interval."""
    if kind not in TAU2_INTERVALS:
        raise SpecError(f"tau2_ci = '{kind}' is unknown; {did_you_mean(kind, TAU2_INTERVALS)}")


def tau2_interval(
    kind: str,
    y: Floats,
    v: Floats,
    X: Floats,
    tau2: float,
    method: str,
    ci_prob: float,
) -> tuple[tuple[float, float], tuple[str, ...]]:
    """Return the interval, and what a reader must know of it.

    Raises
    ------
    SpecError
        If a likelihood is profiled whose maximum was not asked for.
    """
    if kind == "q-profile":
        found = q_profile(y, v, X, ci_prob)
        return found, (EMPTY,) if found[1] == 0 else ()
    if method not in ("ML", "REML"):
        raise SpecError(
            f"tau2_ci = '{kind}' needs method 'ML' or 'REML', not '{method}'; or use 'q-profile'"
        )
    return profile_likelihood(y, v, X, tau2, method == "REML", ci_prob), ()


def q_profile(y: Floats, v: Floats, X: Floats, ci_prob: float) -> tuple[float, float]:
    """Return the tau2 at which Q(tau2) is at either chi2 quantile (Viechtbauer 2007, eq. 13).

    Statistics in Medicine 26:37. Both are 0 where Q(0) is below the lower quantile already.
    """
    df = len(y) - X.shape[1]
    tails = np.array([0.5 - ci_prob / 2, 0.5 + ci_prob / 2])
    low, high = special.chdtri(df, tails)
    return q_root(float(low), y, v, X), q_root(float(high), y, v, X)


def profile_likelihood(
    y: Floats, v: Floats, X: Floats, tau2: float, restricted: bool, ci_prob: float
) -> tuple[float, float]:
    """Return the tau2 at which twice the log likelihood falls by a chi2 quantile.

    Hardy & Thompson 1996 (Statistics in Medicine 15:619).
    """
    top = log_likelihood(tau2, y, v, X, restricted) - 0.5 * float(special.chdtri(1, 1 - ci_prob))

    def above(t: float) -> float:
        return log_likelihood(t, y, v, X, restricted) - top

    low = 0.0 if above(0.0) >= 0 else float(brentq(above, 0.0, tau2, **TIGHT))
    high = 2 * tau2 + float(np.median(v))
    while above(high) > 0:
        high *= 4
    return low, float(brentq(above, tau2, high, **TIGHT))
