"""Tests and intervals of coefficients, on z, t or the Knapp-Hartung variance."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bayesma.errors import SpecError, did_you_mean

__all__ = [
    "KINDS",
    "Inference",
    "check_probability",
    "critical",
    "infer",
    "joint_test",
    "kind_of",
    "scale_of",
    "width_notes",
]

Floats = NDArray[np.float64]

KINDS = ("z", "t", "knapp-hartung", "knapp-hartung-adhoc")
# What metafor and the literature call them.
ALIASES = {
    "knha": "knapp-hartung",
    "hksj": "knapp-hartung",
    "adhoc": "knapp-hartung-adhoc",
}


@dataclass(frozen=True)
class Inference:
    """What is said of each coefficient.

    Attributes
    ----------
    se, statistic, p : ndarray, shape (p,)
    df : float, ndarray of shape (p,), or None
        None where the statistic is a z.
    ci : ndarray, shape (p, 2)
    """

    se: Floats
    statistic: Floats
    df: Floats | float | None
    p: Floats
    ci: Floats


def kind_of(name: str) -> str:
    """Return the canonical name of a kind of interval.

    Raises
    ------
    SpecError
        If it is unknown.
    """
    found = ALIASES.get(str(name), str(name))
    if found not in KINDS:
        raise SpecError(f"ci = '{name}' is unknown; {did_you_mean(name, KINDS)}")
    return found


def check_probability(ci_prob: float) -> None:
    """Refuse a probability that is none."""
    if not isinstance(ci_prob, Real) or not 0 < ci_prob < 1:
        raise SpecError(f"ci_prob = {ci_prob}: the probability of an interval lies in (0, 1)")


def scale_of(kind: str, q: float, df: int) -> float:
    """Return what multiplies the covariance of the coefficients.

    Knapp & Hartung 2003 (Statistics in Medicine 22:2693, eq. 4): r'W r / (k - p); ad hoc: not
    below 1. 1 for z and t.

    Raises
    ------
    SpecError
        If it is 0: rows that agree exactly would leave no uncertainty at all.
    """
    if not kind.startswith("knapp-hartung"):
        return 1.0
    scale = q / df
    if kind == "knapp-hartung-adhoc":
        return max(scale, 1.0)
    # Squares of what rounding leaves of effects that agree.
    if scale < 1e-25:
        raise SpecError(
            "the effects agree exactly, so the Knapp-Hartung variance is 0; use "
            "ci='knapp-hartung-adhoc' or ci='z'"
        )
    return scale


def critical(df: Floats | float | None, ci_prob: float) -> Any:
    """Return the quantile that bounds an equal-tailed interval, of the shape of df."""
    upper = 0.5 + ci_prob / 2
    return special.ndtri(upper) if df is None else special.stdtrit(df, upper)


def width_notes(kind: str, scale: float, df: float | None, ci_prob: float) -> tuple[str, ...]:
    """Return a note where Knapp-Hartung gives less width than z, t sqrt(scale) < z.

    Effects that agree better than their variances let them do that (Roever, Knapp & Friede 2015,
    BMC Medical Research Methodology 15:99); the ad hoc variance cannot.
    """
    if kind != "knapp-hartung" or critical(df, ci_prob) * scale**0.5 >= critical(None, ci_prob):
        return ()
    return (
        "the Knapp-Hartung interval is narrower than the one on normal quantiles, because the "
        "effects agree better than their variances say; knapp-hartung-adhoc never is narrower",
    )


def two_sided(statistic: Floats, df: Floats | float | None) -> Floats:
    """Return P(|Z| or |T| > |statistic|)."""
    size = np.abs(statistic)
    tail = special.ndtr(-size) if df is None else special.stdtr(df, -size)
    return np.asarray(2 * tail, dtype=float)


def infer(beta: Floats, covariance: Floats, df: Floats | float | None, ci_prob: float) -> Inference:
    """Return tests against 0 and intervals from a covariance."""
    se = np.sqrt(np.diag(covariance))
    statistic = beta / se
    half = critical(df, ci_prob) * se
    return Inference(
        se,
        statistic,
        df,
        two_sided(statistic, df),
        np.column_stack([beta - half, beta + half]),
    )


def joint_test(beta: Floats, covariance: Floats, df: float | None) -> tuple[float, float]:
    """Return the Wald test that all coefficients are 0: chi2, or F where there is a df."""
    m = len(beta)
    wald = float(beta @ np.linalg.solve(covariance, beta))
    if df is None:
        return wald, float(special.chdtrc(m, wald))
    return wald / m, float(special.fdtrc(m, df, wald / m))
