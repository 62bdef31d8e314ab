"""Funnels: points where they are, and a line that is Egger's."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from test_plots_forest import artists, overlaps

from bayesma.errors import QueryError
from bayesma.frequentist import egger
from bayesma.plots import plot_funnel
from bayesma.plots.svg import inline_svg

K = 30


@pytest.fixture
def points():
    rng = np.random.default_rng(3)
    n = rng.integers(8, 60, K).astype(float)
    table = pd.DataFrame({"name": [f"Author {i}" for i in range(K)], "n": n, "v": 4 / n})
    table["effect"] = 0.2 + 3 / np.sqrt(n) + rng.normal(0, 2 / np.sqrt(n))
    table["size"] = 1 / np.sqrt(n)
    table.attrs = {"measure": "SMD", "of": "effect", "predictor": "1/sqrt(n)", "centre": 0.9}
    return table


@pytest.fixture
def line(points):
    return egger(points["effect"], points["v"], n=points["n"], predictor="1/sqrt(n)")


def crowded(figure):
    """Texts on top of each other; a legend's are found twice, and ticks off the axis not drawn."""
    number = re.compile(r"-?[0-9.]+")
    return [
        (a, b)
        for a, b in overlaps(figure)
        if a != b and not (b == "page" and number.fullmatch(a.replace("−", "-")))
    ]


def test_points_are_effects_against_one_over_the_root_of_n(points):
    figure = plot_funnel(points)
    x, y = artists(figure)["rows: effects"].get_data()
    assert x.tolist() == points["effect"].tolist()
    np.testing.assert_allclose(y, points["n"] ** -0.5)
    low, high = figure.axes[0].get_ylim()
    # Large studies on top.
    assert low > high == 0
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    places = figure.axes[0].get_yticks()
    for label, place in zip(labels, places, strict=True):
        assert (np.inf if label == "∞" else float(label)) ** -0.5 == pytest.approx(place)


def test_the_line_is_eggers(points, line):
    found = artists(plot_funnel(points, line))
    x, y = found["line: Egger"].get_data()
    np.testing.assert_allclose(x, line.beta[0] + line.beta[1] * np.asarray(y))
    assert x[0] == pytest.approx(line.limit)
    assert f"slope {line.beta[1]:.2f}" in found["line: Egger"].get_label()


def test_the_dashed_lines_are_sampling_error_alone(points):
    """Of an SMD near 0 in arms of n/2 each, v = 1/(n/2) + 1/(n/2) = 4/n."""
    x, y = artists(plot_funnel(points))["limits: 95%"].get_data()
    np.testing.assert_allclose(np.abs(x - 0.9), 1.959964 * 2 * y, rtol=1e-6)
    points.attrs["measure"] = "MD"
    assert "limits: 95%" not in artists(plot_funnel(points))


def test_the_standard_error_is_its_own_limit(points):
    points["size"] = np.sqrt(points["v"])
    points.attrs["predictor"] = "se"
    figure = plot_funnel(points)
    x, y = artists(figure)["limits: 95%"].get_data()
    np.testing.assert_allclose(np.abs(x - 0.9), 1.959964 * y, rtol=1e-6)
    assert figure.axes[0].get_ylabel() == "standard error"


def test_without_a_centre_nothing_is_drawn_but_effects(points):
    points.attrs["centre"] = np.nan
    found = artists(plot_funnel(points))
    assert "rows: effects" in found
    assert not {"centre: mean", "limits: 95%"} & set(found)


def test_every_row_has_a_title_with_its_numbers(points, line):
    svg = inline_svg(plot_funnel(points, line), "f", "alt")
    titles = re.findall("<title>([^<]*)", svg)
    for row in points.to_dict("records"):
        half = 1.959964 * row["v"] ** 0.5
        (title,) = [title for title in titles if title.startswith(f"{row['name']}: ")]
        numbers = [float(text) for text in re.findall(r"-?[0-9.]+", title.partition(": ")[2])]
        expected = [row["effect"], row["effect"] - half, row["effect"] + half, row["n"]]
        assert numbers == pytest.approx(expected, abs=0.0051)  # two decimals
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))


def test_a_row_far_out_is_counted(points):
    points.loc[0, "effect"] = 60.0
    figure = plot_funnel(points)
    assert figure.axes[0].get_xlim()[1] < 20
    assert "1 rows lie outside the axes" in artists(figure)["caption"].get_text()


def test_residuals_are_called_so_and_nothing_overlaps(points, line):
    points.attrs |= {"of": "residual", "centre": 0.0}
    figure = plot_funnel(points, line, title="Small studies")
    assert figure.axes[0].get_xlabel() == "effect minus its fitted mean, Hedges g (SMD)"
    assert crowded(figure) == []


def test_what_cannot_be_drawn_is_refused(points):
    with pytest.raises(QueryError, match=r"points have no column size, v: bm\.funnel_points"):
        plot_funnel(points.drop(columns=["size", "v"]))
    with pytest.raises(QueryError, match="there is no row to draw"):
        plot_funnel(points.iloc[:0])
    other = egger(points["effect"], points["v"])
    with pytest.raises(QueryError, match=r"the line is of se and the points are of 1/sqrt\(n\)"):
        plot_funnel(points, other)
