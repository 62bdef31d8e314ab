"""What is to be said beside a translation: where it starts, and what of it is mostly assumed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayesma.queries.studies import small_study_sentence
from bayesma.translation.pathway.asked import Question
from bayesma.translation.pathway.assumptions import FALLBACK_TRIALS
from bayesma.translation.pathway.doses import dose_notes
from bayesma.translation.pathway.origins import Origin
from bayesma.translation.pathway.species import species_of

__all__ = ["notes_of", "population_notes"]

# Of the prior variance of sigma: where the data took away less, its spread is mostly assumed.
MOSTLY = 0.5
# Effective draws below which a 95% interval's ends are noise.
FEWEST = 400


def notes_of(asked: Question, origins: Sequence[Origin]) -> list[str]:
    """Return what a translation starts from, and what of it is mostly assumed."""
    notes = [origins[0].words[0].upper() + origins[0].words[1:], _rows_note(asked)]
    notes += _form_notes(asked)
    notes += [
        f"decay form {name}: {text}"
        for name, fit in asked.fits.items()
        if not fit.converged
        for text in fit.problems
    ]
    identified = all(one.design.tau_names for one in asked.fits.values())
    if asked.given.between_trials is None and not identified:
        notes.append(
            "heterogeneity between trials is not identified by these animals: "
            f"tau ~ {FALLBACK_TRIALS}, of human trials"
        )
    notes += [
        f"decay form {name}: {small_study_sentence(fit)}"
        for name, fit in asked.fits.items()
        if fit.design.small_study is not None
    ]
    notes += population_notes(asked, origins[0])
    notes += _weight_notes(asked, origins[0])
    return notes + dose_notes(asked.first, asked.dose, asked.target, asked.given.species)


def _form_notes(asked: Question) -> list[str]:
    """Return which decay forms are averaged, and whether they are of the same rows."""
    if len(asked.fits) == 1:
        return []
    shares = zip(asked.fits, asked.weights, strict=True)
    how = ", as alike" if asked.alike else ", as stated"
    notes = ["decay forms: " + ", ".join(f"{name} {share:.0%}" for name, share in shares) + how]
    values = [one.design.effects.y for one in asked.fits.values()]
    if not all(np.array_equal(one, values[0]) for one in values):
        sizes = ", ".join(str(len(one)) for one in values)
        notes.append(
            f"the fits are of different effects ({sizes} of them): what is averaged is not their "
            "decay forms alone"
        )
    return notes


def _weight_notes(asked: Question, origin: Origin) -> list[str]:
    """Return the body weights by which time is stretched."""
    if not any(one.spec.family.parameters for one in asked.fits.values()):
        return []
    if asked.given.no_scaling == 1:
        return []
    both = {**origin.animals, asked.to: asked.target}
    said = ", ".join(f"{name} {one.weight:g} kg" for name, one in both.items())
    sources = "; ".join(dict.fromkeys(one.source for one in both.values()))
    return [f"body weights: {said} ({sources})"]


def _rows_note(asked: Question) -> str:
    """Return how many rows stand behind the first fit, and what they are."""
    plan = asked.first.design
    pooled, rows = int(plan.pooled.sum()), len(plan.effects)
    if not pooled:
        return f"fitted to {rows} rows"
    plain = f"{rows - pooled} rows and " if pooled < rows else ""
    return (
        f"fitted to {plain}{pooled} published pooled results of "
        f"{len(plan.frame) - (rows - pooled)} comparisons"
    )


def population_notes(asked: Question, origin: Origin) -> list[str]:
    """Return how much of the spread of species is its prior."""
    told, prior = origin.population, asked.given.between_species
    if asked.named is not None and species_of(asked.named, asked.given.species) == asked.target:
        return [f"{asked.to} is where it starts from: nothing is added for a new species"]
    if prior is None:
        return ["species are taken as alike: nothing is added for a new one"]
    if told.levels == 1:
        return [
            f"the spread of species is its prior, {prior}: the model does not tell species apart, "
            "so these data say nothing of it"
        ]
    mean = float(np.mean(told.sigma))
    said = f"the spread of species rests on {told.levels} species: SD {mean:.2g}, " + (
        f"under the prior {prior}, which has no finite variance: compare others"
        if np.isnan(told.learnt)
        else f"of whose prior variance ({prior}) the data took away {max(told.learnt, 0):.0%}"
    )
    found = [said + (": mostly assumed" if told.learnt < MOSTLY else "")]
    if told.effective < FEWEST:
        found.append(
            f"only {told.effective:.0f} of {len(told.log_weights)} posterior draws are effective "
            f"once their prior of species is {prior}: do not trust the last digits, nor much else "
            "below 100; fit again with a prior of peak_contrast nearer to the spread of species, "
            "or with more draws"
        )
    return found
