"""What the priors move."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd

from bayesma.checks.powerscaling import MEANINGS, prior_sensitivity
from bayesma.plots import plot_sensitivity
from bayesma.reporting.blocks import Block, Items, Picture, Table, Words
from bayesma.reporting.material import Material

__all__ = ["sensitivity"]

# Sentences of quantities that are printed; the table has all.
SAID = 3
NEITHER = "-"
WHAT = (
    "Each answer is asked again with priors, and then data, that count a little more or less "
    "(power-scaling; Kallioinen, Paananen, Bürkner and Vehtari 2024). The numbers are the distance "
    "between the answers per doubling; from 0.05 the change counts. Nothing is fitted again: the "
    "posterior draws are weighed."
)


def sensitivity(material: Material) -> tuple[Block, ...]:
    """Return what the priors and the data move, and what that means."""
    with warnings.catch_warnings():
        # ArviZ says of single weighings that few draws carry them: of no use without its names.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto")
        table = material.quietly(lambda: prior_sensitivity(material.fit, by="prior"))
    moved = table[table["verdict"] != NEITHER]
    return (
        Words(WHAT),
        Words(_counted(table, moved), "caution" if len(moved) else "plain"),
        *_sentences(table, moved),
        _picture(table),
        Items(_meanings()),
        *(Words(str(note), "note") for note in table.attrs["notes"]),
    )


def _counted(table: pd.DataFrame, moved: pd.DataFrame) -> str:
    if moved.empty:
        return (
            f"The priors move none of the {len(table)} reported quantities by as much: the largest "
            f"sensitivity to them is {table['prior'].max():.3f} ({_title(_largest(table))})."
        )
    counts = moved["verdict"].value_counts()
    kinds = " and ".join(f"{n} as “{verdict}”" for verdict, n in counts.items())
    return (
        f"The priors move {len(moved)} of {len(table)} reported quantities: {kinds}. Most moved "
        f"is {_title(_largest(moved))} (prior {_largest(moved)['prior']:.2f}, likelihood "
        f"{_largest(moved)['likelihood']:.2f}). Read these answers as those of data and priors "
        "together, and fit again under another defensible prior to see how far they move."
    )


def _largest(table: pd.DataFrame) -> pd.Series[Any]:
    return table.iloc[int(table["prior"].to_numpy().argmax())]


def _title(row: pd.Series[Any]) -> str:
    return ", ".join(text for text in (str(row["quantity"]), str(row["where"])) if text)


def _sentences(table: pd.DataFrame, moved: pd.DataFrame) -> tuple[Block, ...]:
    if moved.empty:
        return ()
    said = tuple(str(text) for text in table.attrs["sentences"][:SAID])
    more = len(table.attrs["sentences"]) - len(said)
    return (Items((*said, f"and {more} more, in the table") if more > 0 else said),)


def _meanings() -> tuple[str, ...]:
    return (
        *(f"{verdict}: {meaning}." for verdict, meaning in MEANINGS.items()),
        f"{NEITHER}: the priors do not move it; the data decide.",
    )


def _picture(table: pd.DataFrame) -> Picture:
    frame = pd.DataFrame(
        {
            "quantity": [_title(row) for _, row in table.iterrows()],
            "prior": table["prior"],
            "likelihood": table["likelihood"],
            "verdict": table["verdict"],
        }
    )
    twin = Table(
        "sensitivity-quantities",
        "Sensitivity of every reported quantity to the priors and to the likelihood",
        frame,
        digits=3,
        mark="quantity",
    )
    most = _largest(table)
    moved = int((table["verdict"] != NEITHER).sum())
    alt = (
        f"Two marks for each of {len(table)} quantities: its sensitivity to the priors and to the "
        f"likelihood, with a line at 0.05. The priors reach it for {moved}; the largest is "
        f"{most['prior']:.2f}, of {_title(most)}."
    )
    caption = "Sensitivity to the priors and to the data; right of the dashed line it counts."
    return Picture("sensitivity-plot", caption, alt, plot_sensitivity(table), twin)
