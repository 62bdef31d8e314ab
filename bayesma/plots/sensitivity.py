"""What the priors and the data move: two marks for every reported quantity."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bayesma.errors import QueryError

__all__ = ["plot_sensitivity"]

COLUMNS = ("quantity", "where", "prior", "likelihood", "verdict")
# Okabe & Ito's colours, told apart by shape as well.
MARKS = {
    "likelihood": ("#0072B2", "s", "the data (likelihood)"),
    "prior": ("#D55E00", "o", "the priors"),
}
# Kallioinen et al. 2024, section 4.1.
THRESHOLD = 0.05
# Inches and points; rows beyond MOST are not drawn.
WIDTH, LEFT, RIGHT, HEAD, FOOT = 7.6, 3.15, 0.2, 0.55, 0.72
ROW, SMALL, FONT, LETTERS = 0.215, 8, 9, 46
MOST = 60
CAPTION_WIDTH = 122


def plot_sensitivity(
    table: pd.DataFrame, threshold: float = THRESHOLD, title: str | None = None
) -> Figure:
    """Draw how far the priors, and the data, move each quantity.

    Parameters
    ----------
    table : pandas.DataFrame
        From `prior_sensitivity`.
    threshold : float
        From which a sensitivity counts: the one that the table was made with.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Its artists carry ids: "rows: prior" and "rows: likelihood", the marks of all quantities,
        with a line of the label for each; "threshold: sensitivity"; and "quantity: TITLE", the
        words at the left, bold where the priors count. Of more than 60 quantities, those that
        the priors move most are drawn, and the caption says so.

    Raises
    ------
    QueryError
        If the table is empty or lacks a column.
    """
    shown = _shown(table)
    height = HEAD + ROW * len(shown) + FOOT
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    box = (LEFT / WIDTH, FOOT / height)
    size = ((WIDTH - LEFT - RIGHT) / WIDTH, ROW * len(shown) / height)
    axes = figure.add_axes((*box, *size))
    _stage(axes, shown, threshold)
    for name in MARKS:
        _draw(axes, shown, name)
    _legend(figure, axes, height)
    figure.text(0.12 / WIDTH, 1 - 0.12 / height, title or "", fontsize=11, va="top", gid="title")
    caption = textwrap.fill(_caption(table, shown, threshold), CAPTION_WIDTH)
    figure.text(
        0.12 / WIDTH,
        0.08 / height,
        caption,
        fontsize=SMALL,
        color="0.35",
        va="bottom",
        gid="caption",
    )
    return figure


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, in the order of the table, with its titles."""
    lacking = [name for name in COLUMNS if name not in table]
    if lacking or table.empty:
        why = f"no column {', '.join(lacking)}" if lacking else "no rows"
        raise QueryError(f"{why}: plot_sensitivity draws the table of prior_sensitivity(fit)")
    most = table["prior"].sort_values(ascending=False, kind="stable").index[:MOST]
    shown = table.loc[table.index.isin(most)]
    titles = [", ".join(text for text in pair if text) for pair in _pairs(shown)]
    return shown.assign(title=titles)


def _pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["quantity"].astype(str), table["where"].astype(str), strict=True))


def _stage(axes: Axes, shown: pd.DataFrame, threshold: float) -> None:
    """Set the axes, the words at the left and the threshold."""
    largest = float(np.nanmax(shown[["prior", "likelihood"]].to_numpy(dtype=float)))
    axes.set_xlim(0, 1.04 * max(largest, 2 * threshold))
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel("sensitivity (distance per doubling)", fontsize=FONT)
    axes.axvline(
        threshold,
        color="0.35",
        linewidth=1,
        linestyle=(0, (4, 2.5)),
        gid="threshold: sensitivity",
        label=f"counts from {threshold:g}",
        zorder=1,
    )
    moved = shown["prior"] >= threshold
    for place, (title, bold) in enumerate(zip(shown["title"], moved, strict=True)):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="0.96", linewidth=0, zorder=0)
        axes.text(
            -0.1 / (WIDTH - LEFT - RIGHT),
            place,
            textwrap.shorten(title, LETTERS, placeholder=" ..."),
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=SMALL,
            fontweight="bold" if bold else "normal",
            gid=f"quantity: {title}",
        )


def _draw(axes: Axes, shown: pd.DataFrame, name: str) -> None:
    colour, shape, words = MARKS[name]
    lines = [
        f"{title.replace(': ', ' ')}: {words} {value:.3f}"
        for title, value in zip(shown["title"], shown[name], strict=True)
    ]
    axes.plot(
        shown[name],
        np.arange(len(shown)),
        linestyle="none",
        marker=shape,
        color=colour,
        markersize=5.5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        clip_on=False,  # nor is a mark at 0
        gid=f"rows: {name}",
        label="\n".join(lines),
        zorder=3 if name == "prior" else 2,
    )


def _legend(figure: Figure, axes: Axes, height: float) -> None:
    by_gid = {line.get_gid(): line for line in axes.get_lines()}
    handles = [by_gid["rows: prior"], by_gid["rows: likelihood"], by_gid["threshold: sensitivity"]]
    figure.legend(
        handles,
        [
            MARKS["prior"][2],
            MARKS["likelihood"][2],
            str(by_gid["threshold: sensitivity"].get_label()),
        ],
        loc="upper left",
        bbox_to_anchor=(LEFT / WIDTH, 1 - 0.3 / height),
        ncols=3,
        frameon=False,
        fontsize=SMALL,
        borderpad=0,
        borderaxespad=0,
        columnspacing=1.4,
    )


def _caption(table: pd.DataFrame, shown: pd.DataFrame, threshold: float) -> str:
    text = (
        f"How far each answer moves when the priors, or the data, count more. Bold: the priors "
        f"move it by {threshold:g} or more."
    )
    left = len(table) - len(shown)
    return f"{text} {left} that the priors move less are not drawn." if left else text
