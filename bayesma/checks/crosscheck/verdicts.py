"""Verdicts: whether two answers agree, and what was computed to say why they do not.

Every difference is in posterior standard deviations, on the scale of its quantity. What moves the
Bayesian mean away from the classical estimate has two parts that add up:

    bayesian - frequentist = pull of the priors + averaging over parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesma.diagnostics import UNINFORMED

__all__ = ["ALIKE", "FEW", "WIDTH", "Findings", "judged", "last_digit"]

NAN = float("nan")
# A 95% interval moved by a quarter of its standard deviation still covers 94.3%.
ALIKE = 0.25
# One that is too narrow by this factor still covers 88% (1.96 / 1.25); beyond that a reader would
# take the two for different findings.
WIDTH = 1.25
# A cause is named from a tenth of a posterior standard deviation, three times the Monte Carlo error
# of 1000 effective draws, 0.03.
CAUSE = 0.1
# Below ten groups the likelihood of tau is so wide and skewed that no single value stands for it.
FEW = 10


@dataclass(frozen=True)
class Findings:
    """What was measured of one quantity; NaN where it could not be.

    Attributes
    ----------
    difference : float
        Frequentist minus Bayesian.
    kind : str
        Of the quantity.
    groups : str
        How many studies or pooled rows the answers rest on, in words.
    few : bool
        Whether these are few.
    pull : float
        How far the priors move the Bayesian mean.
    averaging : float
        How far averaging over the other parameters moves it.
    width : float
        Width of the Bayesian interval over that of the frequentist one.
    inflation : float
        What averaging over tau multiplies the standard error of a mean by.
    shrink : float
        What the prior alone would multiply the standard error by, both taken as normal.
    quantile : float
        Half the frequentist interval over 1.96 standard errors: above 1 for t.
    kept : float
        Posterior standard deviation over the prior's.
    outside : float
        Posterior probability outside the frequentist interval.
    fades : bool
        Whether the effect fades in this model.
    trouble : str
        What keeps the classical estimate from being one.
    """

    difference: float
    kind: str
    groups: str
    few: bool
    pull: float = NAN
    averaging: float = NAN
    width: float = NAN
    inflation: float = NAN
    shrink: float = NAN
    quantile: float = NAN
    kept: float = NAN
    outside: float = NAN
    fades: bool = False
    trouble: str = ""


def judged(found: Findings) -> tuple[str, str]:
    """Return the verdict, `agree`, `differs` or `no twin`, and its reason in words."""
    if np.isnan(found.difference):
        return "no twin", found.trouble or "no classical answer to this quantity"
    if found.trouble == "boundary":
        return "differs", (
            "boundary: the likelihood is highest at 0, where a posterior of positive numbers "
            f"never is; the posterior mean lies {-found.difference:.2f} SD above"
        )
    off = abs(found.difference) > ALIKE
    wide = not np.isnan(found.width) and not 1 / WIDTH <= found.width <= WIDTH
    if found.trouble:
        # An estimate that the rows do not determine has no distance that would mean anything.
        return "differs", f"{found.trouble}: the prior alone bounds it there"
    if not (off or wide):
        return "agree", f"{found.difference:+.2f} posterior SD"
    said = []
    if found.kept > UNINFORMED:
        said.append(f"not identified: the posterior SD is {found.kept:.0%} of the prior's")
    causes = _causes(found) if off and np.isfinite(found.difference) else []
    said += causes + (_widths(found) if wide else [])
    return "differs", "; ".join(said or ["no cause that these checks know"])


def _causes(found: Findings) -> list[str]:
    """Return what moves the centre the way it went, largest first."""
    parts = [
        (found.pull, f"prior pull: the priors move the Bayesian answer by {found.pull:+.2f} SD"),
        (found.averaging, _averaging(found)),
    ]
    named = [
        (size, words)
        for size, words in parts
        if abs(size) >= CAUSE and np.sign(size) == -np.sign(found.difference)
    ]
    return [words for _, words in sorted(named, key=lambda part: -abs(part[0]))]


def _averaging(found: Findings) -> str:
    few = f"small k ({found.groups}), " if found.few else ""
    size = f"{found.averaging:+.2f} SD"
    if found.kind == "spread":
        return f"{few}skew: the mean of a skewed density is {size} from its highest point"
    if found.fades:
        return f"{few}averaging over curves, not the one best curve, moves it by {size}"
    return f"{few}averaging over tau, not the one classical tau, moves it by {size}"


def _widths(found: Findings) -> list[str]:
    """Return what makes one interval wider than the other."""
    words = [
        f"the Bayesian interval is {found.width:.2f} times as wide, with {found.outside:.0%} of "
        "the posterior outside the classical one"
    ]
    few = f"small k ({found.groups}): " if found.few else ""
    if found.width < 1:
        if found.shrink < 1 - CAUSE:
            words.append(f"prior: alone it would make it {found.shrink:.2f} times as wide")
        if found.quantile > 1 + CAUSE and found.kind in ("mean", "new"):
            words.append(f"{few}t takes {1.96 * found.quantile:.2f} standard errors for 1.96")
    elif found.inflation > 1 + CAUSE:
        words.append(f"{few}averaging over tau multiplies the SE by {found.inflation:.2f}")
    elif found.kind in ("mean", "row") and found.fades:
        words.append("Wald's interval takes the curve as straight in its half-life")
    return [": ".join((words[0], "; ".join(words[1:]))) if words[1:] else words[0]]


def last_digit(value: float) -> float:
    """Return one unit of the last digit that a printed number has."""
    text = f"{value!r}"
    if "e" in text or "." not in text:
        return 1.0
    return float(10.0 ** -len(text.partition(".")[2]))
