"""An uncertainty budget as a picture: the variance at each delay, stacked by source of doubt."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bayesma.errors import QueryError
from bayesma.translation.doubts.budget import Budget

__all__ = ["plot_budget"]

# Okabe & Ito's colours; each factor keeps its own in every picture, and its words.
FACTORS = {
    "fit": ("#0072B2", "fit (animals' data)"),
    "new study": ("#56B4E9", "new study (that trial's own)"),
    "species": ("#009E73", "species (a new one)"),
    "no translation": ("#D55E00", "no translation"),
    "discrepancy": ("#E69F00", "discrepancy (of people)"),
    "scaling": ("#CC79A7", "scaling (of time)"),
    "decay form": ("#777777", "decay form"),
    "dose": ("#F0E442", "dose (its equivalent)"),
}
ABOUT = {
    "effect": "the mean effect",
    "trial": "the true effect in one new trial",
    "half_life": "the half-life (if the effect translates)",
}
# Inches.
LEFT, RIGHT, TOP, HEAD, GAP, TALL, LEAST = 0.8, 2.15, 0.35, 0.5, 0.4, 2.6, 5.8
BAR, BROAD, PAGE, LINE = 0.6, 1.0, 7.0, 0.155
# Bars narrower than this have no numbers; a share below this has none either.
NARROW, SMALL = 0.42, 0.055
# Narrower still they are none. Letters of a label in an inch.
THIN, LETTERS = 0.14, 13
CAPTION_WIDTH = 17
# Colours darker than this carry white numbers.
DARK = 0.55


@dataclass(frozen=True)
class Panel:
    """Bars beside each other: the points, what they are called, and the title above."""

    title: str
    index: list[int]
    labels: list[str]


def plot_budget(budget: Budget, title: str | None = None) -> Figure:
    """Draw which part of a prediction's variance each source of doubt makes, by delay.

    Parameters
    ----------
    budget : Budget
        From `uncertainty_budget`.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Shapley effects as stacked bars, one for each delay, a panel for each combination of the
        covariates that vary; the standard deviation is written above. A half-life has a bar for
        each combination. Artists carry ids: "FACTOR: BAR" (as "scaling: repeated, 7 d"),
        "sd: BAR", "caption".

    Raises
    ------
    QueryError
        If it is no budget, or has more bars than fit on a page.
    """
    if not isinstance(budget, Budget):
        raise QueryError(f"a budget is needed, not a {type(budget).__name__}: uncertainty_budget()")
    panels = _panels(budget)
    most = max(len(panel.index) for panel in panels)
    if most * THIN > PAGE:
        raise QueryError(f"{most} bars do not fit beside each other: ask for fewer points")
    bar = min(BAR if "delay" in budget.variance else BROAD, PAGE / most)
    rows = _rows(panels, bar)
    widest = max(_across(row, bar) for row in rows)
    # At least so wide that the title has room.
    wide = max(LEFT + widest + RIGHT, LEAST)
    caption = textwrap.fill(_caption(budget), int(CAPTION_WIDTH * (wide - 0.2)))
    foot = 0.2 + LINE * (caption.count("\n") + 1)
    step = TALL + _low(panels, bar, "delay" in budget.variance) + HEAD
    high = TOP + len(rows) * step + foot
    figure = Figure(figsize=(wide, high), facecolor="white")
    FigureCanvasAgg(figure)
    for number, row in enumerate(rows):
        left, bottom = LEFT, high - TOP - number * step - HEAD - TALL
        for panel in row:
            across = _across([panel], bar)
            axes = figure.add_axes((left / wide, bottom / high, across / wide, TALL / high))
            _draw(axes, budget, panel, bar)
            _dress(axes, budget, panel, bar, first=panel is row[0])
            left += across + GAP
    _legend(figure, budget, (LEFT + widest + 0.15) / wide, 1 - (TOP + HEAD) / high)
    words: dict[str, Any] = {"fontsize": 8, "color": "0.35", "va": "bottom", "ha": "left"}
    figure.text(0.12 / wide, 0.08 / high, caption, gid="caption", **words)
    said = title or f"Where the doubt of {ABOUT[budget.of]} comes from"
    figure.text(0.12 / wide, 1 - 0.1 / high, said, fontsize=11, va="top", ha="left")
    return figure


def _across(row: Sequence[Panel], bar: float) -> float:
    """Return how wide panels beside each other are, in inches."""
    return sum(len(panel.index) * bar for panel in row) + GAP * (len(row) - 1)


def _words(panel: Panel, bar: float) -> tuple[list[str], bool]:
    """Return the words under the bars, and whether they have to stand upright."""
    room = max(int(LETTERS * bar), 1)
    lines = [textwrap.fill(label, room, break_long_words=False) for label in panel.labels]
    upright = any(len(line) > room for text in lines for line in text.split("\n"))
    return (panel.labels if upright else lines), upright


def _low(panels: Sequence[Panel], bar: float, delays: bool) -> float:
    """Return the inches below a panel that its words take."""
    deepest = 0.0
    for panel in panels:
        words, upright = _words(panel, bar)
        lengths = [len(text) / LETTERS if upright else LINE * text.count("\n") for text in words]
        deepest = max(deepest, *lengths)
    return 0.4 + 0.25 * delays + deepest


def _panels(budget: Budget) -> list[Panel]:
    """Return the bars by panel, in the order of the points."""
    points = budget.variance.drop(columns=["variance", "mcse", "sd"])
    fades = "delay" in points
    names = [name for name in points if name != "delay" and points[name].nunique() > 1]
    keys = [
        ", ".join(map(_level, cells)) for cells in zip(*(points[n] for n in names), strict=True)
    ]
    keys = keys or [""] * len(points)
    if not fades:
        return [Panel("", list(range(len(points))), keys)]
    found = []
    for key in dict.fromkeys(keys):
        index = [place for place, other in enumerate(keys) if other == key]
        found.append(Panel(key, index, [_delay(points["delay"].iloc[i]) for i in index]))
    return found


def _level(cell: object) -> str:
    return f"{cell:g}" if isinstance(cell, int | float | np.number) else str(cell)


def _delay(days: float) -> str:
    for unit, size in (("d", 1.0), ("h", 1 / 24)):
        if days >= size or days == 0:
            return f"{days / size:.3g} {unit}"
    return f"{days * 1440:.3g} min"


def _rows(panels: Sequence[Panel], bar: float) -> list[list[Panel]]:
    """Return panels by row of the page."""
    rows: list[list[Panel]] = [[]]
    room = PAGE
    for panel in panels:
        need = len(panel.index) * bar + GAP
        if rows[-1] and need > room + GAP:
            rows.append([])
            room = PAGE
        rows[-1].append(panel)
        room -= need
    return rows


def _draw(axes: Axes, budget: Budget, panel: Panel, bar: float) -> None:
    """Draw the stacks, their numbers and the standard deviations above."""
    inner = budget.table[["factor", "shapley"]]
    count = len(inner) // len(budget.variance)
    for place, (point, label) in enumerate(zip(panel.index, panel.labels, strict=True)):
        name = ", ".join(text for text in (panel.title, label) if text)
        sd = float(budget.variance["sd"].iloc[point])
        bottom = 0.0
        stack = inner.iloc[point * count : (point + 1) * count]
        for factor, share in zip(stack["factor"], stack["shapley"], strict=True):
            if not share > 0:  # NaN as well
                continue
            colour = FACTORS[factor][0]
            (piece,) = axes.bar(
                place,
                share,
                0.82,
                bottom,
                color=colour,
                edgecolor="white",
                linewidth=0.8,
                gid=f"{factor}: {name}",
            )
            piece.set_label(f"{name}: {FACTORS[factor][1]}, {share:.0%} of the variance")
            if share >= SMALL and bar >= NARROW:
                _number(axes, place, bottom + share / 2, share, colour)
            bottom += share
        if bottom == 0:
            axes.text(place, 0.5, "no finite variance", rotation=90, ha="center", va="center",
                      fontsize=8, color="0.45", gid=f"none: {name}")  # fmt: skip
        elif bar >= NARROW:
            axes.text(place, 1.015, f"SD {sd:.2g}", ha="center", va="bottom", fontsize=8,
                      gid=f"sd: {name}")  # fmt: skip


def _number(axes: Axes, x: float, y: float, share: float, colour: str) -> None:
    light = float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))
    ink = "white" if light < DARK else "black"
    axes.text(x, y, f"{share:.0%}", ha="center", va="center", fontsize=7.5, color=ink)


def _dress(axes: Axes, budget: Budget, panel: Panel, bar: float, first: bool) -> None:
    axes.set_xlim(-0.5, len(panel.index) - 0.5)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0%", "25%", "50%", "75%", "100%"], fontsize=8.5)
    words, upright = _words(panel, bar)
    axes.set_xticks(range(len(panel.index)), words, fontsize=8.5)
    axes.tick_params(axis="x", length=0, rotation=90 if upright else 0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    if first:
        axes.set_ylabel("share of the variance", fontsize=9)
    else:
        axes.tick_params(labelleft=False)
    if "delay" in budget.variance:
        axes.set_xlabel("time since the last dose", fontsize=9)
    axes.set_title(panel.title, loc="left", fontsize=9.5, fontweight="bold", pad=16)


def _legend(figure: Figure, budget: Budget, left: float, top: float) -> None:
    """Name the factors that are there, in the order they are stacked, top first."""
    largest: pd.Series[Any] = budget.table.groupby("factor", sort=False)["shapley"].max()
    handles = [
        Patch(facecolor=FACTORS[str(name)][0], label=FACTORS[str(name)][1])
        for name, share in reversed(list(largest.items()))
        if share > 0
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(left, top),
        frameon=False,
        fontsize=8.5,
        borderpad=0,
        handlelength=1.1,
        handleheight=1.1,
        labelspacing=0.6,
    )


def _caption(budget: Budget) -> str:
    told = (
        "Shapley effects: what several factors do together is shared alike among them. SD: "
        f"standard deviation of the prediction, {budget.units}."
    )
    return " ".join([told, *(f"{note[0].upper()}{note[1:]}." for note in budget.notes)])
