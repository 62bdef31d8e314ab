"""What a model expects before it has seen an outcome: draws of its prior, and what they imply."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.analysis import Analysis, load_analysis
from bayesma.clock import effect_clock
from bayesma.design import Design, design
from bayesma.diagnostics import cell_frames
from bayesma.effects import Effects
from bayesma.errors import QueryError, SpecError
from bayesma.mean import VARIABLES
from bayesma.posterior import Fit
from bayesma.predictive import prior_draws, replicates
from bayesma.queries.curves import decay_curve
from bayesma.queries.grids import grid, point_dataset, points_of
from bayesma.queries.observations import study_points
from bayesma.spec import ModelSpec

__all__ = ["prior_predictive"]

Floats = NDArray[np.float64]

# Delays of a curve, between the shortest and the longest of its decay cell.
POINTS = 60


def prior_predictive(
    effects: Effects | Analysis | str | Path,
    spec: ModelSpec | None = None,
    *,
    seed: int,
    draws: int = 1000,
    folder: str | Path | None = None,
) -> xr.DataTree:
    """Return what a spec expects of these rows before their outcomes are seen.

    psi ~ p(psi);  theta | psi;  y_rep ~ p(y | theta), in NumPy: nothing is sampled by Markov
    chains and nothing compiled. The rows give covariates, delays and sampling variances (of an
    SMD these were computed with the outcomes); `prior_draws` and `replicates` of `predictive` are
    those of a fit.

    Parameters
    ----------
    effects : Effects, Analysis, str or Path
        As `fit` takes them.
    spec : ModelSpec, optional
        It overrides the model file's.
    seed : int
    draws : int
        Draws of the prior.
    folder : str or Path, optional
        Where prepared datasets of one's own are, for a model file; else BAYESMA_DATA.

    Returns
    -------
    xarray.DataTree
        Groups, each with dims chain (one) and draw: `prior`, the parameters; `prior_predictive`,
        replicated effects `y` by row; `curves`, by point of the delays seen in each decay cell (by
        level of regimen, where the effect does not fade), `effect` (the population mean) and,
        where there is heterogeneity, `new_study` (the true effect in a new study). And
        `observed_data`: `y` by row, with `delay` and what tells the curves apart as coordinates.
        Root attrs: measure, model, seed and priors in words.

    Raises
    ------
    SpecError
        If there is no spec, or it does not fit the rows.
    QueryError
        If `draws` is not a positive whole number.
    """
    if not isinstance(draws, Integral) or draws < 1:
        raise QueryError(f"draws = {draws}: at least 1, and whole")
    if isinstance(effects, str | Path):
        effects = load_analysis(effects)
    if isinstance(effects, Analysis):
        spec, effects = spec or effects.spec, effects.effects(folder)
    if spec is None:
        raise SpecError("prior_predictive() needs a spec: bm.prior_predictive(effects, spec)")
    plan = design(spec, effects)
    rng = np.random.default_rng(seed)
    prior = prior_draws(plan, draws, rng)
    y = replicates(plan, prior, rng)
    # A stream of its own: new studies drawn with the parameters' numbers would go with them.
    apart = int(rng.integers(2**31))
    return _tree(plan, prior, y, {"seed": seed, "new_study": apart})


def _tree(plan: Design, prior: dict[str, Floats], y: Floats, seeds: dict[str, int]) -> xr.DataTree:
    rows = plan.effects.frame["row_id"].to_numpy(dtype=str)
    # A fit whose posterior is its prior answers every query, by the model's own functions.
    before = Fit(xr.DataTree.from_dict({"posterior": _labelled(plan, prior)}), plan)
    curves = _curves(before, seeds["new_study"])
    tree = xr.DataTree.from_dict(
        {
            "prior": before.posterior,
            "prior_predictive": xr.Dataset(
                {"y": (("chain", "draw", "row"), y[None])},
                {"chain": [0], "draw": np.arange(len(y)), "row": rows},
            ),
            "curves": curves,
            "observed_data": xr.Dataset(
                {"y": ("row", plan.y)}, {"row": rows, **_places(before, curves, rows)}
            ),
        }
    )
    tree.attrs = {
        "measure": plan.effects.measure,
        "model": f"peak = {plan.spec.peak}, decay = {plan.spec.decay}",
        "priors": "; ".join(f"{name} ~ {plan.spec.priors[name]}" for name in _used(plan)),
        "seed": seeds["seed"],
    }
    return tree


def _used(plan: Design) -> list[str]:
    """Return the names of the priors that this model draws from, in the order of the spec."""
    used = {*plan.scalars.values(), *(["delay"] if plan.vectors else [])}
    for name in (*plan.spec.predictors, *(["tau"] if plan.varying_tau else [])):
        predictor = plan.predictors[name]
        used |= {name} if predictor.average_basis.shape[1] else set()
        used |= {f"{name}_contrast"} if predictor.contrast_basis.shape[1] else set()
    return [name for name in plan.spec.priors if name in used]


def _labelled(plan: Design, prior: dict[str, Floats]) -> xr.Dataset:
    """Return prior draws with the labels that a posterior's have."""
    labels = {
        VARIABLES[name]: (f"{VARIABLES[name]}_term", predictor.terms)
        for name, predictor in plan.predictors.items()
    } | plan.vectors
    arrays, size = {}, 0
    for name, values in prior.items():
        dim, texts = labels.get(name, ("", ()))
        coords = {dim: np.array(texts, dtype=str)} if dim else {}
        arrays[name] = xr.DataArray(values[None], dims=("chain", "draw", *coords), coords=coords)
        size = len(values)
    return xr.Dataset(arrays).assign_coords(chain=[0], draw=np.arange(size))


