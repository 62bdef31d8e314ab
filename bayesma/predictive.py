"""What a model says before and after data, in NumPy: prior draws, replicates, likelihoods.

Everything goes through `mean` and `marginal`, so it agrees with the sampler by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesma import marginal
from bayesma.animals import new_outcomes
from bayesma.coding import Predictor
from bayesma.covariance import Blocks, Whitening
from bayesma.design import Design, design
from bayesma.grouping import Groups
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean, row_mean, spread
from bayesma.noncentral import integrals
from bayesma.noncentral.rows import draw_latents, variance_ratios, why_not
from bayesma.spec import ModelSpec

__all__ = [
    "given_ratios",
    "group_effects",
    "group_log_likelihoods",
    "group_precisions",
    "log_likelihoods",
    "mean_at_rows",
    "own_effects",
    "population_mean",
    "prior_draws",
    "regenerated",
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
    return _with_size(plan, draws, population_mean(plan, draws))


def _with_size(plan: Design, draws: Draws, mean: Floats) -> Floats:
    """Return the mean with what goes with the size of the study."""
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


def _scales(plan: Design, draws: Draws, mean: Floats) -> list[Floats]:
    """Return the loadings: one that the levels share, or one for each, innermost first.

    `mean` is the population's, which heterogeneity may go with.
    """
    enters = (~plan.pooled).astype(float)
    if plan.kappa_names:
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


@dataclass(frozen=True)
class _Marginal:
    """What `marginal` takes of a design and draws, and the inner products it makes of them.

    The clusters of an unknown rho are the innermost level.
    """

    residual: Floats
    scales: list[Floats]
    taus: list[Floats]
    whitening: Whitening
    groups: Groups
    found: list[marginal.Level]


def _levels(plan: Design, draws: Draws, taus: Sequence[Floats]) -> _Marginal:
    mean = population_mean(plan, draws)
    residual = _numerators(plan, draws) - _with_size(plan, draws, mean)
    scales, levels = _scales(plan, draws, mean), list(taus)
    groups, clusters = plan.groups, plan.clusters
    if clusters is None:
        whitening = plan.covariance.whitening()
    else:
        rho = draws["rho"][..., None]
        scales, levels = clusters.levels(scales, levels, rho)
        groups, whitening = clusters.groups, clusters.whitening(rho, MATHS)
    scales = [np.broadcast_to(scale, residual.shape) for scale in scales]
    found = marginal.levels(residual, scales, levels, whitening, groups, MATHS)
    return _Marginal(residual, scales, levels, whitening, groups, found)


def _numerators(plan: Design, draws: Draws) -> Floats:
    """Return what is normal around theta: y, or d sqrt(q) given the drawn variance ratios."""
    if plan.exact is None:
        return plan.y
    q = variance_ratios(draws, plan.exact, MATHS)
    return np.asarray(plan.exact.d * np.sqrt(q[..., plan.exact.of]))


def _exact_terms(
    plan: Design, draws: Draws
) -> tuple[Floats, list[Floats], list[Floats], Floats | None]:
    """Return mean, loadings, standard deviations and nu, as `integrals` takes them."""
    population = population_mean(plan, draws)
    mean, nu = _with_size(plan, draws, population), draws.get("nu")
    scales = [np.broadcast_to(scale, mean.shape) for scale in _scales(plan, draws, population)]
    return mean, scales, _taus(plan, draws), None if nu is None else nu[..., None]


def _counts(plan: Design) -> NDArray[np.int64]:
    return np.bincount(plan.groups.outermost, minlength=len(plan.groups.labels[0]))


def group_log_likelihoods(plan: Design, draws: Draws) -> Floats:
    """Return log p(y in group) for each outermost group, shape (..., groups).

    Group effects are integrated out, the precisions of a Student-t population, and the variance
    ratios of an exact likelihood.
    """
    if plan.exact is not None:
        mean, scales, taus, nu = _exact_terms(plan, draws)
        return np.asarray(
            integrals.group_log_likelihoods(plan.exact, mean, scales, taus, plan.groups, nu)
        )
    return _by_group(plan, draws)


def given_ratios(plan: Design, draws: Draws) -> Floats:
    """Return log p(y in group | variance ratios) of an exact likelihood, shape (..., groups).

    Parameters
    ----------
    plan : Design
    draws : mapping of str to ndarray
        Parameters and latent variables.
    """
    assert plan.exact is not None
    q = variance_ratios(draws, plan.exact, MATHS)
    jacobian = plan.exact.log_jacobian + 0.5 * np.log(q[..., plan.exact.of])
    outermost, n = plan.groups.outermost, len(plan.groups.labels[0])
    return _by_group(plan, draws) + MATHS.segment_sum(jacobian, outermost, n)


def _by_group(plan: Design, draws: Draws) -> Floats:
    """Return the log density by group of what is normal around theta."""
    found = _levels(plan, draws, _taus(plan, draws)).found
    if plan.spec.population != "student":
        return np.asarray(marginal.group_log_likelihood(found, _counts(plan), MATHS))
    total = np.asarray(-np.inf)
    for _, log_weight, top in _nodes(found[-1], draws):
        given = marginal.group_log_likelihood([top], _counts(plan), MATHS)
        total = np.logaddexp(total, log_weight + given)
    return total


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
        log p(y in group), group effects integrated out, and a Student-t population's precisions.
    by_row : ndarray, shape (..., rows)
        log p(y_i | the other rows of its group).
    """
    if plan.exact is not None:
        mean, own, taus, nu = _exact_terms(plan, draws)
        return integrals.log_likelihoods(plan.exact, mean, own, taus, plan.groups, nu)
    all_of = _levels(plan, draws, _taus(plan, draws))
    found, known = all_of.found, (all_of.whitening, all_of.groups, MATHS)
    if plan.spec.population != "student":
        (by_row,) = marginal.row_log_likelihoods(
            all_of.residual, all_of.scales, found, found[-1:], *known
        )
        return np.asarray(marginal.group_log_likelihood(found, _counts(plan), MATHS)), by_row
    nodes = _nodes(found[-1], draws)
    rows = marginal.row_log_likelihoods(
        all_of.residual, all_of.scales, found, [top for _, _, top in nodes], *known
    )
    # p(y) is the mixture of p(y | w), and p(y without row i) that of p(y | w) / p(y_i | rest, w).
    by_group = without = np.asarray(-np.inf)
    for (_, log_weight, top), by_row in zip(nodes, rows, strict=True):
        given = log_weight + marginal.group_log_likelihood([top], _counts(plan), MATHS)
        by_group = np.logaddexp(by_group, given)
        without = np.logaddexp(without, given[..., plan.groups.outermost] - by_row)
    return by_group, by_group[..., plan.groups.outermost] - without


