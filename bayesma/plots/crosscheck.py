"""A cross-check as a picture: every quantity with its Bayesian, frequentist and published mark."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from bayesma.checks.crosscheck.noun import CrossCheck
from bayesma.errors import QueryError
from bayesma.measures import MEASURES

__all__ = ["plot_crosscheck"]

Floats = NDArray[np.float64]

# Okabe & Ito's colours, told apart by shape and by place in the row as well.
MARKS = {
    "bayesian": ("#0072B2", "o", "Bayesian (posterior mean)"),
    "frequentist": ("#D55E00", "s", "frequentist"),
    "published": ("#333333", "D", "published"),
}
# Rows this far apart, marks of one row this far; inches.
ROW, STEP, HEAD, FOOT = 0.52, 0.13, 0.62, 0.75
WIDTH, LEFT, RIGHT = 8.4, 2.75, 0.95
# A row whose interval makes a panel this many times as wide as the others need is cut.
SQUEEZE = 15.0
CAPTION_WIDTH = 125


def plot_crosscheck(check: CrossCheck, title: str | None = None) -> Figure:
    """Draw every quantity of a cross-check, one panel for each unit.

    Parameters
    ----------
    check : CrossCheck
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Its artists carry ids: "bayesian: QUANTITY", "frequentist: ...", "published: ...", and
        "verdict: ...". An interval that leaves the panel, or has no end, ends in an arrow.

    Raises
    ------
    QueryError
        If there is nothing to draw.
    """
    table = check.table[check.table[list(MARKS)].notna().any(axis=1)]
    table = table[table["unit"] != ""]
    if table.empty:
        raise QueryError("this cross-check has no number to draw; its sentences say why")
    panels = [rows for _, rows in table.groupby(["unit", "scale"], sort=False)]
    caption = textwrap.fill(_caption(check), CAPTION_WIDTH)
    foot = 0.3 + 0.155 * (caption.count("\n") + 1)
    heights = [ROW * len(rows) + 0.12 for rows in panels]
    height = HEAD + sum(heights) + FOOT * len(panels) + foot - 0.2
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    top = height - HEAD
    for rows, tall in zip(panels, heights, strict=True):
        box = (LEFT / WIDTH, (top - tall) / height, (WIDTH - LEFT - RIGHT) / WIDTH, tall / height)
        _panel(figure.add_axes(box), rows, check.measure)
        top -= tall + FOOT
    _legend(figure, table, height)
    figure.text(0.12 / WIDTH, 1 - 0.2 / height, title or "", fontsize=11, va="top", ha="left")
    figure.text(
        0.12 / WIDTH, 0.08 / height, caption, fontsize=8, color="0.35", va="bottom", gid="caption"
    )
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, measure: str) -> None:
    log = rows["scale"].iloc[0] == "log2"
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    low, high = _limits(rows, log)
    axes.set_xlim(low, high)
    if low < 0 < high and not log:
        axes.axvline(0, color="0.7", linewidth=0.8, zorder=0.5)
    labels = []
    for place, (_, row) in enumerate(rows.iterrows()):
        name = ", ".join(text for text in (row["quantity"], row["where"]) if text)
        labels.append(textwrap.fill(name, 34))
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="0.96", linewidth=0, zorder=0)
        for shift, side in zip((-1, 0, 1), MARKS, strict=True):
            _mark(axes, row, side, place + shift * STEP / ROW, name, (low, high))
        _verdict(axes, row, place, name)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(_unit(str(rows["unit"].iloc[0]), measure, log), fontsize=9)


def _mark(
    axes: Axes, row: pd.Series[Any], name: str, y: float, label: str, ends: tuple[float, float]
) -> None:
    """Draw an estimate with its interval; arrows where the interval leaves the panel."""
    colour, shape, _ = MARKS[name]
    estimate, low, high = (float(row[key]) for key in (name, f"{name}_ci_low", f"{name}_ci_high"))
    title = f"{label}: {name} {_numbers(estimate, low, high)}"
    if not (np.isnan(low) or np.isnan(high)):
        shown = [max(low, ends[0]), min(high, ends[1])]
        axes.plot(
            shown,
            [y, y],
            color=colour,
            linewidth=1.6,
            zorder=2,
            gid=f"{name} ci: {label}",
            label=title,
        )
        for cut, at, arrow in ((low < ends[0], ends[0], "<"), (high > ends[1], ends[1], ">")):
            if cut:
                axes.plot(
                    at,
                    y,
                    arrow,
                    color=colour,
                    markersize=6,
                    clip_on=False,
                    zorder=3,
                    gid=f"{name} goes on {arrow}: {label}",
                    label=title,
                )
    if ends[0] <= estimate <= ends[1]:
        axes.plot(
            estimate,
            y,
            shape,
            color=colour,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.8,
            zorder=4,
            gid=f"{name}: {label}",
            label=title,
        )


def _numbers(estimate: float, low: float, high: float) -> str:
    """Return an estimate with its interval, as far as there are any."""
    middle = "" if np.isnan(estimate) else f"{estimate:.3g}"
    ends = "" if np.isnan(low) or np.isnan(high) else f"[{low:.3g}, {high:.3g}]"
    return " ".join(part for part in (middle, ends) if part)


def _verdict(axes: Axes, row: pd.Series[Any], place: int, label: str) -> None:
    differs = row["verdict"] == "differs"
    axes.text(
        1.03,
        place,
        str(row["verdict"]),
        transform=axes.get_yaxis_transform(),
        fontsize=8.5,
        va="center",
        fontweight="bold" if differs else "normal",
        color="0.1" if differs else "0.45",
        gid=f"verdict: {label}",
        label=f"{label}: {row['verdict']}",
    )


def _limits(rows: pd.DataFrame, log: bool) -> tuple[float, float]:
    """Return the ends of a panel: all intervals, but for ends far beyond what the others need."""
    there, back = (np.log2, np.exp2) if log else (np.asarray, np.asarray)
    with np.errstate(all="ignore"):
        marks, low, high = (
            np.asarray(there(rows[[f"{name}{end}" for name in MARKS]].to_numpy(float)))
            for end in ("", "_ci_low", "_ci_high")
        )
    kept = [np.concatenate(row) for row in zip(marks, low, high, strict=True)]
    whole = _span(kept)
    for i, row in enumerate(kept if len(kept) > 1 else ()):
        if _width(whole) > SQUEEZE * _width(_span([*kept[:i], marks[i], *kept[i + 1 :]])) > 0:
            kept[i] = np.where(np.isin(row, marks[i]), row, np.nan)
    first, last = _span(kept)
    margin = 0.05 * (last - first) or 0.5
    return float(back(first - margin)), float(back(last + margin))


def _span(rows: list[Floats]) -> tuple[float, float]:
    """Return the ends of all finite numbers."""
    found = np.concatenate(rows)
    found = found[np.isfinite(found)]
    return (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)


def _width(ends: tuple[float, float]) -> float:
    return ends[1] - ends[0]


def _unit(unit: str, measure: str, log: bool) -> str:
    label = MEASURES[measure].label if measure in MEASURES else measure
    names = {
        measure: label,
        f"{measure}2": f"variance, {measure} squared",
        "d": "days",
        "percent": "%",
    }
    return f"{names.get(unit, unit)}{' (logarithmic)' if log else ''}"


def _legend(figure: Figure, table: pd.DataFrame, height: float) -> None:
    handles = [
        Line2D(
            [], [], color=colour, marker=shape, linewidth=1.6, markeredgecolor="white", label=text
        )
        for name, (colour, shape, text) in MARKS.items()
        if table[[name, f"{name}_ci_low"]].notna().any(axis=None)
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(LEFT / WIDTH, 1 - 0.28 / height),
        ncols=3,
        frameon=False,
        fontsize=9,
        borderpad=0,
    )


def _caption(check: CrossCheck) -> str:
    return (
        f"Lines: {check.ci_prob * 100:g}% intervals, posterior and {check.method}; published ones "
        "95%. Agree: less than 0.25 posterior standard deviations apart, with intervals alike to a "
        "factor of 1.25. Arrows: the interval goes on."
    )
