"""The rows behind a fit, as points to draw on its curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.clock import effect_clock
from bayesma.coders import AVERAGE
from bayesma.effects import told_apart
from bayesma.posterior import Fit
from bayesma.queries.grids import points_of

__all__ = ["behind_rows", "row_names", "study_points"]


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
        One row per effect, with row_id, name, y, v, `delay` in days (a pooled row's median), and
        the smallest and largest delay behind it, `delay_low` and `delay_high`; then the curve's
        covariates. A row is left out where it has no delay, or does not share a level the curve
        is drawn for; so is a pooled row whose members differ in one.
        ``.attrs["without_delay"]`` counts those that have no delay.
    """
    plan = fit.design
    at = points_of(curve.coords.to_dataset().drop_vars(["chain", "draw"])).drop(columns="delay")
    asked = [str(name) for name in at if not (at[name].astype(str) == AVERAGE).all()]
    own = plan.effects.frame[["row_id", "y", "v"]].reset_index(drop=True)
    own.insert(1, "name", row_names(fit))
    behind = behind_rows(fit, asked)
    table = own.join(behind[["delay", "delay_low", "delay_high", *asked]])
    stays = table["delay"].notna()
    for name in asked:
        stays &= table[name].notna()
        if not _is_free(at[name]):
            stays &= table[name].isin(_like(at[name], table[name]))
    out = table[stays].reset_index(drop=True)
    out.attrs["without_delay"] = int(table["delay"].isna().sum())
    return out


def behind_rows(fit: Fit, names: Sequence[str]) -> pd.DataFrame:
    """Return covariates and delays of the rows, or of the comparisons behind them.

    Parameters
    ----------
    fit : Fit
    names : sequence of str
        Covariates.

    Returns
    -------
    pandas.DataFrame
        One row per effect: the covariates, missing where comparisons behind a row differ in one;
        the median `delay` in days, with the smallest and largest, `delay_low` and `delay_high`.
    """
    plan = fit.design
    clock = effect_clock(plan.frame) if "delay" in plan.frame else np.nan
    row = np.arange(len(plan.frame)) if plan.pooling is None else plan.pooling.row
    behind = plan.frame[list(names)].assign(clock=clock).groupby(row)
    found = {name: behind[name].first().where(behind[name].nunique() == 1) for name in names}
    return pd.DataFrame(
        {
            **found,
            "delay": behind["clock"].median(),
            "delay_low": behind["clock"].min(),
            "delay_high": behind["clock"].max(),
        }
    )


def row_names(fit: Fit) -> list[str]:
    """Return a name for each row: its label, or its study; with its id where several share it."""
    frame, plan = fit.design.effects.frame, fit.design
    studies = pd.Series(np.array(plan.groups.labels[0], dtype=object)[plan.groups.outermost])
    names = frame["label"].reset_index(drop=True) if "label" in frame else studies
    return told_apart(names.where(names.notna(), studies), frame["row_id"])


def _is_free(cells: pd.Series[Any]) -> bool:
    """Return whether a number is held constant, where rows next to it are of interest too."""
    return pd.api.types.is_numeric_dtype(cells) and cells.nunique() == 1


def _like(cells: pd.Series[Any], own: pd.Series[Any]) -> list[Any]:
    """Return the levels asked for, as the rows write them."""
    numeric = pd.api.types.is_numeric_dtype(own)
    return [float(cell) if numeric else str(cell) for cell in cells.unique()]
