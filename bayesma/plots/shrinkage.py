"""Forests of a Bayesian fit: what each study found, and what the model takes it for."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.transforms import blended_transform_factory

from bayesma.diagnostics import days_text
from bayesma.errors import QueryError
from bayesma.frequentist.forest import limits_around, shortened
from bayesma.frequentist.sentences import effect_text, fixed
from bayesma.measures import MEASURES

__all__ = ["plot_shrinkage"]

# Inches. Above MANY rows they share THIN inches, without names and numbers.
MANY, THIN, GAPS = 60, 7.0, 0.25
ROW, PLOT, BROAD, NUMBERS, EDGE = 0.26, 3.6, 4.6, 1.45, 0.12
TOP, AXIS, TITLE, PITCH = 0.4, 0.45, 0.28, 0.155
FONT, SMALL, LONGEST = 8.5, 8, 44
CHARACTER, CAPTION_CHARACTER = 0.07, 0.0605
# How far the two marks of a row stand apart, in rows.
APART = 0.17
# Okabe & Ito; told apart by shape and place as well.
OBSERVED, TRUE, POPULATION = "#777777", "#0072B2", "#D55E00"
NEEDED = ("name", "y", "low", "high", "true", "true_low", "true_high")
NUMBERS_OF = ("median", "ci_low", "ci_high", "new_low", "new_high")


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
    places: np.ndarray[Any, np.dtype[np.float64]]
    population: dict[str, Any] | None
    foot: float


def plot_shrinkage(
    rows: pd.DataFrame,
    population: pd.DataFrame | None = None,
    by: str | None = None,
    title: str | None = None,
) -> Figure:
    """Draw every row as observed and as the model takes it, with the population it belongs to.

    Above 60 rows each is a thin line without name and numbers; rows stand sorted by effect.

    Parameters
    ----------
    rows : pandas.DataFrame
        From `shrinkage`.
    population : pandas.DataFrame, optional
        From `population_effects` on the same fit: means as diamonds, and the prediction interval
        of a new study as a bar.
    by : str, optional
        Covariate of both by which rows are grouped; those that belong to no level of it stand
        last.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Its artists carry ids: "observed: NAME" and "true: NAME" (intervals "observed interval:
        NAME", "true interval: NAME"), or where rows are many one of each kind per group, with a
        title per mark; "population: LABEL", "prediction: LABEL", "caption".

    Raises
    ------
    QueryError
        If a column is missing, or there is no row.
    """
    _check(rows, population, by)
    thin = len(rows) > MANY
    blocks, length = _arranged(rows, population, by, thin)
    shrinks = bool(rows.attrs.get("shrinks", True))
    left = EDGE + 0.15 + CHARACTER * _longest(blocks, thin)
    caption = _caption(rows, population, limits := _limits(rows, population), thin, shrinks)
    page = _page(max(left, 1.3), length, thin, caption, title, shrinks)
    page.axes.set_xlim(limits)
    page.axes.axvline(0, color="0.6", linewidth=0.8, zorder=0.5)
    for number, block in enumerate(blocks):
        if block.title:
            page.write("left", block.at, block.title, fontweight="bold")
        (_thin if thin else _named)(page, block, number)
        _population(page, block)
    _axis(page, rows, shrinks)
    return page.axes.figure  # type: ignore[return-value]


def _check(rows: pd.DataFrame, population: pd.DataFrame | None, by: str | None) -> None:
    missing = [name for name in NEEDED if name not in rows]
    if missing:
        raise QueryError(f"rows have no column {', '.join(missing)}: bm.shrinkage(fit, seed=0)")
    if rows.empty:
        raise QueryError("there is no row to draw")
    if population is not None:
        missing = [name for name in NUMBERS_OF if name not in population]
        if missing:
            raise QueryError(
                f"population has no column {', '.join(missing)}: bm.population_effects(fit, seed=0)"
            )
    lacking = [what for what, frame in (("rows", rows), ("population", population))
               if by is not None and frame is not None and by not in frame]  # fmt: skip
    if lacking:
        raise QueryError(f"by = '{by}' is no column of {' and '.join(lacking)}")


# -- the lines of the page ---------------------------------------------------------------------


def _arranged(
    rows: pd.DataFrame, population: pd.DataFrame | None, by: str | None, thin: bool
) -> tuple[list[Block], float]:
    """Return the blocks with their places in inches from the top, and where they end."""
    step = THIN / len(rows) if thin else ROW
    blocks: list[Block] = []
    at = 0.12
    groups = _groups(rows, population, by)
    for name, unsorted, populations in groups:
        own = unsorted.sort_values("y", ascending=False, kind="stable")
        title = at
        at += ROW if name else 0.0
        places = at + step * np.arange(len(own))
        at += step * len(own) + (0.12 if thin else 0.04)
        first = populations[0] if populations else None
        blocks.append(Block(name, title, own, places, first, at))
        at += _deep(first)
        for more in populations[1:]:
            blocks.append(Block("", at, own.iloc[:0], places[:0], more, at))
            at += _deep(more)
        at += GAPS
    return blocks, at - GAPS + 0.05


def _deep(population: dict[str, Any] | None) -> float:
    """Return the inches that a population takes."""
    if population is None:
        return 0.0
    return ROW * (2 if np.isfinite(population["new_low"]) else 1)


def _groups(
    rows: pd.DataFrame, population: pd.DataFrame | None, by: str | None
) -> list[tuple[str, pd.DataFrame, list[dict[str, Any]]]]:
    """Return groups: a name, its rows and its populations."""
    records = [] if population is None else _records(population, by)
    if by is None:
        return [("", rows, [record for _, record in records])]
    levels = list(dict.fromkeys(key for key, _ in records)) or sorted(set(rows[by].dropna()))
    texts = rows[by].astype(object).map(lambda cell: "" if pd.isna(cell) else str(cell))
    found = [
        (f"{by}: {level}", rows[texts == str(level)], [r for key, r in records if key == level])
        for level in levels
    ]
    rest = rows[~texts.isin([str(level) for level in levels])]
    return [*found, *([(f"other or several levels of {by}", rest, [])] if len(rest) else [])]


def _records(population: pd.DataFrame, by: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Return each population's level of what groups, and its numbers with a label."""
    inner = {*NUMBERS_OF, "p_positive", "delay"}
    found = []
    for record in population.to_dict("records"):
        levels = [str(record[name]) for name in population if name not in inner]
        label = ", ".join(levels) or "population mean"
        if "delay" in record:
            label += f", {days_text(record['delay'])}"
        numbers = {str(name): record[name] for name in NUMBERS_OF}
        found.append((str(record[by]) if by else "", {**numbers, "label": label}))
    return found


def _longest(blocks: Sequence[Block], thin: bool) -> int:
    """Return the letters of the longest name."""
    named = [] if thin else blocks
    names = [shortened(str(name), LONGEST) for block in named for name in block.rows["name"]]
    names += [block.title for block in blocks]
    names += [block.population["label"] for block in blocks if block.population]
    return max(map(len, names))


def _limits(rows: pd.DataFrame, population: pd.DataFrame | None) -> tuple[float, float]:
    """Return the ends of the axis: no effect, the populations, and the bulk of the rows."""
    must = [0.0]
    if population is not None:
        ends = population[list(NUMBERS_OF)].to_numpy(dtype=float)
        must += ends[np.isfinite(ends)].tolist()
    taken = rows[["true_low", "true_high"]].to_numpy(dtype=float)
    inside = np.nan_to_num(taken, nan=0.0, posinf=0.0, neginf=0.0)
    must += np.quantile(inside, [0.02, 0.98]).tolist()
    return limits_around(must, rows["y"].to_numpy(), rows[["low", "high"]].to_numpy())


# -- the page ----------------------------------------------------------------------------------


def _page(
    left: float,
    length: float,
    thin: bool,
    caption: Sequence[str],
    title: str | None,
    shrinks: bool,
) -> Page:
    """Return the page, with the caption under its axes."""
    wide = BROAD if thin else PLOT
    width = left + wide + NUMBERS * (1 if thin else 2) + EDGE
    text = textwrap.fill(" ".join(caption), int((width - 2 * EDGE) / CAPTION_CHARACTER))
    below = AXIS + PITCH * (text.count("\n") + 1) + 0.1
    height = TOP + (TITLE if title else 0.0) + length + below
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((left / width, below / height, wide / width, length / height))
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
    return Page(axes, left, wide, thin, "taken for" if shrinks else "fitted")


def _axis(page: Page, rows: pd.DataFrame, shrinks: bool) -> None:
    """Name the axis, the columns and the marks."""
    axes = page.axes
    measure = str(rows.attrs.get("measure", "effect"))
    label = MEASURES[measure].label if measure in MEASURES else measure
    axes.set_xlabel(label, fontsize=FONT, labelpad=2)
    model = "true effect, by the model" if shrinks else "fitted mean, by the model"
    handles = [
        Line2D([], [], color=OBSERVED, marker="s", markersize=4, linewidth=0.8, label="observed"),
        Line2D([], [], color=TRUE, marker="o", markersize=4.5, linewidth=1.6, label=model),
    ]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=SMALL,
        borderpad=0.2,
        borderaxespad=0.3,
        columnspacing=1.2,
    )
    for place, head in () if page.thin else (("observed", "observed"), ("model", "by the model")):
        page.write(place, -0.12, head, color="0.35")


