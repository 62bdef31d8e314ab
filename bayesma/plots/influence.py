"""What leaving each study out would change, against how far its weights can be trusted."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bayesma.errors import QueryError
from bayesma.frequentist.forest import shortened
from bayesma.plots.lines import COLOURS, MANY, MARKERS

__all__ = ["plot_influence"]

COLUMNS = ("study", "pareto_k", "where", "answer", "without", "change_sd")
# Inches and points.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 7.6, 4.0, 0.75, 0.2, 0.35, 0.95
SMALL, FONT = 8, 9
NAMED, LONGEST = 5, 28
# A change below this many SDs names no study.
WORTH_NAMING = 0.1
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
    _draw(axes, shown)
    _scale(axes, shown, float(table.attrs.get("good_k", 0.7)))
    _name(figure, axes, shown)
    if shown["where"].nunique() > 1:
        axes.legend(loc="best", frameon=False, fontsize=SMALL, handletextpad=0.3)
        for handle, where in zip(
            axes.get_legend_handles_labels()[0], shown["where"].unique(), strict=True
        ):
            handle.set_label(_titles(shown[shown["where"] == where]))
    axes.set_xlabel("Pareto k of the study's weights", fontsize=FONT)
    axes.set_ylabel("change of the mean without the study\n(posterior SDs)", fontsize=FONT)
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


def _draw(axes: Axes, shown: pd.DataFrame) -> None:
    many = shown["study"].nunique() > 4 * MANY
    for i, (where, rows) in enumerate(shown.groupby("where", sort=False)):
        text = str(where) or "population mean"
        axes.plot(
            rows["pareto_k"],
            rows["change_sd"],
            linestyle="none",
            marker=MARKERS[i],
            color=COLOURS[i],
            markersize=3.2 if many else 5,
            alpha=0.55 if many else 0.8,
            markeredgecolor="white",
            markeredgewidth=0.3 if many else 0.6,
            gid=f"rows: {text}",
            label=text if shown["where"].nunique() > 1 else _titles(rows),
            zorder=3,
        )


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
    axes.text(
        good_k,
        1.0,
        f" above {good_k:.2f}: unreliable"
        if right > 1.3 * good_k
        else f"unreliable above {good_k:.2f} ",
        transform=axes.get_xaxis_transform(),
        ha="left" if right > 1.3 * good_k else "right",
        va="bottom",
        fontsize=SMALL,
        color="0.35",
        gid="words",
    )


def _name(figure: Figure, axes: Axes, shown: pd.DataFrame) -> None:
    """Write the names of the studies that move the answer most, where there is room."""
    order = shown["change_sd"].abs().sort_values(ascending=False, kind="stable").index
    most = shown.loc[order].drop_duplicates("study").head(NAMED)
    taken: list[tuple[float, float, float, float]] = []
    for _, row in most[most["change_sd"].abs() >= WORTH_NAMING].iterrows():
        text = shortened(str(row["study"]), LONGEST)
        x, y = axes.transData.transform((row["pareto_k"], row["change_sd"])) / figure.dpi
        wide = 0.062 * len(text)
        right = x + 0.08 + wide < WIDTH - 0.05
        start = x + 0.08 if right else x - 0.08 - wide
        box = (start, y - 0.07, start + wide, y + 0.07)
        if any(_overlap(box, other) for other in taken):
            continue
        taken.append(box)
        axes.annotate(
            text,
            (row["pareto_k"], row["change_sd"]),
            xytext=(6 if right else -6, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            fontsize=SMALL,
            gid=f"name: {row['study']}",
            zorder=4,
        )


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _caption(shown: pd.DataFrame, lost: int) -> str:
    first = shown.iloc[0]
    where = f" ({first['where']})" if first["where"] and shown["where"].nunique() == 1 else ""
    text = (
        f"A mark is a study left out{where}: right of the dashed line its weights are those of a "
        "few draws, and the change is unreliable."
    )
    return f"{text} {lost} studies without a Pareto k are not drawn." if lost else text
