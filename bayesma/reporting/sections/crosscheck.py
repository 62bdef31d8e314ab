"""The Bayesian answer beside the classical and the published one."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayesma.checks import CrossCheck
from bayesma.plots import plot_crosscheck
from bayesma.posterior import Fit
from bayesma.reporting.blocks import Block, Fold, Items, Picture, Table, Words
from bayesma.reporting.material import Material

__all__ = ["crosscheck"]

VERDICTS = (
    "agree: less than 0.25 posterior standard deviations apart, with intervals whose widths are "
    "alike to a factor of 1.25.",
    "differs: further apart, or one interval is wider; the reason beside it was computed, not "
    "guessed: what the priors pull, what averaging over unknown parameters does, what the interval "
    "takes for known. The two are then answers to slightly different questions; none is an error.",
    "no twin: the classical engine has no answer to this quantity; the reason says why.",
    "Against print: what the source printed, held against the classical answer to the printed "
    "digits and against the Bayesian one.",
)


def crosscheck(material: Material) -> tuple[Block, ...]:
    """Return the section."""
    check = material.check
    if check is None:
        return _without(material)
    blocks: list[Block] = [
        Words(
            f"Every Bayesian answer beside its classical twin ({check.method}) on the same rows "
            "and, where the source printed one, beside that."
            if check.method != "none"
            else "This model has no classical twin; what was published stands beside it."
        ),
    ]
    twin = _table(check)
    drawn = check.table[["bayesian", "frequentist", "published"]].notna().any(axis=1)
    if (drawn & (check.table["unit"] != "")).any():
        alt = "Estimates with their intervals, a line for each quantity. " + " ".join(
            check.sentences[:1]
        )
        blocks.append(
            Picture(
                "crosscheck-plot",
                "Bayesian, classical and published answers.",
                alt,
                plot_crosscheck(check),
                twin,
            )
        )
    else:
        blocks.append(twin)
    blocks.append(Items(check.sentences))
    blocks.append(Fold("What the verdicts mean", (Items(VERDICTS),)))
    if "Published" not in twin.frame:
        blocks.append(Words("Nothing published is at hand to compare with.", "note"))
    own = [note for note in check.notes if note not in material.fit.problems]
    if own:
        blocks.append(Fold("How the classical twin was made", (Items(tuple(own)),)))
    return tuple(blocks)


def _table(check: CrossCheck) -> Table:
    table = check.table
    columns: dict[str, Any] = {
        "Quantity": [
            ", ".join(part for part in cells if part)
            for cells in zip(table["quantity"], table["where"], strict=True)
        ],
        "Unit": table["unit"],
    }
    for name, head in (
        ("bayesian", "Bayesian"),
        ("frequentist", "Classical"),
        ("published", "Published"),
    ):
        columns |= {
            head: table[name],
            f"{head} 95% low": table[f"{name}_ci_low"],
            f"{head} 95% high": table[f"{name}_ci_high"],
        }
    columns |= {
        "Difference (SD)": table["difference"],
        "Verdict": table["verdict"],
        "Reason": table["reason"],
        "Against print": [
            f"{verdict}: {reason}" if verdict and reason else verdict or ""
            for verdict, reason in zip(
                table["published_verdict"].fillna(""),
                table["published_reason"].fillna(""),
                strict=True,
            )
        ],
    }
    frame = pd.DataFrame(columns)
    if table["published"].isna().all() and table["published_ci_low"].isna().all():
        frame = frame.drop(columns=[name for name in frame if str(name).startswith("Published")])
        frame = frame.drop(columns="Against print")
    percent = f"{100 * check.ci_prob:g}%"
    caption = (
        f"Bayesian answers (posterior means; {percent} intervals), classical ones "
        f"({check.method}) and published ones; difference: classical minus Bayesian, in posterior "
        "standard deviations"
    )
    return Table("crosscheck-table", caption, frame, mark="Quantity")


def _without(material: Material) -> tuple[Block, ...]:
    """Say that the check was not made, how to make it, and what was published."""
    rows = len(material.fit.design.effects)
    blocks: list[Block] = [
        Words(
            f"Not made for this report: the classical twin of an exact likelihood of {rows} rows "
            "takes minutes. Make it with check = bm.cross_check(fit) and hand it over: "
            "bm.report(fit, check=check). The command is bayesma crosscheck."
        )
    ]
    if material.fit.published:
        blocks.append(_published(material.fit))
    return tuple(blocks)


def _published(fit: Fit) -> Table:
    """Return what the source printed, as it stands."""
    rows = [
        {
            "Quantity": one.quantity,
            "Where": ", ".join(f"{name} = {value}" for name, value in one.at.items()),
            "Published": one.estimate,
            "95% low": one.ci[0] if one.ci else None,
            "95% high": one.ci[1] if one.ci else None,
            "Source": one.source,
        }
        for one in fit.published
    ]
    return Table("crosscheck-published", "Published results, not compared here", pd.DataFrame(rows))
