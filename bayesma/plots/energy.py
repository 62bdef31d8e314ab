"""Energy of the sampler: whether its momentum could carry it over the whole posterior."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from bayesma.errors import QueryError
from bayesma.plots.panels import laid_out

__all__ = ["plot_energy"]

# Below it a chain may not have reached the tails (Betancourt 2016, arXiv:1604.00695).
BFMI = 0.3


def plot_energy(tree: xr.DataTree) -> Figure:
    """Draw the marginal energy beside that of transitions, and each chain's BFMI.

    Parameters
    ----------
    tree : xarray.DataTree
        `Fit.tree`, whose sample_stats hold the energy.

    Returns
    -------
    matplotlib.figure.Figure
        ArviZ's `plot_energy`.

    Raises
    ------
    QueryError
        If the sampler left no energy.
    """
    import arviz_plots

    if "energy" not in tree["sample_stats"].dataset:
        raise QueryError("this fit keeps no energy of its sampler")
    found = arviz_plots.plot_energy(
        tree,
        threshold=BFMI,
        backend="matplotlib",
        figure_kwargs={"figsize": (8.0, 3.1), "layout": "none"},
    )
    figure: Figure = found.viz["figure"].item()
    chains = tree["sample_stats"].sizes["chain"]
    for axes in figure.axes:
        axes.tick_params(labelsize=8)
        if axes.get_title() == "BFMI":
            axes.set_yticks(range(chains), [str(chain + 1) for chain in range(chains)])
            axes.set_ylabel("chain", fontsize=9)
    caption = (
        f"Left: BFMI by chain; below the line at {BFMI:g} a chain may not have reached the tails. "
        "Right: the energy of all draws (marginal) and its steps (transition), centred; the two "
        "should be alike."
    )
    return laid_out(figure, caption, "", "")