def _curves(before: Fit, seed: int) -> xr.Dataset:
    """Return the mean, and the effect in a new study, over the delays seen of each cell."""
    at = _points(before)
    with np.errstate(all="ignore"):  # a half-life of seconds makes effects that no float holds
        found = {"effect": decay_curve(before, at)}
        if before.design.tau_names:
            found["new_study"] = decay_curve(before, at, study="new", seed=seed)
    return xr.Dataset({name: array.rename(name) for name, array in found.items()})


def _places(before: Fit, curves: xr.Dataset, rows: Any) -> dict[str, Any]:
    """Return where each row lies among the curves: its delay, and its level of what varies."""
    plan = before.design
    names = [n for n in _levels(plan) if n not in plan.cells] + list(plan.cells)
    if plan.spec.family.parameters:
        table = study_points(before, curves["effect"])
    else:
        own = plan.frame if plan.pooling is None else plan.effects.frame
        table = own[["row_id", *(n for n in names if n in own)]]
    table = table.set_index("row_id").reindex(rows)
    out: dict[str, Any] = {}
    for name in [*names, "delay"]:
        if name == "delay" and plan.spec.family.parameters:
            out[name] = ("row", table[name].to_numpy(dtype=float))
        elif name in table and name != "delay":
            out[name] = ("row", table[name].astype("str").fillna("").to_numpy(dtype=str))
    return out


def _points(before: Fit) -> xr.Dataset:
    """Return each decay cell over the delays seen there; or each level of the first factor."""
    plan = before.design
    if not plan.spec.family.parameters:
        return grid(before, **_levels(plan))
    frames = []
    for key, rows in cell_frames(plan).items():
        asked: dict[str, Any] = dict(zip(plan.cells, key, strict=True))
        levels = {n: v for n, v in _levels(plan).items() if n not in asked}
        delays = _delays(effect_clock(rows))
        frames.append(points_of(grid(before, delay=delays, **asked, **levels)))
    return point_dataset(plan, pd.concat(frames, ignore_index=True))


def _levels(plan: Design) -> dict[str, list[str]]:
    """Return the levels of regimen, where the mean depends on it and it is no decay cell."""
    coders = [c for p in plan.spec.predictors for c in plan.predictors[p].coders.values()]
    if "regimen" not in {c.name for c in coders if c.levels}:
        return {}
    return {"regimen": sorted(set(plan.frame["regimen"].astype(str)))}


def _delays(clock: Floats) -> Floats:
    """Return delays from the shortest to the longest seen, even on a logarithmic axis."""
    seen = clock[np.isfinite(clock)]
    above = seen[seen > 0]
    if not len(above):
        return np.zeros(1)
    # Down to 0 there is no logarithmic axis.
    start = np.linspace(0, above.min(), POINTS // 6) if (seen == 0).any() else np.zeros(0)
    return np.unique([*start, *np.geomspace(above.min(), above.max(), POINTS)])
