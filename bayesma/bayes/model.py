"""Design to a PyMC model: priors, the mean, and the marginal likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from pymc.logprob.transforms import Transform

from bayesma import marginal
from bayesma.bayes.maths import PyTensorMaths
from bayesma.clusters import Clusters
from bayesma.covariance import Whitening
from bayesma.design import Design, Points, design
from bayesma.effects import Effects
from bayesma.grouping import Groups
from bayesma.mean import VARIABLES, effect_mean, row_mean, spread
from bayesma.noncentral.rows import latent_df, latent_labels, variance_ratios
from bayesma.pooling import Pooling
from bayesma.priors import Normal, Prior
from bayesma.spec import ModelSpec

__all__ = ["build", "build_design", "data_of"]

Floats = NDArray[np.float64]

MATHS = PyTensorMaths()

DISTRIBUTIONS: dict[str, Any] = {
    "normal": lambda name, p, **kw: pm.Normal(name, p.mu, p.sigma, **kw),
    "student_t": lambda name, p, **kw: pm.StudentT(name, nu=p.nu, mu=p.mu, sigma=p.sigma, **kw),
    "half_normal": lambda name, p, **kw: pm.HalfNormal(name, p.sigma, **kw),
    "half_cauchy": lambda name, p, **kw: pm.HalfCauchy(name, p.sigma, **kw),
    "log_normal": lambda name, p, **kw: pm.LogNormal(name, p.mu, p.sigma, **kw),
    "log_student_t": lambda name, p, **kw: pm.Deterministic(
        name,
        pt.exp(pm.StudentT(f"{name}_log", nu=p.nu, mu=p.mu, sigma=p.sigma, **kw)),
        dims=kw.get("dims"),
    ),
    "gamma": lambda name, p, **kw: pm.Gamma(name, alpha=p.alpha, beta=p.beta, **kw),
    "beta": lambda name, p, **kw: pm.Beta(name, alpha=p.alpha, beta=p.beta, **kw),
    "uniform": lambda name, p, **kw: pm.Uniform(name, p.lower, p.upper, **kw),
}


def build(effects: Effects, spec: ModelSpec) -> pm.Model:
    """Return the PyMC model of a spec on effects, without sampling it.

    Parameters
    ----------
    effects : Effects
    spec : ModelSpec

    Returns
    -------
    pymc.Model
        Group effects are integrated out; `y`, the sampling covariance and the covariates are
        ``pm.Data``, so that a compiled model refits on other values.

    Raises
    ------
    SpecError
        If the spec does not fit the rows.
    """
    return build_design(design(spec, effects))


def build_design(plan: Design) -> pm.Model:
    """Return the PyMC model of a design."""
    with pm.Model(coords=_coords(plan)) as model:
        coefficients = {name: _coefficients(plan, name) for name in plan.spec.predictors}
        scalars = {
            name: _random(name, plan.spec.priors[prior]) for name, prior in plan.scalars.items()
        }
        mean = effect_mean(coefficients, _points(plan), plan.spec.family, MATHS)
        mean = row_mean(mean, _pooling(plan), len(plan.effects), MATHS)
        scales, taus = _heterogeneity(plan, mean, scalars)
        if plan.small_study is not None:
            size = pm.Data("small_study_size", plan.small_study.values, dims="row")
            mean = mean + scalars["small_study"] * size
        _likelihood(plan, mean, scales, taus, scalars)
    return model


def data_of(plan: Design) -> dict[str, Any]:
    """Return the shared data that outcomes decide, for `Compiled.with_data`.

    Parameters
    ----------
    plan : Design
        Of the same studies as the compiled one, with other outcomes.
    """
    if plan.clusters is not None:
        return {"y_observed": plan.y, "sampling_v": plan.clusters.v}
    found = plan.covariance.whitening()
    visits = plan.exact is not None and len(plan.exact.visits.df) > 0
    return {
        "y_observed": plan.y,
        "whitening_value": found.values,
        "log_det_v": found.log_det,
    } | ({"visit_rho": np.array(plan.exact.rho)} if visits and plan.exact is not None else {})


def _coords(plan: Design) -> dict[str, Any]:
    coords: dict[str, Any] = {
        "row": list(plan.effects.frame["row_id"]),
        plan.unit: list(plan.groups.labels[0]),
    }
    if plan.pooling is not None:
        coords["member"] = list(plan.frame["row_id"])
    for name in (*plan.spec.predictors, *(["tau"] if plan.varying_tau else [])):
        coords[f"{VARIABLES[name]}_term"] = list(plan.predictors[name].terms)
    for dim, labels in plan.vectors.values():
        coords[dim] = list(labels)
    if plan.exact is not None:
        coords |= {name: list(labels) for name, labels in latent_labels(plan.exact).items()}
    return coords


def _random(name: str, prior: Prior, **kwargs: Any) -> Any:
    return DISTRIBUTIONS[prior.name](name, prior, **kwargs)


def _coefficients(plan: Design, parameter: str) -> Any:
    """Return the coefficients of a parameter, from standard normal coordinates.

    The sampler starts every chain within one unit of the centre, coordinate by coordinate. In
    standard units that spreads the chains over the prior, so that a second mode is found.
    """
    predictor, name = plan.predictors[parameter], VARIABLES[parameter]
    prior, contrast = (plan.spec.priors.get(key) for key in (parameter, f"{parameter}_contrast"))
    averages = predictor.average_basis
    contrasts = predictor.contrast_basis * getattr(contrast, "sigma", 1.0)
    centre: Any = np.zeros(len(predictor.terms))
    if parameter == "tau":  # its average is the scalar tau itself
        spread = contrasts
    elif isinstance(prior, Normal):
        centre = centre + averages @ np.full(averages.shape[1], prior.mu)
        spread = np.hstack([averages * prior.sigma, contrasts])
    else:
        assert prior is not None
        centre = centre + pt.dot(
            averages, _random(f"{name}_average", prior, shape=averages.shape[1])
        )
        spread = contrasts
    if spread.shape[1]:
        centre = centre + pt.dot(spread, pm.Normal(f"{name}_z", 0.0, 1.0, shape=spread.shape[1]))
    return pm.Deterministic(name, pt.as_tensor(centre), dims=f"{name}_term")


def _heterogeneity(
    plan: Design, mean: Any, scalars: Mapping[str, Any]
) -> tuple[list[Any], list[Any]]:
    """Return the loadings and the levels' standard deviations, innermost first.

    As `predictive` has them for draws: the loadings hold the standard deviations where they go
    with the mean; a pooled row's loading is 0.
    """
    enters = pm.Data("group_effect_enters", (~plan.pooled).astype(float), dims="row")
    taus = [scalars[name] for name in plan.tau_names[::-1]] or [pt.as_tensor(0.0)]
    scales = [enters]
    if plan.kappa_names:
        kappas = [scalars[name] for name in plan.kappa_names[::-1]]
        scales = [enters * spread(t, k, mean) for t, k in zip(taus, kappas, strict=True)]
        taus = [pt.as_tensor(1.0) for _ in taus]
    elif plan.varying_tau:
        matrix = pm.Data("x_tau", plan.tau_matrix)
        scales = [enters * pt.exp(matrix @ _coefficients(plan, "tau"))]
    return scales, taus


def _points(plan: Design) -> Points:
    """Return the points as shared data."""
    dim = "row" if plan.pooling is None else "member"
    matrices = {
        name: pm.Data(f"x_{name}", matrix, dims=(dim, f"{VARIABLES[name]}_term"))
        for name, matrix in plan.points.matrices.items()
    }
    clock = pm.Data("clock", plan.points.clock, dims=dim)
    if plan.latent is not None:
        unknown = _random("latent_delay", plan.spec.priors["delay"], dims="delay_of")
        clock = plan.latent.filled(clock, unknown, MATHS)
    return Points(
        matrices,
        clock,
        pm.Data("reference_delay", plan.points.reference, dims=dim),
    )


def _pooling(plan: Design) -> Pooling | None:
    if plan.pooling is None:
        return None
    return Pooling(
        pm.Data("member_row", plan.pooling.row, dims="member"),
        pm.Data("member_floor", plan.pooling.floor, dims="member"),
        pm.Data("member_slope", plan.pooling.slope, dims="member"),
    )


def _likelihood(
    plan: Design, mean: Any, scales: list[Any], taus: list[Any], scalars: Mapping[str, Any]
) -> None:
    """Add the marginal likelihood as one multivariate observation.

    `include` weighs the outermost groups: a group at 0 is left out, without a new compile. So is
    a row, by `masks.without_row`, which needs `include_row` for what q says of its scale, and
    where rho has a prior.
    """
    clusters = _clusters(plan)
    fixed = _whitening(plan) if clusters is None else None
    groups = _shared_groups(plan.groups) if clusters is None else clusters.groups
    counts = np.bincount(plan.groups.outermost, minlength=len(groups.labels[0])).astype(float)
    include = pm.Data("include", np.ones(len(counts)), dims=plan.unit)
    include_row: Any = np.ones(len(plan.effects))
    if plan.exact is not None:  # else its scale is no part of the density
        include_row = pm.Data("include_row", include_row, dims="row")
    outermost = pm.Data("outermost_group", plan.groups.outermost, dims="row")
    more = [scalars[name] for name in ("nu", "rho") if name in scalars]

    # PyMC substitutes values for random variables in the arguments only, never in a closure.
    def log_density(value: Any, mu: Any, ratio: Any, *heterogeneity: Any) -> Any:
        loadings, spreads = list(heterogeneity[: len(scales)]), heterogeneity[len(scales) :]
        # Vectors of one, so that draws and symbols have the same axes.
        levels, rest = [tau[None] for tau in spreads[: len(taus)]], list(spreads[len(taus) :])
        whitening = fixed
        if clusters is not None:
            rho = rest.pop()[None]
            loadings, levels = clusters.levels(loadings, levels, rho)
            whitening = clusters.whitening(rho, MATHS)
        assert whitening is not None
        found = marginal.levels(value * ratio - mu, loadings, levels, whitening, groups, MATHS)
        if rest:
            by_group = marginal.student_log_likelihood(found, counts, rest[0][None], MATHS)
        else:
            by_group = marginal.group_log_likelihood(found, counts, MATHS)
        counted = include[outermost] * include_row
        return pt.sum(include * by_group) + pt.sum(counted * pt.log(ratio))

    observed = pm.Data("y_observed", plan.y, dims="row")
    arguments = [_ratio(plan), *scales, *taus, *more]
    shapes = ["(n)"] * (2 + len(scales)) + ["()"] * (len(arguments) - 1 - len(scales))
    pm.CustomDist(
        "y",
        mean,
        *arguments,
        logp=log_density,
        observed=observed,
        dims="row",
        signature=",".join(shapes) + "->(n)",
    )


def _ratio(plan: Design) -> Any:
    """Return what y is multiplied by to be normal around theta: 1, or sqrt(q) / J."""
    if plan.exact is None:
        return pt.ones(len(plan.effects))
    latents = {name: _latent(name, df) for name, df in latent_df(plan.exact).items()}
    visits = len(plan.exact.visits.df) > 0
    rho = pm.Data("visit_rho", np.array(plan.exact.rho)) if visits else None
    q = variance_ratios(latents, plan.exact, MATHS, rho)
    return q[plan.exact.of] ** 0.5 / plan.exact.correction


def _latent(name: str, df: Floats) -> Any:
    """Return standard normal variables, or chi2_df / df, whose logarithm is sampled in its SDs."""
    if np.isinf(df).all():
        return pm.Normal(name, 0.0, 1.0, dims=f"{name}_of")
    return pm.Gamma(
        name, alpha=df / 2, beta=df / 2, dims=f"{name}_of", default_transform=LogInUnits(df)
    )


class LogInUnits(Transform):  # type: ignore[misc]
    """log(x) sqrt(df / 2): about standard normal for x ~ chi2_df / df.

    In its own units every chain starts within reach of the data, and one step suits all.
    """

    name = "log_in_units"

    def __init__(self, df: Floats) -> None:
        self.scale = np.sqrt(df / 2)

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the sampled coordinate."""
        return pt.log(value) * self.scale

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the positive variable."""
        return pt.exp(value / self.scale)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return log dx / d coordinate."""
        return value / self.scale - np.log(self.scale)


def _whitening(plan: Design) -> Whitening:
    found = plan.covariance.whitening()
    return Whitening(
        pm.Data("whitening_row", found.rows),
        pm.Data("whitening_column", found.cols),
        pm.Data("whitening_value", found.values),
        pm.Data("log_det_v", found.log_det, dims="row"),
        found.n,
        found.diagonal,
    )


def _shared_groups(groups: Groups) -> Groups:
    parents = tuple(pm.Data(f"parent_{depth}", own) for depth, own in enumerate(groups.parent))
    innermost = pm.Data("innermost_group", groups.innermost, dims="row")
    return Groups(groups.names, groups.labels, parents, innermost)


def _clusters(plan: Design) -> Clusters | None:
    """Return the clusters of an unknown rho with their variances as shared data."""
    if plan.clusters is None:
        return None
    v = pm.Data("sampling_v", plan.clusters.v, dims="row")
    include = pm.Data("include_row", np.ones(len(plan.effects)), dims="row")
    return Clusters(_shared_groups(plan.clusters.groups), plan.clusters.together, v, include)
