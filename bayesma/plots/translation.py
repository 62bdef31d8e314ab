"""People beside animals: predicted effects over delay, with what human studies found."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bayesma.errors import QueryError
from bayesma.measures import MEASURES
from bayesma.queries.summaries import summary
from bayesma.translation import Translation
from bayesma.translation.noun import check_translation

__all__ = ["plot_translation"]

# Inches: a panel, and what is around the panels.
PANEL, HEIGHT, LEFT, RIGHT, HEAD, FOOT, GAP = 3.3, 3.2, 0.75, 0.15, 0.6, 1.15, 0.35
MOST_PANELS = 4
# Wong 2011, Nat Methods 8:441: told apart by colour-blind readers.
HUMAN, ANIMAL, SEEN = "#0072B2", "#7f7f7f", "#D55E00"
CAPTION = 128
# Letters of a title to an inch.
TITLE = 11
# Probability of the darker band.
INNER = 0.5


def plot_translation(
    human: Translation,
    animals: xr.DataArray | None = None,
    evidence: pd.DataFrame | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the effect predicted for people over delay, one panel per combination of covariates.

    Parameters
    ----------
    human : Translation
        At two or more delays.
    animals : xarray.DataArray, optional
        The animals' own curve at the same points (`decay_curve`), drawn beside it.
    evidence : pandas.DataFrame, optional
        Human numbers as `Translation.positions` has them: those of effects are drawn.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        Artists carry ids: "people: PANEL", "trial: PANEL", "animals: PANEL", "seen: PANEL".

    Raises
    ------
    QueryError
        If it is no translation, there are fewer than two delays, or more panels than fit one page.
    """
    check_translation(human, "this picture")
    table, inner = human.summary(), human.summary(INNER)
    if "delay" not in table or table["delay"].nunique() < 2:
        raise QueryError("a curve needs two or more delays: bm.translate(fit, delay=[1, 7, 28])")
    known = [str(n) for n in human.effect.coords if n not in ("delay", "beyond_data")]
    names = [name for name in known if name in table and table[name].nunique() > 1]
    table = table.assign(inner_low=inner["ci_low"], inner_high=inner["ci_high"])
    panels = _panels(table, names)
    if len(panels) > MOST_PANELS:
        raise QueryError(f"{len(panels)} panels; at most {MOST_PANELS} fit: name fewer levels")
    figure, axes = _page(len(panels))
    beside = None if animals is None else summary(animals)
    for place, (label, rows) in zip(axes, panels.items(), strict=True):
        _people(place, label, rows)
        _animals(place, label, _same(beside, rows, names))
        _seen(place, label, _same(evidence, rows, names))
        place.set_title(label, loc="left", fontsize=10)
    _finish(figure, axes, human, beside is not None, title)
    return figure


def _panels(table: pd.DataFrame, names: list[str]) -> dict[str, pd.DataFrame]:
    if not names:
        return {"": table}
    keys = table[names].astype(str).agg(", ".join, axis=1)
    return {label: table[keys == label] for label in dict.fromkeys(keys)}


def _same(table: pd.DataFrame | None, rows: pd.DataFrame, names: list[str]) -> pd.DataFrame | None:
    """Return the rows of another table that belong to a panel."""
    if table is None:
        return None
    keep = np.ones(len(table), dtype=bool)
    for name in names:
        if name in table:
            keep &= (table[name].astype(str) == str(rows[name].iloc[0])).to_numpy()
    return table[keep]


def _page(count: int) -> tuple[Figure, list[Axes]]:
    width = LEFT + RIGHT + count * PANEL + (count - 1) * GAP
    height = HEAD + HEIGHT + FOOT
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes: list[Axes] = []
    for number in range(count):
        left = (LEFT + number * (PANEL + GAP)) / width
        place = figure.add_axes(
            (left, FOOT / height, PANEL / width, HEIGHT / height),
            sharey=axes[0] if axes else None,
        )
        place.spines[["top", "right"]].set_visible(False)
        place.axhline(0, color="0.6", linewidth=0.8, zorder=0.5)
        place.tick_params(labelleft=not axes)
        axes.append(place)
    return figure, axes


