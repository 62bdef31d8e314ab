"""Risk of bias, where the data hold judgements of it."""

from __future__ import annotations

import pandas as pd

from bayesma.plots import plot_risk_of_bias
from bayesma.queries import quality_columns, quality_scores, risk_of_bias
from bayesma.reporting.blocks import Block, Picture, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import counted, listed

__all__ = ["quality"]

NONE = (
    "The data hold no judgements of risk of bias, so none are shown: a column named rob, rob1 to "
    "rob10 (the items of SYRCLE's tool, Hooijmans et al. 2014, BMC Medical Research Methodology "
    "14: 43), risk_of_bias or quality would be."
)
HEADS = {"item": "Item", "low": "Low", "unclear": "Unclear", "high": "High", "other": "Other words"}
SCORES = {
    "column": "Score",
    "studies": "Studies",
    "median": "Median",
    "lowest": "Lowest",
    "highest": "Highest",
}


def quality(material: Material) -> tuple[Block, ...]:
    """Return the judgements as a figure and a table, and whether the model weighs by them."""
    columns = quality_columns(material.fit)
    if not columns:
        return (Words(NONE),)
    judged, scores = risk_of_bias(material.fit), quality_scores(material.fit)
    blocks: list[Block] = [Words(_weighed(material, columns), "note")]
    if len(judged):
        blocks.append(_picture(judged))
        blocks.append(Words(" ".join(_told(judged)), "note"))
    if len(scores):
        caption = "Scores of quality, by study (the mean of a study's rows)"
        blocks.append(Table("quality-scores", caption, scores.rename(columns=SCORES)))
    return tuple(blocks)


def _weighed(material: Material, columns: list[str]) -> str:
    used = [name for name in columns if name in material.fit.design.covariates]
    if used:
        return f"The model takes {listed(used)} as a covariate; it weighs no study by its quality."
    return (
        f"The model does not weigh by these judgements (columns {listed(columns)}): a study at "
        "high risk of bias counts as much as one at low risk."
    )


def _picture(judged: pd.DataFrame) -> Picture:
    frame = judged.rename(columns=HEADS).drop(columns="column")
    if not judged["other"].any():
        frame = frame.drop(columns=HEADS["other"])
    studies = int(judged[["low", "unclear", "high", "other"]].to_numpy()[0].sum())
    names = [str(item) for item in judged["item"]]
    gravest = [
        f" Most are {words} in '{names[int(judged[kind].argmax())]}' ({judged[kind].max()})."
        for kind, words in (("high", "at high risk"), ("unclear", "unclear"))
        if judged[kind].any()
    ]
    alt = (
        f"Stacked bars of {counted(studies, 'study', 'studies')} by "
        f"{counted(len(judged), 'item')}: low, unclear and high risk of bias.{''.join(gravest)}"
    )
    return Picture(
        "quality-bars",
        "Risk of bias as the reviewers judged it: numbers of studies by item.",
        alt,
        plot_risk_of_bias(judged),
        Table("quality-items", "Studies at low, unclear and high risk of bias", frame, mark="Item"),
    )


def _told(judged: pd.DataFrame) -> list[str]:
    """Return how the judgements were read."""
    found = ["An empty cell is counted as unclear."]
    if judged["column"].str.fullmatch(r"(?i)rob_?\d+").any():
        found.append(
            "Numbered items are read as those of SYRCLE's tool (Hooijmans et al. 2014, BMC Medical "
            "Research Methodology 14: 43), in which yes is a low risk and no a high one."
        )
    if judged.attrs["mixed"]:
        mixed = counted(judged.attrs["mixed"], "study", "studies")
        found.append(f"{mixed} with rows judged differently: counted by the gravest judgement.")
    if judged.attrs["words"]:
        words = listed([f"'{word}'" for word in judged.attrs["words"][:6]])
        found.append(f"Not understood, and counted as other words: {words}.")
    return found
