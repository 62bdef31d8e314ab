"""Half-lives, time to loss, and regimens held against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.plots.contrast import plot_contrast
from bayesma.queries import (
    contrast,
    grid,
    half_life,
    summary,
    time_to_loss,
)
from bayesma.queries.contrasts import UNSTABLE
from bayesma.queries.partialpooling import population_effects
from bayesma.reporting.blocks import Block, Fold, Picture, Table, Words
from bayesma.reporting.levels import (
    LOSS,
    compared,
    contrasted,
    models_side_by_side,
    pairs,
    records,
)
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import chance, days_estimate, delay_text, estimate
from bayesma.reporting.tidying import floored, head

__all__ = ["comparisons"]

# A picture of more contrasts than these names fewer delays.
PAIRS, FEWER = 2, 3
# Lines that `plot_contrast` sets on a page.
DRAWN = 40


def comparisons(material: Material) -> tuple[Block, ...]:
    """Return the section."""
    blocks: list[Block] = []
    if material.fades:
        blocks += _durations(material)
    blocks += _contrasts(material) if material.lead else _mean(material)
    blocks += _others(material)
    if material.beside:
        blocks += models_side_by_side(material)
    return tuple(blocks)


# -- durations ---------------------------------------------------------------------------------


def _durations(material: Material) -> list[Block]:
    """Return half-lives and the time to 70% loss by level."""
    fit, at = material.fit, grid(material.fit, **material.at)
    half, loss = half_life(fit, at), time_to_loss(fit, at, LOSS)
    parts = []
    for words, found in (("half-life", summary(half)), (f"{LOSS:.0%} lost after", summary(loss))):
        columns: dict[str, Any] = {head(name): found[name] for name in material.at}
        columns |= {
            "Quantity": words,
            "Median (d)": found["median"],
            "95% low": found["ci_low"],
            "95% high": found["ci_high"],
            "P(never)": found["p_never"],
        }
        parts.append(pd.DataFrame(columns, index=found.index))
    estimand = str(half.attrs["estimand"])
    table = Table(
        "comparisons-half-lives",
        f"{estimand[:1].upper()}{estimand[1:]}; and the time until {LOSS:.0%} of the peak effect "
        "is lost: days, posterior medians and 95% intervals",
        pd.concat(parts, ignore_index=True),
    )
    blocks: list[Block] = [table]
    ratio = _half_life_ratio(material)
    if ratio is not None:
        blocks.append(ratio)
    return blocks


def _half_life_ratio(material: Material) -> Words | None:
    """Say how half-lives of the lead's levels compare; None where they are one."""
    fit, lead = material.fit, material.lead
    if lead is None or lead not in fit.design.cells:
        return None
    said = []
    for level, reference in pairs(material):
        cells = {n: levels for n, levels in material.at.items() if n != lead}
        at = grid(fit, **cells, **{lead: reference})
        pair = {lead: (level, reference)}
        draws = contrast(fit, at, of="half_life", scale="ratio", **pair)
        for row in records(summary(draws)):
            where = ", ".join(str(row[n]) for n in cells)
            said.append(
                f"{level} to {reference}{f' ({where})' if where else ''}: "
                f"{days_estimate(row['median'], row['ci_low'], row['ci_high'])}, P(longer) = "
                f"{chance(row['p_above_1'])}"
            )
    return Words(f"Ratio of half-lives, {'; '.join(said)}.")


# -- contrasts ---------------------------------------------------------------------------------


def _contrasts(material: Material) -> list[Block]:
    """Return the lead's levels against each other, as a picture with its table."""
    lead = material.lead
    assert lead is not None
    table = compared(material, lead, material.delays)
    frame = _frame(table)
    draws = _joined(material)
    reference = table.attrs["reference"]
    held = frame[frame["P(> 0)"].notna()]
    said = "; ".join(_sentence(row) for row in records(held))
    estimand = str(table.attrs["estimand"])
    twin = Table(
        "comparisons-table",
        f"{estimand[:1].upper()}{estimand[1:]}; posterior medians and 95% intervals",
        frame,
    )
    blocks: list[Block] = []
    if draws.sizes["point"] > DRAWN:
        count = draws.sizes["point"]
        told = f"{count} differences are too many for one picture; the table holds them."
        blocks += [Words(told), twin]
    else:
        blocks.append(
            Picture(
                "comparisons-contrast",
                f"Difference in mean effect ({material.measure}) from {lead} {reference}, and the "
                "probability that it is above 0.",
                f"Posterior densities of differences from {lead} {reference}. {said}.",
                plot_contrast(draws),
                twin,
            )
        )
    if (table["p_other_sign"] > UNSTABLE).any():
        blocks.append(
            Words(
                "Ratios are left out where the denominator may be 0: such a ratio is no size of "
                "anything.",
                "note",
            )
        )
    return blocks


