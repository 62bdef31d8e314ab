"""The question, and the answer in three sentences with numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesma.coders import level_text
from bayesma.errors import BayesmaError
from bayesma.posterior import Fit
from bayesma.reporting.answers import agreement, fading, points, prospects
from bayesma.reporting.blocks import Block, Items, Link, Words
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import (
    counted,
    days_interval,
    duration_text,
    estimate,
    listed,
    range_text,
    share,
)

__all__ = ["answer", "asked"]

# Drugs named in the question.
DRUGS = 4
SAME_SIDE = (
    "A mean effect keeps its sign in every form of decay: P(> 0) at a late delay is that of its "
    "having been positive, not of anything being left. How much is left is what the intervals say."
)
LINKS = (
    Link("Curves", "decay"),
    Link("Half-lives and contrasts", "comparisons"),
    Link("Studies", "forest"),
)


def answer(material: Material) -> tuple[Block, ...]:
    """Return the question, three sentences, what to beware of, and what other models say."""
    blocks: list[Block] = [
        asked(material),
        *(
            Words(text, links=(link,))
            for text, link in zip(sentences(material), LINKS, strict=True)
        ),
        Words(_sign_words(material), "note"),
        *([Words(SAME_SIDE, "note")] if material.fades else []),
    ]
    if problems := material.fit.problems:
        blocks.append(Items(tuple(f"{p[:1].upper()}{p[1:]}." for p in problems), "caution"))
    beside = tuple(_beside(material, name, fit) for name, fit in material.beside.items())
    return (*blocks, *([Items(beside)] if beside else []))


def asked(material: Material) -> Words:
    """Return the question, in the reviewer's own words where there are any."""
    return Words(material.question or question_of(material))


def question_of(material: Material) -> str:
    """Return the question that the model answers."""
    frame, subject = material.fit.design.frame, "the treatment"
    if "drug" in frame and frame["drug"].notna().any():
        drugs = list(dict.fromkeys(frame["drug"].dropna().map(level_text)))
        subject = listed(drugs) if len(drugs) <= DRUGS else f"the {len(drugs)} drugs"
    by = ""
    if material.lead:
        levels = [level_text(level) for level in material.at[material.lead]]
        by = f" by {material.lead.replace('_', ' ')} ({listed(levels)})"
    rest = ", and how fast does it fade" if material.fades else ""
    return f"How large is the effect ({material.measure}) of {subject}{by}{rest}?"


def sentences(material: Material) -> tuple[str, str, str]:
    """Return how large the effect is, how it fades, and what a new study would find."""
    return _size(material), _fading(material), _prospect(material)


def _size(material: Material) -> str:
    table, left = points(material)
    found: dict[str, list[str]] = {}
    for record in table.to_dict("records"):
        numbers = f"{estimate(*_ends(record))}{_when(material, record)} ({_side(record)})"
        found.setdefault(_for(list(material.at), record), []).append(numbers)
    parts = [f"{listed(numbers)}{cell}" for cell, numbers in found.items()]
    # Numbers too: they stand at their mean.
    covariates = material.fit.design.covariates
    averaged = [name.replace("_", " ") for name in covariates if name not in material.at]
    over = f", averaged over {listed(averaged)} as in the data," if averaged else ""
    return (
        f"The population mean effect ({material.measure}, median with 95% interval){over} is "
        f"{'; '.join(parts)}{_left(left)}."
    )


def _left(count: int) -> str:
    return f"; {count} more below" if count else ""


def _for(names: list[str], record: Mapping[Any, Any]) -> str:
    """Return the levels of a point, behind its numbers."""
    return f" for {', '.join(_levels(names, record))}" if names else ""


def _when(material: Material, record: Mapping[Any, Any]) -> str:
    """Return the delay of a point, behind its numbers."""
    if not material.fades or "delay" not in record:
        return ""
    delay = float(record["delay"])
    return f" {duration_text(delay)} after the last dose" if delay else " during exposure"


def _levels(names: list[str], record: Mapping[Any, Any]) -> list[str]:
    return [f"{name.replace('_', ' ')} {level_text(record[name])}" for name in names]


def _ends(record: Mapping[Any, Any]) -> tuple[float, float, float]:
    return float(record["median"]), float(record["ci_low"]), float(record["ci_high"])


def _side(record: Mapping[Any, Any]) -> str:
    """Return the probability of the side of 0 on which the median lies."""
    positive = float(record["p_positive"])
    if record["median"] < 0:
        return f"P(< 0) {share(1 - positive)}"
    return f"P(> 0) {share(positive)}"


