"""Arms of different SDs and sizes: what SMDs on the pooled SD are then measured in.

With SDs s_t, s_c of the animals, the pooled SD of arms of n_t and n_c animals estimates

    s_p^2 = ((n_t - 1) s_t^2 + (n_c - 1) s_c^2) / m,    m = n_t + n_c - 2,

and that of equal arms s_h^2 = (s_t^2 + s_c^2) / 2, the SD of SMDH (Bonett 2008, Psychol. Methods
13:99). About s_p^2 the estimate is chi2_f / f, f = m^2 s_p^4 / ((n_t - 1) s_t^4 + (n_c - 1) s_c^4)
(Satterthwaite 1946, Biometrics Bull. 2:110), so that with d = (m_t - m_c) / s_h of equal arms

    E g / d = J(m) / J(f) s_h / s_p.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesma.measures import Arms, arms_of, hedges_correction
from bayesma.schema import ARMS

__all__ = ["Uneven", "relative_bias", "uneven_spreads"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Arms this far apart in size, as a ratio.
UNBALANCED = 1.5
# Fewer studies than this say nothing of how SDs differ in general.
FEWEST_STUDIES = 4
# Both sides are looked at: treated arm the larger, control arm the larger.
PROBABILITY = 1 - 0.05 / 2
# What is implied of the pooled effect from here on is more than a note.
MATTERS = 0.02


@dataclass(frozen=True)
class Uneven:
    """What unequal SDs in unbalanced arms do to effects on the pooled SD.

    Attributes
    ----------
    bias : float
        Implied relative bias of the average effect over all rows.
    sentence : str
    """

    bias: float
    sentence: str

    @property
    def matters(self) -> bool:
        """Whether the bias is as large as 2%."""
        return abs(self.bias) >= MATTERS


def relative_bias(n_treated: ArrayLike, n_control: ArrayLike, ratio: ArrayLike) -> Floats:
    """Return E g / d - 1: what Hedges g on the pooled SD is off the SMD of equal arms.

    Parameters
    ----------
    n_treated, n_control : array_like
    ratio : array_like
        SD of treated over that of control animals.
    """
    t, c = np.asarray(n_treated, dtype=float) - 1, np.asarray(n_control, dtype=float) - 1
    square, m = np.asarray(ratio, dtype=float) ** 2, t + c
    pooled = (t * square + c) / m
    f = m**2 * pooled**2 / (t * square**2 + c)
    even = (square + 1) / 2
    return np.asarray(hedges_correction(m) / hedges_correction(f) * np.sqrt(even / pooled) - 1)


def uneven_spreads(frame: pd.DataFrame) -> Uneven | None:
    """Return what arms of different sizes and SDs imply for SMDs; None where nothing is seen.

    The log of the ratio of SDs is averaged over rows whose treated arm is 1.5 times as large as
    the control arm, and over those where it is the other way, weighted by the precision that
    normal animals give it (Nakagawa et al. 2015, Methods Ecol. Evol. 6:143), with a standard error
    from the spread between studies. A ratio that differs from 1 beyond chance gives its rows their
    bias, all other rows none. One row's ratio says nothing: at 6 animals its log has a
    standard error of a half.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows without all six arm columns are passed over.
    """
    if not set(ARMS) <= set(frame):
        return None
    known = frame[frame[list(ARMS)].notna().all(axis=1)]
    arms = arms_of(**{name: known[name] for name in ARMS})
    studies = known["study"].to_numpy()
    bias, told = np.zeros(len(known)), []
    for side, more, fewer in (
        ("treated", arms.n_treated, arms.n_control),
        ("control", arms.n_control, arms.n_treated),
    ):
        where = more >= UNBALANCED * fewer
        found = _ratio(arms, studies, where)
        if found is not None:
            bias[where] = relative_bias(arms.n_treated[where], arms.n_control[where], found[0])
            told.append(
                f"in {int(where.sum())} rows with a {side} arm {UNBALANCED:g} times the other's "
                f"size or more, treated SDs are {found[0]:.2f} times those of controls (95% "
                f"interval {found[1]:.2f} to {found[2]:.2f}), so that their effects are about "
                f"{_percent(bias[where].mean())} beside those of equal arms"
            )
    if not told:
        return None
    return Uneven(
        float(bias.mean()),
        f"unequal SDs in unbalanced arms: {'; '.join(told)}. The pooled effect is about "
        f"{_percent(bias.mean())}: SMDs are in pooled SDs, in which the larger arm counts most; "
        "measure 'SMDH' takes both arms alike",
    )


def _percent(bias: float) -> str:
    return f"{abs(bias):.1%} {'low' if bias < 0 else 'high'}"


def _ratio(arms: Arms, studies: NDArray[np.object_], where: Bools) -> Floats | None:
    """Return the ratio of SDs over some rows and its 95% interval; None where it may be 1."""
    from scipy import stats
    from scipy.special import digamma, polygamma

    names, study = np.unique(studies[where].astype(str), return_inverse=True)
    if len(names) < FEWEST_STUDIES:
        return None
    halves = [(arms.n_treated[where] - 1) / 2, (arms.n_control[where] - 1) / 2]
    # Mean and variance of log s for normal animals: those of log chi2, halved.
    low = [(digamma(half) - np.log(half)) / 2 for half in halves]
    logs = np.log(arms.sd_treated / arms.sd_control)[where] - low[0] + low[1]
    weight = 4 / sum(polygamma(1, half) for half in halves)
    mean = (weight * logs).sum() / weight.sum()
    sums = np.bincount(study, weight * (logs - mean))
    robust = np.sqrt((sums**2).sum() * len(names) / (len(names) - 1)) / weight.sum()
    se = max(robust, 1 / np.sqrt(weight.sum()))
    if abs(mean) < stats.t.ppf((1 + PROBABILITY) / 2, len(names) - 1) * se:
        return None
    reach = stats.t.ppf(0.975, len(names) - 1) * se
    return np.exp(np.array([mean, mean - reach, mean + reach]))
