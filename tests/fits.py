"""Fits without sampling: their posterior is the prior, so nothing is compiled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from bayesma.analysis import Analysis, load_analysis
from bayesma.bayes import engine
from bayesma.bayes.sampler import Settings
from bayesma.design import Design, design
from bayesma.effects import Effects
from bayesma.mean import VARIABLES
from bayesma.posterior import Fit
from bayesma.predictive import prior_draws
from bayesma.spec import ModelSpec


def prior_sample(plan: Design, settings: Settings, divergent: int = 0) -> xr.DataTree:
    """What `bayesma.bayes.sampler.sample` returns, drawn from the prior."""
    shape = settings.chains, settings.draws
    found = prior_draws(plan, shape[0] * shape[1], np.random.default_rng(settings.seed))
    labels = {
        VARIABLES[name]: (f"{VARIABLES[name]}_term", predictor.terms)
        for name, predictor in plan.predictors.items()
    } | plan.vectors
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
    if isinstance(source, Analysis):
        source, spec = source.effects(), spec or source.spec
    assert spec is not None
    plan = design(spec, source)
    settings = Settings(seed=seed, draws=draws, tune=0, chains=chains, progress=False)
    # Priors are wide: a half-life of seconds makes levels that no float holds.
    with np.errstate(all="ignore"):
        return Fit(engine._tree(plan, prior_sample(plan, settings, divergent), settings), plan)
