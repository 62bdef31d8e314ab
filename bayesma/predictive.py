"""What a model says before and after data, in NumPy: prior draws, replicates, likelihoods.

Everything goes through `mean` and `marginal`, so it agrees with the sampler by construction.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bayesma import marginal
from bayesma.coding import Predictor
from bayesma.covariance import Blocks
from bayesma.design import Design
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean, row_mean
from bayesma.spec import ModelSpec

__all__ = ["group_effects", "log_likelihoods", "mean_at_rows", "prior_draws", "replicates"]

Floats = NDArray[np.float64]
Draws = Mapping[str, Floats]

MATHS = NumPyMaths()


def prior_draws(plan: Design, size: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Return draws of the coefficients and taus from the prior, shape (size, ...)."""
    draws = {
        VARIABLES[name]: _prior_coefficients(plan.spec, name, plan.predictors[name], size, rng)
        for name in (*plan.spec.predictors, *(["tau"] if plan.varying_tau else []))
    }
    for name in plan.tau_names:
        draws[name] = plan.spec.priors["tau"].draw(rng, (size,))
    return draws


def _prior_coefficients(
    spec: ModelSpec, parameter: str, predictor: Predictor, size: int, rng: np.random.Generator
) -> Floats:
    out = np.zeros((size, len(predictor.terms)))
    for basis, key in (
        (predictor.average_basis, parameter),
        (predictor.contrast_basis, f"{parameter}_contrast"),
    ):
        if basis.shape[1] and key != "tau":
            out += spec.priors[key].draw(rng, (size, basis.shape[1])) @ basis.T
    return out


def coefficients(plan: Design, draws: Draws) -> dict[str, Floats]:
    """Return the draws of the mean's coefficients by parameter."""
    return {name: draws[VARIABLES[name]] for name in plan.spec.predictors}


def mean_at_rows(plan: Design, draws: Draws) -> Floats:
    """Return the fixed part of each row's mean, shape (..., rows)."""
    # Before its reference delay a prior draw's effect may be more than a float holds.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = effect_mean(coefficients(plan, draws), plan.points, plan.spec.family, MATHS)
        return np.asarray(row_mean(mean, plan.pooling, len(plan.effects), MATHS))


def _scale(plan: Design, draws: Draws) -> Floats:
    enters = (~plan.pooled).astype(float)
    if not plan.varying_tau:
        return enters
    return np.asarray(enters * np.exp(draws[VARIABLES["tau"]] @ plan.tau_matrix.T))


def _taus(plan: Design, draws: Draws) -> list[Floats]:
    """Return the group standard deviations, innermost first, each of shape (..., 1)."""
    found = [draws[name][..., None] for name in plan.tau_names[::-1]]
    return found or [np.zeros(1)]


def _levels(plan: Design, draws: Draws) -> tuple[Floats, Floats, list[marginal.Level]]:
    residual = plan.effects.y - mean_at_rows(plan, draws)
    scale = np.broadcast_to(_scale(plan, draws), residual.shape)
    whitening = plan.effects.covariance.whitening()
    found = marginal.levels(residual, scale, _taus(plan, draws), whitening, plan.groups, MATHS)
    return residual, scale, found


def log_likelihoods(plan: Design, draws: Draws) -> tuple[Floats, Floats]:
    """Return the marginal log likelihood by outermost group and by row.

    Parameters
    ----------
    plan : Design
    draws : mapping of str to ndarray, shape (..., terms) or (...)
        Coefficients and taus.

    Returns
    -------
    by_group : ndarray, shape (..., groups)
        log p(y in group), group effects integrated out.
    by_row : ndarray, shape (..., rows)
        log p(y_i | the other rows of its group).
    """
    residual, scale, found = _levels(plan, draws)
    counts = np.bincount(plan.groups.outermost, minlength=len(plan.groups.labels[0]))
    by_group = marginal.group_log_likelihood(found, counts, MATHS)
    whitening = plan.effects.covariance.whitening()
    by_row = marginal.row_log_likelihood(residual, scale, found, whitening, plan.groups, MATHS)
    return np.asarray(by_group), by_row


def group_effects(plan: Design, draws: Draws, rng: np.random.Generator) -> list[Floats]:
    """Return exact draws of the group effects given y, innermost level first."""
    _, _, found = _levels(plan, draws)
    return marginal.conditional_draws(found, _taus(plan, draws), plan.groups, rng)


def replicates(plan: Design, draws: Draws, rng: np.random.Generator) -> Floats:
    """Return replicated data y_rep of new groups and new animals, shape (..., rows)."""
    mean = mean_at_rows(plan, draws)
    scale, index = _scale(plan, draws), plan.groups.innermost
    out = mean + _noise(plan.effects.covariance, mean.shape, rng)
    for depth, name in enumerate(plan.tau_names[::-1]):
        labels = plan.groups.labels[-1 - depth]
        effect = draws[name][..., None] * rng.standard_normal((*mean.shape[:-1], len(labels)))
        out = out + scale * effect[..., index]
        if depth < len(plan.groups.parent):
            index = plan.groups.parent[depth][index]
    return np.asarray(out)


def _noise(covariance: Blocks, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    standard = rng.standard_normal(shape)
    noise = standard * np.sqrt(covariance.v)
    for index, matrix in covariance.blocks:
        noise[..., index] = standard[..., index] @ np.linalg.cholesky(matrix).T
    return np.asarray(noise)
