"""The rows behind a fit, as points to draw on its curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.clock import effect_clock
from bayesma.coders import AVERAGE
from bayesma.posterior import Fit
from bayesma.queries.grids import points_of

__all__ = ["study_points"]


def study_points(fit: Fit, curve: xr.DataArray) -> pd.DataFrame:
    """Return the fitted rows that belong to a curve.

    Parameters
    ----------
    fit : Fit
    curve : xarray.DataArray
        From `decay_curve` on the same fit.

    Returns
    -------
    pandas.DataFrame
        One row per effect, with row_id, y, v, `delay` in days (a pooled row's median), and the
        smallest and largest delay behind it, `delay_low` and `delay_high`; then the curve's
        covariates. A row is left out where it has no delay, or does not share a level the curve
        is drawn for; so is a pooled row whose members differ in one.
        ``.attrs["without_delay"]`` counts those that have no delay.
    """
    plan = fit.design
    at = points_of(curve.coords.to_dataset().drop_vars(["chain", "draw"])).drop(columns="delay")
    asked = [str(name) for name in at if not (at[name].astype(str) == AVERAGE).all()]
    clock = effect_clock(plan.frame) if "delay" in plan.frame else np.nan
    row = np.arange(len(plan.frame)) if plan.pooling is None else plan.pooling.row
    behind = plan.frame[asked].assign(clock=clock).groupby(row)
    own = plan.effects.frame
    table = pd.DataFrame(
        {
            "row_id": own["row_id"],
            "y": own["y"],
            "v": own["v"],
            "delay": behind["clock"].median(),
            "delay_low": behind["clock"].min(),
            "delay_high": behind["clock"].max(),
        }
    )
    stays = table["delay"].notna()
    for name in asked:
        table[name] = behind[name].first()
        stays &= behind[name].nunique() == 1
        if not _is_free(at[name]):
            stays &= table[name].isin(_like(at[name], table[name]))
    out = table[stays].reset_index(drop=True)
    out.attrs["without_delay"] = int(table["delay"].isna().sum())
    return out


def _is_free(cells: pd.Series[Any]) -> bool:
    """Return whether a number is held constant, where rows next to it are of interest too."""
    return pd.api.types.is_numeric_dtype(cells) and cells.nunique() == 1


def _like(cells: pd.Series[Any], own: pd.Series[Any]) -> list[Any]:
    """Return the levels asked for, as the rows write them."""
    numeric = pd.api.types.is_numeric_dtype(own)
    return [float(cell) if numeric else str(cell) for cell in cells.unique()]
