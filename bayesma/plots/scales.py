"""The axes of a picture of decay: limits that show the data, and what they cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from bayesma.plots.lines import MANY, Line

__all__ = ["delay_axis", "effect_axis"]

Floats = NDArray[np.float64]

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


def delay_axis(axes: Axes, lines: Sequence[Line], log_delay: bool) -> None:
    """Set the axis of delays: days, or a logarithmic scale with 0 on it."""
    delays = np.concatenate([line.delay for line in lines])
    last = delays.max()
    if not log_delay:
        axes.set_xlim(min(delays.min(), -0.015 * last), 1.015 * last)
        axes.set_xlabel("days since the last dose (0 = during exposure)")
        return
    first = delays[delays > 0].min()
    axes.set_xscale("symlog", linthresh=first, linscale=0.4)
    zero = delays.min() == 0
    axes.set_xlim(-0.25 * first if zero else 0.9 * first, 1.1 * last)
    ticks = ({0.0: "0"} if zero else {}) | {d: t for d, t in TICKS.items() if first <= d <= last}
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels(list(ticks.values()))
    axes.set_xlabel("time since the last dose (0 = during exposure; logarithmic)")


def effect_axis(axes: Axes, lines: Sequence[Line]) -> list[str]:
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


def _bulk(axes: Axes, lines: Sequence[Line]) -> list[float]:
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


def _cuts(axes: Axes, lines: Sequence[Line]) -> list[str]:
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


def _extent(lines: Sequence[Line], what: str) -> list[float]:
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


def _rows_outside(axes: Axes, lines: Sequence[Line]) -> list[str]:
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    rows = pd.concat([line.rows for line in lines if line.rows is not None] or [pd.DataFrame()])
    if rows.empty:
        return []
    seen = rows["delay"].between(left, right) & rows["y"].between(low, high)
    count = int((~seen).sum())
    return [f"{count} of {len(rows)} points lie outside the axes."] if count else []
