"""Grids: the questions, as points with labels."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.clock import effect_clock
from bayesma.coders import AVERAGE, Centred, Coder, cell_keys, level_text
from bayesma.design import Design
from bayesma.diagnostics import cell_frames
from bayesma.errors import ExtrapolationWarning, QueryError, UnseenLevelError, did_you_mean
from bayesma.posterior import Fit
from bayesma.units import duration

__all__ = [
    "checked_values",
    "combinations_of",
    "covariates_of",
    "day_of",
    "days",
    "grid",
    "hours",
    "outside",
    "point_dataset",
    "points_of",
    "warn_outside",
]

Floats = NDArray[np.float64]
PACKAGE = str(Path(__file__).resolve().parents[1])


def days(start: float, stop: float, step: float = 1.0) -> Floats:
    """Return delays in days: `start`, every `step` after it, up to `stop` at most.

    Raises
    ------
    QueryError
        If they do not run forward from 0 or later.
    """
    if not (0 <= start <= stop and step > 0):
        raise QueryError(f"days({start}, {stop}, step={step}): delays run forward from 0")
    # The slack keeps `stop` in spite of rounding.
    return np.asarray(start + step * np.arange(int((stop - start) / step + 1e-9) + 1))


def hours(start: float, stop: float, step: float = 1.0) -> Floats:
    """Return delays in days: `start` hours, every `step` after it, up to `stop` at most."""
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
    known = covariates_of(plan)
    for name in covariates:
        if name not in known:
            raise QueryError(
                f"'{name}' is not a covariate of this model; {did_you_mean(name, known)}"
            )
    for name in plan.cells:
        if name not in covariates:
            levels = sorted(set(plan.frame[name].map(level_text)))
            raise QueryError(
                f"the effect fades differently by '{name}': name it, e.g. {name}={levels}"
            )
    axes: dict[str, list[Any]] = {
        name: _values(covariates.get(name, _usual(plan, name))) for name in known
    }
    axes = {name: checked_values(plan, name, values) for name, values in axes.items()}
    if delay is not None:
        axes["delay"] = [day_of(value) for value in _values(delay)]
    frame = pd.DataFrame(list(itertools.product(*axes.values())), columns=list(axes))
    return point_dataset(plan, frame)


def covariates_of(plan: Design) -> list[str]:
    """Return the columns that a point needs: those of the mean's formulas and of tau's."""
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
    if not pd.api.types.is_numeric_dtype(plan.frame[name]) or f"C({name})" in factors:
        return AVERAGE
    coders = [coder for p in plan.predictors.values() for coder in p.coders.values()]
    # What is only ever compared within its cell stands at the mean of each cell.
    if not any(name in c.numbers for c in coders if isinstance(c, Coder)):
        return AVERAGE
    return float(plan.frame[name].mean())


def _values(value: Any) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [value]
    values = list(value)
    if not values:
        raise QueryError("an empty list asks for nothing")
    return values


def day_of(value: Any) -> float:
    """Return a delay in days from a number of days or a text such as "30 min"."""
    try:
        found = duration(value) if isinstance(value, str) else float(value)
    except TypeError as error:
        raise QueryError(f"delay {value!r}: days, or a text such as '30 min'") from error
    if isinstance(value, bool | np.bool_) or not (np.isfinite(found) and found >= 0):
        raise QueryError(f"delay {value}: delays are finite and 0 or more")
    return found


def checked_values(plan: Design, name: str, values: list[Any]) -> list[Any]:
    """Return the levels of a factor as texts, or numbers; refuse what the model does not know."""
    coders = [coder for p in plan.predictors.values() for coder in p.coders.values()]
    levels = next((c.levels for c in coders if c.levels and c.name == name), ())
    cells = [c.cell_levels(name) for c in coders if isinstance(c, Centred)]
    if not levels and any(cells):
        return [_known(name, level_text(value), max(cells, key=len)) for value in values]
    if levels:
        texts = [_known(name, level_text(value), levels) for value in values]
        if any(c.expression == name for c in coders if c.levels):
            return texts
    return [_number(name, value) for value in values]


def _known(name: str, text: str, levels: Sequence[str]) -> str:
    if text not in (*levels, AVERAGE):
        raise UnseenLevelError(
            f"{name} = '{text}' is not in the data; {did_you_mean(text, levels)}"
        )
    return text


def _number(name: str, value: Any) -> Any:
    if value == AVERAGE:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise QueryError(f"{name} = {value!r}: this covariate is a finite number")
    return number


def point_dataset(plan: Design, frame: pd.DataFrame) -> xr.Dataset:
    """Return rows of covariates and delays as points with labels."""
    coords: dict[str, Any] = {"point": np.arange(len(frame))}
    for name in frame:
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        values = frame[name].to_numpy(dtype=float if numeric else str)
        coords[str(name)] = ("point", values)
    if "delay" in frame and plan.spec.family.parameters:
        coords["beyond_data"] = ("point", outside(plan, frame, frame["delay"], frame["delay"]))
    return xr.Dataset(coords=coords)


def delay_range(plan: Design) -> Mapping[tuple[str, ...], tuple[float, float]]:
    """Return the smallest and largest delay of each decay cell, in days."""
    clocks = {key: effect_clock(rows) for key, rows in cell_frames(plan).items()}
    # A row without a delay, where delays may be unknown, has none to show.
    return {k: (float(np.nanmin(clock)), float(np.nanmax(clock))) for k, clock in clocks.items()}


def outside(plan: Design, frame: pd.DataFrame, first: Any, last: Any) -> NDArray[np.bool_]:
    """Return where the delays from `first` to `last` leave those of a row's decay cell."""
    ranges = delay_range(plan)
    # A cell that no row has gives no range; what is asked of it is refused where it is computed.
    nowhere = (np.inf, -np.inf)
    bounds = np.array([ranges.get(key, nowhere) for key in cell_keys(frame, plan.cells)])
    return np.asarray((first < bounds[:, 0]) | (last > bounds[:, 1]))


def warn_outside(plan: Design, at: xr.Dataset, what: str = "points lie") -> None:
    """Warn where points lie outside the delays of the data, once and with the numbers."""
    if "beyond_data" not in at.coords or not at["beyond_data"].any():
        return
    ranges = "; ".join(
        f"{' / '.join(key) or 'all rows'}: {low:.3g} to {high:.3g} d"
        for key, (low, high) in delay_range(plan).items()
    )
    warnings.warn(
        f"{int(at['beyond_data'].sum())} of {at.sizes['point']} {what} outside the delays of "
        f"the data ({ranges}): there the curve is its decay family's, not the data's",
        ExtrapolationWarning,
        skip_file_prefixes=(PACKAGE,),  # it is about the caller's question
    )


def points_of(at: xr.Dataset) -> pd.DataFrame:
    """Return the columns of a grid as a frame."""
    if "point" not in at.dims:
        raise QueryError("this is not a grid: make one with bm.grid(fit, ...)")
    names = [name for name in at.coords if name not in ("point", "beyond_data")]
    return pd.DataFrame({str(name): at[name].values for name in names}, at["point"].values)


def combinations_of(at: xr.Dataset) -> pd.DataFrame:
    """Return the combinations of covariates in a grid, whatever its delays; at least one row."""
    frame = points_of(at).drop(columns=["delay"], errors="ignore")
    return frame.drop_duplicates(ignore_index=True) if len(frame.columns) else pd.DataFrame([{}])
