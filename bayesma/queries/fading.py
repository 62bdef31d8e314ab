"""How fast the effect fades: half-lives and the time to a given loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.errors import QueryError
from bayesma.maths import NumPyMaths
from bayesma.mean import linear
from bayesma.posterior import Fit
from bayesma.queries.curves import draws_of, labelled
from bayesma.queries.grids import combinations_of, point_dataset

__all__ = ["half_life", "half_life_at", "half_life_words", "time_to_loss"]

Floats = NDArray[np.float64]

MATHS = NumPyMaths()


def half_life(fit: Fit, at: xr.Dataset) -> xr.DataArray:
    """Return the half-life in days, at each combination of covariates in a grid.

    For `plateau` it is the half-life of the part that fades; for `weibull` the delay at which half
    of the peak is left. Summarise it by median and
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
    frame = combinations_of(at)
    return _durations(fit, half_life_at(fit, frame), frame, "half_life", half_life_words(fit))


def half_life_at(fit: Fit, frame: pd.DataFrame) -> Floats:
    """Return the half-life in days at rows of covariates, shape (chain, draw, rows)."""
    return np.asarray(np.exp2(_predictors(fit, frame)["half_life"]))


def half_life_words(fit: Fit) -> str:
    """Return what a half-life is in this model, in words."""
    part = " of the share that fades" if "persistent" in fit.spec.family.parameters else ""
    return f"half-life of the effect{part}"


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
    frame = combinations_of(at)
    # log2 of a share that is not left is masked by `where`, not computed with.
    found = fit.spec.family.delay_at(1 - loss, _predictors(fit, frame), MATHS)
    words = f"time until {loss:.0%} of the peak effect is lost"
    return _durations(fit, np.asarray(found), frame, "time_to_loss", words)


def _predictors(fit: Fit, frame: pd.DataFrame) -> dict[str, Any]:
    """Return the linear predictors of the decay at rows of covariates."""
    plan, draws = fit.design, draws_of(fit)
    if not plan.spec.family.parameters:
        raise QueryError(f"decay = '{plan.spec.decay}': the effect does not fade in this model")
    return {
        parameter: linear(draws[parameter], plan.predictors[parameter].matrix(frame))
        for parameter in plan.spec.family.parameters
    }


def _durations(
    fit: Fit, values: Floats, frame: pd.DataFrame, name: str, estimand: str
) -> xr.DataArray:
    out = labelled(fit, values, point_dataset(fit.design, frame), name, estimand)
    out.attrs |= {"units": "d", "kind": "duration"}
    return out