def _nodes(top: marginal.Level, draws: Draws) -> list[tuple[Floats, Floats, marginal.Level]]:
    """Return log w, its log weight (each of shape (..., 1)) and the level given w, by node."""
    log_w, log_weights = marginal.mixture(top, draws["nu"][..., None], MATHS)
    return [
        (
            log_w[..., [k]],
            log_weights[..., [k]],
            replace(top, tau2=top.tau2 * np.exp(-log_w[..., [k]])),
        )
        for k in range(log_w.shape[-1])
    ]


def group_precisions(plan: Design, draws: Draws) -> Floats:
    """Return E(w | y, parameters) of each outermost group's Student-t effect, shape (..., groups).

    1 where a normal population would do, and small where the group is discounted.
    """
    found = _levels(plan, draws, _taus(plan, draws)).found
    total = weighted = np.asarray(-np.inf)
    for log_w, log_weight, top in _nodes(found[-1], draws):
        given = log_weight + marginal.group_log_likelihood([top], _counts(plan), MATHS)
        total, weighted = np.logaddexp(total, given), np.logaddexp(weighted, given + log_w)
    return np.asarray(np.exp(weighted - total))


def _drawn_precisions(plan: Design, draws: Draws, rng: np.random.Generator) -> Floats:
    """Return draws of w given y and the parameters, shape (..., groups).

    A node is drawn, and log w even within its step: against the width of its density a step is
    short enough that a study's effect has its mean and spread to about 1%.
    """
    found = _levels(plan, draws, _taus(plan, draws)).found
    nodes = _nodes(found[-1], draws)
    best = log_w = None
    for at, log_weight, top in nodes:  # the largest of log p + Gumbel noise is a draw by p
        given = log_weight + marginal.group_log_likelihood([top], _counts(plan), MATHS)
        noisy = given + rng.gumbel(size=given.shape)
        better = np.full(noisy.shape, True) if best is None else noisy > best
        log_w = np.where(better, at, 0.0 if log_w is None else log_w)
        best = noisy if best is None else np.maximum(best, noisy)
    assert log_w is not None
    step = nodes[1][0] - nodes[0][0]
    return np.asarray(np.exp(log_w + step * (rng.random(log_w.shape) - 0.5)))


def _conditional(
    plan: Design, draws: Draws, rng: np.random.Generator
) -> tuple[list[Floats], list[Floats]]:
    """Return draws of the group effects at loading 1 given y, and the loadings, innermost first."""
    taus = _taus(plan, draws)
    if "nu" in draws:
        taus[-1] = taus[-1] / np.sqrt(_drawn_precisions(plan, draws, rng))
    all_of = _levels(plan, draws, taus)
    effects = marginal.conditional_draws(all_of.found, all_of.taus, all_of.groups, rng)
    scales = all_of.scales
    if plan.clusters is not None:  # errors shared in a cluster are no group effects
        effects, scales = effects[1:], scales[1:]
    return effects, scales


