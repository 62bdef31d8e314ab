"""Funnels: effects against the size of their studies."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from bayesma.errors import QueryError
from bayesma.frequentist import Asymmetry
from bayesma.frequentist.forest import FENCE
from bayesma.frequentist.sentences import effect_text, p_text
from bayesma.measures import MEASURES

__all__ = ["plot_funnel"]

# Inches and points.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 6.4, 4.4, 0.8, 0.2, 0.4, 0.6
SMALL, LINE, CAPTION_WIDTH = 8, 0.155, 102
POINT, TREND = "#0072B2", "#D55E00"
NEEDED = ("name", "effect", "size", "v", "n")
# Numbers of animals that an axis names.
SIZES = (4, 6, 8, 10, 12, 16, 20, 30, 40, 60, 100, 200, 500, 1000, 5000)
# Ticks closer than this share of the axis are left out.
APART = 0.06
Z95 = 1.959963984540054


def plot_funnel(
    points: pd.DataFrame, line: Asymmetry | None = None, title: str | None = None
) -> Figure:
    """Draw a funnel: effects, or residuals, against the size of their studies, large ones on top.

    Parameters
    ----------
    points : pandas.DataFrame
        From `funnel_points`.
    line : Asymmetry, optional
        From `egger` on the same rows and the same predictor: drawn as a line.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Artists carry ids: "rows: effects" (a title per mark), "centre: mean", "limits: 95%",
        "line: Egger", "caption".

    Raises
    ------
    QueryError
        If a column is missing, there is no row, or the line is of another predictor.
    """
    missing = [name for name in NEEDED if name not in points]
    if missing:
        raise QueryError(f"points have no column {', '.join(missing)}: bm.funnel_points(fit)")
    if points.empty:
        raise QueryError("there is no row to draw")
    predictor = str(points.attrs.get("predictor", "se"))
    if line is not None and line.predictor != predictor:
        raise QueryError(
            f"the line is of {line.predictor} and the points are of {predictor}: "
            f"bm.egger(..., predictor='{predictor}')"
        )
    figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.spines[["top", "right"]].set_visible(False)
    deepest = 1.05 * float(points["size"].max())
    axes.set_ylim(deepest, 0)
    limits = _limits(points)
    axes.set_xlim(limits)
    cone = _cone(points)
    _guides(axes, points, cone, deepest)
    if line is not None:
        _line(axes, line, deepest)
    outside = _rows(axes, points, limits)
    _name_axes(axes, points, predictor)
    axes.set_title(title or "", loc="left", fontsize=11)
    _write_caption(figure, axes, _caption(points, line, cone, outside))
    return figure


def _limits(points: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the axis of effects: all but those far out (Tukey's fences)."""
    y = points["effect"].to_numpy(dtype=float)
    lower, upper = np.quantile(y, [0.25, 0.75])
    reach = FENCE * (upper - lower)
    seen = y[(y >= lower - reach) & (y <= upper + reach)]
    centre = _centre(points)
    shown = [*seen, *([] if centre is None else [centre])]
    margin = 0.06 * float(np.ptp(shown)) or 0.5
    return float(min(shown)) - margin, float(max(shown)) + margin


def _centre(points: pd.DataFrame) -> float | None:
    centre = float(points.attrs.get("centre", np.nan))
    return None if np.isnan(centre) else centre


def _cone(points: pd.DataFrame) -> float | None:
    """Return the slope of the 95% limits of sampling error, in effects per unit of size.

    The standard error itself; of an SMD near 0 in arms of equal size v = 4 / n, so that
    se = 2 / sqrt(n). Other measures go by the spread of the outcome, and have none.
    """
    if points.attrs.get("predictor") == "se":
        return Z95
    return 2 * Z95 if points.attrs.get("measure") == "SMD" else None


def _guides(axes: Axes, points: pd.DataFrame, cone: float | None, deepest: float) -> None:
    centre = _centre(points)
    if centre is None:
        return
    axes.plot(
        [centre, centre],
        [0, deepest],
        color="0.45",
        linewidth=1.0,
        gid="centre: mean",
        label=f"the model's mean: {centre:.2f}",
        zorder=1,
    )
    if cone is not None:
        ends = np.array([0, deepest])
        x = np.r_[centre - cone * ends, centre + cone * ends[::-1]]
        axes.plot(
            x,
            np.r_[ends, ends[::-1]],
            color="0.6",
            linewidth=0.8,
            linestyle=(0, (4, 3)),
            gid="limits: 95%",
            label="95% limits of sampling error alone",
            zorder=1,
        )


