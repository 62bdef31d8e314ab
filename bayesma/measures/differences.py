"""Differences of means: MD in the units of the outcome, NMD in percent of control minus sham."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesma.measures.arms import Arms
from bayesma.measures.measure import Gap, Measure

__all__ = ["MD", "NMD"]

Floats = NDArray[np.float64]


def md(arms: Arms, correct: bool) -> Floats:
    """m_t - m_c, in the units of the outcome."""
    return arms.mean_treated - arms.mean_control


def md_ls(arms: Arms, y: Floats, correct: bool) -> Floats:
    """s_t^2 / n_t + s_c^2 / n_c."""
    return arms.sd_treated**2 / arms.n_treated + arms.sd_control**2 / arms.n_control


def md_ho(arms: Arms, y: Floats, correct: bool) -> Floats:
    """s_p^2 (1/n_t + 1/n_c): one variance in both arms."""
    return arms.pooled * arms.inverse


def nmd(arms: Arms, correct: bool) -> Floats:
    """100 ((m_c - m_sham) - (m_t - m_sham)) / (m_c - m_sham) (Vesterinen et al. 2014).

    J. Neurosci. Methods 221:92. Control minus treated, the opposite of every other measure here:
    100 where treatment brings the animals back to sham, 0 where it does nothing, whichever way
    the outcome runs. With no sham (0) it is 100 (m_c - m_t) / m_c, where a mean that falls towards
    0 counts as positive: there a benefit is positive only where lower is better.
    """
    control = arms.mean_control - arms.mean_sham
    return 100 * (control - (arms.mean_treated - arms.mean_sham)) / control


def nmd_ls(arms: Arms, y: Floats, correct: bool) -> Floats:
    """(100 / (m_c - m_sham))^2 (s_c^2/n_c + s_t^2/n_t) (Vesterinen et al. 2014).

    The denominator is taken as known.
    """
    return (100 / (arms.mean_control - arms.mean_sham)) ** 2 * md_ls(arms, y, correct)


def _nmd_gaps(arms: Arms, variance: str) -> list[Gap]:
    problem = "equals the sham's mean: there is no difference to normalise by"
    remedy = "leave the row out, or correct mean_sham"
    return [Gap(arms.mean_control == arms.mean_sham, "mean_control", problem, remedy)]


MD = Measure(
    "MD",
    "mean difference (MD)",
    "units of the outcome",
    "m_t - m_c",
    md,
    {"LS": md_ls, "HO": md_ho},
)
NMD = Measure(
    "NMD",
    "normalised mean difference, % (NMD)",
    "percent of control minus sham",
    "100 ((m_c - m_sham) - (m_t - m_sham)) / (m_c - m_sham)",
    nmd,
    {"LS": nmd_ls},
    gaps=_nmd_gaps,
    remark="NMD is control minus treated, the opposite of the other measures: it is positive "
    "where the treated mean lies on the sham's side of the control's",
)
