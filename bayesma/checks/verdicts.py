"""Verdicts: whether two answers agree, and what was computed to say why they do not.

Every difference is frequentist minus Bayesian, in posterior standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesma.diagnostics import UNINFORMED

__all__ = ["ALIKE", "FEW", "WIDTH", "Findings", "judged", "rounded_to"]

# A 95% interval moved by a quarter of its standard deviation still covers 94.3%.
ALIKE = 0.25
# One that is a quarter too narrow on its scale, 1.96 / 1.25, still covers 88%; beyond that a
# reader would take the two for different findings.
WIDTH = 1.25
# A cause is named from a tenth of a posterior standard deviation: well above the Monte Carlo error
# of 1000 effective draws, 0.03.
CAUSE = 0.1
# Below ten groups the profile of tau is so wide and skewed that no single value stands for it.
FEW = 10
# Pearson's rule of thumb for a unimodal, moderately skewed density: mode = mean - 3 (mean - median).
MODE = 3.0


@dataclass(frozen=True)
class Findings:
    """What was measured of one quantity; NaN where it could not be.

    Attributes
    ----------
    difference : float
        Frequentist minus Bayesian.
    width : float
        Width of the Bayesian interval over that of the frequentist one, on the quantity's scale.
    kept : float
        Posterior standard deviation over the prior's.
    pull : float
        How far the prior moves the posterior mean from the classical estimate.
    averaging : float
        How far averaging over tau moves it, at a flat prior of the mean.
    inflation : float
        What averaging over tau multiplies the standard error by.
    skew : float
        Posterior mean minus posterior median.
    groups : int
        Studies that tau, or the mean, rests on.
    tau : bool
        Whether the quantity is a spread.
    shrink : float
        What the prior alone would multiply the standard error by, both taken as normal.
    quantile : float
        Half the frequentist interval over 1.96 standard errors: above 1 for t.
    trouble : str
        From the classical side.
    """

    difference: float
    width: float
    kept: float
    pull: float
    averaging: float
    inflation: float
    skew: float
    groups: int
    tau: bool
    shrink: float = float("nan")
    quantile: float = float("nan")
    trouble: str = ""


def judged(found: Findings) -> tuple[str, str]:
    """Return the verdict, `agree` or `differs`, and its reason in words."""
    if found.trouble == "boundary":
        return "differs", (
            "boundary: the likelihood is highest at 0, a value that a posterior of positive "
            "numbers never has"
        )
    if np.isnan(found.difference):
        return "no twin", found.trouble
    off = abs(found.difference) > ALIKE
    wide = not np.isnan(found.width) and not 1 / WIDTH <= found.width <= WIDTH
    if not (off or wide):
        return "agree", f"{found.difference:+.2f} posterior SD"
    said = [found.trouble] if found.trouble else []
    said += _unseen(found) + _causes(found, off) + (_widths(found) if wide else [])
    if not said:
        said = [f"{found.difference:+.2f} posterior SD, with no cause that these checks know"]
    return "differs", "; ".join(said)


def _unseen(found: Findings) -> list[str]:
    if not found.kept > UNINFORMED:
        return []
    return [f"not identified: the posterior SD is {found.kept:.0%} of the prior's"]


def _causes(found: Findings, off: bool) -> list[str]:
    """Return what moves the centre, largest first."""
    if not off:
        return []
    parts = [
        (found.averaging, _averaging(found)),
        (found.pull, f"prior pull: the prior moves the Bayesian mean by {found.pull:+.2f} SD"),
        (found.skew * (MODE if found.tau else 1.0), _skew(found)),
    ]
    # What moves the Bayesian mean up makes the difference negative: only causes that point the
    # right way explain it.
    named = [
        (size, words)
        for size, words in parts
        if abs(size) >= CAUSE and np.sign(size) == -np.sign(found.difference)
    ]
    return [words for _, words in sorted(named, key=lambda part: -abs(part[0]))]


def _averaging(found: Findings) -> str:
    few = f"small k ({found.groups} groups)" if found.groups < FEW else "averaging over tau"
    return (
        f"{few}: REML takes one tau, the posterior averages over tau, which alone moves the mean "
        f"by {found.averaging:+.2f} SD"
    )


def _skew(found: Findings) -> str:
    few = f"small k ({found.groups} groups), " if found.tau and found.groups < FEW else ""
    what = "; REML is a mode" if found.tau else ""
    return f"{few}skewed posterior: its mean lies {found.skew:+.2f} SD from its median{what}"


def _widths(found: Findings) -> list[str]:
    """Return what makes one interval wider than the other."""
    words = f"the Bayesian interval is {found.width:.2f} times as wide"
    few = f"small k ({found.groups} groups): " if found.groups < FEW else ""
    why = []
    if found.width < 1:
        if found.shrink < 1 - CAUSE:
            why.append(f"the prior alone would make it {found.shrink:.2f} times")
        if found.quantile > 1 + CAUSE:
            why.append(f"{few}the classical one takes {1.96 * found.quantile:.2f} SE")
    elif found.inflation > 1 + CAUSE:
        why.append(f"{few}averaging over tau multiplies the SE by {found.inflation:.2f}")
    return ["; ".join([words, *why])]


def rounded_to(value: float) -> float:
    """Return half a unit of the last digit that a printed number has."""
    text = f"{value!r}"
    if "e" in text or "." not in text:
        return 0.5
    return 0.5 * 10.0 ** -len(text.partition(".")[2])