def group_effects(plan: Design, draws: Draws, rng: np.random.Generator) -> list[Floats]:
    """Return draws of the group effects given y and the parameters, innermost level first.

    In the units of y; where heterogeneity goes with the mean, at the average loading of the
    group's rows. 0 for a group of pooled rows alone, into which none enters.
    """
    effects, scales = _conditional(plan, draws, rng)
    own = (~plan.pooled).astype(float)
    index = plan.groups.innermost
    for depth, labels in enumerate(plan.groups.labels[::-1]):
        rows = np.bincount(index, own, minlength=len(labels))
        if plan.kappa_names:
            total = MATHS.segment_sum(scales[depth], index, len(labels))
            effects[depth] = effects[depth] * total / np.maximum(rows, 1)
        else:
            effects[depth] = effects[depth] * (rows > 0)
        if depth < len(plan.groups.parent):
            index = plan.groups.parent[depth][index]
    return effects


def own_effects(plan: Design, draws: Draws, rng: np.random.Generator) -> Floats:
    """Return draws of each row's own true effect given y and the parameters, shape (..., rows).

    theta_i = m_i + sum over levels of tau_l c_il b_l,  b | y, parameters.

    A row that group effects never enter has its fitted mean.
    """
    effects, scales = _conditional(plan, draws, rng)
    out, index = mean_at_rows(plan, draws), plan.groups.innermost
    for depth in range(len(plan.tau_names)):
        out = out + scales[min(depth, len(scales) - 1)] * effects[depth][..., index]
        if depth < len(plan.groups.parent):
            index = plan.groups.parent[depth][index]
    return np.asarray(out)


def true_effects(plan: Design, draws: Draws, rng: np.random.Generator) -> Floats:
    """Return true effects theta of new groups, shape (..., rows)."""
    population = population_mean(plan, draws)
    out = _with_size(plan, draws, population)
    scales, taus = _scales(plan, draws, population), _taus(plan, draws)
    index = plan.groups.innermost
    for depth in range(len(plan.tau_names)):
        size = len(plan.groups.labels[-1 - depth])
        standard = rng.standard_normal((*out.shape[:-1], size))
        if depth == len(plan.tau_names) - 1 and "nu" in draws:
            half = draws["nu"][..., None] / 2
            standard = standard / np.sqrt(rng.gamma(half, 1 / half, standard.shape))
        effect = taus[depth] * standard
        out = out + scales[min(depth, len(scales) - 1)] * effect[..., index]
        if depth < len(plan.groups.parent):
            index = plan.groups.parent[depth][index]
    return np.asarray(out)


def replicates(plan: Design, draws: Draws, rng: np.random.Generator) -> Floats:
    """Return replicated data y_rep of new groups and new animals, shape (..., rows)."""
    theta = true_effects(plan, draws, rng)
    out = theta + _errors(plan, plan.covariance, draws, theta.shape, rng)
    if plan.exact is not None:
        q = variance_ratios(draw_latents(plan.exact, theta.shape[:-1], rng), plan.exact, MATHS)
        out = plan.exact.correction * out / np.sqrt(q[..., plan.exact.of])
    return np.asarray(out)


def regenerated(plan: Design, draws: Draws, rng: np.random.Generator) -> Design:
    """Return the design of the same studies with other groups and other animals, for one draw.

    SMDs computed from arms come from new animals, y, v and covariance alike, whatever the
    likelihood; of other measures only y is new, around theta with the covariance as it stands.

    Parameters
    ----------
    plan : Design
    draws : mapping of str to ndarray, shape (terms,) or ()
        One draw of the parameters.
    rng : numpy.random.Generator
    """
    theta, told = true_effects(plan, draws, rng), plan.effects.sharing
    if not why_not(plan.effects):
        # Animals of a cluster correlate by the drawn rho; the effects go on not knowing it.
        rho = told.rho if plan.clusters is None else float(draws["rho"])
        fresh = new_outcomes(replace(plan.effects, sharing=replace(told, rho=rho)), theta, rng)
        if plan.clusters is not None:
            fresh = replace(fresh, covariance=Blocks(fresh.v), sharing=told)
    else:
        y = theta + _errors(plan, plan.effects.covariance, draws, theta.shape, rng)
        fresh = replace(plan.effects, frame=plan.effects.frame.assign(y=y))
    return design(plan.spec, fresh)


def _errors(
    plan: Design,
    covariance: Blocks,
    draws: Draws,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> Floats:
    """Return draws of the sampling errors, shape (..., rows)."""
    if plan.clusters is not None:
        return plan.clusters.noise(draws["rho"], shape, rng)
    standard = rng.standard_normal(shape)
    noise = standard * np.sqrt(covariance.v)
    for index, matrix in covariance.blocks:
        noise[..., index] = standard[..., index] @ np.linalg.cholesky(matrix).T
    return np.asarray(noise)
