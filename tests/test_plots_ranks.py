"""Rank, energy and replicate plots: ArviZ's, with our words around them."""

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

from bayesma.errors import QueryError
from bayesma.plots import plot_energy, plot_ranks, plot_replicates
from bayesma.plots.svg import inline_svg

RNG = np.random.default_rng(1)


def posterior(terms=3, chains=4):
    coords = {
        "chain": np.arange(chains),
        "draw": np.arange(500),
        "t": [f"x[{i}]" for i in range(terms)],
    }
    draws = RNG.normal(size=(chains, 500, terms))
    tau = RNG.normal(size=(chains, 500))
    return xr.Dataset(
        {"level": (("chain", "draw", "t"), draws), "tau": (("chain", "draw"), tau)}, coords
    )


def test_a_panel_for_each_number_and_at_most_twelve():
    few = plot_ranks(posterior())
    assert [axes.get_title() for axes in few.axes] == [
        "level[x[0]]",
        "level[x[1]]",
        "level[x[2]]",
        "tau",
    ]
    assert len(few.axes[0].collections) == 0  # no marks of a test of each panel


def test_of_many_the_worst_are_drawn():
    draws = posterior(terms=20)
    apart = draws["level"].values + 3.0 * (np.arange(20) == 17) * (np.arange(4) == 2)[:, None, None]
    many = plot_ranks(draws.assign(level=draws["level"].copy(data=apart)))
    assert len(many.axes) == 12
    assert "level[x[17]]" in [axes.get_title() for axes in many.axes]
    (caption,) = [text.get_text() for text in many.texts if text.get_gid() == "caption"]
    assert "12 of 21 quantities whose R-hat is highest" in " ".join(caption.split())
    assert not plt.get_fignums()


def test_the_chain_that_lies_elsewhere_leaves_zero():
    draws = posterior()
    draws["tau"] = draws["tau"] + 10.0 * (draws["chain"] == 0)
    axes = plot_ranks(draws).axes[-1]
    reach = [np.abs(line.get_ydata()).max() for line in axes.lines if len(line.get_ydata()) > 50]
    # One chain above all others: its ranks are the upper quarter, 0.75 from uniform; a step of
    # the ECDF is 1/250.
    assert max(reach) == pytest.approx(0.75, abs=0.01)


def test_one_chain_has_nothing_to_compare():
    with pytest.raises(QueryError, match="sample two or more"):
        plot_ranks(posterior(chains=1))


def test_energy_names_chains_as_the_table_does():
    energy = xr.Dataset({"energy": (("chain", "draw"), RNG.normal(size=(4, 500)))},
                        {"chain": np.arange(4), "draw": np.arange(500)})  # fmt: skip
    figure = plot_energy(xr.DataTree.from_dict({"sample_stats": energy}))
    (panel,) = [axes for axes in figure.axes if axes.get_title() == "BFMI"]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["1", "2", "3", "4"]
    with pytest.raises(QueryError, match="keeps no energy"):
        plot_energy(xr.DataTree.from_dict({"sample_stats": energy.rename(energy="lp")}))


def test_replicates_are_the_same_each_time_and_small_where_rows_are_many():
    rows = 1000
    y = RNG.normal(size=(4, 100, rows))
    coords = {"chain": np.arange(4), "draw": np.arange(100), "row": np.arange(rows)}
    made = xr.Dataset({"y": (("chain", "draw", "row"), y)}, coords)
    observed = xr.Dataset({"y": ("row", y[0, 0])}, {"row": np.arange(rows)})
    tree = xr.DataTree.from_dict({"posterior_predictive": made, "observed_data": observed})
    text = inline_svg(plot_replicates(tree), "a", "x")
    assert text == inline_svg(plot_replicates(tree), "a", "x")
    # Twenty tables of 1,000 rows; a report of 5 MB holds two such pictures.
    assert len(text) < 1e6
