"""Results of the classical engine in words and rounded numbers, as papers print them."""

from __future__ import annotations

import math

from bayesma.frequentist.linear.heterogeneity import COMMON
from bayesma.frequentist.linear.pooled import Pooled
from bayesma.frequentist.linear.rows import Rows
from bayesma.frequentist.nested.multilevels import Multilevel

__all__ = [
    "decimals_of",
    "effect_text",
    "heterogeneity",
    "levels_text",
    "number",
    "p_text",
    "nested_sentence",
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


def counted(rows: Rows) -> str:
    """Return how many effects there are, and of how many studies."""
    if not rows.studies:
        return f"{len(rows)} effects"
    studies = len(set(rows.studies))
    return f"{len(rows)} effects of {studies} {'study' if studies == 1 else 'studies'}"


def pooled_sentence(result: Pooled) -> str:
    """Return a pooled effect as a paper reports it."""
    rows = result.model.rows
    model = "common effect" if result.method == COMMON else f"random effects, {result.method}"
    return (
        f"{rows.measure or 'effect'} "
        f"{effect_text(result.estimate, *result.ci, decimals_of(result.se))} "
        f"({100 * result.ci_prob:g}% CI), {statistic_text(result.statistic, result.df)}, "
        f"{p_text(result.p)}; {counted(rows)}; {model}, {KINDS[result.ci_kind]}"
    )


def nested_sentence(result: Multilevel) -> str:
    """Return the mean of a multilevel model as a paper reports it."""
    row = result.table.iloc[0]
    df = None if math.isnan(row["df"]) else float(row["df"])
    effect = effect_text(row["estimate"], row["ci_low"], row["ci_high"], decimals_of(row["se"]))
    return (
        f"{result.rows.measure or 'effect'} {effect} ({100 * result.ci_prob:g}% CI), "
        f"{statistic_text(row['statistic'], df)}, {p_text(row['p'])}; {counted(result.rows)}; "
        f"multilevel, {result.method}"
    )


def levels_text(result: Multilevel) -> str:
    """Return the variance of each level, and its share."""
    cells = zip(result.sigma2.items(), result.groups, result.i2, strict=True)
    return "; ".join(
        f"{name} ({groups}): sigma2 = {number(sigma2)}, I2 = {i2:.1f}%"
        for (name, sigma2), groups, i2 in cells
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
