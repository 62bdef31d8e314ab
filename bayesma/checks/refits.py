"""Units left out by sampling again without them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayesma.bayes.masks import without_group, without_row
from bayesma.bayes.sampler import Compiled, Settings, compiled, sample
from bayesma.diagnostics import convergence_problems
from bayesma.posterior import Fit
from bayesma.predictive import group_log_likelihoods, log_likelihoods

__all__ = ["densities_without", "density_without"]

SETTINGS = ("seed", "draws", "tune", "chains", "target_accept")


def densities_without(
    fit: Fit, by: str, units: NDArray[np.int64], progress: bool
) -> NDArray[np.float64]:
    """Return log p(y of a unit | the other units) for several, by one compile, shape (units,)."""
    engine = compiled(fit.design)
    return np.array([density_without(fit, by, int(unit), engine, progress) for unit in units])


def density_without(fit: Fit, by: str, unit: int, engine: Compiled, progress: bool) -> float:
    """Return log p(y of a unit | the other units) by sampling without it; NaN if in vain."""
    plan = fit.design
    data = without_row(plan, unit) if by == "row" else without_group(plan, unit)
    # nutpie whatever the fit's sampler: only compiled code leaves a unit out.
    settings = Settings(**{key: fit.provenance[key] for key in SETTINGS}, progress=progress)
    tree = sample(engine.with_data(**data), settings)
    if convergence_problems(tree, plan):
        return float("nan")
    step = max(1, settings.draws // fit.tree["log_likelihood"].dataset.sizes["draw"])
    posterior = tree["posterior"].dataset.isel(draw=slice(None, None, step))
    draws = {str(n): a.values for n, a in posterior.data_vars.items()}
    found = log_likelihoods(plan, draws)[1] if by == "row" else group_log_likelihoods(plan, draws)
    densities = found[..., unit].ravel()
    return float(logsumexp(densities) - np.log(densities.size))
