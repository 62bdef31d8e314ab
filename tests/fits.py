"""Fits without sampling: their posterior is the prior, so nothing is compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.analysis import Analysis, load_analysis
from bayesma.bayes import engine
from bayesma.bayes.sampler import Settings
from bayesma.design import Design, design
from bayesma.effects import Effects, effect_sizes
from bayesma.mean import VARIABLES
from bayesma.noncentral.rows import draw_latents, latent_labels
from bayesma.posterior import Fit
from bayesma.predictive import prior_draws
from bayesma.spec import ModelSpec

EIGHT_ROWS = pd.DataFrame(
    {
        "row_id": [f"r{i}" for i in range(8)],
        "study": ["A", "A", "B", "B", "C", "C", "D", "D"],
        "y": [1.0, 2.0, 1.5, 0.5, 2.5, 1.0, 0.8, 1.2],
        "v": [0.2] * 8,
        "regimen": ["single"] * 4 + ["repeated"] * 4,
        "species": ["rat", "mouse", "rat", "rat"] * 2,
        "dose": [1.0, 2, 3, 4, 1, 2, 3, 4],
        # Reference delays: the first of each four.
        "delay": [0.5, 1, 2, 4, 3, 7, 14, 28],
    }
)


def prior_sample(plan: Design, settings: Settings, divergent: int = 0) -> xr.DataTree:
    """What `bayesma.bayes.sampler.sample` returns, drawn from the prior."""
    shape = settings.chains, settings.draws
    found = prior_draws(plan, shape[0] * shape[1], np.random.default_rng(settings.seed))
    labels = {
        VARIABLES[name]: (f"{VARIABLES[name]}_term", predictor.terms)
        for name, predictor in plan.predictors.items()
    } | plan.vectors
    if plan.exact is not None:
        rng = np.random.default_rng(settings.seed + 1)
        found |= draw_latents(plan.exact, (shape[0] * shape[1],), rng)
        of = latent_labels(plan.exact)
        labels |= {dim.removesuffix("_of"): (dim, texts) for dim, texts in of.items()}
    arrays = {}
    for name, values in found.items():
        dim, texts = labels.get(name, ("", ()))
        extra = {dim: np.array(texts, dtype=str)} if dim else {}
        arrays[name] = xr.DataArray(
            values.reshape(*shape, *values.shape[1:]), extra, ("chain", "draw", *extra)
        )
    coords = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    diverging = (np.arange(shape[0] * shape[1]) < divergent).reshape(shape)
    statistics = xr.Dataset({"diverging": (("chain", "draw"), diverging)}, coords)
    return xr.DataTree.from_dict(
        {"posterior": xr.Dataset(arrays).assign_coords(coords), "sample_stats": statistics}
    )


def prior_fit(
    source: Effects | Analysis | str | Path,
    spec: ModelSpec | None = None,
    *,
    draws: int = 250,
    chains: int = 4,
    seed: int = 1,
    divergent: int = 0,
) -> Fit:
    """Return a fit, with all groups that a sampled one has, whose posterior are prior draws.

    Parameters
    ----------
    source : Effects, Analysis, str or Path
        As `bayesma.fit` takes them.
    spec : ModelSpec, optional
        Needed with effects.
    draws, chains, seed : int
        As `bayesma.fit` takes them.
    divergent : int
        Number of transitions said to be divergent; above 0 the fit has not converged.
    """
    if isinstance(source, str | Path):
        source = load_analysis(source)
    analysis = source if isinstance(source, Analysis) else None
    if isinstance(source, Analysis):
        source, spec = source.effects(), spec or source.spec
    assert spec is not None
    plan = design(spec, source)
    settings = Settings(seed=seed, draws=draws, tune=0, chains=chains, progress=False)
    # Priors are wide: a half-life of seconds makes levels that no float holds.
    with np.errstate(all="ignore"):
        drawn = prior_sample(plan, settings, divergent)
        return Fit(engine._tree(plan, drawn, settings, analysis), plan)


def hand_fit(spec: ModelSpec, rows: pd.DataFrame = EIGHT_ROWS, **draws: Any) -> Fit:
    """A fit whose posterior is written by hand: one chain of the given draws per variable."""
    plan = design(spec, effect_sizes(rows))
    arrays = {}
    for name, values in draws.items():
        array = np.array([values], dtype=float)
        dims = ["chain", "draw", f"{name}_term"][: array.ndim]
        arrays[name] = (dims, array)
    posterior = xr.Dataset(arrays)
    sizes = {"chain": 1, "draw": posterior.sizes["draw"]}
    posterior = posterior.assign_coords({d: np.arange(n) for d, n in sizes.items()})
    return Fit(xr.DataTree.from_dict({"posterior": posterior}), plan)


def conjugate_fit(
    spec: ModelSpec, effects: Effects, *, draws: int = 1000, chains: int = 4, seed: int = 1
) -> Fit:
    """Return a fit of independent draws from the exact posterior of a normal-normal model.

    One level of groups at most, no decay and normal priors of the level. Given tau, y and the
    coefficients are jointly normal; tau is drawn from its posterior on a fine grid.
    """
    plan = design(spec, effects)
    posterior = ConjugatePosterior(plan)
    found = posterior.draws(draws * chains, np.random.default_rng(seed))
    arrays = {}
    for name, values in found.items():
        dims = ["chain", "draw", f"{name}_term"][: 1 + values.ndim]
        coords = {f"{name}_term": np.array(plan.predictors["peak"].terms, dtype=str)}
        own = {dim: labels for dim, labels in coords.items() if dim in dims}
        arrays[name] = xr.DataArray(values.reshape(chains, draws, *values.shape[1:]), own, dims)
    coords = {"chain": np.arange(chains), "draw": np.arange(draws)}
    diverging = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((chains, draws), bool))})
    groups = {
        "posterior": xr.Dataset(arrays).assign_coords(coords),
        "sample_stats": diverging.assign_coords(coords),
    }
    # As many to warm up where a refit samples by these settings.
    settings = Settings(seed=seed, draws=draws, tune=draws, chains=chains, progress=False)
    return Fit(engine._tree(plan, xr.DataTree.from_dict(groups), settings), plan)


class ConjugatePosterior:
    """The posterior of a normal-normal model by linear algebra, tau on a grid.

    y ~ N(X m, V + tau^2 Z Z' + X P X') for coefficients N(m, P), Z the membership of groups.
    """

    def __init__(self, plan: Design, out: int | None = None) -> None:
        """Leave one row out, if asked."""
        self.plan, n = plan, len(plan.effects)
        self.stay = np.array([i for i in range(n) if i != out])
        predictor, prior = plan.predictors["peak"], plan.spec.priors
        contrast = getattr(prior.get("peak_contrast"), "sigma", 0.0)
        average = predictor.average_basis
        self.root = np.hstack([average * prior["peak"].sigma, predictor.contrast_basis * contrast])
        self.centre = average @ np.full(average.shape[1], prior["peak"].mu)
        self.x = plan.points.matrices["peak"]
        self.v = plan.effects.covariance.dense()
        z = np.eye(len(plan.groups.labels[0]))[plan.groups.outermost]
        self.shared = z @ z.T
        self.taus = np.zeros(1)
        log_prior = np.zeros(1)
        if plan.tau_names:
            self.taus = np.linspace(1e-4, 6, 300)
            log_prior = prior["tau"].log_density(self.taus)
        log_density = np.array([self._log_marginal(tau) for tau in self.taus]) + log_prior
        weights = np.exp(log_density - log_density.max())
        self.weights = weights / weights.sum()

    def _covariance(self, tau: float) -> np.ndarray:
        xb = self.x @ self.root
        return self.v + tau**2 * self.shared + xb @ xb.T

    def _log_marginal(self, tau: float) -> float:
        block = np.ix_(self.stay, self.stay)
        residual = (self.plan.effects.y - self.x @ self.centre)[self.stay]
        factor = np.linalg.cholesky(self._covariance(tau)[block])
        white = np.linalg.solve(factor, residual)
        return float(-0.5 * white @ white - np.log(np.diag(factor)).sum())

    def draws(self, size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return draws of level (and tau), shape (size, ...)."""
        taus = rng.choice(self.taus, size, p=self.weights)
        levels = np.empty((size, len(self.centre)))
        xb = (self.x @ self.root)[self.stay]
        residual = (self.plan.effects.y - self.x @ self.centre)[self.stay]
        for tau in np.unique(taus):
            mine = taus == tau
            noise = (self.v + tau**2 * self.shared)[np.ix_(self.stay, self.stay)]
            precision = np.eye(xb.shape[1]) + xb.T @ np.linalg.solve(noise, xb)
            mean = np.linalg.solve(precision, xb.T @ np.linalg.solve(noise, residual))
            spread = np.linalg.inv(np.linalg.cholesky(precision)).T
            standard = rng.standard_normal((int(mine.sum()), len(mean)))
            levels[mine] = self.centre + (mean + standard @ spread.T) @ self.root.T
        found = {"level": levels}
        return found | ({"tau": taus} if self.plan.tau_names else {})

    def log_predictive(self, row: int) -> float:
        """Return log p(y of a row that was left out | the others)."""
        densities = []
        for tau in self.taus:
            whole = self._covariance(tau)
            among = whole[np.ix_(self.stay, self.stay)]
            across = whole[row, self.stay]
            residual = self.plan.effects.y - self.x @ self.centre
            mean = across @ np.linalg.solve(among, residual[self.stay])
            variance = whole[row, row] - across @ np.linalg.solve(among, across)
            gap = residual[row] - mean
            densities.append(np.exp(-0.5 * gap**2 / variance) / np.sqrt(2 * np.pi * variance))
        return float(np.log(self.weights @ np.array(densities)))
