"""The evidence map: how many effects lie where, by regimen, species and delay."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bayesma.errors import QueryError
from bayesma.plots.lines import COLOURS

__all__ = ["plot_evidence_map"]

# Inches and points.
COLUMN, ROW, LEFT, RIGHT, TOP, BOTTOM = 0.78, 0.44, 2.1, 0.25, 0.3, 0.9
SMALL, FONT, LARGEST, SMALLEST = 8, 9, 24.0, 6.0
# Width of a figure; a number that does not fit into its mark stands beside it.
LETTER = 5.5
# Shapes with room for a number.
SHAPES = ("o", "s", "h", "D", "8", "p")
# More lines than this nobody reads; the table holds them all.
MOST = 40
ALL = "all"


def plot_evidence_map(table: pd.DataFrame, title: str | None = None) -> Figure:
    """Draw how many effects each regimen has, in each species, by delay.

    Parameters
    ----------
    table : pandas.DataFrame
        From `evidence_map`.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        One line per regimen and species, one column per bin of delays; the area of a mark goes
        with its number of effects, which stands in or beside it; species differ by shape and
        colour. The marks carry ids such as "cell: repeated, rat, 1 to 3 d".

    Raises
    ------
    QueryError
        If the table is not that of `evidence_map`, or is empty.
    """
    if not {"effects", "studies"} <= set(table) or table.empty:
        raise QueryError("an evidence map is drawn from bm.evidence_map(fit)")
    names = [name for name in ("regimen", "species") if name in table]
    lines, left_out = _lines(table, names)
    delays = _delays(table)
    figure, axes = _page(len(lines), len(delays))
    species = list(dict.fromkeys(table["species"])) if "species" in table else []
    heaviest = float(table["effects"].max())
    counts = str(table.attrs.get("counts", "effects"))
    for record in table.to_dict("records"):
        line = tuple(str(record[name]) for name in names)
        if line in lines:
            place = delays.index(str(record.get("delay", ALL))), lines.index(line)
            style = species.index(record["species"]) if species else 0
            label = ", ".join([*line, *([str(record["delay"])] if "delay" in record else [])])
            _mark(axes, place, record, (style, heaviest), (label or ALL, counts))
    _label(axes, lines, delays, names)
    axes.set_title(title or "", loc="left", fontsize=11)
    _caption(figure, counts, left_out)
    return figure


def _lines(table: pd.DataFrame, names: Sequence[str]) -> tuple[list[tuple[str, ...]], int]:
    """Return the lines, the fullest where there are too many, and how many are left out."""
    if not names:
        return [()], 0
    sums = table.groupby(list(names), sort=False, observed=True)["effects"].sum()
    kept = sums if len(sums) <= MOST else sums.nlargest(MOST)
    keys = [key if isinstance(key, tuple) else (key,) for key in kept.index]
    return sorted(tuple(map(str, key)) for key in keys), len(sums) - len(kept)


def _delays(table: pd.DataFrame) -> list[str]:
    """Return the columns: from the first bin with an effect to the last, gaps among them."""
    if "delay" not in table:
        return [ALL]
    if not isinstance(table["delay"].dtype, pd.CategoricalDtype):
        return list(dict.fromkeys(map(str, table["delay"])))
    *bins, unknown = map(str, table["delay"].cat.categories)
    held = set(map(str, table["delay"]))
    places = [i for i, name in enumerate(bins) if name in held]
    return [
        *(bins[places[0] : places[-1] + 1] if places else []),
        *([unknown] if unknown in held else []),
    ]


def _page(lines: int, columns: int) -> tuple[Figure, Axes]:
    width = max(LEFT + COLUMN * columns + RIGHT, 6.4)
    height = TOP + ROW * lines + BOTTOM
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (LEFT / width, BOTTOM / height, COLUMN * columns / width, ROW * lines / height)
    )
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(lines - 0.5, -0.5)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    for edge in range(lines + 1):
        axes.axhline(edge - 0.5, color="0.85", linewidth=0.6, zorder=0)
    for edge in range(columns + 1):
        axes.axvline(edge - 0.5, color="0.92", linewidth=0.6, zorder=0)
    return figure, axes


def _mark(
    axes: Axes,
    place: tuple[int, int],
    record: Mapping[Hashable, Any],
    style: tuple[int, float],
    words: tuple[str, str],
) -> None:
    """Draw one count: a mark whose area goes with it, and the number on it."""
    (label, counts), (kind, heaviest) = words, style
    number, colour = int(str(record["effects"])), COLOURS[kind % len(COLOURS)]
    size = max(LARGEST * (number / heaviest) ** 0.5, SMALLEST)
    noun = counts if number != 1 else counts.replace("effects", "effect", 1)
    studies = int(str(record["studies"]))
    noun = noun.replace("comparisons", "comparison", 1) if number == 1 else noun
    (drawn,) = axes.plot(
        [place[0]],
        [place[1]],
        marker=SHAPES[kind % len(SHAPES)],
        markersize=size,
        # A tint, on which dark figures can be read.
        markerfacecolor=(*_rgb(colour), 0.25),
        markeredgecolor=colour,
        markeredgewidth=1.2,
        linestyle="none",
        gid=f"cell: {label}",
        zorder=2,
    )
    drawn.set_label(f"{label}: {number} {noun}, {studies} {'study' if studies == 1 else 'studies'}")
    inside = size > LETTER * (len(str(number)) + 1)
    axes.annotate(
        str(number),
        place,
        (0 if inside else size / 2 + 2.5, 0),
        textcoords="offset points",
        ha="center" if inside else "left",
        va="center_baseline",
        fontsize=FONT,
        gid="count",
        zorder=3,
    )


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _label(
    axes: Axes, lines: Sequence[tuple[str, ...]], delays: Sequence[str], names: Sequence[str]
) -> None:
    """Name columns and lines; of lines with one regimen only the first says it."""
    axes.set_xticks(range(len(delays)))
    axes.set_xticklabels([textwrap.fill(name, 10) for name in delays], fontsize=SMALL)
    axes.set_yticks([])
    axes.tick_params(length=0)
    if list(delays) != [ALL]:
        axes.set_xlabel("time since the last dose", fontsize=FONT)
    said = ""
    for place, line in enumerate(lines):
        texts = [*line] or [ALL]
        inches = (-LEFT + 0.1, -0.1) if len(names) == 2 else (-0.1,)
        for text, where, weight in zip(texts, inches, ("bold", "normal"), strict=False):
            repeated = len(names) == 2 and weight == "bold" and text == said
            if not repeated:
                axes.annotate(
                    textwrap.shorten(text, 22, placeholder="…"),
                    (-0.5, place),
                    (72 * where, 0),
                    textcoords="offset points",
                    ha="left" if where < -1 else "right",
                    va="center",
                    fontsize=FONT,
                    fontweight=weight if len(names) == 2 else "normal",
                    annotation_clip=False,
                    gid="line",
                )
        said = texts[0]


def _caption(figure: Figure, counts: str, left_out: int) -> None:
    width, height = figure.get_size_inches()
    text = (
        f"Numbers: {counts}; the area of a mark goes with them. Time 0: while exposed, or at once."
    )
    if left_out:
        text += f" {left_out} more lines, with fewer, are in the table alone."
    figure.text(
        0.12 / width,
        0.08 / height,
        textwrap.fill(text, int(15 * width)),
        fontsize=SMALL,
        color="0.35",
        va="bottom",
        gid="caption",
    )
