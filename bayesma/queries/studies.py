"""What a fit says of its studies: how far each lies out, and whether its size matters."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesma.errors import QueryError
from bayesma.posterior import Fit
from bayesma.predictive import group_effects, group_precisions

__all__ = [
    "small_study_effect",
    "small_study_sentence",
    "study_effects",
    "study_weights",
    "unknown_delays",
]

Floats = NDArray[np.float64]


def study_effects(fit: Fit, *, seed: int) -> xr.DataArray:
    """Return how far each study lies from its mean: draws given the parameters and data.

    Parameters
    ----------
    fit : Fit
    seed : int

    Returns
    -------
    xarray.DataArray
        Dims chain, draw and the outermost grouping column, labelled; effect measure units.

    Raises
    ------
    QueryError
        If the model has no group effects.
    """
    plan = fit.design
    if not plan.tau_names:
        raise QueryError("this model has no group effects: add (1 | study) to peak")
    effects = group_effects(plan, _draws(fit), np.random.default_rng(seed))[-1]
    out = _by_study(
        fit, effects, "study_effect", "effect", f"deviation of each {plan.unit} from its mean"
    )
    out.attrs |= {"measure": plan.effects.measure, "units": plan.effects.measure}
    return out


def study_weights(fit: Fit) -> xr.DataArray:
    """Return how far each study is heard by a Student-t population.

    E(w | y, parameters), where a study's effect is N(0, tau^2 / w) and w ~ Gamma(nu/2, nu/2): 1
    where a normal population would do, towards 0 the further the study lies from the rest.

    Parameters
    ----------
    fit : Fit
        With ``population="student"``.

    Returns
    -------
    xarray.DataArray
        Dims chain, draw and the outermost grouping column, labelled; no unit.

    Raises
    ------
    QueryError
        If the population is normal, which hears every study alike.
    """
    plan = fit.design
    if plan.spec.population != "student":
        raise QueryError(
            "study weights come with population='student'; a normal population discounts no study"
        )
    return _by_study(
        fit,
        group_precisions(plan, _draws(fit)),
        "study_weight",
        "weight",
        "precision of each study's effect over 1 / tau^2",
    )


def _draws(fit: Fit) -> dict[str, Any]:
    return {str(name): array.values for name, array in fit.posterior.data_vars.items()}


def _by_study(fit: Fit, values: Floats, name: str, kind: str, estimand: str) -> xr.DataArray:
    """Return draws by study with their labels; a pooled row has no study of its own."""
    plan = fit.design
    enters = np.unique(plan.groups.outermost[~plan.pooled])
    coords = {
        "chain": fit.posterior["chain"].values,
        "draw": fit.posterior["draw"].values,
        plan.unit: np.array(plan.groups.labels[0], dtype=str)[enters],
    }
    dims = ("chain", "draw", plan.unit)
    out = xr.DataArray(values[..., enters], dims=dims, coords=coords, name=name)
    out.attrs = {"estimand": estimand, "kind": kind}
    return out


def small_study_effect(fit: Fit) -> xr.DataArray:
    """Return how much more effect a study of average size finds than a very large one would.

    beta mean(x) / sd(x), with x = 1/sqrt(n) and beta the change over one standard deviation of x:
    the model is linear in x, and x = 0 is an infinitely large study.

    Parameters
    ----------
    fit : Fit
        With ``small_study="1/sqrt(n)"``.

    Returns
    -------
    xarray.DataArray
        Dims chain, draw, point (one), in units of the effect measure; coordinate `animals`: the
        size at the average x. It extrapolates to sizes that no row has: what it is good for is
        its sign and its rough size.

    Raises
    ------
    QueryError
        If the model has no small-study term.
    """
    term = fit.design.small_study
    if term is None:
        raise QueryError("this model has no small-study term: ModelSpec(small_study='1/sqrt(n)')")
    posterior = fit.posterior
    values = posterior["small_study"].values[..., None] * term.centre / term.scale
    animals = 1 / term.centre**2
    coords = {
        "chain": posterior["chain"].values,
        "draw": posterior["draw"].values,
        "animals": ("point", np.array([animals])),
    }
    out = xr.DataArray(values, coords, ("chain", "draw", "point"), "small_study_effect")
    measure = fit.design.effects.measure
    out.attrs = {
        "estimand": f"effect ({measure}) in a study of {animals:.3g} animals minus that in an "
        "infinitely large one, everything else alike",
        "measure": measure,
        "units": measure,
        "kind": "effect",
    }
    return out


def small_study_sentence(fit: Fit) -> str:
    """Return the probability of a small-study effect, as a sentence beside a curve."""
    draws = small_study_effect(fit)
    return (
        f"effects are those of a study of {draws['animals'].item():.3g} animals; with probability "
        f"{float((draws > 0).mean()):.2f} they are larger (more positive) in smaller studies"
    )


def unknown_delays(fit: Fit) -> xr.DataArray:
    """Return the delays that studies do not report, as the data and the prior have them.

    Parameters
    ----------
    fit : Fit
        With ``missing_delay="latent"`` and rows without a delay.

    Returns
    -------
    xarray.DataArray
        Dims chain, draw and delay_of (the study, and its decay cell); days.

    Raises
    ------
    QueryError
        If the model has no unknown delay.
    """
    if fit.design.latent is None:
        raise QueryError("this model has no unknown delay: ModelSpec(missing_delay='latent')")
    out = fit.posterior["latent_delay"].rename("unknown_delay")
    out.attrs = {"estimand": "delay that is not reported", "kind": "duration", "units": "d"}
    return out
