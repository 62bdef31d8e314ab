"""Draws to a table."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.errors import QueryError

__all__ = ["centre_and_interval", "check_interval", "share_of", "summary"]


def summary(
    draws: xr.DataArray, ci_prob: float = 0.95, rope: tuple[float, float] | None = None
) -> pd.DataFrame:
    """Return one row per point: its labels, centre, interval and probabilities.

    Parameters
    ----------
    draws : xarray.DataArray
        From a query: dims chain, draw and one more.
    ci_prob : float
        Probability of the equal-tailed interval.
    rope : tuple of float, optional
        Region of practical equivalence, in the units of the draws (for a ratio, around 1: (0.8,
        1.25)); adds `p_rope`, the probability to lie in it.

    Returns
    -------
    pandas.DataFrame
        Effects and areas: mean, sd, median, ci_low, ci_high, p_positive. Durations: median,
        ci_low, ci_high, p_never; their differences: median, ci_low, ci_high, p_positive;
        ratios: median, ci_low, ci_high, p_above_1 (no mean: it need not exist).
        ``.attrs["estimand"]`` names what it is.

    Raises
    ------
    QueryError
        If `ci_prob` or `rope` make no interval.
    """
    check_interval(ci_prob, rope)
    (dim,) = [name for name in draws.dims if name not in ("chain", "draw")]
    values = draws.transpose("chain", "draw", dim).values.reshape(-1, draws.sizes[dim])
    table = pd.DataFrame(
        {
            str(name): coord.values
            for name, coord in draws.coords.items()
            if coord.dims == (dim,) and name != "point"
        }
    )
    kind = draws.attrs.get("kind", "effect")
    if kind in ("effect", "area", "weight"):
        with np.errstate(invalid="ignore"):  # a spread of infinite draws is NaN, and says so
            table = table.assign(mean=values.mean(axis=0), sd=values.std(axis=0, ddof=1))
    low, middle, high = centre_and_interval(values, ci_prob)
    table = table.assign(median=middle, ci_low=low, ci_high=high)
    if kind == "duration":
        table["p_never"] = np.isinf(values).mean(axis=0)
    elif kind == "ratio":
        table["p_above_1"] = share_of(values > 1, values)
    elif kind != "weight":
        table["p_positive"] = share_of(values > 0, values)
    if rope is not None:
        table["p_rope"] = share_of((values >= rope[0]) & (values <= rope[1]), values)
    table.attrs = {"estimand": draws.attrs.get("estimand", ""), "ci_prob": ci_prob}
    if "small_study" in draws.attrs:
        table.attrs["small_study"] = draws.attrs["small_study"]
    return table


def check_interval(ci_prob: Any, rope: tuple[float, float] | None) -> None:
    """Refuse a probability that is none, and a region without an inside."""
    if not (isinstance(ci_prob, Real) and 0 < float(ci_prob) < 1):
        raise QueryError(f"ci_prob = {ci_prob!r}: a probability between 0 and 1")
    if rope is not None and not rope[0] < rope[1]:
        raise QueryError(f"rope = {rope}: give it as (lower, upper)")


def centre_and_interval(
    values: NDArray[np.float64], ci_prob: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower end, median and upper end over the first axis of draws."""
    tail = (1 - ci_prob) / 2
    asked = [tail, 0.5, 1 - tail]
    infinite = np.isinf(values).any(axis=0)
    with np.errstate(invalid="ignore"):
        found = np.quantile(values, asked, axis=0)
    if infinite.any():
        # Between a number and infinity nothing can be interpolated: there the draw below is taken.
        found = np.where(infinite, np.quantile(values, asked, axis=0, method="lower"), found)
    low, middle, high = found
    return low, middle, high


def share_of(hits: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of draws that hit; NaN where a draw is no number, as inf - inf."""
    return np.where(np.isnan(values).any(axis=0), np.nan, hits.mean(axis=0))
