"""Contrasts as pictures: densities, intervals and probabilities are those of the draws."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from fits import prior_fit
from scipy import stats
from test_plots_forest import artists, overlaps, texts

from bayesma.errors import ExtrapolationWarning, QueryError
from bayesma.plots import plot_contrast
from bayesma.plots.svg import inline_svg
from bayesma.queries import contrast, decay_curve, grid, summary

DELAYS = [1.0, 3.0, 7.0]


@pytest.fixture(scope="module")
def fit():
    return prior_fit("ketamine_pain")


@pytest.fixture(scope="module")
def draws(fit):
    """Normal draws of known mean and spread, with the labels of a contrast of regimens."""
    at = grid(fit, regimen="single", delay=DELAYS)
    with pytest.warns(ExtrapolationWarning):
        found = contrast(fit, at, regimen=("repeated", "single"))
    shape = found.sizes["chain"] * found.sizes["draw"]
    normal = stats.norm.ppf((np.arange(shape) + 0.5) / shape)
    values = normal[:, None] * [0.5, 1.0, 1.0] + [1.0, 0.5, -3.0]
    return found.copy(data=values.reshape(found.shape))


def crowded(figure):
    """Texts on top of each other; a legend's are found twice, and ticks off the axis not drawn."""
    number = re.compile(r"-?[0-9.]+")
    return [
        (a, b)
        for a, b in overlaps(figure)
        if a != b and not (b == "page" and number.fullmatch(a.replace("−", "-")))
    ]


def test_medians_and_intervals_are_those_of_the_draws(draws):
    found = artists(plot_contrast(draws))
    for row in summary(draws).to_dict("records"):
        name = f"{row['delay']:g} d{'*' if row['beyond_data'] else ''}"
        assert found[f"median: {name}"].get_xdata()[0] == pytest.approx(row["median"])
        ends = found[f"interval: {name}"].get_xdata()
        assert list(ends) == pytest.approx([row["ci_low"], row["ci_high"]])


def test_probabilities_are_written_beside(draws):
    said = texts(plot_contrast(draws))
    # P(N(1, 0.5) > 0) = 0.977, P(N(0.5, 1) > 0) = 0.691, P(N(-3, 1) > 0) = 0.0013.
    for text in ("P(> 0) = 0.98", "P(> 0) = 0.69", "P(> 0) < 0.01"):
        assert text in said
    # 0.5 -+ 1.96, known to the grid of a thousand draws.
    assert "0.50 [-1.45, 2.45]" in said


def test_a_density_is_highest_at_the_mode_and_split_at_no_difference(draws):
    found = artists(plot_contrast(draws))
    above, below = (found[f"{kind}: 3 d"].get_paths()[0].vertices for kind in ("above", "density"))
    assert above[:, 0].min() == pytest.approx(0)
    assert below[:, 0].max() == pytest.approx(0)
    top = above[above[:, 1].argmin(), 0]
    # A hundred places on an axis about 9 wide, and a kernel's bandwidth of 0.25.
    assert top == pytest.approx(0.5, abs=0.2)


def test_what_lies_beyond_the_data_has_a_star_and_a_ring(draws):
    figure = plot_contrast(draws)
    found = artists(figure)
    assert found["median: 7 d*"].get_color() == "white"
    assert found["median: 1 d"].get_color() != "white"
    assert "* beyond the delays of the data." in " ".join(found["caption"].get_text().split())
    assert crowded(figure) == []


def test_every_mark_has_an_id_and_a_title(draws):
    svg = inline_svg(plot_contrast(draws), "c", "alt")
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))
    assert "<title>3 d: 0.50 [−1.45, 2.45], P(&gt; 0) = 0.69</title>" in svg
    assert len(svg) < 80_000


def test_a_ratio_is_on_a_logarithmic_axis_around_one(fit):
    found = contrast(fit, grid(fit, regimen="single"), of="half_life", scale="ratio",
                     regimen=("repeated", "single"))  # fmt: skip
    size = found.size
    normal = stats.norm.ppf((np.arange(size) + 0.5) / size)
    known = found.copy(data=np.exp2(1 + 2 * normal).reshape(found.shape))
    figure = plot_contrast(known)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "ratio (logarithmic): repeated / single"
    # P(2^(1 + 2 z) > 1) = P(z > -0.5) = 0.69; 2^(1 -+ 3.92) = 0.13 and 30.3, but for
    # the grid of a thousand draws.
    said = texts(figure)
    assert "P(> 1) = 0.69" in said
    assert "2.00 [0.13, 29.94]" in said
    assert crowded(figure) == []


def test_several_contrasts_are_joined_under_their_names(draws):
    parts = [draws.assign_coords(regimen=("point", [name] * 3)) for name in ("a - c", "b - c")]
    figure = plot_contrast(xr.concat(parts, "point"))
    found = artists(figure)
    assert {"median: a - c, 1 d", "median: b - c, 1 d"} <= set(found)
    assert {"a - c", "b - c"} <= set(texts(figure))
    assert crowded(figure) == []


def test_draws_that_no_float_holds_are_left_out_of_the_axis(draws):
    values = draws.values.copy()
    values[..., 0] = np.inf
    values[0, :, 1] = 1e9
    figure = plot_contrast(draws.copy(data=values))
    assert np.isfinite(figure.axes[0].get_xlim()).all()
    assert figure.axes[0].get_xlim()[1] < 100
    caption = " ".join(artists(figure)["caption"].get_text().split())
    assert "The axis cuts 2 of 3 intervals." in caption


def test_what_is_no_contrast_is_refused(fit, draws):
    with pytest.raises(QueryError, match="a contrast is needed"):
        plot_contrast(decay_curve(fit, grid(fit, regimen="single", delay=1.0)))
    with pytest.raises(QueryError, match="a contrast is needed"):
        plot_contrast([1.0])
    with pytest.raises(QueryError, match="42 points; at most 40 fit"):
        plot_contrast(xr.concat([draws] * 14, "point"))
    with pytest.raises(QueryError, match="ci_prob = 2"):
        plot_contrast(draws, ci_prob=2)
