"""One replicate: a truth, new outcomes of the same studies, a refit, and where the truth ranks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesma.bayes.model import data_of
from bayesma.bayes.sampler import Compiled, Settings, compiled, sample
from bayesma.checks.calibration.quantities import (
    LOG_LIKELIHOOD,
    Quantity,
    convergence_of,
    quantities_of,
    statistics_of,
    summed_log_likelihood,
    thinned,
    values_of,
)
from bayesma.checks.calibration.recipe import Recipe, planned
from bayesma.design import Design
from bayesma.predictive import prior_draws, regenerated, replicates

__all__ = ["Refit", "replicated", "sampled_replicate"]

Floats = NDArray[np.float64]
Draws = dict[str, Floats]
# A design with its outcomes, a seed and how many times the draws -> draws and divergences.
Refit = Callable[[Design, int, int], tuple[Draws, int]]

# Draws among which a truth is ranked: few enough to be near independent.
RANKED = 100
# A replicate is believed from here on. Ranks need no more than draws from the posterior, each
# nearly independent of the next; a fit that is reported has to do better (`diagnostics`).
R_HAT, ESS = 1.05, 2 * RANKED
# One that is not is sampled once more, this many times as long.
LONGER = 4


@dataclass(frozen=True)
class _Outcome:
    """What a refit gave, and whether to believe it."""

    draws: Draws
    values: Floats
    divergences: int
    r_hat: float
    ess: float

    @property
    def problem(self) -> str:
        # The negations also catch NaN: a chain that never moved.
        if not self.r_hat <= R_HAT:
            return f"R-hat above {R_HAT:g}"
        return "" if self.ess >= ESS else f"fewer than {ESS} effective draws"


def replicated(recipe: Recipe, plan: Design, refit: Refit, number: int) -> dict[str, Any]:
    """Return the record of one replicate, as plain data.

    What it draws depends on the recipe's seed and on `number` alone (a child of
    `numpy.random.SeedSequence`), whoever runs it and when.
    """
    own = np.random.SeedSequence(recipe.seed, spawn_key=(number,))
    truth_seed, data_seed, rank_seed, sampler_seed = own.spawn(4)
    *parameters, log_likelihood = quantities_of(plan)
    record: dict[str, Any] = {"replicate": number, "resampled": False, "problem": ""}
    truth = _truth(recipe, plan, np.random.default_rng(truth_seed))
    try:
        # A prior draw may fade so fast that no float holds the effect before its reference delay.
        with np.errstate(all="ignore"):
            new = _with_outcomes(recipe, plan, truth, np.random.default_rng(data_seed))
        if not np.isfinite(new.y).all():
            return record | {"problem": "an effect too large for a float"}
        seeds = [int(seed) for seed in sampler_seed.generate_state(2) >> 1]
        found = _fitted(new, refit, parameters, seeds[0], 1)
        if found.problem:
            record["resampled"] = True
            found = _fitted(new, refit, parameters, seeds[1], LONGER)
    # What a sampler, an impossible covariance or a singular matrix refuses with.
    except (RuntimeError, ValueError, ArithmeticError) as error:
        return record | {"problem": f"{type(error).__name__}: {_first_line(error)}"}
    record |= {
        "divergences": found.divergences,
        "r_hat": found.r_hat,
        "ess": found.ess,
        "problem": found.problem,
    }
    if found.problem:
        return record
    few = thinned(found.draws, RANKED)
    few |= {LOG_LIKELIHOOD: summed_log_likelihood(new, few)}
    truth |= {LOG_LIKELIHOOD: summed_log_likelihood(new, truth)}
    quantities = [*parameters, log_likelihood]
    return record | statistics_of(
        values_of(quantities, truth),
        values_of(quantities, few),
        found.values.reshape(-1, len(parameters)),
        np.random.default_rng(rank_seed),
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _truth(recipe: Recipe, plan: Design, rng: np.random.Generator) -> Draws:
    if recipe.truth is not None:
        return {name: np.asarray(value, dtype=float) for name, value in recipe.truth.items()}
    return {name: np.asarray(values[0]) for name, values in prior_draws(plan, 1, rng).items()}


def _with_outcomes(
    recipe: Recipe, plan: Design, truth: Mapping[str, Floats], rng: np.random.Generator
) -> Design:
    if recipe.outcomes == "arms":
        return regenerated(plan, truth, rng)
    y = replicates(replace(plan, exact=None), truth, rng)
    effects = replace(plan.effects, frame=plan.effects.frame.assign(y=y))
    exact = None if plan.exact is None else replace(plan.exact, y=y)
    return replace(plan, effects=effects, exact=exact)


def _fitted(
    plan: Design, refit: Refit, parameters: Sequence[Quantity], seed: int, longer: int
) -> _Outcome:
    draws, divergences = refit(plan, seed, longer)
    values = values_of(parameters, draws)
    return _Outcome(draws, values, divergences, *convergence_of(values))


# ---- sampling ------------------------------------------------------------------------------------

# Compiled code does not pickle, so each process compiles once, whatever it is asked for; the last
# recipe's is kept.
_LOCK = threading.Lock()
_ENGINES: dict[str, Compiled] = {}


def engine_of(recipe: Recipe) -> Compiled:
    """Return the compiled model of a recipe, compiled once in each process."""
    with _LOCK:
        if recipe.fingerprint not in _ENGINES:
            _ENGINES.clear()
            _ENGINES[recipe.fingerprint] = compiled(planned(recipe))
        return _ENGINES[recipe.fingerprint]


def sampled_replicate(recipe: Recipe, number: int, cores: int | None) -> dict[str, Any]:
    """Return the record of one replicate, refitted by the sampler.

    Parameters
    ----------
    recipe : Recipe
    number : int
    cores : int or None
        Chains that run side by side; None for all that the machine can.
    """
    engine = engine_of(recipe)

    def refit(plan: Design, seed: int, longer: int) -> tuple[Draws, int]:
        settings = Settings(
            seed=seed,
            draws=longer * recipe.draws,
            tune=longer * recipe.tune,
            chains=recipe.chains,
            target_accept=recipe.target_accept,
            progress=False,
            cores=cores,
        )
        tree = sample(engine.with_data(**data_of(plan)), settings)
        posterior = tree["posterior"].dataset
        draws = {str(name): array.values for name, array in posterior.data_vars.items()}
        return draws, int(tree["sample_stats"]["diverging"].sum())

    return replicated(recipe, engine.design, refit, number)
