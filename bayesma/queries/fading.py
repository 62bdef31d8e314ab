"""How fast the effect fades: half-lives and the time to a given loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.errors import QueryError
from bayesma.maths import NumPyMaths
from bayesma.mean import linear
from bayesma.posterior import Fit
from bayesma.queries.curves import draws_of, labelled
from bayesma.queries.grids import point_dataset, points_of

__all__ = ["half_life", "time_to_loss"]

MATHS = NumPyMaths()


def half_life(fit: Fit, at: xr.Dataset) -> xr.DataArray:
    """Return the half-life in days, at each combination of covariates in a grid.

    For `plateau` it is the half-life of the part that fades. Summarise it by median and
    interval: its posterior mean need not exist.

    Parameters
    ----------
    fit : Fit
    at : xarray.Dataset
        From `grid`; delays are ignored.

    Returns
    -------
    xarray.DataArray
        Dims chain, draw, point; days.

    Raises
    ------
    QueryError
        If the model has no decay.
    """
    part = " of the share that fades" if "persistent" in fit.spec.family.parameters else ""
    return _fading(
        fit, at, "half_life", f"half-life of the effect{part}", lambda at: np.exp2(at["half_life"])
    )


def time_to_loss(fit: Fit, at: xr.Dataset, loss: float = 0.7) -> xr.DataArray:
    """Return the delay in days by which a share of the peak effect is lost.

    Parameters
    ----------
    fit : Fit
    at : xarray.Dataset
        From `grid`; delays are ignored.
    loss : float
        Share lost, between 0 and 1.

    Returns
    -------
    xarray.DataArray
        Dims chain, draw, point; days, infinite in draws where it is never lost.

    Raises
    ------
    QueryError
        If the model has no decay, or `loss` is not between 0 and 1.
    """
    if not 0 < loss < 1:
        raise QueryError(f"loss = {loss}: a share between 0 and 1")
    family = fit.spec.family
    # log2 of a share that is not left is masked by `where`, not computed with.
    return _fading(
        fit,
        at,
        "time_to_loss",
        f"time until {loss:.0%} of the peak effect is lost",
        lambda at: family.delay_at(1 - loss, at, MATHS),
    )


def _fading(
    fit: Fit, at: xr.Dataset, name: str, estimand: str, formula: Callable[[dict[str, Any]], Any]
) -> xr.DataArray:
    plan = fit.design
    if not plan.spec.family.parameters:
        raise QueryError(f"decay = '{plan.spec.decay}': the effect does not fade in this model")
    frame = points_of(at).drop(columns=["delay"], errors="ignore")
    frame = frame.drop_duplicates(ignore_index=True) if len(frame.columns) else pd.DataFrame([{}])
    draws = draws_of(fit)
    predictors = {
        parameter: linear(draws[parameter], plan.predictors[parameter].matrix(frame))
        for parameter in plan.spec.family.parameters
    }
    out = labelled(fit, np.asarray(formula(predictors)), point_dataset(plan, frame), name, estimand)
    out.attrs |= {"units": "d", "kind": "duration"}
    return out