def _joined(material: Material) -> xr.DataArray:
    """Return the draws of every pair at the delays that people say."""
    lead, held = material.lead, pairs(material)
    assert lead is not None
    delays = material.delays
    if len(held) > PAIRS and len(delays) > FEWER:
        delays = [delays[0], delays[len(delays) // 2], delays[-1]]
    others = {n: levels for n, levels in material.at.items() if n != lead}
    parts = []
    for level, reference in held:
        pair = {lead: (level, reference)}
        found = contrasted(material.fit, delays, {**others, lead: reference}, pair)
        if len(held) > 1:
            words = np.full(found.sizes["point"], f"{level} − {reference}")
            found = found.assign_coords({lead: ("point", words)})
        parts.append(found)
    out = xr.concat(parts, "point", combine_attrs="drop_conflicts") if len(parts) > 1 else parts[0]
    if len(parts) > 1:
        out.attrs["estimand"] = (
            f"difference in population mean effect ({material.measure}) from {lead} "
            f"{held[0][1]}; an association across studies"
        )
    return out


def _frame(table: pd.DataFrame) -> pd.DataFrame:
    """Return a comparison with heads for people, without ratios that are no size of anything."""
    labels = list(table)[: list(table).index("effect")]
    columns: dict[str, Any] = {}
    for name in labels:
        if name == "delay":
            columns["Delay"] = [delay_text(delay) for delay in table["delay"]]
        else:
            columns[head(str(name))] = table[name]
    unstable = table["p_other_sign"] > UNSTABLE
    for name, title in (("effect", "Effect"), ("difference", "Difference"), ("ratio", "Ratio")):
        for end, words in (("", ""), ("_low", ", 95% low"), ("_high", ", 95% high")):
            column = table[f"{name}{end}"]
            columns[f"{title}{words}"] = column.mask(unstable) if name == "ratio" else column
        if name == "difference":
            columns["P(> 0)"] = table["p_greater"]
    if "beyond_data" in table:
        columns["Beyond the data"] = table["beyond_data"]
    frame = floored(pd.DataFrame(columns))
    return frame.drop(
        columns=[n for n in frame if str(n).startswith("Ratio") and frame[n].isna().all()]
    )


def _sentence(row: dict[str, Any]) -> str:
    """Return one comparison in words."""
    names = list(row)
    label = ", ".join(str(row[name]) for name in names[: names.index("Effect")])
    numbers = (row[f"Difference{end}"] for end in ("", ", 95% low", ", 95% high"))
    return f"{label}: {estimate(*numbers)}, P(> 0) {_said(row['P(> 0)'])}"


def _said(p: float) -> str:
    text = chance(p)
    return text if text.startswith((">", "<")) else f"= {text}"


def _mean(material: Material) -> list[Block]:
    """Return the one mean of a model without levels to compare."""
    found = material.quietly(lambda: population_effects(material.fit, seed=material.seed))
    row = found.iloc[0]
    text = (
        f"The model tells no levels apart. Its mean effect is "
        f"{estimate(row['median'], row['ci_low'], row['ci_high'])} {material.measure}"
    )
    if "delay" in row:
        text += f" at {delay_text(row['delay'])}"
    text += f", P(> 0) {_said(row['p_positive'])}"
    if np.isfinite(row["new_low"]):
        ends = f"[{row['new_low']:.2f}, {row['new_high']:.2f}]".replace("-", "−")
        text += f"; the true effect of a new study lies in {ends} with probability 95%"
    columns = {
        "Mean effect": [row["median"]],
        "95% low": [row["ci_low"]],
        "95% high": [row["ci_high"]],
        "P(> 0)": [row["p_positive"]],
        "New study 95% low": [row["new_low"]],
        "New study 95% high": [row["new_high"]],
    }
    estimand = str(found.attrs["estimand"])
    caption = f"{estimand[:1].upper()}{estimand[1:]}; posterior median and 95% interval"
    return [Words(f"{text}."), Table("comparisons-table", caption, pd.DataFrame(columns))]


def _others(material: Material) -> list[Block]:
    """Return the levels of every other factor against each other, folded."""
    delays = material.delays[len(material.delays) // 2 :][:1]
    blocks: list[Block] = []
    for factor, levels in material.factors.items():
        if factor == material.lead or len(levels) < 2:
            continue
        table = compared(material, factor, delays)
        estimand = str(table.attrs["estimand"])
        caption = f"{estimand[:1].upper()}{estimand[1:]}; posterior medians and 95% intervals"
        found = Table(f"comparisons-by-{factor.replace('_', '-')}", caption, _frame(table))
        at = f" at {delay_text(delays[0])}" if delays else ""
        blocks.append(Fold(f"Mean effects by {factor}{at}, and their differences", (found,)))
    return blocks
