"""Forests: every effect with its interval, and what they come to."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from bayesma.frequentist import Multilevel, Pooled, Subgroups
from bayesma.frequentist.forest import Block, Diamond, Forest, forest_of, limits_of
from bayesma.frequentist.sentences import nested_sentence, pooled_sentence
from bayesma.measures import MEASURES
from bayesma.plots.marks import (
    EDGE,
    FONT,
    NUMBERS,
    PLOT,
    ROW,
    SMALL,
    WEIGHT,
    Line,
    Sheet,
    draw,
    label_of,
    symbols,
)

__all__ = ["plot_forest"]

# Inches. Above MANY rows they share THIN inches, without names and numbers.
MANY, THIN = 60, 6.5
TOP, AXIS, TITLE, PITCH = 0.36, 0.74, 0.28, 0.155
CHARACTER, CAPTION_CHARACTER = 0.07, 0.0605


def plot_forest(
    result: Pooled | Subgroups | Multilevel,
    *,
    labels: str | None = None,
    favours: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw a forest: effects as squares by weight, pooled effects as diamonds.

    Above 60 rows each is a thin line without name and numbers, sorted by effect, and the caption
    says so.

    Parameters
    ----------
    result : Pooled, Subgroups or Multilevel
        A multilevel one of an intercept alone; its squares go with the rows' weights in the
        estimate.
    labels : str, optional
        Column that names the rows; `label` where absent and in the table, else the study.
    favours : sequence of two str, optional
        What an effect below and above 0 means. Where absent: "favours control" and "favours
        treatment" if every effect was computed from arms whose better direction is known; else
        what the sign says.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Its artists carry ids: "interval: LABEL", "effect: LABEL", "cut: LABEL" (an interval that
        leaves the axis; "cut below: LABEL" where both ends do), "pooled: LABEL", "prediction:
        LABEL", "caption".

    Raises
    ------
    SpecError
        If there is no forest of such a result, or the column is unknown.
    """
    forest = forest_of(result, labels, favours)
    thin = len(forest.rows) > MANY
    lines, length = _arranged(forest, thin)
    left = _label_width(lines, thin)
    limits = limits_of(forest)
    caption = [symbols(f"{text}.") for text in (_sentence(result), forest.test) if text]
    axes = _page(left, length, [*caption, *_remarks(forest, limits, thin)], title)
    axes.set_xlim(limits)
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0.5)
    middle: dict[str, Any] = {"color": "0.6", "linewidth": 0.8, "linestyle": (0, (3, 3))}
    axes.axvline(forest.total.estimate, zorder=0.4, **middle)
    heaviest = float(forest.rows["weight"].max())
    sheet = Sheet(axes, left, heaviest, thin, forest.decimals)
    for line in lines:
        draw(sheet, line)
    _headings(sheet, forest)
    _axis(axes, forest)
    return axes.figure  # type: ignore[return-value]


# -- the lines of the page ---------------------------------------------------------------------


def _arranged(forest: Forest, thin: bool) -> tuple[list[Line], float]:
    """Return the lines with their places in inches from the top, and where they end."""
    step = THIN / len(forest.rows) if thin else ROW
    lines: list[Line] = []
    at = 0.15
    for block in forest.blocks:
        if block.title:
            lines.append(Line("title", at, text=block.title))
            at += ROW
        for row in _rows(block, thin):
            lines.append(Line("row", at, row=row))
            at += step
        at += ROW / 2 if thin else 0
        if block.pooled is not None:
            at = _summed(lines, block.pooled, at, outer=False) + ROW / 2
    return lines, _summed(lines, forest.total, at + ROW / 4, outer=True)


def _rows(block: Block, thin: bool) -> list[Mapping[str, Any]]:
    rows = block.rows.sort_values("y", ascending=False, kind="stable") if thin else block.rows
    return [{str(name): cell for name, cell in row.items()} for row in rows.to_dict("records")]


def _summed(lines: list[Line], pooled: Diamond, at: float, outer: bool) -> float:
    """Add the lines of a pooled effect; return where they end."""
    kinds = ["pooled", *(["prediction"] if pooled.prediction else []), "words"]
    for i, kind in enumerate(kinds):
        lines.append(Line(kind, at + i * ROW, pooled=pooled, text=pooled.words, outer=outer))
    return at + len(kinds) * ROW


def _label_width(lines: Sequence[Line], thin: bool) -> float:
    """Return the inches that names need; words may reach into the axes, where they are."""
    named = [line for line in lines if line.kind != "words" and not (thin and line.kind == "row")]
    return EDGE + max(2.0, CHARACTER * max(len(label_of(line)) for line in named) + 0.15)


# -- the page ----------------------------------------------------------------------------------


def _page(left: float, length: float, caption: Sequence[str], title: str | None) -> Axes:
    """Return axes in inches from the top down, with the caption under them."""
    width = left + PLOT + NUMBERS + WEIGHT + EDGE
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


def _headings(sheet: Sheet, forest: Forest) -> None:
    across = blended_transform_factory(sheet.axes.transAxes, sheet.axes.transData)
    right = 1 + NUMBERS / PLOT
    effect = f"{forest.measure or 'effect'} [{100 * forest.ci_prob:g}% CI]"
    heads = [((EDGE - sheet.left) / PLOT, "left", ""), (right, "right", effect)]
    if not sheet.thin:
        heads[0] = (heads[0][0], "left", "study")
        heads.append((right + WEIGHT / PLOT, "right", "weight"))
    for x, side, text in heads:
        sheet.axes.text(
            x, -0.12, text, ha=side, va="center", fontsize=FONT, color="0.35", transform=across
        )


def _axis(axes: Axes, forest: Forest) -> None:
    """Name the axis, and say on either side of no effect what it means."""
    known = MEASURES.get(forest.measure)
    axes.set_xlabel(known.label if known else "effect", fontsize=FONT, labelpad=2)
    across = blended_transform_factory(axes.transData, axes.transAxes)
    for side, text, shift in (
        ("right", f"← {forest.sides[0]}", -6),
        ("left", f"{forest.sides[1]} →", 6),
    ):
        axes.annotate(
            text,
            (0, 0),
            xycoords=across,
            xytext=(shift, -33),
            textcoords="offset points",
            ha=side,
            va="top",
            fontsize=SMALL,
            gid=f"side: {text}",
            annotation_clip=False,
        )


# -- words -------------------------------------------------------------------------------------


def _sentence(result: Pooled | Subgroups | Multilevel) -> str:
    if isinstance(result, Multilevel):
        return nested_sentence(result)
    return pooled_sentence(result.total if isinstance(result, Subgroups) else result)


def _remarks(forest: Forest, limits: tuple[float, float], thin: bool) -> list[str]:
    """Return what a reader must know of the picture."""
    found = []
    rows = forest.rows
    if thin:
        found.append(
            f"The {len(rows)} rows are drawn without names, sorted by effect"
            f"{' within groups' if len(forest.blocks) > 1 else ''}."
        )
    outside = int(((rows["y"] < limits[0]) | (rows["y"] > limits[1])).sum())
    cut = int(((rows["low"] < limits[0]) | (rows["high"] > limits[1])).sum())
    if cut:
        found.append(
            f"The axis cuts {cut} of {len(rows)} intervals"
            f"{f'; effects outside it: {outside}' if outside else ''}."
        )
    if any(pooled.prediction for pooled in forest.diamonds):
        found.append("Bars under diamonds: prediction intervals.")
    return found
