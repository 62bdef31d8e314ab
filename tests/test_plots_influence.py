"""Influence drawn: every study a mark with its numbers, the largest named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesma.errors import QueryError
from bayesma.plots import plot_influence
from bayesma.plots.svg import inline_svg


def table(n=20, where=("",), **changes):
    rng = np.random.default_rng(1)
    frames = []
    for point in where:
        change = rng.normal(0, 0.1, n)
        change[3] = 0.9
        columns = {
            "study": [f"Author {i}" for i in range(n)],
            "pareto_k": np.linspace(-0.1, 0.9, n),
            "where": point,
            "answer": 1.5,
            "without": 1.5 + 0.2 * change,
            "change_sd": change,
        }
        frames.append(pd.DataFrame(columns | changes))
    found = pd.concat(frames, ignore_index=True)
    found.attrs = {"good_k": 0.67}
    return found


def artists(figure):
    return {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid()}


def test_marks_lie_where_the_table_says_and_the_largest_is_named():
    data = table()
    found = artists(plot_influence(data))
    x, y = found["rows: population mean"].get_data()
    np.testing.assert_array_equal(x, data["pareto_k"])
    np.testing.assert_array_equal(y, data["change_sd"])
    assert found["name: Author 3"].get_text() == "Author 3"
    assert set(found["threshold: k"].get_xdata()) == {0.67}


def test_each_mark_has_its_title_on_the_page():
    svg = inline_svg(plot_influence(table()), "fig", "alt")
    assert "Author 3: 1.50 becomes 1.68 (+0.90 SD), k 0.06" in svg
    # The mark, and its name beside it.
    assert svg.count('data-mark="author-3"') == 2
    assert svg.count('data-mark="author-4"') == 1


def test_points_of_the_mean_are_told_apart_by_shape_too():
    found = artists(plot_influence(table(where=("single", "repeated"))))
    markers = [found[f"rows: {name}"].get_marker() for name in ("single", "repeated")]
    assert len(set(markers)) == 2


def test_studies_without_a_k_are_counted():
    data = table()
    data.loc[2, "pareto_k"] = np.nan
    figure = plot_influence(data)
    assert len(artists(figure)["rows: population mean"].get_xdata()) == 19
    caption = " ".join(artists(figure)["caption"].get_text().split())
    assert "Without a Pareto k, and not drawn: 1" in caption


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (table().drop(columns="pareto_k"), "no column pareto_k"),
        (table().iloc[:0], "no rows"),
        (table(pareto_k=np.nan), "no study has a Pareto k"),
        (table(where=tuple("abcdefgh")), "8 points of the mean"),
    ],
)
def test_what_cannot_be_drawn_is_refused(data, words):
    with pytest.raises(QueryError, match=words):
        plot_influence(data)
