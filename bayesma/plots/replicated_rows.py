"""Rows as observed beside what a model would find in their place, one by one."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bayesma.errors import QueryError
from bayesma.frequentist.forest import shortened

__all__ = ["plot_replicated_rows"]

COLUMNS = ("row", "observed", "replicated", "95% low", "95% high", "p")
# Inches and points.
WIDTH, LEFT, RIGHT, TOP, ROW, FOOT, SMALL = 6.4, 1.6, 0.25, 0.15, 0.32, 0.85, 8
LONGEST = 24
MADE, OBSERVED = "#0072B2", "#000000"


def plot_replicated_rows(table: pd.DataFrame, label: str = "effect") -> Figure:
    """Draw each row's observed effect over the interval that a model gives in its place.

    Parameters
    ----------
    table : pandas.DataFrame
        A row each: `row`, its name; `observed`; `replicated`, the median of replicates, and the
        ends of their interval, `95% low` and `95% high`; `p`, the share of replicates below what
        was observed.
    label : str
        What the axis says.

    Returns
    -------
    matplotlib.figure.Figure
        Its artists carry ids: "replicated: ROW", "observed: ROW" and "caption".

    Raises
    ------
    QueryError
        If the table is empty or lacks a column.
    """
    lacking = [name for name in COLUMNS if name not in table]
    if lacking or table.empty:
        why = f"no column {', '.join(lacking)}" if lacking else "no rows"
        raise QueryError(f"{why}: a picture of rows needs {', '.join(COLUMNS)}")
    height = TOP + ROW * len(table) + FOOT
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    box = (LEFT / WIDTH, FOOT / height)
    size = ((WIDTH - LEFT - RIGHT) / WIDTH, ROW * len(table) / height)
    axes = figure.add_axes((*box, *size))
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0.5)
    for place, row in enumerate(table.to_dict("records")):
        _draw(axes, place, {str(name): cell for name, cell in row.items()})
    names = [shortened(str(name), LONGEST) for name in table["row"]]
    axes.set_yticks(range(len(table)), names, fontsize=9)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=SMALL)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(label, fontsize=9)
    caption = "Diamond: observed. Line and dot: 95% interval and median of replicates."
    style: dict[str, Any] = {"fontsize": SMALL, "color": "0.35", "va": "bottom", "gid": "caption"}
    figure.text(0.12 / WIDTH, 0.08 / height, caption, **style)
    return figure


def _draw(axes: Axes, place: int, row: dict[str, float | str]) -> None:
    low, high = float(row["95% low"]), float(row["95% high"])
    middle, seen = float(row["replicated"]), float(row["observed"])
    axes.plot(
        [low, middle, high],
        [place] * 3,
        color=MADE,
        linewidth=2,
        marker="o",
        markevery=[1],
        markersize=5,
        solid_capstyle="butt",
        gid=f"replicated: {row['row']}",
        label=f"{row['row']}, replicated: {middle:.2f} [{low:.2f}, {high:.2f}]",
        zorder=2,
    )
    axes.plot(
        [seen],
        [place],
        color=OBSERVED,
        marker="D",
        markersize=6,
        markeredgecolor="white",
        markeredgewidth=0.8,
        linestyle="none",
        gid=f"observed: {row['row']}",
        label=f"{row['row']}, observed: {seen:.2f}; {float(row['p']):.0%} of replicates lie below",
        zorder=3,
    )
