"""What a picture of decay shows: one line per level of what varies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.diagnostics import days_text
from bayesma.errors import QueryError
from bayesma.frequentist.sentences import effect_text

__all__ = ["MANY", "Line", "lines_of", "names_of", "rows_of"]

Floats = NDArray[np.float64]
Z95 = 1.959963984540054

# Okabe & Ito's palette without its yellow, which is too light on white; blue first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Above this many rows, error bars are drawn faint and single outliers do not set the axis.
MANY = 30


@dataclass(frozen=True)
class Line:
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


def names_of(table: pd.DataFrame, by: str | Sequence[str] | None) -> list[str]:
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


def rows_of(data: pd.DataFrame | None, names: Sequence[str]) -> pd.DataFrame | None:
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
    rows["title"] = _titles(data, rows)
    return rows.assign(left=delay - low.fillna(delay), right=high.fillna(delay) - delay)


def _titles(data: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Return what each row says of itself: its name, effect, interval and delay."""
    known = [name for name in ("name", "row_id", "study") if name in data]
    labels = data[known[0]].astype(str) if known else pd.Series("row", data.index)
    cells = zip(labels, rows["y"], rows["half"], rows["delay"], strict=True)
    return [
        f"{' '.join(name.split())}: {effect_text(y, y - half, y + half, 2)} at {days_text(delay)}"
        for name, y, half, delay in cells
    ]


def lines_of(
    table: pd.DataFrame, names: Sequence[str], rows: pd.DataFrame | None
) -> tuple[Line, ...]:
    """Return one line per level, in the order of the grid, with the rows that belong to it."""
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
        found.append(Line(label, colour, marker, delay, median, low, high, beyond, own))
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