def _people(axes: Axes, label: str, rows: pd.DataFrame) -> None:
    delay = rows["delay"].to_numpy()
    for low, high, name in (("ci_low", "ci_high", "interval"), ("inner_low", "inner_high", "half")):
        axes.fill_between(
            delay,
            rows[low],
            rows[high],
            color=HUMAN,
            alpha=0.18,
            linewidth=0,
            gid=f"people {name}: {label}",
            zorder=1,
        )
    axes.plot(delay, rows["median"], color=HUMAN, linewidth=2, gid=f"people: {label}", zorder=4)
    if "beyond_data" in rows and rows["beyond_data"].any():
        far = rows[rows["beyond_data"].astype(bool)]
        axes.plot(
            far["delay"],
            far["median"],
            color=HUMAN,
            linestyle="",
            marker="o",
            markersize=4.5,
            markerfacecolor="white",
            gid=f"beyond: {label}",
            zorder=4.5,
        )
    for end in ("trial_low", "trial_high"):
        axes.plot(
            delay,
            rows[end],
            color=HUMAN,
            linewidth=0.9,
            linestyle=":",
            gid=f"{end}: {label}",
            zorder=2,
        )


def _animals(axes: Axes, label: str, rows: pd.DataFrame | None) -> None:
    if rows is None or rows.empty:
        return
    delay = rows["delay"].to_numpy()
    axes.plot(
        delay,
        rows["median"],
        color=ANIMAL,
        linewidth=1.6,
        linestyle="--",
        gid=f"animals: {label}",
        zorder=3,
    )
    for end in ("ci_low", "ci_high"):
        axes.plot(
            delay,
            rows[end],
            color=ANIMAL,
            linewidth=0.8,
            linestyle="--",
            alpha=0.6,
            gid=f"animals {end}: {label}",
        )


def _seen(axes: Axes, label: str, rows: pd.DataFrame | None) -> None:
    if rows is None or rows.empty:
        return
    rows = rows[(rows["quantity"] == "effect") & rows["observed"].notna()]
    if rows.empty:
        return
    low = (rows["observed"] - rows["obs_low"]).fillna(0)
    high = (rows["obs_high"] - rows["observed"]).fillna(0)
    drawn = axes.errorbar(
        rows["delay"],
        rows["observed"],
        yerr=[low, high],
        fmt="D",
        color=SEEN,
        markersize=5,
        elinewidth=1.2,
        markeredgecolor="white",
        zorder=5,
    )
    drawn[0].set_gid(f"seen: {label}")


def _finish(
    figure: Figure, axes: Sequence[Axes], human: Translation, beside: bool, title: str | None
) -> None:
    width, height = figure.get_size_inches()
    measure = str(human.effect.attrs["measure"])
    label = MEASURES[measure].label if measure in MEASURES else measure
    axes[0].set_ylabel(label)
    for place in axes:
        place.set_xlabel("days since the last dose")
    head = textwrap.fill(title or "", int(TITLE * (width - LEFT)))
    figure.text(
        LEFT / width, 1 - 0.05 / height, head, fontsize=11, va="top", linespacing=1.0, gid="title"
    )
    who = "people" if human.to == "human" else human.to
    said = [
        f"Solid line and bands: mean effect predicted for {who}, median, 50% and 95% intervals; "
        "dotted: 95% interval of the true effect in one new trial."
    ]
    if any(str(part.get_gid()).startswith("beyond") for place in axes for part in place.lines):
        said.append("Rings: delays at which no animal was measured.")
    if beside:
        said.append("Dashed grey: the animals' own curve, with its 95% interval.")
    if any(str(part.get_gid()).startswith("seen") for place in axes for part in place.lines):
        how = "which updated the curve" if human.updated else "not used in the prediction"
        said.append(f"Diamonds: human studies with their 95% intervals, {how}.")
    p = human.assumptions.no_translation
    delta = human.assumptions.discrepancy or "0"
    said.append(f"Assumed: delta ~ {delta}, P(no translation) = {p:.2g}.")
    text = textwrap.fill(" ".join(said), int(CAPTION * width / 7.6))
    figure.text(
        0.12 / width, 0.1 / height, text, fontsize=8, color="0.35", va="bottom", gid="caption"
    )
