"""The model in equations, where its levels are stated, and its priors."""

from __future__ import annotations

import pandas as pd

from bayesma.coders import level_text
from bayesma.diagnostics import cell_frames
from bayesma.reporting.blocks import Block, Link, Table, Words
from bayesma.reporting.equations import equations
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import duration_text
from bayesma.reporting.priortable import prior_table

__all__ = ["model"]

WEAK = {
    "SMD": "animal tables have a tau of 0.7 to 2.7 SMD, and half-lives run from minutes to months",
    "SMDH": "animal tables have a tau of 0.7 to 2.7 SMD, and half-lives run from minutes to months",
}


def model(material: Material) -> tuple[Block, ...]:
    """Return the equations of this fit, its reference delays and its priors."""
    plan = material.fit.design
    blocks: list[Block] = [Words(_opening(material)), *equations(plan)]
    if material.fades:
        caption = "Reference delays: the lower quartile of the known delays, where the level stands"
        blocks.append(Table("model-references", caption, _references(material), digits=4))
    table = prior_table(plan)
    blocks.append(Table("model-priors", "Priors", table))
    blocks.append(
        Words(_justified(material, table), "note", (Link("What they move", "sensitivity"),))
    )
    return tuple(blocks)


def _opening(material: Material) -> str:
    plan = material.fit.design
    kind = "hierarchical" if plan.groups.names else "without group effects"
    fades = {
        "none": "an effect that does not fade",
        "exponential": "an effect that halves every half-life",
        "plateau": "an effect of which a share stays and the rest halves every half-life",
        "weibull": "an effect that fades as a Weibull curve",
    }[plan.spec.decay]
    interest = "levels and half-lives" if material.fades else "levels"
    rest = (
        "the spread between studies is ancillary"
        if plan.groups.names
        else "there are no ancillary ones"
    )
    return (
        f"One model of all rows, {kind}, with {fades}. Of interest are its {interest}; {rest}. "
        "Covariates are associations across studies, not effects within one."
    )


def _references(material: Material) -> pd.DataFrame:
    plan = material.fit.design
    frames = cell_frames(plan)
    rows = []
    for key, delay in plan.references.items():
        cell = dict(zip(plan.cells, map(level_text, key), strict=True)) or {"Rows": "all"}
        rows.append(
            {
                **cell,
                "Reference delay": duration_text(delay),
                "Reference delay (d)": delay,
                f"{'Rows' if plan.pooling is None else 'Comparisons'} there": len(frames[key]),
            }
        )
    return pd.DataFrame(rows)


def _justified(material: Material, table: pd.DataFrame) -> str:
    """Return why these priors."""
    usual = bool((table["From"] == "default").any())
    own = [str(name) for name in table.loc[table["From"] != "default", "Parameter"]]
    said = ""
    if usual:
        why = WEAK.get(material.measure)
        said = "The defaults are weakly informative" + (f": {why}." if why else ".")
    if own:
        said += f" Not the default: {', '.join(own)}; why is the reviewer's to say."
    return f"{said} Every level of a factor has the same prior, whichever is named first.".strip()
