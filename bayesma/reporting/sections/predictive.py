"""Whether data like these were to be expected, before and after the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.measures import MEASURES
from bayesma.plots import plot_replicated_rows, plot_replicates
from bayesma.posterior import Fit
from bayesma.reporting.blocks import Block, Link, Picture, Table, Words
from bayesma.reporting.material import Material

__all__ = ["predictive", "statistics_of"]

Floats = NDArray[np.float64]
Group = Literal["prior_predictive", "posterior_predictive"]

# Of rows as the last axis.
STATISTICS: dict[str, Callable[[Floats], Floats]] = {
    "mean": lambda y: y.mean(axis=-1),
    "standard deviation": lambda y: y.std(axis=-1),
    "smallest": lambda y: y.min(axis=-1),
    "largest": lambda y: y.max(axis=-1),
    "share above 0": lambda y: (y > 0).mean(axis=-1),
}
# Fewer rows are shown one by one: their distribution says little.
FEW = 10
# Replicates below or above the observed value with less than this probability.
FAR = 0.025
MEANING = (
    "p is the share of replicated tables in which the number is below the observed one, ties "
    "counted by half. Near 0 or 1 the model makes no such data."
)


def predictive(material: Material) -> tuple[Block, ...]:
    """Return what the priors expect, and what the fitted model would find again."""
    fit = material.fit
    blocks: list[Block] = [
        Words(
            "Before the data: effects of the same rows, drawn from the priors. They should hold "
            "the observed ones without much that is absurd; weak priors are far wider."
        ),
        *_checked(fit, "prior_predictive", "predictive-prior"),
    ]
    if not material.converged:
        told = "After the data: not printed, because the fit has not converged."
        return (*blocks, Words(told, "alarm", (Link("What is wrong", "convergence"),)))
    blocks.append(
        Words(
            "After the data: tables of the same rows, with new studies where the model has "
            "study effects, drawn from the fitted model. The observed table should look like "
            "one of them."
        )
    )
    return (*blocks, *_checked(fit, "posterior_predictive", "predictive-posterior"))


def _checked(fit: Fit, group: Group, name: str) -> Iterator[Block]:
    when = "priors" if group == "prior_predictive" else "fitted model"
    if len(fit.design.effects) < FEW:
        yield _rows_pictured(fit, group, name, when)
        yield Words(MEANING.replace("tables in which the number is", "rows that lie"), "note")
        return
    table = statistics_of(fit, group)
    yield Table(f"{name}-statistics", f"The table's statistics under the {when}", table)
    yield Words(MEANING, "note")
    far = table.loc[(table["p"] < FAR) | (table["p"] > 1 - FAR), "statistic"]
    if group == "posterior_predictive":
        said = (
            f"The model does not find again: {', '.join(far)}. Look at what it leaves out."
            if len(far)
            else "The fitted model finds all of these again."
        )
        yield Words(said, "caution" if len(far) else "plain")
    yield Picture(
        name,
        f"Observed effects among replicated ones ({when}).",
        f"Cumulative distribution of the {len(fit.design.effects)} observed effects, and of "
        f"replicated tables from the {when}.",
        plot_replicates(fit.tree, group),
    )


def _rows_pictured(fit: Fit, group: Group, name: str, when: str) -> Picture:
    table = _by_row(fit, group)
    measure = fit.design.effects.measure
    label = MEASURES[measure].label if measure in MEASURES else "effect"
    inside = (table["observed"] >= table["95% low"]) & (table["observed"] <= table["95% high"])
    said = f"{int(inside.sum())} of {len(table)} observed effects lie in the 95% interval"
    twin = f"Each row, and what the {when} would find"
    return Picture(
        f"{name}-intervals",
        f"Observed effects over those of the {when}: {said}.",
        f"Intervals of replicates from the {when}, one per row, with the observed effect: {said}.",
        plot_replicated_rows(table, label),
        Table(f"{name}-rows", twin, table, mark="row"),
    )


def statistics_of(fit: Fit, group: Group) -> pd.DataFrame:
    """Return the statistics of the observed effects among those of replicated tables."""
    made, observed = _replicates(fit, group), fit.design.y
    rows = []
    for name, of in STATISTICS.items():
        drawn, seen = of(made), float(of(observed))
        low, middle, high = np.quantile(drawn, [0.025, 0.5, 0.975])
        rows.append((name, seen, middle, low, high, _position(drawn, seen)))
    heads = ["statistic", "observed", "replicated", "95% low", "95% high", "p"]
    return pd.DataFrame(rows, columns=heads)


def _by_row(fit: Fit, group: Group) -> pd.DataFrame:
    made, observed = _replicates(fit, group), fit.design.y
    low, middle, high = np.quantile(made, [0.025, 0.5, 0.975], axis=0)
    return pd.DataFrame(
        {
            "row": fit.tree["observed_data"]["row"].values,
            "observed": observed,
            "replicated": middle,
            "95% low": low,
            "95% high": high,
            "p": [_position(made[:, i], y) for i, y in enumerate(observed)],
        }
    )


def _position(drawn: Floats, seen: float) -> float:
    return float(((drawn < seen) + 0.5 * (drawn == seen)).mean())


def _replicates(fit: Fit, group: Group) -> Floats:
    values = fit.tree[group].dataset["y"].values
    return np.asarray(values.reshape(-1, values.shape[-1]))
