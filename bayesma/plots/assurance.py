"""Assurance as a picture: how likely trials are to succeed, by their size, with their ceilings."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from bayesma.errors import QueryError
from bayesma.plots.lines import COLOURS
from bayesma.translation import Assurance

__all__ = ["plot_assurance"]

# Inches.
PANEL, HEIGHT, LEFT, GAP, RIGHT, TOP, BOTTOM = 2.9, 2.9, 0.75, 0.9, 0.75, 0.75, 1.1
LETTERS = 17
# Smallest distance of two labels, in probabilities.
APART = 0.055
# Panels and lines that a picture can hold.
PANELS, LINES = 4, len(COLOURS)
KNOWN = ("n", "assurance", "mcse", "power_at_median", "ceiling", "delay", "beyond_data")


def plot_assurance(result: Assurance, title: str | None = None) -> Figure:
    """Draw assurance against patients per arm: a panel for each regimen, a line for each delay.

    Parameters
    ----------
    result : Assurance
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Its artists carry ids: "assurance: LABEL", "ceiling: LABEL", "claimed: LABEL".

    Raises
    ------
    QueryError
        If it is no assurance, there is one size only, or more panels or lines than can be told
        apart.
    """
    if not isinstance(result, Assurance):
        raise QueryError(f"bm.assurance(...) is drawn, not a {type(result).__name__}")
    table = result.table
    if table["n"].nunique() < 2:
        raise QueryError("a line needs two sizes or more: bm.assurance(..., n=[10, 50, 200])")
    panels = _panels(table)
    most = max(len(_lines(part)) for _, part in panels)
    if len(panels) > PANELS or most > LINES:
        raise QueryError(
            f"{len(panels)} panels of up to {most} lines: at most {PANELS} of {LINES} can be told "
            "apart; ask for fewer delays or levels"
        )
    width = LEFT + PANEL * len(panels) + GAP * (len(panels) - 1) + RIGHT
    caption = textwrap.fill(_caption(result), int(LETTERS * width))
    bottom = BOTTOM + 0.15 * (caption.count("\n") - 2)
    height = TOP + HEIGHT + bottom
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    colours = dict(zip(_delays(table), COLOURS, strict=False))
    for number, (name, part) in enumerate(panels):
        place = (LEFT + number * (PANEL + GAP), bottom, PANEL, HEIGHT)
        axes = figure.add_axes(
            (place[0] / width, place[1] / height, place[2] / width, place[3] / height)
        )
        _draw(axes, part, colours)
        axes.set_title(name, loc="left", fontsize=10, fontweight="bold")
        if number == 0:
            axes.set_ylabel("probability of success", fontsize=9)
    middle = (LEFT + (width - RIGHT)) / 2 / width
    figure.text(middle, (bottom - 0.45) / height, "patients per arm", ha="center", fontsize=9)
    figure.text(
        0.1 / width, 0.07 / height, caption, fontsize=8, color="0.35", va="bottom", gid="caption"
    )
    if title:
        figure.text(0.1 / width, 1 - 0.07 / height, title, fontsize=11, va="top")
    return figure


def _panels(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows by their covariates, in the order of the table."""
    names = [name for name in table if name not in KNOWN]
    if not names:
        return [("", table)]
    varying = [name for name in names if table[name].nunique() > 1] or names[:1]
    grouped = table.groupby(varying, sort=False)
    return [
        (", ".join(f"{name} {level}" for name, level in zip(varying, key, strict=True)), part)
        for key, part in grouped
    ]


def _delays(table: pd.DataFrame) -> list[Any]:
    return list(pd.unique(table["delay"])) if "delay" in table else [None]


def _lines(part: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    if "delay" not in part:
        return [(None, part)]
    return [(delay, rows) for delay, rows in part.groupby("delay", sort=False)]


def _draw(axes: Axes, part: pd.DataFrame, colours: dict[Any, str]) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xscale("log")
    sizes = sorted(part["n"].unique())
    axes.set_xlim(sizes[0] / 1.06, sizes[-1] * 1.06)
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(size) for size in sizes])
    axes.set_ylim(0, 1.015)
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.tick_params(labelsize=8.5)
    ends = []
    for delay, unsorted in _lines(part):
        rows = unsorted.sort_values("n")
        label = "" if delay is None else f"{delay:g} d"
        colour = colours[delay]
        axes.plot(
            rows["n"], rows["assurance"], color=colour, linewidth=2, marker="o", markersize=4,
            gid=f"assurance: {label}", zorder=3,
        )  # fmt: skip
        axes.plot(
            rows["n"], rows["power_at_median"], color=colour, linewidth=1, linestyle=(0, (1, 1.6)),
            gid=f"claimed: {label}", zorder=2,
        )  # fmt: skip
        ceiling = float(rows["ceiling"].iloc[0])
        axes.axhline(
            ceiling, color=colour, linewidth=1.1, linestyle=(0, (5, 3)),
            gid=f"ceiling: {label}", zorder=1,
        )  # fmt: skip
        ends.append((ceiling, label, colour))
    _label(axes, ends)


def _label(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Name each ceiling at its right end, in its line's colour, the labels kept apart."""
    place = -1.0
    for ceiling, label, colour in sorted(ends):
        place = max(ceiling, place + APART)
        axes.text(
            1.03, place, label, color=colour, fontsize=9, fontweight="bold", va="center",
            transform=axes.get_yaxis_transform(), gid=f"label: {label}",
        )  # fmt: skip


def _caption(result: Assurance) -> str:
    who = "people" if result.to == "human" else result.to
    lines = result.table[result.table["n"] == result.table["n"].iloc[0]]
    beyond = int(lines["beyond_data"].sum()) if "beyond_data" in lines else 0
    return (
        f"Success: {result.rule}. Lines with dots: assurance, the probability of success of a "
        f"trial in {who}, averaged over what its true effect may be. Dashed: its ceiling, the "
        f"probability that this effect exceeds {result.rule.margin:g}; no size reaches beyond it. "
        "Dotted: what a power calculation with the median effect claims."
        + (f" {beyond} of {len(lines)} lines: delays beyond the animals'." if beyond else "")
    )
