"""Data as observed among data as the model makes them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayesma.plots.panels import laid_out

__all__ = ["plot_replicates"]

Floats = NDArray[np.float64]
Group = Literal["prior_predictive", "posterior_predictive"]

# Replicates drawn, and where rows are many; spans of the data by which the axis goes beyond them.
SHOWN, FEWER, MANY, REACH = 40, 20, 300, 1.0
OBSERVED, MADE = "#000000", "#56B4E9"


def plot_replicates(tree: xr.DataTree, group: Group = "posterior_predictive") -> Figure:
    """Draw the ECDF of the observed effects among those of replicated tables.

    Parameters
    ----------
    tree : xarray.DataTree
        `Fit.tree`.
    group : {"posterior_predictive", "prior_predictive"}

    Returns
    -------
    matplotlib.figure.Figure
        ArviZ's `plot_ppc_dist`.
    """
    import arviz_plots

    observed = tree["observed_data"].dataset
    count = FEWER if observed.sizes["row"] > MANY else SHOWN
    shown = _few(tree[group].dataset, count)
    made = xr.DataTree.from_dict({"posterior_predictive": shown, "observed_data": observed})
    found = arviz_plots.plot_ppc_dist(
        made,
        kind="ecdf",
        num_samples=count,
        backend="matplotlib",
        visuals={
            "predictive_dist": {"color": MADE, "alpha": 0.5, "width": 0.8},
            "observed_dist": {"color": OBSERVED, "width": 2.0},
            "title": False,
            "remove_axis": False,
        },
        figure_kwargs={"figsize": (6.4, 3.9), "layout": "none"},
    )
    figure: Figure = found.viz["figure"].item()
    ends = _ends(observed["y"].values, shown["y"].values)
    (axes,) = figure.axes
    axes.set_xlim(*ends)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(0, 1)
    axes.set_xlabel("")
    axes.tick_params(labelsize=8)
    caption = (
        f"Black: the observed effects. Blue: {count} replicated tables of the same rows."
        f"{_outside(shown['y'].values, ends)}"
    )
    return laid_out(figure, caption, "effect", "share of rows at or below")


def _ends(y: Floats, made: Floats) -> tuple[float, float]:
    """Return the ends of the axis: the data, widened to the replicates by at most their span."""
    span = float(np.ptp(y)) or 1.0
    finite = made[np.isfinite(made)]
    low, high = (float(end) for end in np.quantile(finite, [0.001, 0.999]))
    low = min(y.min(), max(low, y.min() - REACH * span))
    high = max(y.max(), min(high, y.max() + REACH * span))
    return float(low - 0.03 * (high - low)), float(high + 0.03 * (high - low))


def _outside(made: Floats, ends: tuple[float, float]) -> str:
    share = float(((made < ends[0]) | (made > ends[1])).mean())
    return f" {share:.1%} of replicated effects lie beyond the axis." if share >= 0.0005 else ""


def _few(drawn: xr.Dataset, count: int) -> xr.Dataset:
    """Return evenly taken draws, so that the same ones are drawn each time."""
    flat = drawn.stack(sample=("chain", "draw")).transpose("sample", ...)
    index = np.linspace(0, flat.sizes["sample"] - 1, count).astype(int)
    values = flat["y"].values[index][None]
    return xr.Dataset(
        {"y": (("chain", "draw", "row"), values)}, {"row": drawn["row"].values}
    ).assign_coords(chain=[0], draw=np.arange(len(index)))
