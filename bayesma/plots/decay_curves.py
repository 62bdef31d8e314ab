"""Decay curves: the effect against the time since the last dose, with its interval."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bayesma.errors import QueryError
from bayesma.measures import MEASURES
from bayesma.plots.lines import MANY, Line, lines_of, names_of, rows_of
from bayesma.plots.scales import delay_axis, effect_axis
from bayesma.queries.summaries import summary

__all__ = ["plot_decay"]

Floats = NDArray[np.float64]

Z95 = 1.959963984540054

# Inches and points.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 7.6, 4.3, 0.75, 1.25, 0.4, 0.6
SMALL, LINE = 8, 0.155
CAPTION_WIDTH = 122


def plot_decay(
    curve: xr.DataArray,
    data: pd.DataFrame | None = None,
    by: str | Sequence[str] | None = None,
    ci_prob: float = 0.95,
    log_delay: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw decay curves: posterior median and interval, one line per level.

    Parameters
    ----------
    curve : xarray.DataArray
        From `decay_curve` (or `contrast`) on a grid of delays.
    data : pandas.DataFrame, optional
        Points to draw on top with their 95% intervals: columns delay (days), y, v, and those
        that vary along the curve; a pooled row may say from where to where its delays reach in
        `delay_low` and `delay_high`.
    by : str or sequence of str, optional
        Covariates that tell the lines apart; all that vary where absent.
    ci_prob : float
        Probability of the equal-tailed band.
    log_delay : bool
        Whether the axis of delays is logarithmic, with 0 at its left end.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Its artists carry ids: "median: LEVEL", "band: LEVEL", each also with " (beyond data)";
        "rows: LEVEL", with a title per row.

    Raises
    ------
    QueryError
        If there is no curve to draw, more lines than can be told apart, a covariate that varies
        is not in `by`, or `data` lacks a column.
    """
    with np.errstate(all="ignore"):  # draws may overflow towards delay 0
        table = summary(curve, ci_prob) if "delay" in curve.coords else None
    if table is None or table["delay"].nunique() < 2 or curve.attrs.get("kind") != "effect":
        raise QueryError(
            "a decay curve needs effects at two or more delays: bm.decay_curve(fit, "
            "bm.grid(fit, delay=bm.days(0, 28), ...))"
        )
    names = names_of(table, by)
    lines = lines_of(table, names, rows_of(data, names))
    caption = [*_caption(curve, lines, ci_prob), *_leftover(data, lines)]
    figure, axes = _page()
    drawn = [(line, _draw(axes, line)) for line in lines]
    delay_axis(axes, lines, log_delay)
    caption += effect_axis(axes, lines)
    difference = "difference in " if curve.name == "contrast" else ""
    measure = str(curve.attrs.get("measure", "effect"))
    label = MEASURES[measure].label if measure in MEASURES else measure
    axes.set_ylabel(f"{difference}{label}")
    axes.set_title(title or "", loc="left", fontsize=11)
    _label(axes, lines)
    _write_caption(figure, axes, caption)
    for line, points in drawn:
        _entitle(figure, axes, line, points)
    return figure


# -- what to draw ------------------------------------------------------------------------------


def _page() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.spines[["top", "right"]].set_visible(False)
    axes.axhline(0, color="0.6", linewidth=0.8, zorder=0.5)
    return figure, axes


def _draw(axes: Axes, line: Line) -> Line2D | None:
    """Draw a line, its band and its rows; return the marks of the rows.

    The parts beyond the data share their end point with the rest.
    """
    inside = ~line.beyond
    outside = line.beyond | _neighbours(line.beyond)
    for where, style, opacity, suffix in (
        (inside, "-", 0.20, ""),
        (outside, (0, (4, 2.5)), 0.08, " (beyond data)"),
    ):
        if not where.any() or (suffix and not line.beyond.any()):
            continue
        axes.plot(
            line.delay,
            np.where(where, line.median, np.nan),
            color=line.colour,
            linestyle=style,
            linewidth=1.8,
            gid=f"median: {line.label}{suffix}",
            label=f"{line.label or 'effect'}: posterior median{suffix}",
            zorder=3,
        )
        axes.fill_between(
            line.delay,
            line.low,
            line.high,
            where=where.tolist(),
            color=line.colour,
            alpha=opacity,
            linewidth=0,
            gid=f"band: {line.label}{suffix}",
            label=f"{line.label or 'effect'}: posterior interval{suffix}",
            zorder=1,
        )
    if line.rows is None or not len(line.rows):
        return None
    return _draw_rows(axes, line, line.rows)


