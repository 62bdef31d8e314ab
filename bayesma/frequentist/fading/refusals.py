"""Refusals: what a likelihood without priors cannot be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bayesma import priors as p
from bayesma.design import Design
from bayesma.effects import Effects
from bayesma.errors import SpecError
from bayesma.frequentist.fading.surface import Profiled, linear_design
from bayesma.spec import DEFAULT_PRIORS, ModelSpec

__all__ = ["check_choices", "check_held", "check_rank", "with_stand_ins"]


def check_choices(method: str | None, ci_prob: float, spec: ModelSpec) -> None:
    """Refuse choices that are none, and delays without a prior."""
    if method not in (None, "REML", "ML"):
        raise SpecError(f"method = '{method}'; known: REML, ML")
    if not 0 < ci_prob < 1:
        raise SpecError(f"ci_prob = {ci_prob}: a probability between 0 and 1")
    if not isinstance(spec, ModelSpec):
        raise SpecError(f"a model needs a ModelSpec, not a {type(spec).__name__}")
    if "rho" in spec.priors:
        raise SpecError(
            "a prior of rho: this engine takes a rho that is known; give it to effect_sizes"
        )
    if spec.missing_delay == "latent":
        raise SpecError(
            "missing_delay = 'latent': without its prior an unknown delay is whatever suits the "
            "curve; use missing_delay = 'drop', which leaves those rows out and counts them"
        )


def with_stand_ins(spec: ModelSpec, effects: Effects) -> ModelSpec:
    """Return a spec that needs no priors of a measure without default ones: none is used."""
    # What is no Effects is refused by the design.
    if getattr(effects, "measure", "SMD") in DEFAULT_PRIORS:
        return spec
    names = ["peak", "peak_contrast", *(["tau"] if spec.groups else [])]
    names += ["small_study"] if spec.small_study != "none" else []
    found = {name: p.HalfNormal(1) if name == "tau" else p.Normal(0, 1) for name in names}
    return replace(spec, priors=found | dict(spec.priors))


def check_held(plan: Design, hold: Sequence[str]) -> None:
    """Refuse to hold what the model does not have."""
    known = (*plan.tau_names, *plan.kappa_names)
    for name in hold:
        if name not in known:
            raise SpecError(f"hold = '{name}'; this model has {', '.join(known) or 'none'}")


def check_rank(plan: Design) -> None:
    """Refuse coefficients of the level that the rows cannot tell apart, or too many for a tau."""
    surface = Profiled(linear_design(plan), False)
    columns = surface.rows(np.ones((1, len(surface.basis))))[0]
    rank, needed = int(np.linalg.matrix_rank(columns)), len(columns)
    if rank < needed:
        raise SpecError(
            f"peak = '{plan.spec.peak}': {needed} coefficients, of which the rows tell {rank} "
            "apart; leave out what is collinear, or merge levels"
        )
    if plan.tau_names and len(plan.effects) <= needed:
        raise SpecError(
            f"{len(plan.effects)} rows for {needed} coefficients of the level: nothing is left to "
            f"see tau by; drop (1 | {'/'.join(plan.groups.names)}) or terms of peak"
        )
