"""Sensitivities drawn: two marks a quantity, bold where the priors count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesma.errors import QueryError
from bayesma.plots import plot_sensitivity
from bayesma.plots.svg import inline_svg


def table(n=4):
    prior = np.linspace(0.01, 0.3, n)
    return pd.DataFrame(
        {
            "quantity": [f"q{i}" for i in range(n)],
            "where": ["", *["1 d"] * (n - 1)],
            "prior": prior,
            "likelihood": prior[::-1],
            "verdict": ["-"] * n,
        }
    )


def artists(figure):
    return {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid()}


def test_marks_lie_where_the_table_says():
    data = table()
    found = artists(plot_sensitivity(data))
    for name in ("prior", "likelihood"):
        np.testing.assert_array_equal(found[f"rows: {name}"].get_xdata(), data[name])
    assert found["rows: prior"].get_marker() != found["rows: likelihood"].get_marker()
    assert set(found["threshold: sensitivity"].get_xdata()) == {0.05}
    bold = [found[f"quantity: {title}"].get_fontweight() for title in ("q0", "q1, 1 d")]
    assert bold == ["normal", "bold"]


def test_each_mark_has_its_title_on_the_page():
    assert "q3, 1 d: the priors 0.300" in inline_svg(plot_sensitivity(table()), "fig", "alt")


def test_of_many_quantities_those_the_priors_move_most_are_drawn():
    found = artists(plot_sensitivity(table(70)))
    assert len(found["rows: prior"].get_xdata()) == 60
    assert min(found["rows: prior"].get_xdata()) == table(70)["prior"].iloc[10]
    caption = " ".join(found["caption"].get_text().split())
    assert "10 that the priors move less are not drawn" in caption


@pytest.mark.parametrize(
    ("data", "words"),
    [(table().drop(columns="prior"), "no column prior"), (table().iloc[:0], "no rows")],
)
def test_what_cannot_be_drawn_is_refused(data, words):
    with pytest.raises(QueryError, match=words):
        plot_sensitivity(data)
