import itertools
import re

import numpy as np
import pytest
import xarray as xr
from fits import EIGHT_ROWS

import bayesma as bm
from bayesma.errors import QueryError

SPEC = bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen", decay="exponential")


@pytest.fixture(scope="module")
def tree():
    return bm.prior_predictive(bm.effect_sizes(EIGHT_ROWS, measure="SMD"), SPEC, seed=1, draws=400)


def artists(figure):
    return {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid()}


def caption(figure):
    return " ".join(artists(figure)["caption"].get_text().split())


def test_bands_are_quantiles_of_the_curves(tree):
    found = artists(bm.plot_prior_predictive(tree))
    effect = tree["curves"]["effect"]
    for level in ("single", "repeated"):
        part = effect.isel(point=np.flatnonzero(effect["regimen"].values == level))
        line = found[f"median: {level}"]
        x, y = line.get_data()
        np.testing.assert_allclose(x, part["delay"].values)
        expected = np.quantile(part.values[0], 0.5, axis=0, method="lower")
        np.testing.assert_allclose(y, expected, rtol=1e-12)  # the same draws, picked
        for name, tail in (("95%", 0.025), ("50%", 0.25)):
            corners = np.vstack([p.vertices for p in found[f"band {name}: {level}"].get_paths()])
            low = np.quantile(part.values[0, :, 0], tail, method="lower")
            assert np.isclose(corners[:, 1], low).any()
        assert len(found[f"rows: {level}"].get_xdata()) == 4


def test_extreme_draws_do_not_set_the_axes_and_are_counted(tree):
    wild = tree.copy()
    effect, y = wild["curves"]["effect"].copy(), wild["prior_predictive"]["y"].copy()
    effect[0, :7, :] = 1e30
    effect[0, 7, :] = np.inf
    y[0, :4, :] = -1e30
    wild["curves"]["effect"], wild["prior_predictive"]["y"] = effect, y
    figure = bm.plot_prior_predictive(wild)
    low, high = figure.axes[0].get_ylim()
    rows = np.array([0, *EIGHT_ROWS["y"]])
    # The data with 0, at most 1.5 spans beyond on each side, and the margin of 4% of it all.
    span = np.ptp(rows)
    assert rows.max() < high < rows.max() + 1.5 * span + 0.2 * span
    assert rows.min() - 1.5 * span - 0.2 * span < low < rows.min()
    said = int(re.search(r"Up to (\d+) of 400 curves", caption(figure))[1])
    values = effect.values[0]
    regimen = effect["regimen"].values
    outside = [
        int(((values[:, regimen == r] < low) | (values[:, regimen == r] > high)).any(1).sum())
        for r in ("single", "repeated")
    ]
    assert said == max(outside) >= 8
    share = float(((y.values < low) | (y.values > high)).mean())
    told = float(re.search(r"([\d.]+)% of replicates lie outside", caption(figure))[1])
    assert told == pytest.approx(100 * share, abs=0.051)  # one decimal is told


def test_histograms_are_shares_of_all_draws_inside_or_not(tree):
    figure = bm.plot_prior_predictive(tree)
    found = artists(figure)
    low, high = figure.axes[0].get_ylim()
    for name, values in (
        ("replicates", tree["prior_predictive"]["y"].values),
        ("new study", tree["curves"]["new_study"].values),
    ):
        inside = ((values >= low) & (values <= high)).mean()
        assert found[name].get_data().values.sum() == pytest.approx(inside)
    tau = tree["prior"]["tau"].values
    end = found["tau"].get_data().edges[-1]
    assert found["tau"].get_data().values.sum() == pytest.approx((tau <= end).mean())
    np.testing.assert_array_equal(found["rug"].get_xdata(), EIGHT_ROWS["y"])


def test_without_decay_or_heterogeneity_there_are_levels_and_no_tau():
    spec = bm.ModelSpec(peak="regimen", decay="none")
    tree = bm.prior_predictive(bm.effect_sizes(EIGHT_ROWS, measure="SMD"), spec, seed=1, draws=200)
    figure = bm.plot_prior_predictive(tree, title="before data")
    found = artists(figure)
    assert {"band 95%: single", "band 95%: repeated", "band 50%: single"} <= set(found)
    assert "tau" not in found
    assert "new study" not in found
    assert "Normal(0, 5)" in caption(figure)
    draws = tree["curves"]["effect"].sel(point=tree["curves"]["regimen"] == "single").values
    np.testing.assert_allclose(
        found["band 95%: single"].get_xdata(), np.quantile(draws, [0.025, 0.975])
    )


def test_words_of_ticks_do_not_touch():
    rows = EIGHT_ROWS.assign(delay=[0, 0.003, 0.04, 1, 0.0008, 7, 14, 90])
    tree = bm.prior_predictive(bm.effect_sizes(rows, measure="SMD"), SPEC, seed=1, draws=50)
    figure = bm.plot_prior_predictive(tree)
    figure.canvas.draw()
    for axes in figure.axes[:2]:
        boxes = [t.get_window_extent() for t in axes.get_xticklabels() if t.get_text()]
        assert len(boxes) > 2
        for left, right in itertools.pairwise(boxes):
            assert left.x1 < right.x0


def test_the_caption_says_which_rows_have_no_place(tree):
    gone = tree.copy()
    delay = gone["observed_data"]["delay"].values.copy()
    delay[:3] = np.nan
    gone["observed_data"] = gone["observed_data"].dataset.assign_coords(delay=("row", delay))
    assert "3 of 8 observed effects are not among the points" in caption(
        bm.plot_prior_predictive(gone)
    )


@pytest.mark.parametrize("what", [xr.DataTree(), bm.ModelSpec()])
def test_what_is_no_prior_prediction_is_refused(what):
    with pytest.raises(QueryError, match=r"needs bm\.prior_predictive"):
        bm.plot_prior_predictive(what)
