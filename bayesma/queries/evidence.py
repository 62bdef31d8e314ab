"""Where the evidence lies: how many effects each regimen has, in which species, at which delay."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesma.clock import effect_clock
from bayesma.coders import level_text
from bayesma.design import Design
from bayesma.posterior import Fit

__all__ = ["DELAY_BINS", "UNREPORTED", "evidence_map"]

# Upper ends in days, each inside its bin, and what people call the bin.
DELAY_BINS: tuple[tuple[float, str], ...] = (
    (0.0, "0"),
    (1 / 24, "to 1 h"),
    (0.25, "1 to 6 h"),
    (1.0, "6 to 24 h"),
    (3.0, "1 to 3 d"),
    (7.0, "3 to 7 d"),
    (28.0, "1 to 4 weeks"),
    (float("inf"), "over 4 weeks"),
)
UNREPORTED = "not reported"
# Delays are computed: 60 min may come as 0.0416666... or a hair above it.
SLACK = 1e-9


def evidence_map(fit: Fit) -> pd.DataFrame:
    """Return how many effects there are of each regimen, in each species, by delay.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    pandas.DataFrame
        One row per combination that the data hold: `regimen` and `species` (levels, or "not
        reported"), `delay` (an ordered category; a bin's upper end is inside it), `effects` and
        `studies`. A column that the data do not have is not there. Where rows are pooled results
        the comparisons behind them are counted; ``.attrs["counts"]`` says which.
    """
    plan = fit.design
    points, keys = plan.frame, pd.DataFrame(index=plan.frame.index)
    for name in ("regimen", "species"):
        if name in points and points[name].notna().any():
            cells = points[name].map(level_text, na_action="ignore")
            keys[name] = cells.fillna(UNREPORTED).astype("str")
    if "delay" in points and points["delay"].notna().any():
        keys["delay"] = _binned(points)
    counted = {"effects": ("unit", "size"), "studies": ("unit", "nunique")}
    with_unit = keys.assign(unit=points["study"])
    if keys.columns.empty:
        table = pd.DataFrame({"effects": [len(points)], "studies": [points["study"].nunique()]})
    else:
        grouped = with_unit.groupby(list(keys), observed=True, sort=True)
        table = grouped.agg(**counted).reset_index()
    table.attrs = {"counts": _counted(plan)}
    return table


def _counted(plan: Design) -> str:
    if plan.pooling is None:
        return "effects"
    alone = "" if plan.pooled.all() else "alone or "
    return f"comparisons {alone}behind pooled results"


def _binned(points: pd.DataFrame) -> pd.Categorical:
    """Return the bin of each delay that fades the effect; 0 while exposed."""
    names = [name for _, name in DELAY_BINS]
    ends = np.array([end for end, _ in DELAY_BINS])
    clock = effect_clock(points)
    place = np.searchsorted(ends + SLACK, np.nan_to_num(clock, nan=np.inf))
    place = np.minimum(place, len(names) - 1)
    labels = [UNREPORTED if np.isnan(c) else names[p] for c, p in zip(clock, place, strict=True)]
    return pd.Categorical(labels, [*names, UNREPORTED], ordered=True)
