"""Forests of a Bayesian fit: what each study found, and what the model takes it for."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bayesma.diagnostics import days_text
from bayesma.errors import QueryError
from bayesma.frequentist.forest import limits_around, shortened
from bayesma.measures import MEASURES
from bayesma.plots.shrunkmarks import (
    EDGE,
    FONT,
    LONGEST,
    NUMBERS,
    NUMBERS_OF,
    OBSERVED,
    PLOT,
    ROW,
    SMALL,
    TRUE,
    Block,
    Page,
    draw_hairlines,
    draw_named,
    draw_population,
)

__all__ = ["plot_shrinkage"]

Floats = NDArray[np.float64]

# Inches. Above MANY rows they share THIN inches, without names and numbers.
MANY, THIN, GAPS = 60, 7.0, 0.25
BROAD, TOP, AXIS, TITLE, PITCH = 4.6, 0.4, 0.45, 0.28, 0.155
CHARACTER, CAPTION_CHARACTER = 0.07, 0.0605
NEEDED = ("name", "y", "low", "high", "true", "true_low", "true_high")


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
        (draw_hairlines if thin else draw_named)(page, block, number)
        draw_population(page, block)
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
        places = at + step * np.arange(len(own), dtype=np.float64)
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
    texts = rows[by].astype(object).where(rows[by].notna(), "").astype(str)
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
