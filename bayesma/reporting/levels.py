"""Questions that a report asks of levels, of one model and of several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import xarray as xr

from bayesma.coders import AVERAGE
from bayesma.errors import BayesmaError
from bayesma.posterior import Fit
from bayesma.queries import (
    compare_regimens,
    contrast,
    decay_curve,
    grid,
    half_life,
    summary,
    time_to_loss,
)
from bayesma.reporting.answers import check_measure
from bayesma.reporting.blocks import Block, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import chance, days_estimate, delay_text, estimate

__all__ = ["LOSS", "compared", "contrasted", "models_side_by_side", "pairs", "records"]

LOSS = 0.7


def compared(material: Material, factor: str, delays: list[float]) -> pd.DataFrame:
    """Return the table of a factor's levels, at every level of what else the effect fades by."""
    cells: dict[str, Any] = {
        name: list(material.factors[name])
        for name in material.fit.design.cells
        if name != factor and name in material.factors
    }
    return material.quietly(
        lambda: compare_regimens(material.fit, delays or None, covariate=factor, **cells)
    )


def _reference(material: Material) -> str:
    assert material.lead is not None
    return str(compared(material, material.lead, material.delays[:1]).attrs["reference"])


def pairs(material: Material) -> list[tuple[str, str]]:
    """Return each level of the lead against the reference, as comparisons have it."""
    assert material.lead is not None
    levels, reference = list(material.factors[material.lead]), _reference(material)
    return [(level, reference) for level in levels if level != reference]


def contrasted(
    fit: Fit, delays: list[float], at: Mapping[str, Any], pair: Mapping[str, Any]
) -> xr.DataArray:
    """Return the draws of one pair at delays, and at every combination of the rest."""
    asked, named = dict(at), dict(pair)
    return Material.quietly(
        lambda: contrast(fit, grid(fit, delay=delays or None, **asked), **named)
    )


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as mappings whose keys are texts."""
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def models_side_by_side(material: Material) -> list[Block]:
    """Return the answers of all models side by side."""
    own = _name(material.fit, material.beside)
    answers = {own: _answers(material, material)}
    reasons = {}
    for name, fit in material.beside.items():
        other = Material(fit, material.seed)
        if not other.converged:
            answers[name] = {}
            continue
        try:
            check_measure(material, fit)
            answers[name] = _answers(material, other)
        except BayesmaError as error:
            reasons[name] = str(error)
    rows = list(dict.fromkeys(row for answer in answers.values() for row in answer))
    columns = {"Median and 95% interval": rows} | {
        name: [found.get(row, "") for row in rows] for name, found in answers.items()
    }
    wrong = [name for name, found in answers.items() if not found]
    told = [
        Words(f"{name} cannot stand beside it: {why}.", "note") for name, why in reasons.items()
    ]
    blocks: list[Block] = [
        Table(
            "comparisons-models",
            "The same questions under other models; * beyond the delays of the data",
            pd.DataFrame(columns),
        ),
        Words(
            "Compare the columns. Where they differ, above all at starred delays, the form of the "
            "model is the answer and not the data."
        ),
    ]
    if any("persistent" in fit.spec.family.parameters for fit in material.beside.values()):
        blocks.append(Words("The half-life of a plateau is that of the part which fades.", "note"))
    if wrong:
        names = ", ".join(wrong)
        blocks.append(Words(f"Not converged, and so not printed: {names}.", "caution"))
    return [*blocks, *told]


def _name(fit: Fit, taken: Mapping[str, Fit]) -> str:
    name = f"{fit.spec.decay} (this report)" if fit.spec.family.parameters else "this report"
    return name if name not in taken else f"{name} "


def _answers(asked: Material, material: Material) -> dict[str, str]:
    """Return the answers of one model to the questions of the report, as texts."""
    fit, lead = material.fit, asked.lead
    shared = {n: levels for n, levels in asked.at.items() if n in material.factors}
    at = {**{n: v for n, v in material.at.items() if n in fit.design.cells}, **shared}
    rows: dict[str, str] = {}
    if material.fades:
        points = grid(fit, **at)
        for words, draws in (
            ("half-life (d)", half_life(fit, points)),
            (f"time until {LOSS:.0%} is lost (d)", time_to_loss(fit, points, LOSS)),
        ):
            for row in records(summary(draws)):
                numbers = days_estimate(row["median"], row["ci_low"], row["ci_high"])
                rows[_row(words, row, at)] = numbers
    delays = asked.delays or [0.0]
    found = material.quietly(
        lambda: summary(decay_curve(fit, grid(fit, delay=delays if material.fades else None, **at)))
    )
    for row in records(found):
        star = "*" if row.get("beyond_data", False) else ""
        where = f"effect at {delay_text(row['delay'])}{star}" if "delay" in row else "effect"
        rows[_row(where, row, at)] = estimate(row["median"], row["ci_low"], row["ci_high"])
    if lead is not None and lead in material.factors and len(material.factors[lead]) > 1:
        rows |= _chances(asked, material, at)
    return rows


def _row(words: str, row: Mapping[str, Any], at: Mapping[str, Any]) -> str:
    levels = [str(row[name]) for name in at if str(row.get(name, AVERAGE)) != AVERAGE]
    return ", ".join([words, *levels])


def _chances(asked: Material, material: Material, at: Mapping[str, Any]) -> dict[str, str]:
    """Return the probability that one level's effect is larger, by delay."""
    fit, lead = material.fit, asked.lead
    assert lead is not None
    rows: dict[str, str] = {}
    for level, reference in pairs(asked):
        if not {level, reference} <= set(material.factors[lead]):
            continue
        pair = {lead: (level, reference)}
        points = {**at, lead: reference}
        delays = asked.delays if material.fades else []
        draws = contrasted(fit, delays, points, pair)
        for row in records(summary(draws)):
            star = "*" if row.get("beyond_data", False) else ""
            when = f" at {delay_text(row['delay'])}{star}" if "delay" in row else ""
            others = {n: v for n, v in at.items() if n != lead}
            rows[_row(f"P({level} > {reference}){when}", row, others)] = chance(row["p_positive"])
    return rows
