"""Draws to a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.errors import QueryError

__all__ = ["summary"]


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
        Region of practical equivalence; adds `p_rope`, the probability to lie in it.

    Returns
    -------
    pandas.DataFrame
        Effects: mean, sd, median, ci_low, ci_high, p_positive. Durations: median, ci_low,
        ci_high, p_never (no mean: it need not exist). ``.attrs["estimand"]`` names what it is.

    Raises
    ------
    QueryError
        If `ci_prob` or `rope` make no interval.
    """
    if not 0 < ci_prob < 1:
        raise QueryError(f"ci_prob = {ci_prob}: a probability between 0 and 1")
    (dim,) = [name for name in draws.dims if name not in ("chain", "draw")]
    values = draws.transpose("chain", "draw", dim).values.reshape(-1, draws.sizes[dim])
    tail = (1 - ci_prob) / 2
    # "lower" keeps infinite draws from making NaN of an interpolated quantile.
    low, middle, high = np.quantile(
        values,
        [tail, 0.5, 1 - tail],
        axis=0,
        method="lower" if np.isinf(values).any() else "linear",
    )
    table = pd.DataFrame(
        {
            str(name): coord.values
            for name, coord in draws.coords.items()
            if coord.dims == (dim,) and name != "point"
        }
    )
    if draws.attrs.get("kind") == "duration":
        table = table.assign(
            median=middle, ci_low=low, ci_high=high, p_never=np.isinf(values).mean(axis=0)
        )
    else:
        with np.errstate(invalid="ignore"):  # a spread of infinite draws is NaN, and says so
            sd = values.std(axis=0, ddof=1)
        table = table.assign(
            mean=values.mean(axis=0),
            sd=sd,
            median=middle,
            ci_low=low,
            ci_high=high,
        )
        if draws.attrs.get("kind") != "weight":
            table["p_positive"] = _share(values > 0, values)
    if rope is not None:
        if not rope[0] < rope[1]:
            raise QueryError(f"rope = {rope}: give it as (lower, upper)")
        table["p_rope"] = _share((values >= rope[0]) & (values <= rope[1]), values)
    table.attrs = {"estimand": draws.attrs.get("estimand", ""), "ci_prob": ci_prob}
    if "small_study" in draws.attrs:
        table.attrs["small_study"] = draws.attrs["small_study"]
    return table


def _share(hits: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of draws that hit; NaN where a draw is no number, as inf - inf."""
    return np.where(np.isnan(values).any(axis=0), np.nan, hits.mean(axis=0))
