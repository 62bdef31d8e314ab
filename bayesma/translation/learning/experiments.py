"""What an experiment in animals would find, given each particle.

d sqrt(q) ~ N(theta, 2/n),  q ~ chi2_nu / nu,  nu = 2n - 2,  theta ~ N(m, tau^2)

for SMDs of n animals per arm: with the study effect integrated out d is a noncentral t times
sqrt(tau^2 + 2/n), exactly. Other measures are normal with a variance of s^2 2/n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from bayesma.design import Design
from bayesma.errors import QueryError
from bayesma.mean import VARIABLES, spread
from bayesma.noncentral.densities import log_noncentral_t
from bayesma.posterior import Fit
from bayesma.priors import Prior, named
from bayesma.queries.curves import effect_at
from bayesma.queries.grids import grid, points_of
from bayesma.smallstudy import SIZES
from bayesma.translation.learning.candidates import Candidate, covariates_of
from bayesma.translation.learning.particles import Particles
from bayesma.translation.pathway.asked import Question
from bayesma.translation.pathway.forms import form_of
from bayesma.translation.pathway.origins import COLUMN
from bayesma.translation.pathway.population import QUANTILES
from bayesma.translation.pathway.prediction import Prediction
from bayesma.translation.pathway.species import species_of

__all__ = ["Law", "Outcomes", "law_of", "outcomes_of"]

Floats = NDArray[np.float64]
ANIMALS = "animal_smd_2026"
# Equally likely precisions of a Student-t study effect.
NODES = 16


@dataclass(frozen=True)
class Law:
    """The distribution of one study's result, given each particle.

    Attributes
    ----------
    mean : ndarray, shape (particles,)
        Of theta, in the population of studies.
    between : ndarray, shape (particles, nodes)
        Equally likely variances of theta around it.
    sampling : float
        Variance of the result around theta; of its numerator where `df` is not None.
    df : int or None
        Degrees of freedom of the SD that an SMD is measured in; None where that is known.
    """

    mean: Floats
    between: Floats
    sampling: float
    df: int | None

    def draws(self, index: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """Return a result for each particle of an index."""
        node = rng.integers(self.between.shape[1], size=len(index))
        variance = self.between[index, node] + self.sampling
        out = self.mean[index] + np.sqrt(variance) * rng.standard_normal(len(index))
        if self.df is None:
            return out
        return np.asarray(out / np.sqrt(rng.chisquare(self.df, len(index)) / self.df))

    def log_density(self, y: Floats) -> Floats:
        """Return log p(y | particle), shape (particles, results)."""
        parts = []
        for node in range(self.between.shape[1]):
            variance = (self.between[:, node] + self.sampling)[:, None]
            if self.df is None:
                parts.append(-0.5 * (y - self.mean[:, None]) ** 2 / variance)
                parts[-1] -= 0.5 * np.log(2 * np.pi * variance)
            else:
                parts.append(log_noncentral_t(y, self.df, self.mean[:, None], variance))
        if len(parts) == 1:
            return parts[0]
        return np.asarray(special.logsumexp(parts, axis=0) - np.log(len(parts)))


@dataclass(frozen=True)
class Outcomes:
    """What the fits say of how experiments scatter.

    Attributes
    ----------
    exact : bool
        Whether the measure is an SMD, whose law is exact.
    unit : float
        Variance of an effect at one animal per arm, over 2; 1 for SMDs.
    between : Prior or None
        Of tau, where a fit has none.
    notes : tuple of str
    """

    exact: bool
    unit: float
    between: Prior | None
    notes: tuple[str, ...]


def outcomes_of(asked: Question, between_studies: Prior | None) -> Outcomes:
    """Return how experiments scatter around their mean.

    Parameters
    ----------
    asked : Question
    between_studies : Prior or None
        Of tau, where fits have none; animal_smd_2026 where absent and the measure is an SMD.

    Raises
    ------
    QueryError
        If the scatter is not known.
    """
    measure = asked.first.design.effects.measure
    without = [name for name, fit in asked.fits.items() if not fit.design.tau_names]
    between, notes = None, []
    if without:
        if between_studies is None and measure != "SMD":
            raise QueryError(
                f"measure {measure}: these fits do not identify how studies differ; state it, "
                "between_studies=bm.priors.half_normal(...)"
            )
        between = between_studies or named(ANIMALS)
        told = "" if between_studies else f" ({ANIMALS} by name)"
        notes.append(
            f"heterogeneity between animal studies is not identified by {', '.join(without)}: "
            f"tau ~ {between}{told}"
        )
    if measure == "SMD":
        notes.append(
            "a study's result is exact: Hedges g by noncentral t, n per arm, its study effect "
            "integrated out"
        )
        return Outcomes(True, 1.0, between, tuple(notes))
    unit = _unit(asked.first.design)
    notes.append(
        f"a study's result is taken as normal, with sampling variance {unit:.3g} x 2 / n: the "
        "median over the rows of v / (1/n_treated + 1/n_control)"
    )
    return Outcomes(False, unit, between, tuple(notes))


def _unit(plan: Design) -> float:
    frame = plan.effects.frame
    found: pd.Series[float] = pd.Series(dtype=float)
    if {*SIZES, "v"} <= set(frame):
        found = (frame["v"] / (1 / frame[SIZES[0]] + 1 / frame[SIZES[1]])).dropna()
    if found.empty:
        raise QueryError(
            "the rows have no group sizes, so it is not known how precise a study of n animals "
            "per arm is; add n_treated and n_control to the table, or fit SMDs"
        )
    return float(found.median())


def law_of(asked: Question, candidate: Candidate, told: Outcomes, particles: Particles) -> Law:
    """Return the law of a candidate's result.

    Parameters
    ----------
    asked : Question
    candidate : Candidate
    told : Outcomes
    particles : Particles
    """
    frames = [_frame(fit, candidate, asked.named) for fit in asked.fits.values()]
    if candidate.new_species is None:
        means = [
            effect_at(fit, frame).reshape(-1, 1)
            for fit, frame in zip(asked.fits.values(), frames, strict=True)
        ]
        mean = particles.pick(means)[:, 0]
    else:
        mean = _elsewhere(asked, candidate, candidate.new_species, frames, particles)
    between = np.empty((len(mean), NODES))
    for number, (fit, frame) in enumerate(zip(asked.fits.values(), frames, strict=True)):
        mine = np.flatnonzero(particles.form == number)
        draw = particles.draw[mine]
        between[mine] = _between(fit, frame, mean[mine], draw, particles, mine, told)
        mean[mine] += _of_size(fit, draw, candidate.n)
    if not any(fit.design.spec.population == "student" for fit in asked.fits.values()):
        between = between[:, :1]
    df = 2 * candidate.n - 2 if told.exact else None
    return Law(mean, between, told.unit * 2 / candidate.n, df)


def _frame(fit: Fit, candidate: Candidate, named_species: str | None) -> pd.DataFrame:
    """Return the candidate as a row of the fit's covariates; what is not named is averaged."""
    plan = fit.design
    names = covariates_of(plan)
    asked: dict[str, Any] = {
        name: value for name, value in candidate.asked.items() if name in names
    }
    if "delay" in candidate.asked:
        asked["delay"] = candidate.asked["delay"]
    if COLUMN in plan.cells and candidate.new_species is not None:
        asked[COLUMN] = named_species  # the one to start from
    return points_of(grid(fit, **asked))


