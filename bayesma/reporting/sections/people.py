"""What the animals say of people, where it was translated."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayesma.coders import AVERAGE
from bayesma.errors import BayesmaError
from bayesma.plots import plot_budget, plot_translation
from bayesma.queries import summary
from bayesma.reporting.blocks import Block, Fold, Items, Picture, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import chance, delay_text, estimate
from bayesma.reporting.tidying import floored, head
from bayesma.translation import Budget, Translation, uncertainty_budget

__all__ = ["people"]

# Pairs of draws for the budget: shares are known to about one percent.
SIZE = 2048
# More points make a budget slow to compute and crowded to read.
POINTS = 12
HEADS = {
    "quantity": "Quantity",
    "observed": "Observed",
    "obs_low": "Observed 95% low",
    "obs_high": "Observed 95% high",
    "p_below": "P(below)",
}


def people(material: Material) -> tuple[Block, ...]:
    """Return the section."""
    found = material.translation
    if found is None:
        return (
            Words(
                "These are answers about animals; nothing here was translated to people. "
                "bm.translate(fit, delay=[1, 7, 28], ...) does, and bm.report(fit, "
                "translation=...) prints it here with everything it assumes."
            ),
        )
    estimand = str(found.effect.attrs["estimand"])
    blocks: list[Block] = [Words(f"{estimand[:1].upper()}{estimand[1:]}.")]
    blocks.append(Words(_sentence(found)))
    blocks += _effects(found)
    if found.half_life is not None:
        blocks.append(_half_lives(found))
    blocks += _positions(found)
    blocks += _budget(found, material.seed)
    blocks.append(_assumptions(found))
    if found.notes:
        blocks.append(Fold("Notes of the translation", (Items(found.notes),)))
    return tuple(blocks)


def _names(table: pd.DataFrame) -> list[str]:
    """Return the covariates that tell points apart."""
    inner = {"delay", "beyond_data", "mean", "sd", "median", "ci_low", "ci_high", "p_positive"}
    inner |= {"trial_low", "trial_high", "trial_p_positive", "p_never"}
    return [
        str(name)
        for name in table
        if name not in inner and not (table[name].astype(str) == AVERAGE).all()
    ]


def _sentence(found: Translation) -> str:
    """Return the first and the last point in words."""
    table = found.summary()
    rows = table.iloc[[0, -1]] if len(table) > 1 else table
    parts = []
    for row in rows.to_dict("records"):
        where = [str(row[name]) for name in _names(table)]
        where += [delay_text(row["delay"])] if "delay" in row else []
        p = chance(row["p_positive"])
        p = p if p[:1] in "<>" else f"= {p}"
        trial = f"[{row['trial_low']:.2f}, {row['trial_high']:.2f}]".replace("-", "−")
        parts.append(
            f"{', '.join(where) or 'all'}: mean effect "
            f"{estimate(row['median'], row['ci_low'], row['ci_high'])}, P(> 0) {p}; in one new "
            f"trial {trial}"
        )
    return f"{'. '.join(part[:1].upper() + part[1:] for part in parts)}."


def _effects(found: Translation) -> list[Block]:
    """Return the predicted effects as a picture with its table, or the table alone."""
    table = found.summary()
    columns: dict[str, Any] = {head(name): table[name] for name in _names(table)}
    if "delay" in table:
        columns["Delay"] = [delay_text(delay) for delay in table["delay"]]
    columns |= {
        "Mean effect": table["median"],
        "95% low": table["ci_low"],
        "95% high": table["ci_high"],
        "P(> 0)": table["p_positive"],
        "One trial 95% low": table["trial_low"],
        "One trial 95% high": table["trial_high"],
        "One trial P(> 0)": table["trial_p_positive"],
    }
    if "beyond_data" in table:
        columns["Beyond the animals' delays"] = table["beyond_data"]
    measure = found.effect.attrs["measure"]
    twin = Table(
        "people-effects",
        f"Predicted effects ({measure}): the mean effect, and the true effect in one new trial; "
        "medians and 95% intervals",
        floored(pd.DataFrame(columns)),
    )
    try:
        figure = plot_translation(found, evidence=found.positions)
    except BayesmaError as error:
        return [twin, Words(f"Not drawn: {error}.", "note")]
    alt = f"Predicted effect ({measure}) over delay. {_sentence(found)}"
    return [Picture("people-curve", "Predicted effect over delay.", alt, figure, twin)]


def _half_lives(found: Translation) -> Table:
    assert found.half_life is not None
    table = summary(found.half_life)
    columns: dict[str, Any] = {head(name): table[name] for name in _names(table)}
    columns |= {
        "Half-life (d)": table["median"],
        "95% low": table["ci_low"],
        "95% high": table["ci_high"],
    }
    estimand = str(found.half_life.attrs["estimand"])
    caption = f"{estimand[:1].upper()}{estimand[1:]}; median and 95% interval"
    return Table("people-half-lives", caption, pd.DataFrame(columns, index=table.index))


def _positions(found: Translation) -> list[Block]:
    if found.positions is None:
        return []
    frame = found.positions.rename(columns=lambda name: HEADS.get(name, head(str(name))))
    used = "then used to update it" if found.updated else "not used for it"
    caption = f"Human evidence, where it lies in what was predicted without it; {used}"
    return [Table("people-evidence", caption, frame.reset_index(drop=True))]


def _budget(found: Translation, seed: int) -> list[Block]:
    """Return where the doubt comes from, as a picture with its table."""
    if found.effect.sizes["point"] > POINTS:
        return [
            Words(
                f"An uncertainty budget is not drawn for {found.effect.sizes['point']} points: ask "
                f"for {POINTS} or fewer."
            )
        ]
    try:
        budget = uncertainty_budget(found, size=SIZE, seed=seed)
        figure = plot_budget(budget)
    except BayesmaError as error:
        return [Words(f"No uncertainty budget: {error}.", "note")]
    twin = _shares(budget)
    largest = budget.table.loc[budget.table.groupby("factor")["shapley"].idxmax()]
    largest = largest.sort_values("shapley", ascending=False)
    said = ", ".join(
        f"{factor} up to {share:.0%}"
        for factor, share in largest[["factor", "shapley"]].head(3).to_numpy().tolist()
        if share > 0
    )
    alt = f"Shares of the variance of the predicted mean effect by source of doubt: {said}."
    caption = "Where the doubt about people comes from."
    blocks: list[Block] = [Picture("people-budget", caption, alt, figure, twin)]
    if budget.notes:
        blocks.append(Items(tuple(f"{note[:1].upper()}{note[1:]}." for note in budget.notes)))
    return blocks


def _shares(budget: Budget) -> Table:
    wide = budget.wide
    names = [name for name in wide if not (wide[name].astype(str) == AVERAGE).all()]
    wide = wide[names]
    if "delay" in wide:
        wide = wide.assign(delay=[delay_text(delay) for delay in wide["delay"]])
    wide = wide.drop(columns="beyond_data", errors="ignore")
    frame = wide.rename(columns=lambda name: "SD" if name == "sd" else head(str(name)))
    caption = f"Shapley effects: shares of the variance, which add to 1; SD in {budget.units}"
    return Table("people-shares", caption, frame.reset_index(drop=True))


def _assumptions(found: Translation) -> Table:
    frame = found.assumptions.table.reset_index().rename(
        columns={
            "assumption": "Assumption",
            "value": "Value",
            "about": "Meaning",
            "source": "Source",
        }
    )
    return Table("people-assumptions", "Everything assumed on the way, with its source", frame)
