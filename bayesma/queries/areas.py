"""Areas under the curve: the effect summed up over a span of time."""

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
from bayesma.queries.grids import combinations_of, day_of, outside, point_dataset, warn_outside

__all__ = ["area_at", "auc", "span_dataset", "span_of", "span_words"]

Floats = NDArray[np.float64]
Span = tuple[float, float]

MATHS = NumPyMaths()


def auc(fit: Fit, at: xr.Dataset, start: Any, stop: Any, *, mean: bool = False) -> xr.DataArray:
    """Return the area under the effect-decay curve between two delays.

    AUC = integral of m(t) dt from start to stop = level x integral of share(t) / share(t_ref) dt,
    in the closed form of each decay family; m is the population mean effect that `decay_curve`
    gives.

    Parameters
    ----------
    fit : Fit
    at : xarray.Dataset
        From `grid`; its delays are ignored.
    start, stop : float or str
        Delays since the last dose: days, or texts such as "24 h".
    mean : bool
        Whether to divide by the length of the span: the effect averaged over time.

    Returns
    -------
    xarray.DataArray
        Dims chain, draw, point: one point for each combination of covariates in the grid. Units
        of the effect measure times days, or those of the measure if `mean`.

    Raises
    ------
    QueryError
        If `start` and `stop` are no delays that run forward.

    Warns
    -----
    ExtrapolationWarning
        Where the span leaves the delays of the data.
    """
    span, frame = span_of(start, stop), combinations_of(at)
    where = span_dataset(fit, frame, span)
    warn_outside(fit.design, where, "spans reach")
    values = area_at(fit, frame, span) / (span[1] - span[0] if mean else 1.0)
    out = labelled(fit, values, where, "auc", span_words(fit, span, mean))
    measure = fit.design.effects.measure
    out.attrs |= {"units": measure if mean else f"{measure} x d", "kind": "area"}
    out.attrs |= {"start": span[0], "stop": span[1]}
    return out


def span_of(start: Any, stop: Any) -> Span:
    """Return two delays in days that run forward."""
    first, last = day_of(start), day_of(stop)
    if not first < last:
        raise QueryError(f"from {start} to {stop}: an area starts before it stops")
    return first, last


def span_words(fit: Fit, span: Span, mean: bool = False) -> str:
    """Return what an area is, in words."""
    effect = f"population mean effect ({fit.design.effects.measure})"
    when = f"from {span[0]:g} to {span[1]:g} d"
    return f"{effect} averaged over time {when}" if mean else f"area under the {effect} {when}"


def span_dataset(fit: Fit, frame: pd.DataFrame, span: Span) -> xr.Dataset:
    """Return rows of covariates as points that say whether a span leaves the data."""
    points = point_dataset(fit.design, frame)
    if not fit.spec.family.parameters:
        return points
    return points.assign_coords(beyond_data=("point", outside(fit.design, frame, *span)))


def area_at(fit: Fit, frame: pd.DataFrame, span: Span) -> Floats:
    """Return the area at rows of covariates, shape (chain, draw, rows)."""
    plan, draws = fit.design, draws_of(fit)
    points = plan.at(frame.assign(delay=span[0]))
    predictors = {name: linear(draws[name], points.matrices[name]) for name in points.matrices}
    # Before the reference delay the effect of a very short half-life may be infinite.
    with np.errstate(over="ignore"):
        area = plan.spec.family.relative_area(*span, points.reference, predictors, MATHS)
        return np.asarray(predictors["peak"] * area)
