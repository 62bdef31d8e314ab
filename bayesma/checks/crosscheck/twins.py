"""Which classical fit is the twin of a Bayesian one."""

from __future__ import annotations

from collections.abc import Sequence

from bayesma.checks.crosscheck.answers import Twin
from bayesma.checks.crosscheck.curvetwin import twin_of_curve
from bayesma.checks.crosscheck.meantwin import twin_of_mean
from bayesma.checks.crosscheck.quantities import Quantity, alone
from bayesma.design import Design
from bayesma.errors import BayesmaError

__all__ = ["twin_of"]


def twin_of(plan: Design, asked: Sequence[Quantity], ci_prob: float) -> Twin:
    """Return the classical twin of a design; one that says why where it is refused."""
    try:
        if alone(plan) and _plain(plan):
            return twin_of_mean(plan, ci_prob)
        return twin_of_curve(plan, asked, ci_prob)
    except BayesmaError as error:
        return Twin("none", {}, refused=str(error))


def _plain(plan: Design) -> bool:
    """Return whether y and group effects are normal, V known, tau one, and that all there is."""
    known = plan.exact is None and plan.clusters is None
    normal = plan.spec.population == "normal" and not plan.kappa_names
    return known and normal and not plan.varying_tau and plan.small_study is None
