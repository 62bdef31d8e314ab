"""Decay curves: the effect at every point of a grid, draw by draw."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.coders import AVERAGE, Centred
from bayesma.design import Points
from bayesma.errors import QueryError
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean, spread
from bayesma.posterior import Fit
from bayesma.queries.grids import points_of, warn_outside
from bayesma.queries.studies import small_study_sentence

__all__ = ["Study", "averaged", "decay_curve", "draws_of", "effect_at", "labelled"]

Floats = NDArray[np.float64]
Study = Literal["average", "new"]

MATHS = NumPyMaths()


def decay_curve(
    fit: Fit, at: xr.Dataset, study: Study = "average", seed: int | None = None
) -> xr.DataArray:
    """Return the effect at every point of a grid.

    Parameters
    ----------
    fit : Fit
    at : xarray.Dataset
        From `grid`, with `delay` if the model has a decay.
    study : {"average", "new"}
        The population mean; or the true effect in one new study (one experiment of it), which
        adds its group effects, the same at every point of a draw.
    seed : int, optional
        Needed for "new".

    Returns
    -------
    xarray.DataArray
        Dims chain, draw, point, in units of the effect measure; coordinates of the grid; attrs
        name the estimand.

    Raises
    ------
    QueryError
        If the grid lacks a delay, or "new" has no seed or no heterogeneity to draw from.

    Warns
    -----
    ExtrapolationWarning
        Where delays lie outside those of the data.
    """
    warn_outside(fit.design, at)
    frame = points_of(at)
    effect = effect_at(fit, frame)
    if study == "new":
        effect = effect + _new_study(fit, frame, effect, seed)
        who = "true effect in one experiment of a new study"
    elif study == "average":
        who = "population mean effect"
    else:
        raise QueryError(f"study = '{study}'; known: 'average', 'new'")
    out = labelled(fit, effect, at, "effect", f"{who} ({fit.design.effects.measure})")
    if fit.design.small_study is not None:
        out.attrs["small_study"] = small_study_sentence(fit)
    return out


def effect_at(fit: Fit, frame: pd.DataFrame) -> Floats:
    """Return the mean effect at rows of covariates, shape (chain, draw, rows)."""
    plan = fit.design
    if plan.spec.family.parameters and "delay" not in frame:
        raise QueryError("the effect depends on the delay: name it, bm.grid(fit, delay=...)")
    draws, points = draws_of(fit), plan.at(frame)
    everything = np.column_stack([*points.matrices.values(), points.reference])
    _, kinds = np.unique(everything, axis=0, return_inverse=True)
    out = np.empty((*next(iter(draws.values())).shape[:-1], len(frame)))
    # Points that differ by delay alone share their predictors, which then are computed once.
    for kind in range(kinds.max() + 1):
        index = np.flatnonzero(kinds == kind)
        shared = {name: matrix[index[:1]] for name, matrix in points.matrices.items()}
        some = Points(shared, points.clock[index], points.reference[index[:1]])
        # Towards delay 0 the effect of a very short half-life may be infinite; it is shown so.
        with np.errstate(over="ignore"):
            out[..., index] = effect_mean(draws, some, plan.spec.family, MATHS)
    return out


def draws_of(fit: Fit) -> dict[str, Floats]:
    """Return the draws of the mean's coefficients by parameter, shape (chain, draw, terms)."""
    return {n: fit.posterior[VARIABLES[n]].values for n in fit.design.spec.predictors}


def _new_study(fit: Fit, frame: pd.DataFrame, mean: Floats, seed: int | None) -> Floats:
    """Return the group effects of one new study, the same in every point of a draw."""
    plan = fit.design
    if not plan.tau_names:
        raise QueryError(
            "a new study differs by tau, which this model does not have: add (1 | study) to peak "
            "(pooled results do not identify it), or ask for study='average'"
        )
    if seed is None:
        raise QueryError("study='new' draws at random: give a seed")
    rng = np.random.default_rng(seed)
    draws = {name: fit.posterior[name].values[..., None] for name in plan.scalars}
    out = np.zeros_like(mean)
    for depth, tau in enumerate(plan.tau_names):
        standard = rng.standard_normal(draws[tau].shape)
        if depth == 0 and "nu" in draws:
            half = draws["nu"] / 2
            standard = standard / np.sqrt(rng.gamma(half, 1 / half))
        kappa = draws[plan.kappa_names[depth]] if plan.kappa_names else 0.0
        out = out + spread(draws[tau], kappa, mean) * standard
    if not plan.varying_tau:
        return out
    ratio = fit.posterior[VARIABLES["tau"]].values @ plan.predictors["tau"].matrix(frame).T
    return np.asarray(out * np.exp(ratio))


def labelled(fit: Fit, values: Floats, at: xr.Dataset, name: str, estimand: str) -> xr.DataArray:
    """Return draws with the grid's coordinates and a named estimand."""
    posterior = fit.posterior
    out = xr.DataArray(
        values,
        dims=("chain", "draw", "point"),
        coords={"chain": posterior["chain"].values, "draw": posterior["draw"].values, **at.coords},
        name=name,
    )
    out.attrs = {
        "estimand": f"{estimand}{averaged(fit, at)}; an association across studies, from the model "
        f"peak = {fit.spec.peak}, decay = {fit.spec.decay}",
        "measure": fit.design.effects.measure,
        "units": fit.design.effects.measure,
        "kind": "effect",
    }
    return out


def averaged(fit: Fit, at: xr.Dataset) -> str:
    """Return a clause that names the covariates of a grid which are averaged over."""
    names = [
        str(name)
        for name, values in at.coords.items()
        if values.dtype.kind == "U" and (values == AVERAGE).all()
    ]
    coders = [c for p in fit.design.predictors.values() for c in p.coders.values()]
    centred = {n for c in coders if isinstance(c, Centred) for n in c.numbers}
    over = [name for name in names if name not in centred]
    said = f", averaged over {', '.join(over)} as in the data" if over else ""
    within = [c for c in coders if isinstance(c, Centred) and set(c.numbers) & set(names)]
    for coder in within:
        said += f", {' and '.join(coder.numbers)} at the mean of each {' x '.join(coder.cells)}"
    return said
