"""Contrasts: the posterior of a difference or a ratio at every point, with its probability."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from scipy import stats

from bayesma.coders import AVERAGE
from bayesma.diagnostics import days_text
from bayesma.errors import QueryError
from bayesma.frequentist.sentences import fixed
from bayesma.measures import MEASURES
from bayesma.queries.summaries import check_interval, summary

__all__ = ["plot_contrast"]

Floats = NDArray[np.float64]

# Inches.
ROW, PLOT, LETTER, NUMBERS, CHANCE, EDGE = 0.44, 3.4, 0.075, 1.55, 1.0, 0.12
TOP, AXIS, TITLE, PITCH, GROUP = 0.35, 0.5, 0.28, 0.155, 0.28
FONT, SMALL, CAPTION_CHARACTER = 8.5, 8, 0.0605
# Okabe & Ito; what lies beyond the data is paler and its name has a star.
COLOUR, OTHER, INK = "#0072B2", "#B0B0B0", "#000000"
MOST = 40
# Draws and places of a density: enough for a curve that is half an inch high.
DRAWS, PLACES = 1000, 100
# How far the axis reaches beyond the intervals, in widths of all of them; a single interval this
# many times as wide as the median one does not set it.
MARGIN, SQUEEZE = 0.08, 6.0
INNER = ("mean", "sd", "median", "ci_low", "ci_high", "p_positive", "p_above_1", "p_never")
FLAGS = ("beyond_data", "p_other_sign", "animals")


@dataclass(frozen=True)
class Point:
    """One line of the picture.

    Attributes
    ----------
    group, label : str
        What it stands under, and what it is called.
    at : float
        Inches from the top.
    draws : ndarray
    median, low, high, chance : float
    beyond : bool
    """

    group: str
    label: str
    at: float
    draws: Floats
    median: float
    low: float
    high: float
    chance: float
    beyond: bool

    @property
    def name(self) -> str:
        """What tells it from every other."""
        return ", ".join(part for part in (self.group, self.label) if part) or "contrast"


def plot_contrast(draws: xr.DataArray, ci_prob: float = 0.95, title: str | None = None) -> Figure:
    """Draw the posterior of a contrast at every point, and the probability that it is above 0.

    Parameters
    ----------
    draws : xarray.DataArray
        From `contrast`: differences or ratios of effects, areas or half-lives. Several of one
        kind can be joined along `point`, told apart by a coordinate.
    ci_prob : float
        Probability of the equal-tailed intervals.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        One line per point: its density (darker above no difference), median and interval, and
        P(> 0), for a ratio P(> 1). Artists carry ids: "density: POINT", "above: POINT",
        "interval: POINT", "median: POINT", "caption".

    Raises
    ------
    QueryError
        If it is no contrast, or has more points than fit on a page.
    """
    check_interval(ci_prob, None)
    if getattr(draws, "name", None) != "contrast":
        raise QueryError("a contrast is needed: bm.contrast(fit, at, regimen=('a', 'b'))")
    if draws.sizes["point"] > MOST:
        raise QueryError(
            f"{draws.sizes['point']} points; at most {MOST} fit on a page: ask for fewer delays"
        )
    ratio = draws.attrs.get("kind") == "ratio"
    points, length = _points(draws, ci_prob, ratio)
    limits = _limits(points, ratio)
    longest = max(len(text) for point in points for text in (point.label, point.group))
    left = EDGE + 0.15 + LETTER * max(longest, 4)
    axes = _page(left, length, _caption(draws, points, limits, ci_prob, ratio), title)
    axes.set_xlim(limits)
    axes.axvline(1 if ratio else 0, color="0.6", linewidth=0.8, zorder=0.5)
    for point in points:
        _draw(axes, point, limits, ratio)
    _write(axes, left, points, ratio)
    _axis(axes, draws, ratio)
    return axes.figure  # type: ignore[return-value]


# -- what to draw ------------------------------------------------------------------------------


def _points(draws: xr.DataArray, ci_prob: float, ratio: bool) -> tuple[list[Point], float]:
    """Return the lines with their places, and where they end."""
    with np.errstate(all="ignore"):  # draws may overflow towards delay 0
        table = summary(draws, ci_prob)
    values = draws.transpose("chain", "draw", "point").values.reshape(-1, len(table))
    names = [n for n in table if n not in (*INNER, *FLAGS) and n != "delay"]
    names = [n for n in names if not (table[n].astype(str) == AVERAGE).all()]
    names = [n for n in names if table[n].nunique() > 1]
    timed = "delay" in table
    found: list[Point] = []
    at, before = 0.0, ""
    for place, row in enumerate(table.to_dict("records")):
        cells = [_level(row[name]) for name in names]
        group, label = "", ", ".join(cells)
        if timed:
            group, label = label, days_text(row["delay"]) if row["delay"] else "0"
        beyond = bool(row.get("beyond_data", False))
        at += GROUP if group != before else 0.0
        before = group
        at += ROW
        chance = row["p_above_1"] if ratio else row["p_positive"]
        median, low, high = (float(row[name]) for name in ("median", "ci_low", "ci_high"))
        star = "*" if beyond else ""
        found.append(
            Point(
                group,
                f"{label}{star}",
                at,
                values[:, place],
                median,
                low,
                high,
                float(chance),
                beyond,
            )
        )
    return found, at + 0.12


def _level(cell: object) -> str:
    return f"{cell:g}" if isinstance(cell, int | float | np.number) else str(cell)


def _limits(points: Sequence[Point], ratio: bool) -> tuple[float, float]:
    """Return the ends of the axis: no difference and the intervals, but for one far too wide."""
    there = np.log if ratio else np.asarray
    with np.errstate(all="ignore"):
        ends = np.array([[there(p.low), there(p.median), there(p.high)] for p in points], float)
    centre = 0.0  # no difference, on either scale
    finite = np.where(np.isfinite(ends), ends, np.nan)
    wide = np.nanmax(finite, axis=1, initial=-np.inf) - np.nanmin(finite, axis=1, initial=np.inf)
    room = (
        SQUEEZE * float(np.quantile(wide[np.isfinite(wide)], 0.5, method="lower"))
        if np.isfinite(wide).any()
        else 1.0
    )
    low = np.nanmin(np.clip(finite, centre - room, None), initial=centre)
    high = np.nanmax(np.clip(finite, None, centre + room), initial=centre)
    low, high = min(low, centre), max(high, centre)
    margin = MARGIN * (high - low) or 0.5
    back = np.exp if ratio else np.asarray
    return float(back(low - margin)), float(back(high + margin))


def _density(point: Point, limits: tuple[float, float], ratio: bool) -> tuple[Floats, Floats]:
    """Return places on the axis and the height of the density there, at most 1."""
    there, back = (np.log, np.exp) if ratio else (np.asarray, np.asarray)
    first, last = (float(there(end)) for end in limits)
    # No difference is a place too, where the colour changes.
    places = np.union1d(np.linspace(first, last, PLACES), [0.0])
    with np.errstate(all="ignore"):
        draws = np.asarray(there(point.draws[:: max(len(point.draws) // DRAWS, 1)]), dtype=float)
    # A bandwidth by draws far outside the axis would smooth away what is seen.
    reach = last - first
    draws = draws[(draws > first - reach) & (draws < last + reach)]
    if len(draws) < 10 or np.ptp(draws) <= 1e-9 * reach:
        return np.zeros(0), np.zeros(0)
    heights = stats.gaussian_kde(draws)(places)
    return np.asarray(back(places)), np.asarray(heights / heights.max())


# -- drawing -----------------------------------------------------------------------------------


def _page(left: float, length: float, caption: Sequence[str], title: str | None) -> Axes:
    """Return axes in effects across and inches from the top down, with the caption under them."""
    width = left + PLOT + NUMBERS + CHANCE + EDGE
    text = textwrap.fill(" ".join(caption), int((width - 2 * EDGE) / CAPTION_CHARACTER))
    below = AXIS + PITCH * (text.count("\n") + 1) + 0.1
    height = TOP + (TITLE if title else 0.0) + length + below
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((left / width, below / height, PLOT / width, length / height))
    axes.set_ylim(length, 0)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    style: dict[str, Any] = {"ha": "left", "x": EDGE / width}
    figure.text(
        y=0.08 / height, s=text, fontsize=SMALL, color="0.35", va="bottom", gid="caption", **style
    )
    if title:
        figure.text(y=1 - 0.08 / height, s=title, fontsize=11, va="top", gid="title", **style)
    return axes


def _draw(axes: Axes, point: Point, limits: tuple[float, float], ratio: bool) -> None:
    said = f"{point.name}: {_numbers(point)}, {_chance(point.chance, ratio)}"
    x, height = _density(point, limits, ratio)
    tall = 0.72 * ROW
    null = 1.0 if ratio else 0.0
    opacity = 0.45 if point.beyond else 1.0
    for kind, where, colour in (
        ("density", x <= null, OTHER),
        ("above", x >= null, COLOUR),
    ):
        if where.sum() > 1:
            axes.fill_between(
                x[where],
                point.at - tall * height[where],
                point.at,
                color=colour,
                alpha=0.45 * opacity,
                linewidth=0,
                gid=f"{kind}: {point.name}",
                label=said,
                zorder=2,
            )
    ends = np.clip([point.low, point.high], *limits)
    axes.plot(
        ends,
        [point.at, point.at],
        color=INK,
        linewidth=1.6,
        alpha=max(opacity, 0.6),
        solid_capstyle="butt",
        gid=f"interval: {point.name}",
        label=said,
        zorder=3,
    )
    for cut, place, marker in (
        (point.low < limits[0], limits[0], "<"),
        (point.high > limits[1], limits[1], ">"),
    ):
        if cut:
            axes.plot([place], [point.at], marker=marker, color=INK, markersize=4,
                      markeredgewidth=0, clip_on=False, zorder=4)  # fmt: skip
    if limits[0] <= point.median <= limits[1]:
        axes.plot(
            [point.median],
            [point.at],
            marker="o",
            markersize=5,
            color="white" if point.beyond else INK,
            markeredgecolor=INK,
            markeredgewidth=1.0,
            linestyle="none",
            gid=f"median: {point.name}",
            label=said,
            zorder=4,
        )


def _numbers(point: Point) -> str:
    return f"{_fixed(point.median)} [{_fixed(point.low)}, {_fixed(point.high)}]"


def _fixed(value: float) -> str:
    if not np.isfinite(value):
        return "no number" if np.isnan(value) else ("∞" if value > 0 else "−∞")
    text = fixed(value, 2) if abs(value) < 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def _chance(p: float, ratio: bool) -> str:
    head = "P(> 1)" if ratio else "P(> 0)"
    if np.isnan(p):
        return f"{head} unknown"
    if p > 0.995:
        return f"{head} > 0.99"
    return f"{head} < 0.01" if p < 0.005 else f"{head} = {p:.2f}"


def _write(axes: Axes, left: float, points: Sequence[Point], ratio: bool) -> None:
    """Write names to the left, and numbers and probabilities to the right."""
    across = axes.get_yaxis_transform()
    style: dict[str, Any] = {"transform": across, "fontsize": FONT, "va": "center_baseline"}
    x = (EDGE - left) / PLOT
    before = ""
    for point in points:
        at = point.at - 0.06
        if point.group != before:
            axes.text(x, point.at - ROW - 0.02, point.group, ha="left", fontweight="bold", **style)
            before = point.group
        axes.text(x, at, point.label, ha="left", **style)
        axes.text(1 + NUMBERS / PLOT, at, _numbers(point), ha="right", **style)
        chance = _chance(point.chance, ratio)
        axes.text(1 + (NUMBERS + CHANCE) / PLOT, at, chance, ha="right", **style)


def _axis(axes: Axes, draws: xr.DataArray, ratio: bool) -> None:
    if ratio:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    units = str(draws.attrs.get("units", ""))
    words = MEASURES[units].label if units in MEASURES else {"d": "days"}.get(units, units)
    pair = str(draws.attrs.get("contrast", "")).partition(": ")[2].replace(" - ", " − ")
    what = "ratio (logarithmic)" if ratio else f"difference, {words}"
    axes.set_xlabel(f"{what}: {pair}" if pair else what, fontsize=FONT, labelpad=2)


def _caption(
    draws: xr.DataArray,
    points: Sequence[Point],
    limits: tuple[float, float],
    ci_prob: float,
    ratio: bool,
) -> list[str]:
    estimand = str(draws.attrs.get("estimand", "contrast"))
    null = 1 if ratio else 0
    found = [
        f"{estimand[:1].upper()}{estimand[1:]}.",
        f"Dots and lines: posterior medians and {100 * ci_prob:g}% intervals; areas: densities, "
        f"each as high as its line has room, blue above {null}.",
    ]
    if any(point.beyond for point in points):
        found.append("* beyond the delays of the data.")
    cut = sum(point.low < limits[0] or point.high > limits[1] for point in points)
    if cut:
        found.append(f"The axis cuts {cut} of {len(points)} intervals.")
    return found
