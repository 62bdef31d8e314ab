"""What leaving each study out would change, against how far its weights can be trusted."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayesma.errors import QueryError
from bayesma.frequentist.forest import shortened
from bayesma.plots.lines import COLOURS, MANY, MARKERS

__all__ = ["plot_influence"]

# Left, bottom, right, top in inches.
Box = tuple[float, float, float, float]

COLUMNS = ("study", "pareto_k", "where", "answer", "without", "change_sd")
# Inches and points.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 7.6, 3.8, 0.8, 0.2, 0.35, 0.75
SMALL, FONT = 8, 9
NAMED, LONGEST = 5, 28
# Vehtari et al. 2024, of 2,200 draws or more; a table made with fewer brings its own.
GOOD_K = 0.7
# A change below this many SDs names no study.
WORTH_NAMING = 0.1
# Width of a letter of a name.
LETTER = 0.07
CAPTION_WIDTH = 122


def plot_influence(table: pd.DataFrame, title: str | None = None) -> Figure:
    """Draw the change of the answer without each study against its Pareto k.

    Parameters
    ----------
    table : pandas.DataFrame
        From `study_influence`.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Its artists carry ids: "rows: POINT", the marks of all studies at one point of the mean,
        with a line of the label for each; "threshold: k"; and "name: STUDY" of those that move
        the answer most.

    Raises
    ------
    QueryError
        If the table is empty, lacks a column, or has more points than can be told apart.
    """
    shown, lost = _shown(table)
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    FigureCanvasAgg(figure)
    box = (LEFT / WIDTH, BOTTOM / HEIGHT)
    size = ((WIDTH - LEFT - RIGHT) / WIDTH, (HEIGHT - BOTTOM - TOP) / HEIGHT)
    axes = figure.add_axes((*box, *size))
    axes.spines[["top", "right"]].set_visible(False)
    axes.axhline(0, color="0.6", linewidth=0.8, zorder=0.5)
    marks = _draw(axes, shown)
    good_k = float(table.attrs.get("good_k", GOOD_K))
    _scale(axes, shown, good_k)
    _name(figure, axes, shown, good_k)
    if len(marks) > 1:
        # In words here: a label is what the page shows of each mark.
        words = [str(where) for where in shown["where"].unique()]
        axes.legend(marks, words, loc="best", frameon=False, fontsize=SMALL, handletextpad=0.3)
    axes.set_xlabel("Pareto k of the study's weights", fontsize=FONT)
    axes.set_ylabel("change without the study (SDs)", fontsize=FONT)
    axes.tick_params(labelsize=SMALL)
    axes.set_title(title or "", loc="left", fontsize=11)
    caption = textwrap.fill(_caption(shown, lost), CAPTION_WIDTH)
    figure.text(
        0.12 / WIDTH,
        0.08 / HEIGHT,
        caption,
        fontsize=SMALL,
        color="0.35",
        va="bottom",
        gid="caption",
    )
    return figure


def _shown(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the rows that can be drawn, and how many studies cannot."""
    lacking = [name for name in COLUMNS if name not in table]
    if lacking or table.empty:
        why = f"no column {', '.join(lacking)}" if lacking else "no rows"
        raise QueryError(f"{why}: plot_influence draws the table of study_influence(fit)")
    points = table["where"].nunique()
    if points > len(COLOURS):
        raise QueryError(
            f"{points} points of the mean: a picture tells {len(COLOURS)} apart; ask for fewer, "
            "study_influence(fit, at=bm.grid(fit, ...))"
        )
    known = np.isfinite(table["pareto_k"]) & np.isfinite(table["change_sd"])
    if not known.any():
        raise QueryError("no study has a Pareto k: its weights say nothing")
    return table[known], int(table.loc[~known, "study"].nunique())


