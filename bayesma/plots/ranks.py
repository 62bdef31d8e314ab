"""Ranks of the draws, chain by chain: whether the chains went to the same places."""

from __future__ import annotations

import textwrap

import xarray as xr
from matplotlib.figure import Figure

from bayesma.diagnostics import judged
from bayesma.errors import QueryError
from bayesma.plots.panels import laid_out
from bayesma.posterior import Fit

__all__ = ["plot_ranks"]

# Panels in a row and in all; inches of one; draws of a chain that are drawn.
COLUMNS, MOST, PANEL, SHOWN = 4, 12, (2.25, 1.55), 250
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def plot_ranks(draws: Fit | xr.Dataset) -> Figure:
    """Draw, for each quantity, how the ranks of each chain's draws differ from uniform ones.

    ECDF of the fractional ranks among all chains minus the uniform one (Säilynoja, Bürkner &
    Vehtari 2022, Statistics and Computing 32:32), by ArviZ's `plot_rank`. Lines that stay near 0
    are of chains that went to the same places; one that leaves lies higher or lower than the rest.

    Parameters
    ----------
    draws : Fit or xarray.Dataset
        Of a fit, the quantities that answers are made of. Of a dataset, every variable: dims
        chain, draw and at most one more. The first twelve are drawn, at 250 draws of each chain,
        evenly taken.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    QueryError
        If there is only one chain: then there is nothing to compare.
    """
    import arviz_plots

    posterior = judged(draws.posterior, draws.design) if isinstance(draws, Fit) else draws
    if posterior.sizes["chain"] < 2:
        raise QueryError("ranks compare chains: sample two or more")
    scalars = _scalars(posterior)
    names = list(scalars.data_vars)
    shown = scalars[names[:MOST]]
    step = max(1, shown.sizes["draw"] // SHOWN)
    columns = min(COLUMNS, len(shown.data_vars))
    rows = -(-len(shown.data_vars) // columns)
    found = arviz_plots.plot_rank(
        xr.DataTree.from_dict({"posterior": shown.isel(draw=slice(None, None, step))}),
        method="mtc_c",
        backend="matplotlib",
        col_wrap=columns,
        visuals={"xlabel": False, "title": {"size": 8}, "ecdf_lines": {"width": 1.0}},
        aes={"color": ["chain"]},
        color=list(COLOURS[: shown.sizes["chain"]]),
        figure_kwargs={
            "figsize": (PANEL[0] * columns + 0.6, PANEL[1] * rows + 1.3),
            "layout": "none",
        },
    )
    figure: Figure = found.viz["figure"].item()
    for axes in figure.axes:
        axes.set_title(textwrap.fill(axes.get_title().replace("\n", " "), 26), fontsize=8)
        axes.tick_params(labelsize=7)
        for text in list(axes.texts):  # a p-value for each of many panels asks to be misread
            text.remove()
    more = f" The first {MOST} of {len(names)} quantities." if len(names) > MOST else ""
    caption = (
        f"One line per chain, {shown.sizes['draw'] // step} draws of each.{more} A line far from 0 "
        "on one side: this chain lies higher or lower than the others."
    )
    return laid_out(
        figure, caption, "rank among the draws of all chains (0 to 1)", "ECDF minus uniform"
    )


def _scalars(posterior: xr.Dataset) -> xr.Dataset:
    """Return every number under a name of its own, such as level[Intercept]."""
    found: dict[str, xr.DataArray] = {}
    for name, array in posterior.data_vars.items():
        if array.ndim == 2:
            found[str(name)] = array
            continue
        dim = array.dims[-1]
        for label in array[dim].values:
            found[f"{name}[{label}]"] = array.sel({dim: label}, drop=True)
    return xr.Dataset(found)
