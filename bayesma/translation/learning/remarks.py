"""Remarks beside candidates: where they start from, what they leave open, what is rough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.queries.grids import outside
from bayesma.translation.learning.candidates import Candidate, Candidates, covariates_of
from bayesma.translation.learning.particles import Particles
from bayesma.translation.learning.targets import Moments, Sought
from bayesma.translation.learning.variances import Learnt
from bayesma.translation.pathway.asked import Question
from bayesma.translation.pathway.origins import COLUMN
from bayesma.translation.pathway.sentences import population_notes

__all__ = ["beyond", "candidate_notes", "quality_notes", "share_notes", "starting_notes"]

# A particle with more of the target's variance than this, and fewer effective ones, are told.
HEAVY, FEW = 0.01, 100


def beyond(asked: Question, read: Candidates) -> NDArray[np.bool_] | None:
    """Return which candidates measure outside the delays of the data, by the first form."""
    plan = next((f.design for f in asked.fits.values() if f.spec.family.parameters), None)
    if plan is None:
        return None
    rows = pd.DataFrame([dict(one.asked) for one in read.each])
    if COLUMN in plan.cells:  # a new species starts from the one named
        missing = rows.get(COLUMN, pd.Series(index=rows.index, dtype=object)).isna()
        rows[COLUMN] = rows.get(COLUMN, missing).mask(missing, asked.named)
    return outside(plan, rows, rows["delay"], rows["delay"])


def starting_notes(asked: Question, sought: Sought, read: Candidates) -> list[str]:
    """Return which animals the answer starts from, and whether their fits can be trusted."""
    notes = [
        f"decay form {name}: {text}"
        for name, fit in asked.fits.items()
        for text in fit.problems
        if not fit.converged
    ]
    if sought.origin is None:
        return notes
    words = sought.origin.words
    notes = [words[0].upper() + words[1:], *notes, *population_notes(asked, sought.origin)]
    if not sought.origin.levelled and COLUMN in read.table:
        notes.append(
            "the model does not tell species apart: an experiment in one of the data's is one in "
            "their mean"
        )
    return notes


def candidate_notes(asked: Question, read: Candidates) -> list[str]:
    """Return what candidates leave open, and where they go beyond the data."""
    known = sorted(set().union(*(covariates_of(fit.design) for fit in asked.fits.values())))
    notes = []
    for name in known:
        without = [one for one in read.each if name not in one.asked and not _drawn(name, one)]
        if without:
            notes.append(
                f"{name} is not named by {len(without)} of {len(read.each)} candidates: there it "
                "is averaged over the rows of the data"
            )
    far = beyond(asked, read)
    if far is not None and far.any():
        notes.append(
            f"{int(far.sum())} of {len(far)} candidates measure outside the delays of the "
            "data: what they would find is their decay family's word, not the data's"
        )
    return notes


def _drawn(name: str, one: Candidate) -> bool:
    return name == COLUMN and one.new_species is not None


def share_notes(
    sought: Sought,
    particles: Particles,
    moments: Moments,
    irreducible: float,
    rng: np.random.Generator,
) -> list[str]:
    """Return what of the variance animals cannot take away, and what only others than these can."""
    if sought.prediction is None:
        return []
    notes = []
    if irreducible > 0:
        notes.append(
            f"{irreducible:.0%} of the variance is of people alone (delta, whether effects "
            "translate, their deviation as a species): no experiment in animals takes it away"
        )
    again = sought.moments(particles.rescaled(rng))
    # Pick and freeze: what is left in common is what does not go with body weight.
    common = float(np.cov(moments.mean, again.mean)[0, 1])
    scaling = (float(moments.mean.var()) - common) / moments.total
    if scaling > HEAVY:
        notes.append(
            f"{scaling:.0%} goes with how time and doses scale with body weight: experiments in "
            "species of other weights can tell of it, those in the data's cannot"
        )
    return notes


def quality_notes(moments: Moments, found: Sequence[Learnt]) -> list[str]:
    """Return how far the numbers can be trusted."""
    parts = (moments.mean - moments.mean.mean()) ** 2 + moments.variance
    heaviest = float(parts.max() / parts.sum())
    notes = ["candidates share their draws, so differences between them are surer than mcse says"]
    if heaviest > HEAVY:
        notes.append(
            f"one draw alone carries {heaviest:.0%} of the target's variance: its tails are heavy, "
            "and shares of the variance are rough"
        )
    few = [one.effective for one in found if one.effective < FEW]
    if few:
        notes.append(
            f"{len(few)} of {len(found)} candidates leave fewer than {FEW} effective draws (down "
            f"to {min(few):.0f}): take more draws"
        )
    return notes
