"""Risk of bias: the share of studies at low, unclear and high risk, item by item."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bayesma.errors import QueryError

__all__ = ["plot_risk_of_bias"]

# Inches and points.
WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 7.6, 2.3, 0.3, 0.65, 0.36, 0.6
SMALL, FONT, THICK = 8, 9, 0.7
# Name, colour (Okabe & Ito) and pattern, so that either alone tells them apart.
KINDS = (
    ("low", "#009E73", ""),
    ("unclear", "#F0E442", ".."),
    ("high", "#D55E00", "///"),
    ("other", "#BBBBBB", "xx"),
)
# Bars narrower than this share hold no number.
NARROW = 0.045


def plot_risk_of_bias(table: pd.DataFrame, title: str | None = None) -> Figure:
    """Draw the share of studies at low, unclear and high risk of bias, one bar per item.

    Parameters
    ----------
    table : pandas.DataFrame
        From `risk_of_bias`: item, low, unclear, high and other, numbers of studies.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Stacked bars, told apart by colour and by pattern; the parts carry ids such as
        "high: Allocation concealment".

    Raises
    ------
    QueryError
        If the table is not that of `risk_of_bias`, or is empty.
    """
    names = [name for name, _, _ in KINDS]
    if not {"item", *names} <= set(table) or table.empty:
        raise QueryError("risk of bias is drawn from bm.risk_of_bias(fit), where judgements are")
    height = TOP + ROW * len(table) + BOTTOM
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (
            LEFT / WIDTH,
            BOTTOM / height,
            (WIDTH - LEFT - RIGHT) / WIDTH,
            ROW * len(table) / height,
        )
    )
    kinds = [kind for kind in KINDS if kind[0] != "other" or table["other"].any()]
    with mpl.rc_context({"hatch.linewidth": 0.6}):
        for place, record in enumerate(table.to_dict("records")):
            _bar(axes, place, record, kinds)
    _dress(axes, [str(item) for item in table["item"]])
    _key(figure, kinds)
    if title:
        figure.text(0.12 / WIDTH, 1 - 0.05 / height, title, fontsize=11, va="top")
    return figure


def _bar(
    axes: Axes, place: int, record: Mapping[Hashable, Any], kinds: list[tuple[str, str, str]]
) -> None:
    counts = {name: int(str(record[name])) for name, _, _ in kinds}
    total, start = sum(counts.values()), 0.0
    for name, colour, pattern in kinds:
        share = counts[name] / total if total else 0.0
        if not share:
            continue
        (bar,) = axes.barh(
            place,
            share,
            THICK,
            start,
            color=colour,
            hatch=pattern,
            edgecolor="0.25",
            linewidth=0.6,
            zorder=2,
        )
        bar.set_gid(f"{name}: {record['item']}")
        bar.set_label(f"{record['item']}: {counts[name]} of {total} studies {name} ({share:.0%})")
        if share > NARROW:
            axes.text(
                start + share / 2,
                place,
                str(counts[name]),
                ha="center",
                va="center",
                fontsize=SMALL,
                gid="count",
                zorder=3,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2},
            )
        start += share


def _dress(axes: Axes, items: list[str]) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(len(items) - 0.5, -0.5)
    axes.set_yticks(range(len(items)))
    axes.set_yticklabels([textwrap.shorten(item, 34, placeholder="…") for item in items])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xticklabels(["0%", "25%", "50%", "75%", "100%"])
    axes.tick_params(labelsize=FONT, length=0)
    axes.set_xlabel("share of the studies; numbers are studies", fontsize=FONT)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _key(figure: Figure, kinds: list[tuple[str, str, str]]) -> None:
    """Say what the patterns mean, above the bars."""
    from matplotlib.patches import Patch

    words = {"low": "low risk", "unclear": "unclear", "high": "high risk", "other": "other words"}
    patches = [
        Patch(facecolor=colour, hatch=pattern, edgecolor="0.25", linewidth=0.6, label=words[name])
        for name, colour, pattern in kinds
    ]
    height = figure.get_size_inches()[1]
    figure.legend(
        handles=patches,
        loc="upper left",
        bbox_to_anchor=((LEFT - 0.1) / WIDTH, 1 - 0.28 / height),
        ncols=len(patches),
        fontsize=SMALL,
        frameon=False,
        borderaxespad=0,
    )
