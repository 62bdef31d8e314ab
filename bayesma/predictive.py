"""What a model says before and after data, in NumPy: prior draws, replicates, likelihoods.

Everything goes through `mean` and `marginal`, so it agrees with the sampler by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from bayesma import marginal
from bayesma.coding import Predictor
from bayesma.covariance import Blocks
from bayesma.design import Design
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean, row_mean, spread
from bayesma.spec import ModelSpec

__all__ = [
    "group_effects",
    "group_precisions",
    "log_likelihoods",
    "mean_at_rows",
    "prior_draws",
    "replicates",
]

Floats = NDArray[np.float64]
Draws = Mapping[str, Floats]

MATHS = NumPyMaths()


def prior_draws(plan: Design, size: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Return draws of the coefficients and taus from the prior, shape (size, ...)."""
    draws = {
        VARIABLES[name]: _prior_coefficients(plan.spec, name, plan.predictors[name], size, rng)
        for name in (*plan.spec.predictors, *(["tau"] if plan.varying_tau else []))
    }
    for name, prior in plan.scalars.items():
        draws[name] = plan.spec.priors[prior].draw(rng, (size,))
    for name, (_, labels) in plan.vectors.items():
        draws[name] = plan.spec.priors["delay"].draw(rng, (size, len(labels)))
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
    mean = population_mean(plan, draws)
    if plan.small_study is None:
        return mean
    return np.asarray(mean + draws["small_study"][..., None] * plan.small_study.values)


def population_mean(plan: Design, draws: Draws) -> Floats:
    """Return the mean of each row in a study of average size, shape (..., rows)."""
    points = plan.points
    if plan.latent is not None:
        clock = plan.latent.filled(points.clock, draws["latent_delay"], MATHS)
        points = replace(points, clock=clock)
    # Before its reference delay a prior draw's effect may be more than a float holds.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = effect_mean(coefficients(plan, draws), points, plan.spec.family, MATHS)
        return np.asarray(row_mean(mean, plan.pooling, len(plan.effects), MATHS))


def _scales(plan: Design, draws: Draws) -> list[Floats]:
    """Return the loadings: one that the levels share, or one for each, innermost first."""
    enters = (~plan.pooled).astype(float)
    if plan.kappa_names:
        mean = population_mean(plan, draws)
        pairs = zip(plan.tau_names[::-1], plan.kappa_names[::-1], strict=True)
        with np.errstate(over="ignore", invalid="ignore"):  # as the mean it goes with
            return [
                enters * spread(draws[tau][..., None], draws[kappa][..., None], mean)
                for tau, kappa in pairs
            ]
    if not plan.varying_tau:
        return [enters]
    return [np.asarray(enters * np.exp(draws[VARIABLES["tau"]] @ plan.tau_matrix.T))]


def _taus(plan: Design, draws: Draws) -> list[Floats]:
    """Return each level's standard deviation, innermost first, shape (..., 1).

    1 where the loadings hold it already.
    """
    if not plan.tau_names:
        return [np.zeros(1)]
    if plan.kappa_names:
        return [np.ones(1) for _ in plan.tau_names]
    return [draws[name][..., None] for name in plan.tau_names[::-1]]


