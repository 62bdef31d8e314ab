"""The marks of a forest of shrinkage: rows with names or as hairlines, and their populations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Polygon
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from bayesma.frequentist.forest import shortened
from bayesma.frequentist.sentences import effect_text, fixed

__all__ = [
    "EDGE",
    "FONT",
    "LONGEST",
    "NUMBERS",
    "NUMBERS_OF",
    "OBSERVED",
    "PLOT",
    "ROW",
    "SMALL",
    "TRUE",
    "Block",
    "Page",
    "draw_hairlines",
    "draw_named",
    "draw_population",
]

Floats = NDArray[np.float64]

# Inches; points.
ROW, PLOT, NUMBERS, EDGE = 0.26, 3.6, 1.45, 0.12
FONT, SMALL, LONGEST = 8.5, 8, 44
# How far the two marks of a row stand apart, in rows.
APART = 0.17
# Okabe & Ito; told apart by shape and place as well.
OBSERVED, TRUE, POPULATION = "#777777", "#0072B2", "#D55E00"
NUMBERS_OF = ("median", "ci_low", "ci_high", "new_low", "new_high")


@dataclass(frozen=True)
class Mark:
    """What is drawn of a row: as observed, or as the model has it.

    Attributes
    ----------
    kind : str
    columns : tuple of str
        Of the dot and the ends of its interval.
    colour, shape : str
    shift : int
        -1 above the middle of a line with a name, 1 below.
    size, thick : float
        Points, of a row with a name; those of a hairline go with the room it has.
    """

    kind: str
    columns: tuple[str, str, str]
    colour: str
    shape: str
    shift: int
    size: float
    thick: float


MARKS = (
    Mark("observed", ("y", "low", "high"), OBSERVED, "s", -1, 3.5, 0.8),
    Mark("true", ("true", "true_low", "true_high"), TRUE, "o", 1, 4.5, 1.8),
)


@dataclass(frozen=True)
class Page:
    """The axes, in effects across and inches from the top down, and what is around them.

    Attributes
    ----------
    axes : Axes
    left, wide : float
        Inches to the left of the axes, and across them.
    thin : bool
        Whether rows are too many for words.
    words : str
        What the model does with a row.
    """

    axes: Axes
    left: float
    wide: float
    thin: bool
    words: str

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the axis."""
        return self.axes.get_xlim()

    def write(self, place: str, y: float, text: str, **style: Any) -> None:
        """Write a name to the left of the axes, or numbers in a column to their right."""
        columns = ("left", "observed", "model")
        right = 1 + NUMBERS * (1 if self.thin else columns.index(place)) / self.wide
        x = (EDGE - self.left) / self.wide if place == "left" else right
        side = "left" if place == "left" else "right"
        across = blended_transform_factory(self.axes.transAxes, self.axes.transData)
        usual: dict[str, Any] = {"fontsize": FONT, "va": "center_baseline", "ha": side}
        said = text if side == "left" else text.replace("-", "−")
        self.axes.text(x, y, said, transform=across, **(usual | style))


@dataclass(frozen=True)
class Block:
    """Rows that belong to one population, and where they are, in inches from the top.

    Attributes
    ----------
    title : str
    at : float
        Of the title.
    rows : pandas.DataFrame
    places : ndarray, shape (rows,)
    population : mapping or None
        median, ci_low, ci_high, new_low, new_high, label.
    foot : float
        Of the population mean.
    """

    title: str
    at: float
    rows: pd.DataFrame
    places: Floats
    population: dict[str, Any] | None
    foot: float


def _records_of(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): cell for name, cell in row.items()} for row in rows.to_dict("records")]


def _title(row: Mapping[str, Any], words: str) -> str:
    return f"{row['name']}: observed {_seen(row)}; {words} {_taken(row)}"


def _seen(row: Mapping[str, Any]) -> str:
    return effect_text(row["y"], row["low"], row["high"], 2)


def _taken(row: Mapping[str, Any]) -> str:
    return effect_text(row["true"], row["true_low"], row["true_high"], 2)


def draw_named(page: Page, block: Block, number: int) -> None:
    """Draw rows one by one, with names and numbers."""
    del number
    for row, at in zip(_records_of(block.rows), block.places, strict=True):
        for mark in MARKS:
            _mark(page, row, mark, float(at))
        page.write("left", at, shortened(str(row["name"]), LONGEST))
        page.write("observed", at, _seen(row), color="0.35")
        page.write("model", at, _taken(row))