# -- marks -------------------------------------------------------------------------------------


def _title(row: Any, words: str) -> str:
    seen = effect_text(row.y, row.low, row.high, 2)
    return f"{row.name}: observed {seen}; {words} {_taken(row)}"


def _taken(row: Any) -> str:
    return effect_text(row.true, row.true_low, row.true_high, 2)


def _named(page: Page, block: Block, number: int) -> None:
    """Draw rows one by one, with names and numbers."""
    del number
    axes, limits = page.axes, page.limits
    for row, at in zip(block.rows.itertuples(index=False, name="Row"), block.places, strict=True):
        title = _title(row, page.words)
        for kind, place, (middle, low, high), colour, marker, size, width in (
            ("observed", at - APART * ROW, (row.y, row.low, row.high), OBSERVED, "s", 3.5, 0.8),
            (
                "true",
                at + APART * ROW,
                (row.true, row.true_low, row.true_high),
                TRUE,
                "o",
                4.5,
                1.8,
            ),
        ):
            style = {"color": colour, "label": title, "zorder": 3}
            shown = np.clip([low, high], *limits)
            axes.plot(shown, [place, place], linewidth=width, solid_capstyle="butt",
                      gid=f"{kind} interval: {row.name}", **style)  # fmt: skip
            if limits[0] <= middle <= limits[1]:
                axes.plot([middle], [place], linestyle="none", marker=marker, markersize=size,
                          markeredgewidth=0, gid=f"{kind}: {row.name}", **style)  # fmt: skip
            _arrows(axes, place, (low, high), limits, colour)
        page.write("left", at, shortened(str(row.name), LONGEST))
        page.write("observed", at, effect_text(row.y, row.low, row.high, 2), color="0.35")
        page.write("model", at, _taken(row))


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