def _levels(
    plan: Design, draws: Draws, taus: Sequence[Floats]
) -> tuple[Floats, list[Floats], list[marginal.Level]]:
    residual = plan.effects.y - mean_at_rows(plan, draws)
    scales = [np.broadcast_to(scale, residual.shape) for scale in _scales(plan, draws)]
    whitening = plan.effects.covariance.whitening()
    found = marginal.levels(residual, scales, taus, whitening, plan.groups, MATHS)
    return residual, scales, found


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
        log p(y in group), group effects integrated out, and a Student-t population's weights.
    by_row : ndarray, shape (..., rows)
        log p(y_i | the other rows of its group).
    """
    residual, scales, found = _levels(plan, draws, _taus(plan, draws))
    counts = np.bincount(plan.groups.outermost, minlength=len(plan.groups.labels[0]))
    whitening = plan.effects.covariance.whitening()
    tops, log_weights = [found[-1]], np.zeros((1, 1))
    if plan.spec.population == "student":
        log_w, log_weights = _mixture(draws)
        tops = _given(found[-1], log_w)
    rows = marginal.row_log_likelihoods(
        residual, scales, found, tops, whitening, plan.groups, MATHS
    )
    if len(tops) == 1:
        return np.asarray(marginal.group_log_likelihood(tops, counts, MATHS)), next(rows)
    # p(y) is the mixture of p(y | w), and p(y without row i) that of p(y | w) / p(y_i | rest, w).
    by_group = without = np.asarray(-np.inf)
    for log_weight, top, by_row in zip(log_weights, tops, rows, strict=True):
        given = log_weight[..., None] + marginal.group_log_likelihood([top], counts, MATHS)
        by_group = np.logaddexp(by_group, given)
        without = np.logaddexp(without, given[..., plan.groups.outermost] - by_row)
    return by_group, by_group[..., plan.groups.outermost] - without


def _mixture(draws: Draws) -> tuple[Floats, Floats]:
    """Return the nodes of log w and their log weights, shape (nodes, ...)."""
    log_w, log_weights = marginal.mixture(draws["nu"][..., None], MATHS)
    return np.moveaxis(log_w, -1, 0), np.moveaxis(log_weights, -1, 0)


def _given(top: marginal.Level, log_w: Floats) -> list[marginal.Level]:
    """Return the outermost level given each precision of its effects."""
    return [replace(top, tau2=top.tau2 * np.exp(-node)[..., None]) for node in log_w]


def group_precisions(plan: Design, draws: Draws) -> tuple[Floats, Floats]:
    """Return what y says of the precision w of each outermost group's Student-t effect.

    Returns
    -------
    log_w : ndarray, shape (nodes, ...)
        Nodes, as `marginal.mixture` has them.
    share : ndarray, shape (nodes, ..., groups)
        Probability of each given y and the parameters: E(w | y) is 1 where a normal population
        would do, and small where the group is discounted.
    """
    _, _, found = _levels(plan, draws, _taus(plan, draws))
    counts = np.bincount(plan.groups.outermost, minlength=len(plan.groups.labels[0]))
    log_w, log_weights = _mixture(draws)
    given = [
        marginal.group_log_likelihood([top], counts, MATHS) for top in _given(found[-1], log_w)
    ]
    return log_w, np.asarray(softmax(np.stack(given) + log_weights[..., None], axis=0))


def _drawn_precisions(plan: Design, draws: Draws, rng: np.random.Generator) -> Floats:
    """Return draws of w given y and the parameters, shape (..., groups)."""
    log_w, share = group_precisions(plan, draws)
    below = share.cumsum(axis=0) < rng.random(share.shape[1:])
    node = below.sum(axis=0).clip(max=len(log_w) - 1)
    drawn = np.take_along_axis(log_w[..., None], node[None], axis=0)[0]
    # Even within a step: the nodes stand close against the width of the density.
    step = (log_w[1] - log_w[0])[..., None]
    return np.asarray(np.exp(drawn + step * (rng.random(drawn.shape) - 0.5)))


def group_effects(plan: Design, draws: Draws, rng: np.random.Generator) -> list[Floats]:
    """Return exact draws of the group effects given y, innermost level first.

    In the units of y; where heterogeneity goes with the mean, at the average loading of the
    group's rows.
    """
    taus = _taus(plan, draws)
    if "nu" in draws:
        taus[-1] = taus[-1] / np.sqrt(_drawn_precisions(plan, draws, rng))
    _, scales, found = _levels(plan, draws, taus)
    effects = marginal.conditional_draws(found, taus, plan.groups, rng)
    if not plan.kappa_names:
        return effects
    index, averages = plan.groups.innermost, []
    for depth, scale in enumerate(scales):
        size = len(plan.groups.labels[-1 - depth])
        total = MATHS.segment_sum(scale, index, size)
        averages.append(total / np.bincount(index, minlength=size))
        if depth < len(plan.groups.parent):
            index = plan.groups.parent[depth][index]
    return [effect * average for effect, average in zip(effects, averages, strict=True)]


def replicates(plan: Design, draws: Draws, rng: np.random.Generator) -> Floats:
    """Return replicated data y_rep of new groups and new animals, shape (..., rows)."""
    mean = mean_at_rows(plan, draws)
    scales, taus, index = _scales(plan, draws), _taus(plan, draws), plan.groups.innermost
    out = mean + _noise(plan.effects.covariance, mean.shape, rng)
    for depth in range(len(plan.tau_names)):
        size = len(plan.groups.labels[-1 - depth])
        standard = rng.standard_normal((*mean.shape[:-1], size))
        if depth == len(plan.tau_names) - 1 and "nu" in draws:
            half = draws["nu"][..., None] / 2
            standard = standard / np.sqrt(rng.gamma(half, 1 / half, standard.shape))
        effect = taus[depth] * standard
        out = out + scales[min(depth, len(scales) - 1)] * effect[..., index]
        if depth < len(plan.groups.parent):
            index = plan.groups.parent[depth][index]
    return np.asarray(out)


def _noise(covariance: Blocks, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    standard = rng.standard_normal(shape)
    noise = standard * np.sqrt(covariance.v)
    for index, matrix in covariance.blocks:
        noise[..., index] = standard[..., index] @ np.linalg.cholesky(matrix).T
    return np.asarray(noise)
