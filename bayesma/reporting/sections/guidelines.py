"""The items of the Bayesian analysis reporting guidelines, and where each is answered."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from bayesma.reporting.barg import Status, items
from bayesma.reporting.blocks import Block, Link, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import counted

__all__ = ["guidelines"]

WHERE = {
    "answer": "Question and answer",
    "comparisons": "Half-lives and contrasts",
    "convergence": "Convergence",
    "crosscheck": "Cross-check",
    "data": "Data",
    "model": "Model",
    "model-priors": "Priors",
    "predictive": "Predictive checks",
    "reproducibility": "Reproducibility",
    "reproducibility-settings": "Settings",
    "reproducibility-versions": "Software",
    "sensitivity": "What the priors move",
}
ORDER: tuple[Status, ...] = ("yes", "partly", "no", "not used")


def guidelines(material: Material) -> tuple[Block, ...]:
    """Return a table of the items: what each asks, whether and where it is answered."""
    found = items(material)
    counts = Counter(item.status for item in found)
    told = ", ".join(f"{counts[status]} {status}" for status in ORDER if counts[status])
    table = pd.DataFrame(
        {
            "Item": [f"{item.step} {item.name}" for item in found],
            "Asks": [item.asks for item in found],
            "Answered": [item.status for item in found],
            "How": [item.reason for item in found],
            "Where": [Link(WHERE[item.to], item.to) for item in found],
        }
    )
    return (
        Words(
            "Kruschke (2021, Nature Human Behaviour 5: 1282) asks for "
            f"{counted(len(found), 'item')} in a preamble and six steps; "
            f"here: {told}. 'Not used' means that there is nothing of the kind to report."
        ),
        Table("guidelines-items", "Items of the guidelines, in our words", table),
    )
