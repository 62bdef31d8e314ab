"""Risk of bias as the reviewers judged it: counted, not weighed."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from bayesma.posterior import Fit

__all__ = ["SYRCLE", "quality_columns", "quality_scores", "risk_of_bias"]

# The ten entries of SYRCLE's tool (Hooijmans et al. 2014, BMC Med. Res. Methodol. 14:43, table 2).
SYRCLE = (
    "Sequence generation",
    "Baseline characteristics",
    "Allocation concealment",
    "Random housing",
    "Blinding of caregivers",
    "Random outcome assessment",
    "Blinding of outcome assessors",
    "Incomplete outcome data",
    "Selective outcome reporting",
    "Other sources of bias",
)
NAME = re.compile(r"(rob|risk_of_bias|quality)(?:_?(\d+)|_.+)?", re.IGNORECASE)
LOW = {"low", "low risk", "l", "+"}
HIGH = {"high", "high risk", "h", "-", "serious", "critical"}
UNCLEAR = {
    "",
    "unclear",
    "unclear risk",
    "u",
    "?",
    "nr",
    "not reported",
    "some concerns",
    "moderate",
}
# An item of SYRCLE's tool asks whether the study did well, so that yes is a low risk.
YES, NO = {"yes", "y"}, {"no", "n"}
ORDER = ("low", "unclear", "high", "other")


def quality_columns(fit: Fit) -> list[str]:
    """Return the columns of the data that hold judgements of quality or risk of bias."""
    return [str(name) for name in fit.design.frame if NAME.fullmatch(str(name))]


def risk_of_bias(fit: Fit) -> pd.DataFrame:
    """Return how many studies are at low, unclear and high risk, by item.

    A study whose rows are judged differently counts once, by the gravest of its judgements. An
    empty cell is unclear. "yes" is low and "no" is high in items with a number, as SYRCLE's tool
    asks; elsewhere it could mean either, and is counted as `other`, as is any other word.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    pandas.DataFrame
        One row per column of judgements: `column`, `item` (SYRCLE's name for rob1 to rob10),
        and numbers of studies `low`, `unclear`, `high` and `other`. ``.attrs["mixed"]`` counts
        the studies whose rows differ in an item; ``.attrs["words"]`` holds the other words.
    """
    points = fit.design.frame
    rows, mixed, words = [], set(), set()
    for column in quality_columns(fit):
        if pd.api.types.is_numeric_dtype(points[column]) and points[column].notna().any():
            continue
        numbered = bool((NAME.fullmatch(column) or [None] * 3)[2])
        risks = points[column].map(lambda cell, n=numbered: _risk(cell, n))
        words |= set(points.loc[risks == "other", column].astype(str))
        by_study = risks.map(ORDER.index).groupby(points["study"])
        mixed |= set(by_study.nunique().loc[lambda count: count > 1].index)
        # The gravest: words that nobody can read hide no risk that others show.
        worst = by_study.agg(lambda own: max(own, key=(0, 1, 3, 2).__getitem__))
        counts = {name: int((worst == place).sum()) for place, name in enumerate(ORDER)}
        rows.append({"column": column, "item": _item(column), **counts})
    table = pd.DataFrame(rows, columns=["column", "item", *ORDER])
    table.attrs = {"mixed": len(mixed), "words": sorted(words)}
    return table


def quality_scores(fit: Fit) -> pd.DataFrame:
    """Return the columns of quality that are numbers: how many studies, and how they lie.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    pandas.DataFrame
        One row per column: `column`, `studies` (with a score), `median`, `lowest`, `highest`
        over the studies' own means.
    """
    points, rows = fit.design.frame, []
    for column in quality_columns(fit):
        if not pd.api.types.is_numeric_dtype(points[column]) or points[column].isna().all():
            continue
        own = points.groupby("study")[column].mean().dropna()
        rows.append(
            {
                "column": column,
                "studies": len(own),
                "median": float(own.median()),
                "lowest": float(own.min()),
                "highest": float(own.max()),
            }
        )
    return pd.DataFrame(rows, columns=["column", "studies", "median", "lowest", "highest"])


def _risk(cell: Any, numbered: bool) -> str:
    text = "" if pd.isna(cell) else str(cell).strip().lower()
    kinds = [("low", LOW), ("high", HIGH), ("unclear", UNCLEAR)]
    if numbered:
        kinds += [("low", YES), ("high", NO)]
    return next((name for name, known in kinds if text in known), "other")


def _item(column: str) -> str:
    """Return SYRCLE's name of rob1 to rob10; others stand under their own."""
    found = re.fullmatch(r"rob_?(\d+)", column, re.IGNORECASE)
    if found and 1 <= int(found[1]) <= len(SYRCLE):
        return SYRCLE[int(found[1]) - 1]
    return "Overall risk of bias" if column.lower() in ("rob", "risk_of_bias") else column
