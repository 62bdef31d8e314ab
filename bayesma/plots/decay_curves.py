"""Decay curves: the effect against the time since the last dose, with its interval."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from bayesma.errors import QueryError
from bayesma.queries.summaries import summary

__all__ = ["plot_decay"]

Floats = NDArray[np.float64]

# Okabe & Ito's palette without its yellow, which is too light on white; blue first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MEASURES = {"SMD": "Hedges g (SMD)"}
Z95 = 1.959963984540054

# Inches and points.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 7.6, 4.3, 0.75, 1.25, 0.4, 0.6
SMALL, LINE = 8, 0.155
CAPTION_WIDTH = 122
# Above this many rows, error bars are drawn faint and single outliers do not set the axis.
MANY = 30
# How far a band may reach beyond the data (or else the medians), in spans of these, before the
# axis cuts it. What less than 3% of the axis of delays reaches is cut as well, where showing it
# would squeeze the rest by more than a quarter.
REACH = {"rows": 0.6, "median": 3.0}
SLIVER, SQUEEZE = 0.03, 1.25
TICKS = {
    1 / 1440: "1 min",
    5 / 1440: "5 min",
    15 / 1440: "15 min",
    1 / 24: "1 h",
    1 / 6: "4 h",
    0.5: "12 h",
    1.0: "1 d",
    3.0: "3 d",
    7.0: "7 d",
    28.0: "28 d",
    90.0: "90 d",
    365.0: "1 y",
}


@dataclass(frozen=True)
class _Line:
    """One curve: a level of what varies, its summary by delay, and the rows drawn with it."""

    label: str
    colour: str
    marker: str
    delay: Floats
    median: Floats
    low: Floats
    high: Floats
    beyond: NDArray[np.bool_]
    rows: pd.DataFrame | None


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
        Its artists carry ids: "median: LEVEL", "band: LEVEL", each also with " (beyond data)".

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
    names = _names(table, by)
    lines = _lines(table, names, _rows(data, names))
    caption = [*_caption(curve, lines, ci_prob), *_leftover(data, lines)]
    figure, axes = _page()
    for line in lines:
        _draw(axes, line)
    _delay_axis(axes, lines, log_delay)
    caption += _effect_axis(axes, lines)
    difference = "difference in " if curve.name == "contrast" else ""
    measure = str(curve.attrs.get("measure", "effect"))
    axes.set_ylabel(f"{difference}{MEASURES.get(measure, measure)}")
    axes.set_title(title or "", loc="left", fontsize=11)
    _label(axes, lines)
    _write_caption(figure, axes, caption)
    return figure


# -- what to draw ------------------------------------------------------------------------------


def _names(table: pd.DataFrame, by: str | Sequence[str] | None) -> list[str]:
    """Return the covariates that tell the lines apart."""
    inner = ("delay", "beyond_data", "mean", "sd", "median", "ci_low", "ci_high", "p_positive")
    covariates = [str(name) for name in table if name not in inner]
    varying = [name for name in covariates if table[name].nunique() > 1]
    if by is None:
        return varying
    chosen = [by] if isinstance(by, str) else list(by)
    for name in chosen:
        if name not in covariates:
            known = ", ".join(covariates) or "none"
            raise QueryError(f"by = '{name}' is not a covariate of this curve; known: {known}")
    hidden = [name for name in varying if name not in chosen]
    if hidden:
        raise QueryError(
            f"{', '.join(hidden)} varies along the curve too: add it to by, or ask "
            "for one level of it"
        )
    return chosen


def _rows(data: pd.DataFrame | None, names: Sequence[str]) -> pd.DataFrame | None:
    """Return the rows to draw, each with its delays and its interval."""
    if data is None:
        return None
    ranged = {"delay_low", "delay_high"} <= set(data)
    missing = [name for name in ("y", "v", *names) if name not in data]
    missing += [] if "delay" in data or ranged else ["delay"]
    if missing:
        raise QueryError(
            f"data has no column {', '.join(missing)}; it needs delay, y, v"
            + "".join(f", {name}" for name in names)
        )
    low, high = (data[f"delay_{end}"] if ranged else data["delay"] for end in ("low", "high"))
    delay = data["delay"] if "delay" in data else (low + high) / 2
    half = Z95 * np.sqrt(data["v"])
    rows = data[list(names)].assign(y=data["y"], half=half, delay=delay)
    return rows.assign(left=delay - low.fillna(delay), right=high.fillna(delay) - delay)


def _lines(
    table: pd.DataFrame, names: Sequence[str], rows: pd.DataFrame | None
) -> tuple[_Line, ...]:
    keys = _keys(table, names)
    labels = list(dict.fromkeys(keys))
    if len(labels) > len(COLOURS):
        raise QueryError(
            f"{len(labels)} lines cannot be told apart: ask for {len(COLOURS)} levels "
            f"or fewer of {', '.join(names)}"
        )
    found = []
    for label, colour, marker in zip(labels, COLOURS, MARKERS, strict=False):
        part = table[keys == label].sort_values("delay")
        delay, median, low, high = (
            part[name].to_numpy(dtype=float) for name in ("delay", "median", "ci_low", "ci_high")
        )
        beyond = np.zeros(len(part), dtype=bool)
        if "beyond_data" in part:
            beyond = part["beyond_data"].to_numpy(dtype=bool)
        own = None if rows is None else rows[_keys(rows, names) == label]
        found.append(_Line(label, colour, marker, delay, median, low, high, beyond, own))
    return tuple(found)


def _keys(table: pd.DataFrame, names: Sequence[str]) -> NDArray[np.str_]:
    """Return each row's line as a text such as "repeated, rat"."""
    columns = [[_level(cell) for cell in table[name]] for name in names]
    return np.array(
        [", ".join(cells) for cells in zip(*columns, strict=True)] or [""] * len(table), dtype=str
    )