def _line(axes: Axes, line: Asymmetry, deepest: float) -> None:
    first, slope = (float(b) for b in line.beta)
    axes.plot(
        [first, first + slope * deepest],
        [0, deepest],
        color=TREND,
        linewidth=1.6,
        gid="line: Egger",
        label=f"Egger's line: slope {slope:.2f}, {p_text(line.p)}",
        zorder=2,
    )


def _rows(axes: Axes, points: pd.DataFrame, limits: tuple[float, float]) -> int:
    """Draw the rows, with a title each; return how many lie outside the axes."""
    seen = points[points["effect"].between(*limits)]
    many = len(points) > 100
    (marks,) = axes.plot(
        seen["effect"],
        seen["size"],
        linestyle="none",
        marker="o",
        color=POINT,
        markersize=3.5 if many else 5.5,
        alpha=0.5 if many else 0.8,
        markeredgewidth=0,
        gid="rows: effects",
        zorder=3,
    )
    half = Z95 * np.sqrt(seen["v"])
    titles = []
    for name, y, spread, n in zip(seen["name"], seen["effect"], half, seen["n"], strict=True):
        animals = "" if np.isnan(n) else f", {n:g} animals"
        titles.append(f"{name}: {effect_text(y, y - spread, y + spread, 2)}{animals}")
    marks.set_label("\n".join(titles))
    return len(points) - len(seen)


def _name_axes(axes: Axes, points: pd.DataFrame, predictor: str) -> None:
    measure = str(points.attrs.get("measure", "effect"))
    label = MEASURES[measure].label if measure in MEASURES else measure
    what = "effect minus its fitted mean, " if points.attrs.get("of") == "residual" else ""
    axes.set_xlabel(f"{what}{label}")
    if predictor == "se":
        axes.set_ylabel("standard error")
        return
    deepest = axes.get_ylim()[0]
    places: list[float] = []
    names = []
    for n in SIZES:
        place = n**-0.5
        room = APART * deepest
        if room < place <= deepest and (not places or places[-1] - place > room):
            places.append(place)
            names.append(str(n))
    axes.yaxis.set_major_locator(FixedLocator([*places, 0.0]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticklabels([*names, "∞"])
    axes.set_ylabel("animals n, at 1/√n")


def _caption(
    points: pd.DataFrame, line: Asymmetry | None, cone: float | None, outside: int
) -> Sequence[str]:
    what = "residual" if points.attrs.get("of") == "residual" else "effect"
    found = [f"Points: the {what}s of {len(points)} rows, large studies on top."]
    if _centre(points) is not None:
        mean = "no residual" if what == "residual" else "the model's mean"
        found.append(f"Grey line: {mean}.")
        if cone is not None:
            within = "" if points.attrs.get("predictor") == "se" else " of small effects"
            found.append(
                f"Dashed: where 95%{within} would lie if studies differed by chance alone."
            )
    if line is not None:
        slope, (low, high) = float(line.beta[1]), line.inference.ci[1]
        found.append(
            f"Orange: Egger's line, slope {effect_text(slope, float(low), float(high), 2)} "
            f"({100 * line.ci_prob:g}% CI), {p_text(line.p)}."
        )
    if outside:
        found.append(f"{outside} rows lie outside the axes.")
    return found


def _write_caption(figure: Figure, axes: Axes, sentences: Sequence[str]) -> None:
    """Put the caption under the axes, and make the page as high as it needs."""
    text = textwrap.fill(" ".join(sentences).replace("-", "−"), CAPTION_WIDTH)
    below = BOTTOM + LINE * (text.count("\n") + 1) + 0.1
    height = HEIGHT + below - BOTTOM
    figure.set_size_inches(WIDTH, height)
    style: dict[str, Any] = {"fontsize": SMALL, "color": "0.35", "va": "bottom", "ha": "left"}
    axes.set_position(
        (
            LEFT / WIDTH,
            below / height,
            (WIDTH - LEFT - RIGHT) / WIDTH,
            (height - below - TOP) / height,
        )
    )
    figure.text(0.12 / WIDTH, 0.08 / height, text, gid="caption", **style)
