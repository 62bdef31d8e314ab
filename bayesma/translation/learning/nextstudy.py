"""next_study(): which experiment in animals would tell most of a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesma.errors import Fault, QueryError, TableError
from bayesma.priors import Prior
from bayesma.translation.learning.candidates import DELAY, SOURCE, Candidates, candidates_of
from bayesma.translation.learning.experiments import Law, Outcomes, law_of, outcomes_of
from bayesma.translation.learning.particles import Particles, particles_of
from bayesma.translation.learning.remarks import (
    beyond,
    candidate_notes,
    quality_notes,
    share_notes,
    starting_notes,
)
from bayesma.translation.learning.targets import Moments, Target, sought_of
from bayesma.translation.learning.variances import Learnt, learnt
from bayesma.translation.pathway.asked import (
    PEOPLE,
    STANDARDISED,
    Fits,
    Question,
    check_counts,
    fits_of,
    question,
    weights_of,
)
from bayesma.translation.pathway.assumptions import Assumptions
from bayesma.translation.pathway.origins import contrasts_of
from bayesma.translation.pathway.population import population
from bayesma.translation.pathway.species import species_of

__all__ = ["NextStudy", "next_study", "particles_for", "question_for"]


@dataclass(frozen=True)
class NextStudy:
    """Candidate experiments by what they would tell of a target.

    Attributes
    ----------
    target : Target
    table : pandas.DataFrame
        One row per candidate, best first: its columns; `reduction`, the share of the target's
        variance that its results take away on average, 1 - E_y[Var(target | data, y)] /
        Var(target | data); `mcse`, Monte Carlo standard error of that; `sd_now` and `sd_after`
        (the root of the variance left on average), in the effect measure, or in doublings for
        half-lives; `rank`; `beyond_data`, whether it measures outside the delays of the data.
    irreducible : float
        Share of the target's variance that no experiment in animals can take away:
        1 - Var(E[target | all that animals can show]) / Var(target).
    assumptions : Assumptions or None
        None where nothing rests on them: a target and candidates of the animals in the data.
    forms : mapping of str to float
        Decay forms by name, with their weights.
    notes : tuple of str
    seed : int
    """

    target: Target
    table: pd.DataFrame
    irreducible: float
    assumptions: Assumptions | None
    forms: Mapping[str, float]
    notes: tuple[str, ...]
    seed: int

    def __str__(self) -> str:
        """Return the answer, the table, the assumptions and the notes."""
        best = self.table.iloc[0]
        said = (
            f"{self.target.words}: of its variance the best of {len(self.table)} candidates takes "
            f"away {best['reduction']:.1%} (SD {best['sd_now']:.3g} to {best['sd_after']:.3g}); "
            f"{self.irreducible:.0%} no experiment in animals can take away"
        )
        parts = [said, self.table.round(4).to_string(index=False)]
        if self.assumptions is not None:
            parts += ["Assumptions", str(self.assumptions)]
        return "\n".join([*parts, "Notes", *self.notes])


def next_study(
    fit: Fits,
    candidates: Any,
    target: Target,
    *,
    species: str | None = None,
    dose: float | str | None = None,
    between_studies: Prior | None = None,
    assumptions: Assumptions | None = None,
    weights: Mapping[str, float] | Sequence[float] | None = None,
    draws: int = 8000,
    seed: int = 0,
) -> NextStudy:
    """Rank experiments in animals by how much of a target's variance their results take away.

    reduction = 1 - E_y[Var(target | data, y)] / Var(target | data)

    A posterior draw of everything that animals can show (the fit's parameters, its decay form,
    the spread and mean of species, exponents of body weight) is weighted by the density of the
    result y that an experiment may find, its own study effect integrated out. What is of people
    alone (delta, whether effects translate, their own deviation) stays as it is.

    Parameters
    ----------
    fit : Fit, or sequence or mapping of Fit
        As `translate` takes them; several forms are also told apart by an experiment.
    candidates : pandas.DataFrame, sequence of mappings, or mapping of str to sequence
        Columns: the model's covariates, `species`, `delay` (days or texts), `n` animals per arm,
        and `k` independent studies (1 where absent). Of a mapping of lists all combinations are
        taken. A species that is not in the data is drawn from the population of species, its time
        stretched by body weight. A factor that is not named is averaged over the rows.
    target : Target
    species : str, optional
        The one species of the data to start from, as in `translate`.
    dose : float or str, optional
        In the target, as in `translate`.
    between_studies : Prior, optional
        Of tau between animal studies where a fit does not identify it; animal_smd_2026 for SMDs.
    assumptions : Assumptions, optional
    weights : mapping of str to float, or sequence of float, optional
        Of the decay forms.
    draws : int
        Number of draws.
    seed : int

    Returns
    -------
    NextStudy

    Raises
    ------
    TableError
        With everything that is wrong with the candidates.
    QueryError
        If the target, the fits and the assumptions do not go together.

    Warns
    -----
    ExtrapolationWarning
        Where the target lies outside the delays of the animals.

    References
    ----------
    Expected reduction of a posterior variance: Raiffa & Schlaifer 1961, Applied statistical
    decision theory, ch. 5 (preposterior analysis).
    """
    if not isinstance(target, Target):
        raise QueryError(f"target = {target!r}: use bm.Target('effect', delay=7, at={{...}})")
    check_counts(seed, 1000, draws=draws)
    asked = question_for(fit, target, dose, species, assumptions, weights)
    read = candidates_of(asked, candidates)
    told = outcomes_of(asked, between_studies)
    _check_new(asked, read, assumptions)
    sought = sought_of(asked, target)
    rng = np.random.default_rng(seed)
    particles = particles_for(asked, target, read, draws, rng)
    moments = sought.moments(particles)
    _check_moments(target, moments)
    laws = _laws(asked, read, told, particles)
    found = []
    for one, law in zip(read.each, laws, strict=True):
        meets = one.new_species is not None and _is_target(asked, target, one.new_species)
        own = sought.moments(particles, met=True) if meets else moments
        found.append(learnt(own, law, one.k, particles.groups, rng))
    other = target.to not in (None, PEOPLE)
    shown = sought.moments(particles, met=True) if other else moments
    irreducible = float(shown.variance.mean() / shown.total)
    notes = [
        *starting_notes(asked, sought, read),
        *told.notes,
        *candidate_notes(asked, read),
        *share_notes(sought, particles, moments, irreducible, rng),
        *quality_notes(moments, found),
    ]
    return NextStudy(
        target,
        _table(asked, read, found, moments),
        irreducible,
        asked.given if _rests(target, read) else None,
        dict(zip(asked.fits, map(float, asked.weights), strict=True)),
        tuple(notes),
        seed,
    )


def question_for(
    fit: Fits,
    target: Target,
    dose: float | str | None,
    species: str | None,
    assumptions: Assumptions | None,
    weights: Mapping[str, float] | Sequence[float] | None,
) -> Question:
    """Return what is asked; of the animals themselves nothing but the fits is needed."""
    if target.to is not None:
        return question(fit, target.to, dose, species, assumptions, weights)
    fits = fits_of(fit)
    given = assumptions or Assumptions()
    people = species_of(PEOPLE, given.species)
    return Question(fits, weights_of(fits, weights), PEOPLE, people, species, None, given)


def _is_target(asked: Question, target: Target, name: str) -> bool:
    return target.to is not None and species_of(name, asked.given.species) is asked.target


def _rests(target: Target, read: Candidates) -> bool:
    """Return whether species are drawn from a population, so that assumptions matter."""
    return target.to is not None or any(one.new_species is not None for one in read.each)


def _check_new(asked: Question, read: Candidates, assumptions: Assumptions | None) -> None:
    measure = asked.first.design.effects.measure
    new = sorted({one.new_species for one in read.each if one.new_species is not None})
    if new and measure not in STANDARDISED and assumptions is None:
        raise QueryError(
            f"measure {measure}: how far a new species ({', '.join(new)}) may lie from those seen "
            "has a default for SMD only; state it, assumptions=bm.Assumptions(between_species=...)"
        )


def _laws(asked: Question, read: Candidates, told: Outcomes, particles: Particles) -> list[Law]:
    """Return the laws of the candidates' results; refuse those without an end."""
    with np.errstate(all="ignore"):  # what is infinite is refused below
        laws = [law_of(asked, one, told, particles) for one in read.each]
    faults = [
        Fault(
            f"in {1 - finite:.0%} of the draws the effect runs off towards delay 0",
            "give a delay at which the animals were measured",
            str(number),
            DELAY,
            f"{one.asked.get(DELAY, 0.0):g}",
        )
        for number, (one, finite) in enumerate(zip(read.each, map(_finite, laws), strict=True), 1)
        if finite < 1
    ]
    if faults:
        raise TableError(SOURCE, faults)
    return laws