def _draw(axes: Axes, shown: pd.DataFrame) -> list[Line2D]:
    """Draw the marks of each point of the mean; return them by point."""
    many, drawn = shown["study"].nunique() > 4 * MANY, []
    for i, (where, rows) in enumerate(shown.groupby("where", sort=False)):
        drawn += axes.plot(
            rows["pareto_k"],
            rows["change_sd"],
            linestyle="none",
            marker=MARKERS[i],
            color=COLOURS[i],
            markersize=3.2 if many else 5,
            alpha=0.55 if many else 0.8,
            markeredgecolor="white",
            markeredgewidth=0.3 if many else 0.6,
            gid=f"rows: {str(where) or 'population mean'}",
            label=_titles(rows),
            zorder=3,
        )
    return drawn


def _titles(rows: pd.DataFrame) -> str:
    """Return a line for each mark."""
    return "\n".join(
        f"{str(row['study']).replace(': ', ' ')}: {row['answer']:.2f} becomes "
        f"{row['without']:.2f} ({row['change_sd']:+.2f} SD), k {row['pareto_k']:.2f}"
        for _, row in rows.iterrows()
    )


def _scale(axes: Axes, shown: pd.DataFrame, good_k: float) -> None:
    """Draw the threshold, and leave room for it and for changes of a tenth of an SD."""
    k, change = shown["pareto_k"], shown["change_sd"]
    left, right = min(float(k.min()), 0.0), max(float(k.max()), good_k)
    across = right - left
    axes.set_xlim(left - 0.04 * across, right + 0.08 * across)
    low, high = min(float(change.min()), -0.1), max(float(change.max()), 0.1)
    axes.set_ylim(low - 0.12 * (high - low), high + 0.12 * (high - low))
    axes.axvline(good_k, color="0.35", linewidth=1, linestyle=(0, (4, 2.5)), gid="threshold: k")
    axes.annotate(
        f"unreliable above {good_k:.2f}",
        (good_k, 1.0),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-4, 1),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=SMALL,
        color="0.35",
        gid="words",
    )


def _name(figure: Figure, axes: Axes, shown: pd.DataFrame, good_k: float) -> None:
    """Write the names of the studies that move the answer most, where there is room."""
    order = shown["change_sd"].abs().sort_values(ascending=False, kind="stable").index
    most = shown.loc[order].drop_duplicates("study").head(NAMED)
    place = axes.transData.transform
    line = float(place((good_k, 0.0))[0]) / figure.dpi
    taken: list[Box] = []
    for _, row in most[most["change_sd"].abs() >= WORTH_NAMING].iterrows():
        text = shortened(str(row["study"]), LONGEST)
        x, y = place((row["pareto_k"], row["change_sd"])) / figure.dpi
        ahead = _ahead(float(x), LETTER * len(text), line)
        start = x + 0.08 if ahead else x - 0.08 - LETTER * len(text)
        box = (start, y - 0.07, start + LETTER * len(text), y + 0.07)
        if any(_overlap(box, other) for other in taken):
            continue
        taken.append(box)
        axes.annotate(
            text,
            (row["pareto_k"], row["change_sd"]),
            xytext=(6 if ahead else -6, 0),
            textcoords="offset points",
            ha="left" if ahead else "right",
            va="center",
            fontsize=SMALL,
            gid=f"name: {row['study']}",
            zorder=4,
        )


def _ahead(x: float, wide: float, line: float) -> bool:
    """Return whether a name stands to the right: where it neither crosses the line nor is cut."""
    return not x <= line < x + 0.08 + wide and x + 0.08 + wide < WIDTH - 0.05


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _caption(shown: pd.DataFrame, lost: int) -> str:
    first = shown.iloc[0]
    where = f" ({first['where']})" if first["where"] and shown["where"].nunique() == 1 else ""
    text = (
        f"A mark is a study left out{where}: right of the dashed line its weights are those of a "
        "few draws, and the change is unreliable."
    )
    return f"{text} Without a Pareto k, and not drawn: {lost}." if lost else text