def _level(cell: object) -> str:
    return f"{cell:g}" if isinstance(cell, int | float | np.number) else str(cell)


# -- drawing -----------------------------------------------------------------------------------


def _page() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.spines[["top", "right"]].set_visible(False)
    axes.axhline(0, color="0.6", linewidth=0.8, zorder=0.5)
    return figure, axes


def _draw(axes: Axes, line: _Line) -> None:
    """Draw a line and its band; the parts beyond the data share their end point with the rest."""
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
            zorder=1,
        )
    if line.rows is not None and len(line.rows):
        _draw_rows(axes, line, line.rows)


def _neighbours(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    out = np.zeros_like(mask)
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    return out


def _draw_rows(axes: Axes, line: _Line, rows: pd.DataFrame) -> None:
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
    drawn[0].set_gid(f"rows: {line.label}")


def _delay_axis(axes: Axes, lines: Sequence[_Line], log_delay: bool) -> None:
    delays = np.concatenate([line.delay for line in lines])
    last = delays.max()
    if not log_delay:
        axes.set_xlim(min(delays.min(), -0.015 * last), last)
        axes.set_xlabel("days since the last dose (0 = during exposure)")
        return
    first = delays[delays > 0].min()
    axes.set_xscale("symlog", linthresh=first, linscale=0.4)
    zero = delays.min() == 0
    axes.set_xlim(-0.25 * first if zero else first, last)
    ticks = ({0.0: "0"} if zero else {}) | {d: t for d, t in TICKS.items() if first <= d <= last}
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels(list(ticks.values()))
    axes.set_xlabel("time since the last dose (0 = during exposure; logarithmic)")


def _effect_axis(axes: Axes, lines: Sequence[_Line]) -> list[str]:
    """Set the limits, and say what they cut.

    The data (without data, the medians) set them, and bands within `REACH` of these: the band of
    a short half-life grows without bound towards delay 0.
    """
    what = "rows" if _extent(lines, "rows") else "median"
    core = np.array([0.0, *(_extent(lines, what) or [1.0])])
    reach = REACH[what] * ((core.max() - core.min()) or 1.0)
    low, high = core.min() - reach, core.max() + reach
    whole, bulk = (
        [*core, *np.clip(ends, low, high)] for ends in (_extent(lines, "band"), _bulk(axes, lines))
    )
    wanted = whole if np.ptp(whole) <= SQUEEZE * np.ptp(bulk) else bulk
    margin = 0.04 * (max(wanted) - min(wanted))
    axes.set_ylim(min(wanted) - margin, max(wanted) + margin)
    return [*_cuts(axes, lines), *_rows_outside(axes, lines)]


def _bulk(axes: Axes, lines: Sequence[_Line]) -> list[float]:
    """Return the ends of lines and bands over all but a sliver of the axis of delays."""
    scale = axes.xaxis.get_transform()
    ends: list[float] = []
    for line in lines:
        x = scale.transform(line.delay)
        places = np.linspace(x.min(), x.max(), 400)
        for values in (line.median, line.low, line.high):
            finite = np.isfinite(values)
            if finite.any():
                shown = np.interp(places, x[finite], values[finite])
                ends += np.quantile(shown, [SLIVER, 1 - SLIVER]).tolist()
    return ends


def _cuts(axes: Axes, lines: Sequence[_Line]) -> list[str]:
    """Say which lines and bands the axis cuts, and how far they reach."""
    low, high = axes.get_ylim()
    found = []
    for name, words in (("median", "line"), ("band", "band")):
        ends = _extent(lines, name) or [0.0, 0.0]
        ways = [f"down to {ends[0]:.3g}"] if ends[0] < low else []
        ways += [f"up to {ends[1]:.3g}"] if ends[1] > high else []
        if ways:
            found.append(f"The axis cuts a {words} that reaches {' and '.join(ways)}.")
    return found


def _extent(lines: Sequence[_Line], what: str) -> list[float]:
    """Return the ends of what is drawn, finite ones only; empty where nothing is."""
    pieces: list[Floats] = []
    for line in lines:
        if what == "median":
            pieces.append(line.median)
        elif what == "band":
            pieces += [line.low, line.high]
        elif line.rows is not None and len(line.rows):
            y, half = line.rows["y"].to_numpy(float), line.rows["half"].to_numpy(float)
            many = len(y) > MANY
            pieces.append(np.quantile(y, [0.01, 0.99]) if many else np.r_[y - half, y + half])
    values = np.concatenate(pieces) if pieces else np.zeros(0)
    values = values[np.isfinite(values)]
    return [float(values.min()), float(values.max())] if len(values) else []


def _rows_outside(axes: Axes, lines: Sequence[_Line]) -> list[str]:
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    rows = pd.concat([line.rows for line in lines if line.rows is not None] or [pd.DataFrame()])
    if rows.empty:
        return []
    seen = rows["delay"].between(left, right) & rows["y"].between(low, high)
    count = int((~seen).sum())
    return [f"{count} of {len(rows)} points lie outside the axes."] if count else []


def _label(axes: Axes, lines: Sequence[_Line]) -> None:
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


def _caption(curve: xr.DataArray, lines: Sequence[_Line], ci_prob: float) -> list[str]:
    estimand = str(curve.attrs.get("estimand", "effect"))
    found = [f"{estimand[:1].upper()}{estimand[1:]}."]
    text = f"Lines: posterior medians; bands: {ci_prob * 100:g}% intervals"
    if any(line.beyond.any() for line in lines):
        text += "; dashed: beyond the delays of the data"
    drawn = [line.rows for line in lines if line.rows is not None and len(line.rows)]
    if drawn:
        text += ". Points: the data with their 95% intervals"
        if any(rows[["left", "right"]].any(axis=None) for rows in drawn):
            text += "; bars across: the range of the delays pooled in one point"
    return [*found, f"{text}."]


def _leftover(data: pd.DataFrame | None, lines: Sequence[_Line]) -> list[str]:
    """Say how many rows belong to none of the lines."""
    if data is None:
        return []
    count = len(data) - sum(len(line.rows) for line in lines if line.rows is not None)
    return [f"{count} rows of the data belong to no line and are not drawn."] if count else []


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
