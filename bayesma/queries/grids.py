"""Grids: the questions, as points with labels."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.coding import AVERAGE
from bayesma.design import Design, effect_clock
from bayesma.diagnostics import cell_frames
from bayesma.errors import ExtrapolationWarning, QueryError, UnseenLevelError, did_you_mean
from bayesma.posterior import Fit
from bayesma.units import duration

__all__ = ["days", "grid", "hours", "point_dataset", "points_of", "warn_outside"]

Floats = NDArray[np.float64]


def days(start: float, stop: float, step: float = 1.0) -> Floats:
    """Return delays in days from `start` to `stop`, both included.

    Raises
    ------
    QueryError
        If they do not run forward from 0 or later.
    """
    if not (0 <= start <= stop and step > 0):
        raise QueryError(f"days({start}, {stop}, step={step}): delays run forward from 0")
    # Half a step of slack keeps `stop` in spite of rounding.
    return np.arange(start, stop + step / 2, step)


def hours(start: float, stop: float, step: float = 1.0) -> Floats:
    """Return delays from `start` to `stop` hours, both included, in days."""
    return days(start, stop, step) / 24


def grid(fit: Fit, *, delay: Any = None, **covariates: Any) -> xr.Dataset:
    """Return every combination of the given covariates and delays, as points.

    Parameters
    ----------
    fit : Fit
    delay : float, str or sequence, optional
        Days, or texts such as "30 min"; see `days` and `hours`. Not needed for half-lives.
    **covariates
        A level or number, or a sequence of them, by covariate of the model. A factor that is not
        named is averaged over the rows of the data, except one by which the effect fades
        differently, which must be named; a number that is not named stands at its mean there.

    Returns
    -------
    xarray.Dataset
        Dim `point`; coordinates: the covariates, `delay` (days), and `beyond_data` (bool): the
        delay lies outside those seen in its decay cell.

    Raises
    ------
    QueryError
        If a covariate is not in the model, or one is missing by which the effect fades.
    UnseenLevelError
        If a level is not in the data.
    """
    plan = fit.design
    known = _covariates(plan)
    for name in covariates:
        if name not in known:
            raise QueryError(
                f"'{name}' is not a covariate of this model; {did_you_mean(name, known)}"
            )
    for name in plan.cells:
        if name not in covariates:
            levels = sorted(set(plan.frame[name].astype(str)))
            raise QueryError(
                f"the effect fades differently by '{name}': name it, e.g. {name}={levels}"
            )
    axes: dict[str, list[Any]] = {
        name: _values(covariates.get(name, _usual(plan, name))) for name in known
    }
    for name, values in axes.items():
        _check_levels(plan, name, values)
    if delay is not None:
        axes["delay"] = [_delay(value) for value in _values(delay)]
    frame = pd.DataFrame(list(itertools.product(*axes.values())), columns=list(axes))
    return point_dataset(plan, frame)


def _covariates(plan: Design) -> list[str]:
    names = set(plan.covariates)
    if plan.varying_tau:
        names |= plan.spec.formula("tau").variables
    return sorted(names)


def _usual(plan: Design, name: str) -> Any:
    """Return where a covariate stands that was not asked about: its mean, or all its levels."""
    factors = {
        coder.expression
        for p in plan.predictors.values()
        for coder in p.coders.values()
        if coder.levels
    }
    if pd.api.types.is_numeric_dtype(plan.frame[name]) and f"C({name})" not in factors:
        return float(plan.frame[name].mean())
    return AVERAGE


def _values(value: Any) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [value]
    values = list(value)
    if not values:
        raise QueryError("an empty list asks for nothing")
    return values


def _delay(value: Any) -> float:
    found = duration(value) if isinstance(value, str) else float(value)
    if not (np.isfinite(found) and found >= 0):
        raise QueryError(f"delay {value}: delays are finite and 0 or more")
    return found


def _check_levels(plan: Design, name: str, values: list[Any]) -> None:
    for predictor in plan.predictors.values():
        for coder in predictor.coders.values():
            if coder.levels and coder.expression in (name, f"C({name})"):
                for value in values:
                    if str(value) not in (*coder.levels, AVERAGE):
                        raise UnseenLevelError(
                            f"{name} = '{value}' is not in the data; "
                            f"{did_you_mean(str(value), coder.levels)}"
                        )


def point_dataset(plan: Design, frame: pd.DataFrame) -> xr.Dataset:
    """Return rows of covariates and delays as points with labels."""
    coords: dict[str, Any] = {"point": np.arange(len(frame))}
    for name in frame:
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        values = frame[name].to_numpy(dtype=float if numeric else str)
        coords[str(name)] = ("point", values)
    if "delay" in frame and plan.spec.family.parameters:
        coords["beyond_data"] = ("point", _beyond(plan, frame))
    return xr.Dataset(coords=coords)


def delay_range(plan: Design) -> Mapping[str, tuple[float, float]]:
    """Return the smallest and largest delay of each decay cell, in days."""
    clocks = {label: effect_clock(rows) for label, rows in cell_frames(plan).items()}
    return {label: (float(clock.min()), float(clock.max())) for label, clock in clocks.items()}


def _beyond(plan: Design, frame: pd.DataFrame) -> NDArray[np.bool_]:
    ranges = delay_range(plan)
    if not plan.cells:
        low, high = next(iter(ranges.values()))
        return ((frame["delay"] < low) | (frame["delay"] > high)).to_numpy()
    keys = frame[list(plan.cells)].astype(str).agg(" / ".join, axis=1)
    bounds = np.array([ranges.get(key, (np.inf, -np.inf)) for key in keys])
    return np.asarray((frame["delay"] < bounds[:, 0]) | (frame["delay"] > bounds[:, 1]))


def warn_outside(plan: Design, at: xr.Dataset) -> None:
    """Warn where points lie outside the delays of the data, once and with the numbers."""
    if "beyond_data" not in at.coords or not at["beyond_data"].any():
        return
    ranges = "; ".join(
        f"{label}: {low:.3g} to {high:.3g} d" for label, (low, high) in delay_range(plan).items()
    )
    warnings.warn(
        f"{int(at['beyond_data'].sum())} of {at.sizes['point']} points lie outside the delays of "
        f"the data ({ranges}): there the curve is its decay family's, not the data's",
        ExtrapolationWarning,
        stacklevel=3,
    )


def points_of(at: xr.Dataset) -> pd.DataFrame:
    """Return the columns of a grid as a frame."""
    if "point" not in at.dims:
        raise QueryError("this is not a grid: make one with bm.grid(fit, ...)")
    names = [name for name in at.coords if name not in ("point", "beyond_data")]
    return pd.DataFrame({str(name): at[name].values for name in names}, at["point"].values)
