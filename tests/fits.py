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
    if isinstance(source, Analysis):
        source, spec = source.effects(), spec or source.spec
    assert spec is not None
    plan = design(spec, source)
    settings = Settings(seed=seed, draws=draws, tune=0, chains=chains, progress=False)
    # Priors are wide: a half-life of seconds makes levels that no float holds.
    with np.errstate(all="ignore"):
        return Fit(engine._tree(plan, prior_sample(plan, settings, divergent), settings), plan)


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