def _mark(page: Page, row: Mapping[str, Any], mark: Mark, at: float) -> None:
    """Draw a dot with its interval, as far as the axis reaches."""
    axes, limits, title = page.axes, page.limits, _title(row, page.words)
    middle, low, high = (float(row[name]) for name in mark.columns)
    place = at + mark.shift * APART * ROW
    style: dict[str, Any] = {"color": mark.colour, "label": title, "zorder": 3}
    axes.plot(
        np.clip([low, high], *limits),
        [place, place],
        linewidth=mark.thick,
        solid_capstyle="butt",
        gid=f"{mark.kind} interval: {row['name']}",
        **style,
    )
    if limits[0] <= middle <= limits[1]:
        axes.plot(
            [middle],
            [place],
            linestyle="none",
            marker=mark.shape,
            markersize=mark.size,
            markeredgewidth=0,
            gid=f"{mark.kind}: {row['name']}",
            **style,
        )
    _arrows(axes, place, (low, high), limits, mark.colour)


def _arrows(
    axes: Axes, at: float, ends: tuple[float, float], limits: tuple[float, float], colour: str
) -> None:
    """Draw where an interval goes on beyond the axis."""
    for cut, place, marker in (
        (ends[0] < limits[0], limits[0], "<"),
        (ends[1] > limits[1], limits[1], ">"),
    ):
        if cut:
            axes.plot([place], [at], marker=marker, color=colour, markersize=3.5,
                      markeredgewidth=0, clip_on=False, zorder=4)  # fmt: skip


def draw_hairlines(page: Page, block: Block, number: int) -> None:
    """Draw rows as hairlines: one artist of each kind for all of them, with a title per mark."""
    axes, limits = page.axes, page.limits
    if block.rows.empty:
        return
    titles = [_title(row, page.words) for row in _records_of(block.rows)]
    # Points from row to row set how thick they can be.
    pitch = 72 * float(np.ptp(block.places)) / max(len(block.rows) - 1, 1) or 3.0
    for mark in MARKS:
        middle, low, high = (block.rows[name].to_numpy(dtype=float) for name in mark.columns)
        ends = np.clip(np.column_stack([low, high]), *limits)
        segments = np.stack([ends, np.repeat(block.places[:, None], 2, axis=1)], axis=-1)
        thin, thick = (0.25, 0.6) if mark.kind == "observed" else (0.3, 1.3)
        lines = LineCollection(
            list(segments),
            colors=mark.colour,
            linewidths=float(np.clip(0.2 * mark.thick * pitch, thin, thick)),
            alpha=0.7,
            gid=f"{mark.kind} ends of {block.title or number}",
            zorder=2,
        )
        axes.add_collection(lines, autolim=False)
        seen = (middle >= limits[0]) & (middle <= limits[1])
        (dots,) = axes.plot(
            middle[seen],
            block.places[seen],
            linestyle="none",
            marker=mark.shape,
            color=mark.colour,
            markersize=float(np.clip(0.75 * pitch, 1.0, 0.75 * mark.size)),
            markeredgewidth=0,
            gid=f"{mark.kind} dots of {block.title or number}",
            zorder=3,
        )
        # One of the two carries the titles, the larger to point at: both would double the file.
        if mark.kind == "true":
            lines.set_gid(f"true: {block.title or number}")
            lines.set_label("\n".join(titles))
        else:
            dots.set_gid(f"observed: {block.title or number}")
            dots.set_label("\n".join(itertools.compress(titles, seen)))


def draw_population(page: Page, block: Block) -> None:
    """Draw a population mean as a diamond and a new study's prediction interval as a bar."""
    found = block.population
    if found is None:
        return
    label, at, tall = found["label"], block.foot, 0.3 * ROW
    middle, low, high = (float(found[name]) for name in NUMBERS_OF[:3])
    said = effect_text(middle, low, high, 2)
    corners = [(low, at), (middle, at - tall), (high, at), (middle, at + tall)]
    shape = Polygon(corners, closed=True, facecolor=POPULATION, linewidth=0, zorder=4)
    shape.set_gid(f"population: {label}")
    shape.set_label(f"{label}: population mean {said}")
    page.axes.add_patch(shape)
    page.write("left", at, label, fontweight="bold")
    page.write("model", at, said, fontweight="bold")
    first, last = float(found["new_low"]), float(found["new_high"])
    if not np.isfinite(first):
        return
    ends = f"[{fixed(first, 2)}, {fixed(last, 2)}]"
    below = at + 0.85 * ROW
    page.axes.plot(
        np.clip([first, last], *page.limits),
        [below, below],
        color=POPULATION,
        linewidth=3.2,
        alpha=0.5,
        solid_capstyle="butt",
        gid=f"prediction: {label}",
        label=f"{label}: a new study's true effect {ends}",
        zorder=3,
    )
    page.write("left", below, "a new study", fontsize=SMALL, color="0.35")
    page.write("model", below, ends, fontsize=SMALL, color="0.35")
