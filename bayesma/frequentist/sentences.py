"""Results of the classical engine in words and rounded numbers, as papers print them."""

from __future__ import annotations

import math

from bayesma.frequentist.heterogeneity import COMMON
from bayesma.frequentist.pooled import Pooled

__all__ = [
    "decimals_of",
    "effect_text",
    "heterogeneity",
    "number",
    "p_text",
    "pooled_sentence",
    "spread_sentences",
    "statistic_text",
]

KINDS = {
    "z": "normal quantiles",
    "t": "t quantiles",
    "knapp-hartung": "Knapp-Hartung",
    "knapp-hartung-adhoc": "Knapp-Hartung, not below the normal variance",
}


def decimals_of(se: float) -> int:
    """Return the decimals of effects: two, or as many as the standard error needs."""
    return min(max(2, -math.floor(math.log10(se))), 8)


def number(value: float) -> str:
    """Return a variance: two decimals, or three digits where it is small or large."""
    return f"{value:.2f}" if value == 0 or 0.095 <= value < 1000 else f"{value:.3g}"


def fixed(value: float, decimals: int) -> str:
    """Return a rounded number; adding 0.0 leaves no negative zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def effect_text(estimate: float, low: float, high: float, decimals: int) -> str:
    """Return an effect with its interval."""
    return f"{fixed(estimate, decimals)} [{fixed(low, decimals)}, {fixed(high, decimals)}]"


def p_text(p: float) -> str:
    """Return a P value."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def statistic_text(statistic: float, df: float | None) -> str:
    """Return a test statistic with its degrees of freedom."""
    return f"z = {statistic:.2f}" if df is None else f"t({df:g}) = {statistic:.2f}"


def heterogeneity(tau2: float | None, i2: float | None, q: float, q_df: int, q_p: float) -> str:
    """Return heterogeneity as one clause; what is None is not said."""
    if not q_df:
        return "one row"
    parts = [] if tau2 is None else [f"tau2 = {number(tau2)}"]
    parts += [] if i2 is None else [f"I2 = {i2:.1f}%"]
    return ", ".join([*parts, f"Q({q_df}) = {q:.2f}, {p_text(q_p)}"])


def pooled_sentence(result: Pooled) -> str:
    """Return a pooled effect as a paper reports it."""
    decimals = decimals_of(result.se)
    rows = result.model.rows
    studies = len(set(rows.studies)) if rows.studies else None
    counted = f"{result.k} effects"
    if studies is not None:
        counted += f" of {studies} {'study' if studies == 1 else 'studies'}"
    model = "common effect" if result.method == COMMON else f"random effects, {result.method}"
    return (
        f"{rows.measure or 'effect'} {effect_text(result.estimate, *result.ci, decimals)} "
        f"({100 * result.ci_prob:g}% CI), {statistic_text(result.statistic, result.df)}, "
        f"{p_text(result.p)}; {counted}; {model}, {KINDS[result.ci_kind]}"
    )


def spread_sentences(result: Pooled) -> list[str]:
    """Return heterogeneity and prediction of a pooled effect."""
    percent = f"{100 * result.ci_prob:g}%"
    said = f"heterogeneity: Q({result.q_df}) = {result.q:.2f}, {p_text(result.q_p)}; I2 = "
    said += f"{result.i2:.1f}%, H2 = {result.h2:.2f}"
    if result.tau2_ci is None or result.prediction is None:
        return [said]
    low, high = result.tau2_ci
    said += f"; tau2 = {number(result.tau2)} [{number(low)}, {number(high)}]"
    said += f", tau = {number(math.sqrt(result.tau2))}"
    if not low <= result.tau2 <= high:
        # It inverts the distribution of Q at the weights of each tau2; the estimate does not.
        said += f" (the Q-profile interval does not hold the {result.method} estimate)"
    decimals = decimals_of(result.se)
    ends = ", ".join(fixed(end, decimals) for end in result.prediction)
    return [said, f"a new study's true effect: {percent} prediction interval [{ends}]"]
