"""The log ratio of means, ROM."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesma.measures.arms import Arms
from bayesma.measures.measure import Gap, Measure

__all__ = ["ROM"]

Floats = NDArray[np.float64]


def rom(arms: Arms, correct: bool) -> Floats:
    """log(m_t / m_c) (Hedges, Gurevitch & Curtis 1999, Ecology 80:1150).

    Corrected: + (s_t^2 / (n_t m_t^2) - s_c^2 / (n_c m_c^2)) / 2 (Lajeunesse 2015, Ecology 96:2056).
    """
    y = np.log(arms.mean_treated / arms.mean_control)
    if not correct:
        return y
    bias = arms.cv_treated**2 / arms.n_treated - arms.cv_control**2 / arms.n_control
    return np.asarray(y + bias / 2)


def rom_ls(arms: Arms, y: Floats, correct: bool) -> Floats:
    """s_t^2 / (n_t m_t^2) + s_c^2 / (n_c m_c^2) (Hedges, Gurevitch & Curtis 1999, eq. 1)."""
    return arms.cv_treated**2 / arms.n_treated + arms.cv_control**2 / arms.n_control


def rom_ho(arms: Arms, y: Floats, correct: bool) -> Floats:
    """s_p^2 (1 / (n_t m_t^2) + 1 / (n_c m_c^2)): one variance in both arms."""
    treated = 1 / (arms.n_treated * arms.mean_treated**2)
    return arms.pooled * (treated + 1 / (arms.n_control * arms.mean_control**2))


def rom_ls2(arms: Arms, y: Floats, correct: bool) -> Floats:
    """LS + (s_t^4 / (n_t^2 m_t^4) + s_c^4 / (n_c^2 m_c^4)) / 2: second order (Lajeunesse 2015)."""
    treated = (arms.cv_treated**2 / arms.n_treated) ** 2
    control = (arms.cv_control**2 / arms.n_control) ** 2
    return rom_ls(arms, y, correct) + (treated + control) / 2


def rom_av(arms: Arms, y: Floats, correct: bool) -> Floats:
    """CV_t^2 / n_t + CV_c^2 / n_c, with CV = sum n (s/m) / sum n over all rows, arm by arm.

    Doncaster & Spake 2018 (Methods Ecol. Evol. 9:634). As in metafor, a CV has its mean's sign.
    """
    treated = np.sum(arms.n_treated * arms.cv_treated) / np.sum(arms.n_treated)
    control = np.sum(arms.n_control * arms.cv_control) / np.sum(arms.n_control)
    return np.asarray(treated**2 / arms.n_treated + control**2 / arms.n_control)


def rom_avho(arms: Arms, y: Floats, correct: bool) -> Floats:
    """CV^2 (1/n_t + 1/n_c), with CV averaged over all rows and both arms."""
    weighted = arms.n_treated * arms.cv_treated + arms.n_control * arms.cv_control
    return np.asarray((np.sum(weighted) / np.sum(arms.total)) ** 2 * arms.inverse)


def _rom_gaps(arms: Arms, variance: str) -> list[Gap]:
    remedy = "leave the row out, or ask for another measure"
    zero = "is 0: a ratio of means needs two means other than 0"
    gaps = [
        Gap(arms.mean_treated == 0, "mean_treated", zero, remedy),
        Gap(arms.mean_control == 0, "mean_control", zero, remedy),
    ]
    apart = arms.mean_treated * np.sign(arms.mean_control) < 0
    problem = "has another sign than the control's mean: their ratio has no logarithm"
    return [*gaps, Gap(apart, "mean_treated", problem, remedy)]


ROM = Measure(
    "ROM",
    "log ratio of means (ROM)",
    "log ratio",
    "log(m_t / m_c)",
    rom,
    {"LS": rom_ls, "HO": rom_ho, "AV": rom_av, "AVHO": rom_avho, "LS2": rom_ls2},
    gaps=_rom_gaps,
)