def _finite(law: Law) -> float:
    """Return the share of particles whose result has a density."""
    fine = np.isfinite(law.mean) & np.isfinite(law.between).all(axis=1)
    return float(fine.mean())


def _check_moments(target: Target, moments: Moments) -> None:
    if not np.isfinite(moments.total):
        raise QueryError(
            f"{target.words}: its variance is not finite, because the effect runs off towards "
            "delay 0; ask for a delay at which the animals were measured"
        )
    if moments.total == 0:
        raise QueryError(f"{target.words}: it is known already, there is nothing to reduce")


def particles_for(
    asked: Question, target: Target, read: Candidates, draws: int, rng: np.random.Generator
) -> Particles:
    """Return draws of what animals can show.

    Weighted by the population of species where species are drawn from it; the fit's own where a
    question stays within it.
    """
    new = [species_of(c.new_species, asked.given.species) for c in read.each if c.new_species]
    log_weights = []
    for fit in asked.fits.values():
        size = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
        if _rests(target, read):
            told = population(*contrasts_of(fit), asked.given.between_species)
            log_weights.append(told.log_weights)
        else:
            log_weights.append(np.zeros(size))
    return particles_of(log_weights, asked.weights, [*new, asked.target], draws, rng)


def _table(
    asked: Question, read: Candidates, found: Sequence[Learnt], moments: Moments
) -> pd.DataFrame:
    now = float(np.sqrt(moments.total))
    reduction = np.array([one.reduction for one in found])
    table = read.table.assign(
        reduction=reduction,
        mcse=[one.mcse for one in found],
        sd_now=now,
        sd_after=now * np.sqrt(np.clip(1 - reduction, 0, None)),
    )
    table = table.assign(rank=table["reduction"].rank(ascending=False, method="min").astype(int))
    outside_data = beyond(asked, read)
    if outside_data is not None:
        table = table.assign(beyond_data=outside_data)
    return table.sort_values("rank", kind="stable", ignore_index=True)
