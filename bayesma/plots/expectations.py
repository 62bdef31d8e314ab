"""What a model expects before data: implied curves, effects and heterogeneity, beside the data."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesma.errors import QueryError
from bayesma.measures import MEASURES
from bayesma.plots.histograms import array_of, draw_effects, draw_tau
from bayesma.plots.lines import COLOURS, MANY, Line, lines_of, names_of
from bayesma.plots.scales import delay_axis
from bayesma.queries.summaries import summary

__all__ = ["plot_prior_predictive"]

Floats = NDArray[np.float64]

# Inches.
WIDTH, TOP, PANEL, GAP, LOW = 8.4, 0.6, 2.5, 0.75, 2.0
LEFT, RIGHT = 1.0, 0.2
CAPTION_WIDTH, LINE = 130, 0.155
# Draws shown one by one; panels of curves in a row.
SHOWN, ACROSS = 40, 3
# Inches of a letter of a tick.
LETTER = 0.085
# The axis of effects reaches at most this many spans of the data (with 0) beyond them.
REACH = 1.5


def plot_prior_predictive(expected: xr.DataTree, title: str | None = None) -> Figure:
    """Draw what a prior implies on the scale of the effects.

    Parameters
    ----------
    expected : xarray.DataTree
        From `prior_predictive`.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Above, the mean effect by delay (by level, where it does not fade) in a panel per curve:
        single draws, median, 50% and 95% bands, and the observed effects. Below, replicated
        effects and, with heterogeneity, true effects in a new study, over a rug of the observed
        ones; and tau. The axes are set by the data, at most widened to the 95% bands; the caption
        counts what lies outside. Artists carry ids: "band 95%: LEVEL", "draws: LEVEL", "rug",
        "replicates", "new study", "tau", "caption".

    Raises
    ------
    QueryError
        If it is not from `prior_predictive`, or has more curves than can be told apart.
    """
    groups = set(getattr(expected, "children", ()))
    if not {"curves", "prior_predictive", "observed_data"} <= groups:
        raise QueryError("a prior picture needs bm.prior_predictive(effects, spec, seed=1)")
    effect = array_of(expected, "curves", "effect")
    with np.errstate(all="ignore"):  # draws may be infinite towards delay 0
        table = summary(effect, 0.95)
    names = names_of(table, None)
    fades = "delay" in table and table["delay"].nunique() > 1
    ends = _limits(expected)
    figure, upper, lower = _page(len(table[names].drop_duplicates()) if fades and names else 1)
    if fades:
        lines = lines_of(table, names, None)
        caption = _draw_curves(upper, expected, lines, names, ends)
    else:
        caption = _draw_levels(upper[0], effect, names, ends)
    measure = str(expected.attrs["measure"])
    label = MEASURES[measure].label if measure in MEASURES else measure
    (upper[0].set_ylabel if fades else upper[0].set_xlabel)(label)
    caption += draw_effects(lower[0], expected, ends)
    lower[0].set_xlabel(label)
    caption += draw_tau(lower[1], expected, measure)
    _finish(figure, [*caption, f"Priors: {expected.attrs['priors']}."], title)
    return figure


# -- the page ----------------------------------------------------------------------------------


def _page(panels: int) -> tuple[Figure, list[Axes], list[Axes]]:
    rows = -(-panels // ACROSS)
    height = TOP + rows * (PANEL + GAP) + LOW + 1.6
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    inside = WIDTH - LEFT - RIGHT
    across = min(panels, ACROSS)
    wide = (inside - 0.3 * (across - 1)) / across
    upper: list[Axes] = []
    for i in range(panels):
        row, column = divmod(i, ACROSS)
        bottom = height - TOP - (row + 1) * PANEL - row * GAP
        box = (LEFT + column * (wide + 0.3), bottom, wide, PANEL)
        upper.append(_axes(figure, box))
        if column:
            upper[-1].tick_params(labelleft=False)
    bottom = height - TOP - rows * (PANEL + GAP) - LOW
    lower = [
        _axes(figure, (LEFT, bottom, 0.62 * inside, LOW)),
        _axes(figure, (LEFT + 0.69 * inside, bottom, 0.31 * inside, LOW)),
    ]
    for axes in lower:
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    return figure, upper, lower


def _axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    wide, high = figure.get_size_inches()
    axes = figure.add_axes((box[0] / wide, box[1] / high, box[2] / wide, box[3] / high))
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _finish(figure: Figure, sentences: Sequence[str], title: str | None) -> None:
    """Put the title above, and the caption below everything."""
    wide, high = figure.get_size_inches()
    text = textwrap.fill(" ".join(sentences), CAPTION_WIDTH)
    need = 0.15 + LINE * (text.count("\n") + 1)
    room = 1.6 - 0.5  # below the lower panels, less the labels of their axes
    if need > room:
        grown = high + need - room
        for axes in figure.axes:
            x, y, w, h = axes.get_position().bounds
            axes.set_position((x, (y * high + need - room) / grown, w, h * high / grown))
        figure.set_size_inches(wide, grown)
        high = grown
    style: dict[str, Any] = {"fontsize": 8, "color": "0.35", "va": "bottom", "ha": "left"}
    figure.text(0.12 / wide, 0.08 / high, text, gid="caption", **style)
    figure.text(0.12 / wide, 1 - 0.1 / high, title or "", fontsize=11, va="top", ha="left")


def _limits(expected: xr.DataTree) -> tuple[float, float]:
    """Return the ends of the axis of effects: the data with 0, widened towards what is expected."""
    y = array_of(expected, "observed_data", "y").values
    data = np.quantile(y, [0.01, 0.99]) if len(y) > MANY else y
    low, high = min(0.0, data.min()), max(0.0, data.max())
    reach = REACH * ((high - low) or 1.0)
    replicated = array_of(expected, "prior_predictive", "y").values
    finite = replicated[np.isfinite(replicated)]
    wide = np.quantile(finite, [0.025, 0.975]) if len(finite) else np.zeros(2)
    ends = [np.clip(end, low - reach, high + reach) for end in wide]
    low, high = min(low, ends[0]), max(high, ends[1])
    margin = 0.04 * (high - low)
    return float(low - margin), float(high + margin)


# -- curves ------------------------------------------------------------------------------------


def _draw_curves(
    panels: Sequence[Axes],
    expected: xr.DataTree,
    lines: Sequence[Line],
    names: Sequence[str],
    ends: tuple[float, float],
) -> list[str]:
    effect, data = array_of(expected, "curves", "effect"), array_of(expected, "observed_data", "y")
    outside, drawn = 0, 0
    keys = _keys(effect, names)
    own = _keys(data, names)
    for axes, line in zip(panels, lines, strict=True):
        part = effect.isel(point=keys == line.label).sortby("delay")
        values = part.values.reshape(-1, part.sizes["point"])
        outside = max(outside, int(((values < ends[0]) | (values > ends[1])).any(axis=1).sum()))
        axes.plot(
            part["delay"].values,
            values[:: max(len(values) // SHOWN, 1)][:SHOWN].T,
            color=line.colour,
            linewidth=0.5,
            alpha=0.35,
            zorder=1,
        )
        axes.lines[0].set_gid(f"draws: {line.label}")
        _bands(axes, part["delay"].values, values, line)
        rows = own == line.label
        drawn += _points(axes, data.isel(row=rows), line)
        delay_axis(axes, [line], log_delay=True)
        _thin(axes)
        axes.set_xlabel("time since the last dose", fontsize=9)
        axes.set_ylim(*ends)
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=0.5)
        axes.set_title(line.label, loc="left", fontsize=9.5, color=line.colour, fontweight="bold")
    total = effect.sizes["chain"] * effect.sizes["draw"]
    told = [
        f"Above: the population mean effect by delay, before data: {min(SHOWN, total)} of {total} "
        "draws, median, 50% and 95% bands; points are the observed effects."
    ]
    if outside:
        told.append(f"Up to {outside} of {total} curves of a panel leave its axis.")
    if missing := data.sizes["row"] - drawn:
        told.append(f"{missing} of {data.sizes['row']} observed effects are not among the points.")
    return told


def _thin(axes: Axes) -> None:
    """Leave out the words of ticks that would touch the ones before."""
    places = axes.xaxis.get_majorticklocs()
    words = [text.get_text() for text in axes.get_xticklabels()]
    scale = axes.xaxis.get_transform()
    x, ends = scale.transform(np.asarray(places)), scale.transform(np.array(axes.get_xlim()))
    wide = axes.get_position().width * axes.figure.get_figwidth()  # type: ignore[union-attr]
    inches = (x - ends[0]) / (ends[1] - ends[0]) * wide
    shown, last = [], -np.inf
    for at, word in zip(inches, words, strict=True):
        half = LETTER * len(word) / 2
        shown.append(word if at - half > last else "")
        last = at + half + LETTER if shown[-1] else last
    axes.set_xticklabels(shown, fontsize=8.5)


def _keys(array: xr.DataArray, names: Sequence[str]) -> NDArray[np.str_]:
    """Return the line each point belongs to, as its label."""
    (dim,) = [str(name) for name in array.dims if name not in ("chain", "draw")]
    known = [array[name].values.astype(str) for name in names if name in array.coords]
    if len(known) < len(names) or not names:
        return np.full(array.sizes[dim], "" if not names else "?")
    return np.array([", ".join(cells) for cells in zip(*known, strict=True)])


def _bands(axes: Axes, delay: Floats, values: Floats, line: Line) -> None:
    # "lower" keeps an infinite draw from making NaN of an interpolated quantile.
    with np.errstate(all="ignore"):
        ends = np.nanquantile(values, [0.025, 0.25, 0.5, 0.75, 0.975], axis=0, method="lower")
    huge = np.finfo(np.float32).max
    ends = np.clip(ends, -huge, huge)
    for name, low, high, opacity in (("95%", 0, 4, 0.15), ("50%", 1, 3, 0.25)):
        axes.fill_between(
            delay,
            ends[low],
            ends[high],
            color=line.colour,
            alpha=opacity,
            linewidth=0,
            gid=f"band {name}: {line.label}",
            zorder=2,
        )
    axes.plot(delay, ends[2], color=line.colour, linewidth=1.8, gid=f"median: {line.label}")


def _points(axes: Axes, data: xr.DataArray, line: Line) -> int:
    """Draw the observed effects that have a delay; return how many."""
    delay = data["delay"].values
    known = np.isfinite(delay)
    axes.plot(
        delay[known],
        data.values[known],
        line.marker,
        color="black",
        markersize=2.5 if known.sum() > MANY else 5.5,
        alpha=0.5 if known.sum() > MANY else 1.0,
        markeredgewidth=0,
        gid=f"rows: {line.label}",
        zorder=4,
    )
    return int(known.sum())


def _draw_levels(
    axes: Axes, effect: xr.DataArray, names: Sequence[str], ends: tuple[float, float]
) -> list[str]:
    """Draw the mean of each level as an interval, where the effect does not fade."""
    labels = list(_keys(effect, names))
    values = effect.values.reshape(-1, effect.sizes["point"])
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0.5)
    for place, label in enumerate(labels):
        quantiles = np.quantile(values[:, place], [0.025, 0.25, 0.5, 0.75, 0.975])
        for name, low, high, width in (("95%", 0, 4, 2.0), ("50%", 1, 3, 6.0)):
            axes.plot(
                quantiles[[low, high]],
                [place, place],
                color=COLOURS[place % len(COLOURS)],
                linewidth=width,
                alpha=0.6,
                solid_capstyle="butt",
                gid=f"band {name}: {label}",
            )
        axes.plot(quantiles[2], place, "o", color=COLOURS[place % len(COLOURS)], markersize=6)
    axes.set_yticks(range(len(labels)), [label or "mean" for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(*ends)
    outside = int(((values < ends[0]) | (values > ends[1])).any(axis=1).sum())
    told = "Above: the population mean effect before data: median, 50% and 95% intervals."
    return [told, *([f"{outside} of {len(values)} draws leave the axis."] if outside else [])]