def _elsewhere(
    asked: Question,
    candidate: Candidate,
    species: str,
    frames: Sequence[pd.DataFrame],
    particles: Particles,
) -> Floats:
    """Return the mean in a species that is not in the data."""
    target = species_of(species, asked.given.species)
    pairs = [
        form_of(fit, frame, target, asked.given, asked.named, candidate.asked.get("dose"))
        for fit, frame in zip(asked.fits.values(), frames, strict=True)
    ]
    forms, origins = zip(*pairs, strict=True)
    shares = float(np.mean([origin.concentration.mean() for origin in origins]))
    prediction = Prediction(forms, asked.weights, asked.given, discrepant=False)
    found = prediction(particles.of_species(shares, particles.own[target]))
    return np.array(found.carried[:, 0])


def _between(
    fit: Fit,
    frame: pd.DataFrame,
    mean: Floats,
    draw: NDArray[np.int64],
    particles: Particles,
    mine: NDArray[np.int64],
    told: Outcomes,
) -> Floats:
    """Return equally likely variances of a study's effect, shape (particles, nodes)."""
    plan = fit.design
    flat = _flat(fit)
    if not plan.tau_names:
        assert told.between is not None
        steps = (np.arange(QUANTILES) + 0.5) / QUANTILES
        nodes = np.asarray(told.between.distribution().ppf(steps))
        which = particles.at.parts["new study"][mine, 0] * QUANTILES
        tau = nodes[np.minimum(which.astype(int), QUANTILES - 1)]
        return np.repeat(tau[:, None] ** 2, NODES, axis=1)
    ratio = np.ones(len(draw))
    if plan.varying_tau:
        ratio = np.exp(flat[VARIABLES["tau"]][draw] @ plan.predictors["tau"].matrix(frame)[0])
    out = np.zeros((len(draw), NODES))
    for depth, name in enumerate(plan.tau_names):
        kappa = flat[plan.kappa_names[depth]][draw] if plan.kappa_names else 0.0
        variance = (spread(flat[name][draw], kappa, mean) * ratio) ** 2
        precision = np.ones((len(draw), NODES))
        if depth == 0 and "nu" in plan.scalars:
            half = flat["nu"][draw][:, None] / 2
            precision = special.gammaincinv(half, (np.arange(NODES) + 0.5) / NODES) / half
        out += variance[:, None] / precision
    return out


def _flat(fit: Fit) -> Mapping[str, Floats]:
    """Return the draws with the chains one after another."""
    posterior, plan = fit.posterior, fit.design
    names = [*plan.scalars, *([VARIABLES["tau"]] if plan.varying_tau else [])]
    return {n: posterior[n].values.reshape(-1, *posterior[n].values.shape[2:]) for n in names}


def _of_size(fit: Fit, draw: NDArray[np.int64], n: int) -> Floats | float:
    """Return what goes with the size of the study, where the model has that."""
    term = fit.design.small_study
    if term is None:
        return 0.0
    own = (1 / np.sqrt(2 * n) - term.centre) / term.scale
    return np.asarray(_flat(fit)["small_study"][draw] * own)