def _neighbours(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    out = np.zeros_like(mask)
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    return out


def _draw_rows(axes: Axes, line: Line, rows: pd.DataFrame) -> Line2D:
    many, across = len(rows) > MANY, rows[["left", "right"]].to_numpy().T
    drawn = axes.errorbar(
        rows["delay"],
        rows["y"],
        yerr=rows["half"],
        xerr=across if across.any() else None,
        fmt=line.marker,
        color=line.colour,
        markersize=3 if many else 6,
        elinewidth=0.5 if many else 1.2,
        alpha=0.45 if many else 1.0,
        markeredgecolor="white",
        markeredgewidth=0.3 if many else 0.8,
        zorder=4,
    )
    points, _, bars = drawn.lines
    points.set_gid(f"rows: {line.label}")
    # The last bars are upright; those across are there for pooled rows alone. Without a title of
    # their own: the marks have it.
    for name, one in zip(("intervals", "spans"), bars[::-1], strict=False):
        one.set_gid(f"{name} of {line.label or 'rows'}")
    return points


def _entitle(figure: Figure, axes: Axes, line: Line, points: Line2D | None) -> None:
    """Give each mark its title; what lies off the page is no mark, and is not drawn."""
    if points is None or line.rows is None:
        return
    x, y = (np.asarray(values, dtype=float) for values in points.get_data())
    with np.errstate(all="ignore"):
        places = axes.transData.transform(np.column_stack([x, y]))
    wide, high = figure.bbox.size
    seen = np.isfinite(places).all(axis=1)
    seen &= (places >= 0).all(axis=1) & (places[:, 0] <= wide) & (places[:, 1] <= high)
    points.set_data(np.where(seen, x, np.nan), np.where(seen, y, np.nan))
    points.set_label("\n".join(line.rows["title"][seen]))


def _label(axes: Axes, lines: Sequence[Line]) -> None:
    """Name each line at its right end, in its colour, without overlap."""
    low, high = axes.get_ylim()
    ends = [
        float(np.nan_to_num((line.median[-1] - low) / (high - low), nan=0.5, posinf=1.0))
        for line in lines
    ]
    places = _spread([min(max(end, 0.02), 0.98) for end in ends], gap=0.055)
    for line, place in zip(lines, places, strict=True):
        text = textwrap.fill(line.label, 18)
        axes.text(
            1.015,
            place,
            text,
            color=line.colour,
            fontsize=9.5,
            fontweight="bold",
            transform=axes.transAxes,
            va="center",
            ha="left",
            gid=f"label: {line.label}",
            label=line.label,
        )


def _spread(places: Sequence[float], gap: float) -> list[float]:
    """Return places at least `gap` apart, in the same order, moved as little as a sweep allows."""
    order = np.argsort(places, kind="stable")
    out = np.array(places, dtype=float)
    for before, after in itertools.pairwise(order):
        out[after] = max(out[after], out[before] + gap)
    out -= max(out.max() - 0.98, 0.0)
    return [float(place) for place in out]


# -- words -------------------------------------------------------------------------------------


def _caption(curve: xr.DataArray, lines: Sequence[Line], ci_prob: float) -> list[str]:
    estimand = str(curve.attrs.get("estimand", "effect"))
    found = [f"{estimand[:1].upper()}{estimand[1:]}."]
    if "small_study" in curve.attrs:
        said = str(curve.attrs["small_study"])
        found.append(f"{said[:1].upper()}{said[1:]}.")
    text = f"Lines: posterior medians; bands: {ci_prob * 100:g}% intervals"
    if any(line.beyond.any() for line in lines):
        text += "; dashed: beyond the delays of the data"
    drawn = [line.rows for line in lines if line.rows is not None and len(line.rows)]
    if drawn:
        text += ". Points: the data with their 95% intervals"
        if any(rows[["left", "right"]].any(axis=None) for rows in drawn):
            text += "; bars across: the range of the delays pooled in one point"
    return [*found, f"{text}."]


def _leftover(data: pd.DataFrame | None, lines: Sequence[Line]) -> list[str]:
    """Say how many rows belong to none of the lines."""
    if data is None:
        return []
    count = len(data) - sum(len(line.rows) for line in lines if line.rows is not None)
    found = [f"{count} rows of the data belong to no line and are not drawn."] if count else []
    if unknown := data.attrs.get("without_delay", 0):
        found.append(f"{unknown} rows of the data have no delay and are not drawn.")
    return found


def _write_caption(figure: Figure, axes: Axes, sentences: Sequence[str]) -> None:
    """Put the caption under the axes, and make the page as high as it needs."""
    text = textwrap.fill(" ".join(sentences), CAPTION_WIDTH)
    below = BOTTOM + LINE * (text.count("\n") + 1) + 0.1
    height = HEIGHT + below - BOTTOM
    figure.set_size_inches(WIDTH, height)
    axes.set_position(
        (
            LEFT / WIDTH,
            below / height,
            (WIDTH - LEFT - RIGHT) / WIDTH,
            (height - below - TOP) / height,
        )
    )
    figure.text(
        0.12 / WIDTH,
        0.08 / height,
        text,
        fontsize=SMALL,
        color="0.35",
        va="bottom",
        ha="left",
        gid="caption",
    )
