"""Sentences: a cross-check in words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayesma.checks.crosscheck.answers import Twin
from bayesma.checks.crosscheck.verdicts import ALIKE, FEW, WIDTH

__all__ = ["sentences_of"]


def sentences_of(table: pd.DataFrame, twin: Twin, groups: int) -> tuple[str, ...]:
    """Return where the answers agree, where they differ and why."""
    if twin.refused:
        found = [f"There is no classical twin of this model: {twin.refused}."]
    else:
        found = [*_agreement(table, twin), *_why(table, groups)]
    return (*found, *_published(table))


def _agreement(table: pd.DataFrame, twin: Twin) -> list[str]:
    held = table[table["verdict"].isin(["agree", "differs"])]
    agree = int((held["verdict"] == "agree").sum())
    found = [
        f"{agree} of {len(held)} quantities agree with {twin.method}: less than {ALIKE} posterior "
        f"SD apart, with intervals alike to a factor of {WIDTH}."
    ]
    for _, row in held[held["verdict"] == "differs"].iterrows():
        found.append(
            f"{_name(row)}: {row['frequentist']:.3g} against {row['bayesian']:.3g}; "
            f"{row['reason']}."
        )
    return found


def _name(row: pd.Series[Any]) -> str:
    return f"{row['quantity']}, {row['where']}" if row["where"] else str(row["quantity"])


def _why(table: pd.DataFrame, groups: int) -> list[str]:
    """Return why a posterior mean is not REML, with this fit's own numbers."""
    found = []
    spreads = table[table["quantity"].str.startswith("tau2 (") & table["frequentist"].notna()]
    if len(spreads):
        found.append(_not_reml(spreads.iloc[0], groups))
    if len(spreads) and groups < FEW:
        found.append(
            f"With {groups} groups (fewer than {FEW}) the rows say little of tau: its prior "
            "counts, means are averaged over very different weights, and an interval that takes "
            "one tau is too narrow unless a t distribution widens it."
        )
    if (table["quantity"] == "half-life").any():
        found.append(
            "A classical curve is the one of highest likelihood; the posterior mean averages all "
            "curves that the rows and the priors allow, and is itself no curve of the family. The "
            "less the rows say of a half-life, the further the two lie apart."
        )
    return found


def _not_reml(row: pd.Series[Any], groups: int) -> str:
    above = row["bayesian"] > row["frequentist"]
    lies = (
        "so that its mean lies above its highest point"
        if above
        else ("so that its mean would lie above its highest point, did the prior not pull it down")
    )
    return (
        "A posterior mean is not REML, even with flat priors. REML puts the one tau2 of highest "
        "restricted likelihood in for the unknown one; the posterior averages over tau, weighted "
        f"by likelihood and prior. The likelihood of tau2 leans to the right, {lies}: "
        f"{row['bayesian']:.3g} against {row['frequentist']:.3g} here, "
        f"{abs(row['difference']):.2f} posterior SD, with {groups} groups."
    )


def _published(table: pd.DataFrame) -> list[str]:
    held = table[table["published_verdict"] != ""]
    found = []
    for verdict, words in (
        ("reproduced", "Published and reproduced to the printed digits"),
        ("agrees", f"Published and within {ALIKE} posterior SD"),
        ("differs", f"Published and further than {ALIKE} posterior SD from the Bayesian answer"),
        ("not compared", "Published and not compared"),
    ):
        some = held[held["published_verdict"] == verdict]
        if len(some):
            found.append(f"{words}: {', '.join(_name(row) for _, row in some.iterrows())}.")
    return found
