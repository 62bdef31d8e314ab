"""Contrasts: one level of a covariate against another, everything else alike."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from bayesma.errors import QueryError
from bayesma.posterior import Fit
from bayesma.queries.curves import effect_at, labelled
from bayesma.queries.grids import grid, point_dataset, points_of, warn_outside

__all__ = ["contrast"]


def contrast(fit: Fit, at: xr.Dataset, **pair: Any) -> xr.DataArray:
    """Return the difference in effect between two levels of one covariate.

    Parameters
    ----------
    fit : Fit
    at : xarray.Dataset
        From `grid`; its other covariates and delays are held alike on both sides.
    **pair
        One covariate (or `delay`) and its two levels: ``regimen=("repeated", "single")`` is
        repeated minus single.

    Returns
    -------
    xarray.DataArray
        Dims chain, draw, point: one point for every combination of the rest.

    Raises
    ------
    QueryError
        If not exactly one covariate with two levels is given, or it is not in the model.
    UnseenLevelError
        If a level is not in the data.

    Warns
    -----
    ExtrapolationWarning
        Where a side's delay lies outside those of the data.
    """
    if len(pair) != 1:
        raise QueryError("contrast one covariate at a time: regimen=('repeated', 'single')")
    ((name, levels),) = pair.items()
    if not isinstance(levels, tuple | list) or len(levels) != 2:
        raise QueryError(f"{name} = {levels!r}: a contrast has two levels, e.g. ('a', 'b')")
    frame = points_of(at)
    rest = frame.drop(columns=[name], errors="ignore").drop_duplicates(ignore_index=True)
    sides = [_side(fit, rest, name, level) for level in levels]
    flags = [side["beyond_data"].values for side in sides if "beyond_data" in side.coords]
    where = sides[0].drop_vars([name, "beyond_data"], errors="ignore")
    if flags:
        where = where.assign_coords(beyond_data=("point", flags[0] | flags[1]))
    warn_outside(fit.design, where)
    values = effect_at(fit, points_of(sides[0])) - effect_at(fit, points_of(sides[1]))
    first, second = levels
    measure = fit.design.effects.measure
    out = labelled(
        fit,
        values,
        where,
        "contrast",
        f"difference in population mean effect ({measure}), {name} {first} minus {second}",
    )
    out.attrs["contrast"] = f"{name}: {first} - {second}"
    return out


def _side(fit: Fit, rest: pd.DataFrame, name: str, level: Any) -> xr.Dataset:
    """Return the rest of the grid at one level of the covariate."""
    axis = grid(fit, **{**_cell(fit, rest), name: level})
    frame = rest.copy() if len(rest.columns) else pd.DataFrame(index=[0])
    frame[name] = axis[name].values[0]
    return point_dataset(fit.design, frame)


def _cell(fit: Fit, rest: pd.DataFrame) -> dict[str, Any]:
    """Return one level of each decay cell's covariate, which a grid must name."""
    return {cell: rest[cell].iloc[0] for cell in fit.design.cells if cell in rest}
