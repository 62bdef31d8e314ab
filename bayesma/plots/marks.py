"""The lines of a forest: what each holds, its marks on the axes and its words beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.transforms import blended_transform_factory

from bayesma.frequentist.forest import Diamond, shortened
from bayesma.frequentist.sentences import effect_text, fixed

__all__ = ["Line", "Sheet", "draw", "label_of", "symbols"]

# Points; inches.
FONT, SMALL = 8.5, 8
ROW, PLOT, NUMBERS, WEIGHT, EDGE = 0.2, 3.5, 1.75, 0.6, 0.12
LONGEST = 44
BLUE, RED, BLACK = "#0072B2", "#D55E00", "#000000"


@dataclass(frozen=True)
class Line:
    """One line: the title of a group, a row, a pooled effect, its prediction interval, its words.

    Attributes
    ----------
    kind : {"title", "row", "pooled", "prediction", "words"}
    at : float
        Inches from the top of the axes.
    row : mapping or None
        label, y, low, high, weight.
    pooled : Diamond or None
    text : str
    outer : bool
        Whether it is of all rows.
    """

    kind: str
    at: float
    row: Mapping[str, Any] | None = None
    pooled: Diamond | None = None
    text: str = ""
    outer: bool = False


@dataclass(frozen=True)
class Sheet:
    """What lines are drawn on.

    Attributes
    ----------
    axes : Axes
        In effects across, in inches from the top down.
    left : float
        Inches to the left of the axes.
    heaviest : float
        Largest weight of a row.
    thin : bool
        Whether rows are too many for words.
    decimals : int
    """

    axes: Axes
    left: float
    heaviest: float
    thin: bool
    decimals: int


def symbols(text: str) -> str:
    """Return words with the letters that a picture can have."""
    return text.replace("tau2", "τ²").replace("sigma2", "σ²").replace("I2", "I²")


def label_of(line: Line) -> str:
    """Return what stands to the left of a line."""
    if line.row is not None:
        return shortened(str(line.row["label"]), LONGEST)
    if line.kind == "prediction":
        return "prediction interval"
    return line.pooled.label if line.kind == "pooled" and line.pooled else symbols(line.text)


def draw(sheet: Sheet, line: Line) -> None:
    """Draw a line and write its words."""
    if line.row is not None:
        _draw_row(sheet, line, line.row)
    elif line.kind == "pooled" and line.pooled is not None:
        _draw_diamond(sheet, line, line.pooled)
    elif line.kind == "prediction" and line.pooled is not None and line.pooled.prediction:
        sheet.axes.plot(
            line.pooled.prediction,
            [line.at, line.at],
            color=_colour(line),
            linewidth=3.2,
            alpha=0.5,
            solid_capstyle="butt",
            gid=f"prediction: {line.pooled.label}",
            label=f"{line.pooled.label}: prediction interval {_numbers(line, sheet.decimals)}",
            zorder=3,
        )
    if line.row is None or not sheet.thin:
        _write(sheet, line)


def _colour(line: Line) -> str:
    return BLACK if line.outer else RED


def _draw_row(sheet: Sheet, line: Line, row: Mapping[str, Any]) -> None:
    axes, thin, label = sheet.axes, sheet.thin, row["label"]
    title = f"{label}: {_numbers(line, sheet.decimals)}, weight {row['weight']:.1f}%"
    axes.plot(
        [row["low"], row["high"]],
        [line.at, line.at],
        color=BLUE,
        linewidth=0.4 if thin else 1.0,
        alpha=0.5 if thin else 1.0,
        solid_capstyle="butt",
        gid=f"interval: {label}",
        label=title,
        zorder=2,
    )
    # Its area goes with the weight.
    size = (2.0 if thin else 8.5) * (max(row["weight"], 0.0) / sheet.heaviest) ** 0.5
    axes.plot(
        [row["y"]],
        [line.at],
        marker="s",
        color=BLUE,
        markersize=max(size, 0.7 if thin else 1.8),
        markeredgewidth=0,
        linestyle="none",
        gid=f"effect: {label}",
        label=title,
        zorder=3,
    )
    low, high = axes.get_xlim()
    for place, marker, cut in ((low, "<", row["low"] < low), (high, ">", row["high"] > high)):
        if cut and not thin:
            axes.plot(
                [place],
                [line.at],
                marker=marker,
                color=BLUE,
                markersize=4.5,
                markeredgewidth=0,
                clip_on=False,
                # Two arrows of one row have two ids.
                gid=f"cut below: {label}"
                if marker == "<" and row["high"] > high
                else f"cut: {label}",
                label=title,
                zorder=4,
            )


def _draw_diamond(sheet: Sheet, line: Line, pooled: Diamond) -> None:
    tall = 0.36 * ROW
    corners = [
        (pooled.low, line.at),
        (pooled.estimate, line.at - tall),
        (pooled.high, line.at),
        (pooled.estimate, line.at + tall),
    ]
    shape = Polygon(corners, closed=True, facecolor=_colour(line), linewidth=0, zorder=4)
    shape.set_gid(f"pooled: {pooled.label}")
    shape.set_label(f"{pooled.label}: {_numbers(line, sheet.decimals)}")
    sheet.axes.add_patch(shape)


def _write(sheet: Sheet, line: Line) -> None:
    quiet = line.kind in ("words", "prediction")
    style: dict[str, Any] = {
        "transform": blended_transform_factory(sheet.axes.transAxes, sheet.axes.transData),
        "va": "center_baseline",
        "fontsize": SMALL if quiet else FONT,
        "color": "0.35" if quiet else "black",
        "fontweight": "bold" if line.kind in ("title", "pooled") else "normal",
    }
    if line.kind == "words":  # they may reach over the lines of the axes
        style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    sheet.axes.text(
        (EDGE - sheet.left) / PLOT, line.at, label_of(line), ha="left", gid="words", **style
    )
    right = 1 + NUMBERS / PLOT
    if numbers := _numbers(line, sheet.decimals).replace("-", "−"):
        sheet.axes.text(right, line.at, numbers, ha="right", gid="numbers", **style)
    if line.row is not None:
        weight = f"{line.row['weight']:.1f}%"
        sheet.axes.text(right + WEIGHT / PLOT, line.at, weight, ha="right", gid="weight", **style)


def _numbers(line: Line, decimals: int) -> str:
    if line.row is not None:
        return effect_text(line.row["y"], line.row["low"], line.row["high"], decimals)
    if line.pooled is None or line.kind == "words":
        return ""
    if line.kind == "prediction" and line.pooled.prediction:
        return f"[{', '.join(fixed(end, decimals) for end in line.pooled.prediction)}]"
    return effect_text(line.pooled.estimate, line.pooled.low, line.pooled.high, decimals)
