"""Ranks of the draws, chain by chain: whether the chains went to the same places."""

from __future__ import annotations

import textwrap

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from bayesma.diagnostics import judged, scalars
from bayesma.errors import QueryError
from bayesma.plots.panels import laid_out
from bayesma.posterior import Fit

__all__ = ["plot_ranks"]

# Panels in a row and in all; inches of one; draws of a chain that are drawn.
COLUMNS, MOST, PANEL, SHOWN = 4, 12, (2.25, 1.55), 250
# Letters of a line of a title; the least that the axis reaches.
LETTERS, LEAST = 28, 0.2
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
        chain, draw and at most one more. Of more than twelve quantities those of the highest R-hat
        are drawn, in the order given; of each chain about 250 draws, evenly taken.

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
    every = xr.Dataset(scalars(posterior))
    step = max(1, posterior.sizes["draw"] // SHOWN)
    shown = every[_worst(every)].isel(draw=slice(None, None, step))
    columns = min(COLUMNS, len(shown.data_vars))
    rows = -(-len(shown.data_vars) // columns)
    found = arviz_plots.plot_rank(
        xr.DataTree.from_dict({"posterior": shown}),
        method="mtc_c",
        backend="matplotlib",
        col_wrap=columns,
        visuals={
            "xlabel": False,
            "title": {"size": 8},
            "ecdf_lines": {"width": 1.0},
            "remove_axis": False,
        },
        aes={"color": ["chain"]},
        color=list(COLOURS[: shown.sizes["chain"]]),
        figure_kwargs={
            "figsize": (PANEL[0] * columns + 0.6, PANEL[1] * rows + 1.3),
            "layout": "none",
        },
    )
    figure: Figure = found.viz["figure"].item()
    _finish(figure, columns)
    more = (
        f" The {MOST} of {len(every.data_vars)} quantities whose R-hat is highest."
        if len(every.data_vars) > MOST
        else ""
    )
    apart = 1 - 1 / shown.sizes["chain"]
    caption = (
        f"One line per chain, {shown.sizes['draw']} draws of each.{more} A line far from 0 on one "
        f"side: this chain lies higher or lower than the others; beyond them all, it reaches "
        f"{apart:.2g}."
    )
    return laid_out(
        figure, caption, "rank among the draws of all chains (0 to 1)", "ECDF minus uniform"
    )


def _worst(every: xr.Dataset) -> list[str]:
    """Return the names of what is drawn, in their order; a chain that never moved is the worst."""
    import arviz_stats

    names = [str(name) for name in every.data_vars]
    if len(names) <= MOST:
        return names
    with np.errstate(divide="ignore", invalid="ignore"):
        found = arviz_stats.rhat(every)
    r_hat = np.nan_to_num([float(found[name]) for name in names], nan=np.inf)
    worst = set(np.argsort(-r_hat, kind="stable")[:MOST].tolist())
    return [name for i, name in enumerate(names) if i in worst]


def _finish(figure: Figure, columns: int) -> None:
    """Give all panels one scale, which is written at the left, and titles that fit."""
    panels = [axes for axes in figure.axes if axes.get_title()]
    reach = max(np.abs(line.get_ydata()).max() for axes in panels for line in axes.lines)
    reach = max(LEAST, 1.08 * float(reach))
    for place, axes in enumerate(panels):
        title = axes.get_title().replace("\n", " ")
        axes.set_title(_broken(title), fontsize=8)
        axes.set_ylim(-reach, reach)
        # Ticks have words where no panel stands beside or below.
        last = place + columns >= len(panels)
        axes.tick_params(labelsize=7, labelleft=place % columns == 0, labelbottom=last)
        # ArviZ's test of uniformity: its p-values, of many panels, ask to be misread.
        for artist in [*axes.texts, *axes.collections]:
            artist.remove()
        axes.axhline(0, color="0.6", linewidth=0.6, zorder=0.5)
        axes.spines[["top", "right"]].set_visible(False)


def _broken(title: str) -> str:
    """Return a label in lines, broken after a bracket sooner than within a word."""
    if len(title) <= LETTERS:
        return title
    return "\n".join(
        textwrap.wrap(title.replace("[", "[ ", 1), LETTERS, break_long_words=False)
    ).replace("[ ", "[")
