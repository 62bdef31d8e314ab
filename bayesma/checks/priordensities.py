"""The log density of each named prior at posterior draws, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bayesma.design import Design
from bayesma.mean import VARIABLES

__all__ = ["HYPERPARAMETERS_ONLY", "log_priors"]

Floats = NDArray[np.float64]

# Priors of what is unknown row by row, as an effect of a study is: raising them to a power along
# with the rest says how large the data set is, not how firm the prior.
HYPERPARAMETERS_ONLY = frozenset({"delay"})


def log_priors(plan: Design, draws: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the log prior density of draws by name of the prior, shape (...).

    coefficients = average_basis a + contrast_basis c;  log p = sum log p(a) + sum log p(c)

    with a and c by least squares, which is exact: the bases have full column rank together, and
    coefficients lie in their span. A name is one of the spec's priors (`tau` is shared by all
    levels of groups); those that this model does not use are left out. Constants of the change
    from coefficients to a and c are dropped.

    Parameters
    ----------
    plan : Design
    draws : mapping of str to ndarray, shape (..., terms) or (...)
        Coefficients and taus, by the names of a posterior.
    """
    priors = plan.spec.priors
    found: dict[str, Floats] = {}
    for parameter in (*plan.spec.predictors, *(["tau"] if plan.varying_tau else [])):
        found |= _coefficients(plan, parameter, draws[VARIABLES[parameter]])
    for variable, name in plan.scalars.items():
        density = priors[name].log_density(np.asarray(draws[variable]))
        found[name] = found[name] + density if name in found else density
    for variable in plan.vectors:
        found["delay"] = priors["delay"].log_density(draws[variable]).sum(axis=-1)
    return found


def _coefficients(plan: Design, parameter: str, coefficients: Floats) -> dict[str, Floats]:
    """Return the log densities of a formula's averages and of its contrasts."""
    predictor, priors = plan.predictors[parameter], plan.spec.priors
    # The average of log tau is the scalar tau itself.
    average = predictor.average_basis[:, : 0 if parameter == "tau" else None]
    basis = np.hstack([average, predictor.contrast_basis])
    coordinates = np.asarray(coefficients) @ np.linalg.pinv(basis).T
    found = {}
    if count := average.shape[1]:
        found[parameter] = priors[parameter].log_density(coordinates[..., :count]).sum(axis=-1)
    if basis.shape[1] > count:
        # Contrast coordinates are in the units of their prior: any two levels differ by it.
        name = f"{parameter}_contrast"
        found[name] = priors[name].log_density(coordinates[..., count:]).sum(axis=-1)
    return found