def _fading(material: Material) -> str:
    if not material.fades:
        return "The model has no decay: it takes these effects to be the same at every delay."
    cells = list(material.fit.design.cells)
    lives, stays, left = fading(material)
    what = "What fades of it halves" if stays is not None else "It halves"
    return f"{what} {_halving(cells, lives)}{_left(left)}{_staying(cells, stays)}."


def _halving(cells: list[str], table: pd.DataFrame) -> str:
    parts = []
    for record in table.to_dict("records"):
        doubt = "" if record["seen"] else " (hardly informed by these data)"
        parts.append(f"in {days_interval(*_ends(record))}{doubt}{_for(cells, record)}")
    return "; ".join(parts)


def _staying(cells: list[str], table: pd.DataFrame | None) -> str:
    """Return the shares of the peak that never fade, in words."""
    if table is None:
        return ""
    parts = []
    for record in table.to_dict("records"):
        low, high = (f"{100 * record[end]:.0f}%" for end in ("ci_low", "ci_high"))
        where = _for([name for name in cells if name in record], record)
        parts.append(f"{100 * record['median']:.0f}% [{low}, {high}]{where}")
    return f", while a share of the peak stays for good: {'; '.join(parts)}"


def _prospect(material: Material) -> str:
    plan = material.fit.design
    if not plan.tau_names:
        why = (
            "pooled results do not tell how far studies lie apart"
            if plan.pooling is not None
            else "the model has no study effects"
        )
        return f"What a new study would find cannot be said: {why}."
    table = prospects(material)
    parts = [
        f"from {range_text(record['ci_low'], record['ci_high'])} ({_side(record)})"
        f"{_for(list(material.at), record)}{_when(material, record)}"
        for record in table.to_dict("records")
    ]
    who = "one experiment of a new study" if len(plan.tau_names) > 1 else "a new study"
    return (
        f"In {who} the true effect would, with 95% probability, lie {'; '.join(parts)}"
        f"{_spread(material)}."
    )


def _spread(material: Material) -> str:
    """Return how far studies lie apart, where one number says it."""
    plan = material.fit.design
    if plan.kappa_names or plan.varying_tau or plan.spec.population != "normal":
        return ""
    parts = []
    for name, unit in zip(plan.tau_names, plan.groups.names, strict=True):
        draws = material.fit.posterior[name].values
        low, median, high = np.quantile(draws, [0.025, 0.5, 0.975])
        parts.append(f"{estimate(median, low, high)} by {unit.replace('_', ' ')}")
    return f"; true effects spread with a standard deviation of {listed(parts)}"


def _sign_words(material: Material) -> str:
    """Return what a positive effect means in these data."""
    plan = material.fit.design
    frame = plan.effects.frame
    computed = frame["mean_treated"].notna() if "mean_treated" in frame else frame["y"].isna()
    if not computed.any():
        return "The effects were given as they are: their sign is that of their source."
    given = "" if computed.all() else " Effects that were given keep the sign of their source."
    if plan.effects.measure == "NMD":
        said = "Positive: treated animals lie closer to sham animals than controls do"
        if "mean_sham" not in frame:
            said = "Positive: a reduction against controls, or an increase where direction is 1"
    elif "direction" in frame and frame["direction"].notna().any():
        said = "Positive: treated animals do better than controls (direction says which way is up)"
    else:
        said = "Positive: treated animals have more of the outcome than controls"
    return f"{said}.{given}"


def _beside(material: Material, name: str, fit: Fit) -> str:
    """Return in one line whether another model agrees on the effects of the answer."""
    form = f"{name} (decay = {fit.spec.decay})"
    if not fit.converged:
        return f"Beside it, {form} has not converged and is not compared."
    try:
        agrees, table = agreement(material, fit)
    except BayesmaError as error:
        return f"Beside it, {form} cannot be compared: {error}."
    if agrees.all():
        many = counted(len(table), "effect")
        return (
            f"Beside it, {form} agrees on the {many} above: each median lies in the other's 95% "
            "interval."
        )
    record = table[~agrees].iloc[0].to_dict()
    median, low, high = (float(record[f"{k}_other"]) for k in ("median", "ci_low", "ci_high"))
    theirs = estimate(median, low, high)
    return (
        f"Beside it, {form} differs on {int((~agrees).sum())} of {len(table)} effects above, such "
        f"as{_for(list(material.at), record)}{_when(material, record)}: {theirs} there, "
        f"{estimate(*_ends(record))} here."
    )
