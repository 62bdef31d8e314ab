"""Calibrations without sampling: a model whose posterior is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from fits import EIGHT_ROWS
from numpy.typing import NDArray

import bayesma as bm
from bayesma.checks.calibration.recipe import Recipe
from bayesma.checks.calibration.replicate import replicated
from bayesma.design import Design, design

# y_i ~ N(mu, v_i), mu ~ N(0, 5): the posterior of mu is normal, in closed form.
SPEC = bm.ModelSpec(peak="1", decay="none", likelihood="normal")
EFFECTS = bm.effect_sizes(EIGHT_ROWS)

PLAN = design(SPEC, EFFECTS)


def recipe(**changes: Any) -> Recipe:
    whole = Recipe(PLAN.spec, EFFECTS, "effects", None, 11, 200, 0, 2, None)
    return replace(whole, **changes)


def exact(
    plan: Design,
    rng: np.random.Generator,
    shift: float = 0.0,
    narrow: float = 1.0,
    deaf: bool = False,
) -> NDArray[np.float64]:
    """Return independent draws of the posterior of mu: right, shifted, narrowed or deaf."""
    prior = plan.spec.priors["peak"]
    precision = 1 / prior.sigma**2 + (0 if deaf else (1 / plan.effects.v).sum())
    mean = 0 if deaf else (plan.effects.y / plan.effects.v).sum() / precision
    sd = precision**-0.5
    return mean + sd * (shift + narrow * rng.standard_normal((2, 200, 1)))


def runner(**how: Any) -> Callable[..., dict[str, Any]]:
    """Return what makes a replicate without a sampler."""

    def refit(plan, seed, longer):
        return {"level": exact(plan, np.random.default_rng(seed), **how)}, 0

    def run(recipe, number, cores):
        return replicated(recipe, PLAN, refit, number)

    return run
