"""Standardised mean differences: SMD on the pooled SD, SMDH on both SDs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from bayesma.measures.arms import Arms, arms_of
from bayesma.measures.measure import Gap, Measure

__all__ = ["SMD", "SMDH", "hedges_correction", "hedges_g"]

Floats = NDArray[np.float64]


def hedges_correction(df: ArrayLike) -> Floats:
    """Return J, the exact small-sample factor of Hedges g.

    J(m) = Gamma(m / 2) / (sqrt(m / 2) Gamma((m - 1) / 2)) (Hedges 1981, J. Educ. Stat. 6:107,
    eq. 6e).

    Parameters
    ----------
    df : array_like
        Degrees of freedom of the pooled SD, n_treated + n_control - 2.

    Returns
    -------
    ndarray
        Same shape, between 0 and 1.
    """
    half = np.asarray(df, dtype=float) / 2
    return np.asarray(np.exp(gammaln(half) - 0.5 * np.log(half) - gammaln(half - 0.5)))


def hedges_g(
    mean_treated: ArrayLike,
    sd_treated: ArrayLike,
    n_treated: ArrayLike,
    mean_control: ArrayLike,
    sd_control: ArrayLike,
    n_control: ArrayLike,
) -> tuple[Floats, Floats]:
    """Return Hedges g (treated minus control) and its large-sample variance.

    g = J(m) (mean_t - mean_c) / s_pooled with m = n_t + n_c - 2 (Hedges 1981, eq. 6e);
    v = 1/n_t + 1/n_c + g^2 / (2 (n_t + n_c)) (Hedges & Olkin 1985, p. 86; metafor's "LS").

    Parameters
    ----------
    mean_treated, sd_treated, n_treated, mean_control, sd_control, n_control : array_like
        Arm summaries, one shape.

    Returns
    -------
    g, v : ndarray
        Effects in pooled standard deviations, and their sampling variances.
    """
    arms = arms_of(mean_treated, sd_treated, n_treated, mean_control, sd_control, n_control)
    return SMD(arms)


def _factor(arms: Arms, correct: bool) -> Floats:
    """J(m), or 1 where the effect is not corrected."""
    return hedges_correction(arms.df) if correct else np.ones_like(arms.df)


def smd(arms: Arms, correct: bool) -> Floats:
    """J(m) (m_t - m_c) / s_p: Hedges g; Cohen's d without J (Hedges 1981, eq. 6e)."""
    d = (arms.mean_treated - arms.mean_control) / np.sqrt(arms.pooled)
    return _factor(arms, correct) * d


def smd_ls(arms: Arms, y: Floats, correct: bool) -> Floats:
    """1/n_t + 1/n_c + y^2 / (2N) (Hedges & Olkin 1985, p. 86)."""
    return arms.inverse + y**2 / (2 * arms.total)


def smd_ls2(arms: Arms, y: Floats, correct: bool) -> Floats:
    """J^2 (1/n_t + 1/n_c + d^2 / (2N)), d = y / J (Borenstein et al. 2009, eq. 4.20, 4.24)."""
    return _factor(arms, correct) ** 2 * arms.inverse + y**2 / (2 * arms.total)


def smd_ub(arms: Arms, y: Floats, correct: bool) -> Floats:
    """1/n_t + 1/n_c + (1 - (m - 2) / (m J^2)) y^2: unbiased (Hedges 1983, Psychol. Bull. 93:388).

    From E d^2 = m/(m - 2) (delta^2 + 1/n_t + 1/n_c), the first moments of a noncentral t; m > 2.
    """
    share = (arms.df - 2) / (arms.df * _factor(arms, correct) ** 2)
    return arms.inverse + (1 - share) * y**2


def smd_av(arms: Arms, y: Floats, correct: bool) -> Floats:
    """1/n_t + 1/n_c + ybar^2 / (2N), ybar = sum N y / sum N over all rows.

    LS at the average effect (Hedges & Olkin 1985, p. 86, at one common effect), so that a row's
    weight does not depend on its own effect.
    """
    mean = np.sum(arms.total * y) / np.sum(arms.total)
    return arms.inverse + mean**2 / (2 * arms.total)


def _smd_gaps(arms: Arms, variance: str) -> list[Gap]:
    if variance != "UB":
        return []
    problem = "is too small: an unbiased variance needs n_treated + n_control above 4"
    return [Gap(arms.df <= 2, "n_treated", problem, "leave the row out, or ask for variance LS")]


def smdh(arms: Arms, correct: bool) -> Floats:
    """J(m) (m_t - m_c) / s_h, s_h^2 = (s_t^2 + s_c^2) / 2 (Bonett 2009, Psychol. Methods 14:225).

    J is that of equal variances, m = n_t + n_c - 2, as metafor has it.
    """
    d = (arms.mean_treated - arms.mean_control) / np.sqrt(arms.halved)
    return _factor(arms, correct) * d


def _smdh(arms: Arms, y: Floats, shape: int, mean: int) -> Floats:
    """Bonett's two terms, with n less `shape` in that of the SDs and n less `mean` in the other."""
    t, c, s2 = arms.sd_treated**2, arms.sd_control**2, arms.halved
    quartic = t**2 / (arms.n_treated - shape) + c**2 / (arms.n_control - shape)
    square = t / (arms.n_treated - mean) + c / (arms.n_control - mean)
    return y**2 * quartic / (8 * s2**2) + square / s2


def smdh_ls(arms: Arms, y: Floats, correct: bool) -> Floats:
    """y^2 (s_t^4/(n_t-1) + s_c^4/(n_c-1)) / (8 s_h^4) + (s_t^2/(n_t-1) + s_c^2/(n_c-1)) / s_h^2.

    Bonett 2008 (Psychol. Methods 13:99) and 2009.
    """
    return _smdh(arms, y, 1, 1)


def smdh_ls2(arms: Arms, y: Floats, correct: bool) -> Floats:
    """As LS, with n in place of n - 1 throughout: its large-sample form."""
    return _smdh(arms, y, 0, 0)


def smdh_ls3(arms: Arms, y: Floats, correct: bool) -> Floats:
    """As LS, with n in place of n - 1 in the second term, the variance of the mean difference."""
    return _smdh(arms, y, 1, 0)


SMD = Measure(
    "SMD",
    "Hedges g (SMD)",
    "pooled standard deviations",
    "J(m) (m_t - m_c) / s_p",
    smd,
    {"LS": smd_ls, "LS2": smd_ls2, "UB": smd_ub, "AV": smd_av},
    gaps=_smd_gaps,
)
SMDH = Measure(
    "SMDH",
    "SMD, unequal variances (SMDH)",
    "root mean square standard deviations",
    "J(m) (m_t - m_c) / s_h",
    smdh,
    {"LS": smdh_ls, "LS2": smdh_ls2, "LS3": smdh_ls3},
)