def _thin(page: Page, block: Block, number: int) -> None:
    """Draw rows as hairlines: one artist of each kind for all of them, with a title per mark."""
    axes, limits = page.axes, page.limits
    if block.rows.empty:
        return
    titles = [_title(row, page.words) for row in block.rows.itertuples(index=False, name="Row")]
    # Points from row to row set how thick they can be.
    pitch = 72 * float(np.ptp(block.places)) / max(len(block.rows) - 1, 1) or 3.0
    for kind, columns, colour, marker, width, size in (
        ("observed", ("y", "low", "high"), OBSERVED, "s", (0.25, 0.6), (1.0, 2.6)),
        ("true", ("true", "true_low", "true_high"), TRUE, "o", (0.3, 1.3), (1.2, 3.4)),
    ):
        thick = float(np.clip(pitch * (0.16 if kind == "observed" else 0.35), *width))
        middle, low, high = (block.rows[name].to_numpy(dtype=float) for name in columns)
        ends = np.clip(np.column_stack([low, high]), *limits)
        segments = np.stack([ends, np.repeat(block.places[:, None], 2, axis=1)], axis=-1)
        lines = LineCollection(
            list(segments),
            colors=colour,
            linewidths=thick,
            alpha=0.7,
            gid=f"{kind} intervals: {number}",
            zorder=2,
        )
        axes.add_collection(lines, autolim=False)
        seen = (middle >= limits[0]) & (middle <= limits[1])
        (points,) = axes.plot(
            middle[seen],
            block.places[seen],
            linestyle="none",
            marker=marker,
            color=colour,
            markersize=float(np.clip(0.75 * pitch, *size)),
            markeredgewidth=0,
            gid=f"{kind}: {number}",
            zorder=3,
        )
        # Intervals of what the model says carry the titles: two of each row would double the file.
        if kind == "true":
            lines.set_label("\n".join(titles))
            points.set_gid(f"medians {number}")
        else:
            lines.set_gid(f"ends {number}")
            points.set_label("\n".join(t for t, keep in zip(titles, seen, strict=True) if keep))


def _population(page: Page, block: Block) -> None:
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


# -- words -------------------------------------------------------------------------------------


def _caption(
    rows: pd.DataFrame,
    population: pd.DataFrame | None,
    limits: tuple[float, float],
    thin: bool,
    shrinks: bool,
) -> list[str]:
    percent = f"{100 * float(rows.attrs.get('ci_prob', 0.95)):g}%"
    what = "posterior of the true effect behind it" if shrinks else "the model's mean for it"
    found = [f"Grey squares: each row with its {percent} interval. Blue dots: {what}."]
    if population is not None:
        said = "Diamonds: the population mean"
        if np.isfinite(population["new_low"]).any():
            said += "; bars: where the true effect of a new study lies"
        said += f" ({percent})"
        found.append(
            said
            + ("." if "delay" not in population else ", at the delay named; each row has its own.")
        )
    if thin:
        found.append(f"The {len(rows)} rows are sorted by effect and drawn without names.")
    outside = int((~rows["y"].between(*limits)).sum())
    cut = int(((rows["low"] < limits[0]) | (rows["high"] > limits[1])).sum())
    if cut:
        found.append(
            f"The axis cuts {cut} of {len(rows)} observed intervals"
            f"{f'; effects outside it: {outside}' if outside else ''}."
        )
    return found
