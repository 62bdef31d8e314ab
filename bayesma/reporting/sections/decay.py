"""The effect against the time since the last dose."""

from __future__ import annotations

import math

import pandas as pd
import xarray as xr

from bayesma.plots import plot_decay
from bayesma.queries import decay_curve, grid, study_points, summary
from bayesma.queries.grids import delay_range
from bayesma.reporting.blocks import Block, Picture, Table, Words
from bayesma.reporting.material import LINES, Material
from bayesma.reporting.phrases import delay_text, estimate
from bayesma.reporting.tidying import floored, head

__all__ = ["decay"]


def decay(material: Material) -> tuple[Block, ...]:
    """Return the curves with the data on top, and what they are."""
    blocks: list[Block] = []
    curve = material.curve
    if curve is None:
        if not material.fades:
            text = "This model has no decay: its effect is the same at every delay."
        else:
            text = "No row of the data has a known delay, so there is no curve to draw."
        blocks.append(Words(text))
    else:
        estimand = str(curve.attrs["estimand"])
        blocks.append(Words(f"{estimand[:1].upper()}{estimand[1:]}."))
        blocks += [*_picture(material, curve, "decay-curves", ""), *_beyond(material)]
    for number, (name, fit) in enumerate(material.beside.items(), 1):
        blocks += _beside(Material(fit, material.seed), name, f"decay-beside-{number}")
    return tuple(blocks)


def _beside(other: Material, name: str, block: str) -> list[Block]:
    """Return the curves of another model of the same question."""
    if not other.converged:
        return [Words(f"{name}: has not converged, so its curve is not drawn.", "caution")]
    if other.curve is None:
        return [Words(f"{name}: has no decay; its effect is the same at every delay.")]
    return _picture(other, other.curve, block, f"{name}: ")


def _picture(material: Material, curve: xr.DataArray, name: str, whose: str) -> list[Block]:
    """Return the curves with their table; the table alone where they are too many to draw."""
    table = _table(material)
    twin = Table(
        f"{name}-table",
        f"{whose}mean effect ({material.measure}) at delays people say; median, 95% interval",
        table,
    )
    lines = math.prod(len(levels) for levels in material.at.values())
    if lines > LINES:
        told = f"{whose}{lines} curves cannot be told apart in one picture; the table holds them."
        return [Words(told), twin]
    rows = study_points(material.fit, curve)
    figure = plot_decay(curve, rows, log_delay=True)
    lead = f" by {material.lead}" if material.lead else ""
    said = f"{whose}population mean effect{lead}, decay = {material.fit.spec.decay}."
    caption = f"{said[0].upper()}{said[1:]}"
    alt = f"{whose}decay curves of the mean effect ({material.measure}){lead}. {_said(table)}"
    return [Picture(name, caption, alt, figure, twin)]


def _table(material: Material) -> pd.DataFrame:
    """Return the curve at 0 and at round delays."""
    delays = sorted({0.0, *material.delays, float(material.clock.max())})
    found = material.quietly(
        lambda: summary(decay_curve(material.fit, grid(material.fit, delay=delays, **material.at)))
    )
    columns: dict[str, object] = {head(name): found[name] for name in material.at}
    columns |= {
        "Delay": [delay_text(delay) for delay in found["delay"]],
        "Delay (d)": found["delay"],
        "Mean effect": found["median"],
        "95% low": found["ci_low"],
        "95% high": found["ci_high"],
        "P(> 0)": found["p_positive"],
        "Beyond the data": found["beyond_data"],
    }
    return floored(pd.DataFrame(columns))


def _said(table: pd.DataFrame) -> str:
    """Return the first and the last number inside the data of each line, in words."""
    levels = list(table)[: list(table).index("Delay")]
    parts = []
    groups = table.groupby(levels, sort=False) if levels else [((), table)]
    for key, rows in groups:
        inside = rows[~rows["Beyond the data"].astype(bool)]
        ends = inside.iloc[[0, -1]] if len(inside) > 1 else inside
        texts = [
            f"{estimate(*row[['Mean effect', '95% low', '95% high']])} at {row['Delay']}"
            for _, row in ends.iterrows()
        ]
        parts.append(
            ": ".join(part for part in (", ".join(map(str, key)), ", ".join(texts)) if part)
        )
    return "; ".join(parts) + "."


def _beyond(material: Material) -> list[Words]:
    """Say from where to where there are data, and whose the rest of the curve is."""
    ranges = delay_range(material.fit.design)
    texts = [
        f"{', '.join(key) or 'all rows'}: {delay_text(low)} to {delay_text(high)}"
        for key, (low, high) in ranges.items()
    ]
    return [
        Words(
            f"Delays with data: {'; '.join(texts)}. Outside these the curve is dashed: there it "
            f"is what the {material.fit.spec.decay} form says, not what anyone measured."
        )
    ]
