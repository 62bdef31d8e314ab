"""Rows one by one, as observed and as a model would find them."""

from __future__ import annotations

import pandas as pd
import pytest

from bayesma.errors import QueryError
from bayesma.plots import plot_replicated_rows
from bayesma.plots.svg import inline_svg

TABLE = pd.DataFrame(
    {
        "row": ["MA1", "MA2"],
        "observed": [1.6, -0.4],
        "replicated": [1.5, 0.3],
        "95% low": [0.9, -0.5],
        "95% high": [2.3, 1.4],
        "p": [0.61, 0.03],
    }
)


def test_each_row_has_its_interval_and_its_mark():
    figure = plot_replicated_rows(TABLE, "Hedges g (SMD)")
    found = {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid()}
    assert found["replicated: MA2"].get_xdata().tolist() == [-0.5, 0.3, 1.4]
    assert found["observed: MA1"].get_xdata().tolist() == [1.6]
    (axes,) = figure.axes
    assert axes.get_xlabel() == "Hedges g (SMD)"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["MA1", "MA2"]


def test_the_numbers_are_on_the_page():
    svg = inline_svg(plot_replicated_rows(TABLE), "fig", "alt")
    assert "MA1, replicated: 1.50 [0.90, 2.30]" in svg
    assert "MA2, observed: -0.40; 3% of replicates lie below" in svg
    # The row of the table and both of its marks light up together.
    assert svg.count('data-mark="ma1"') == 2


@pytest.mark.parametrize(
    ("table", "words"),
    [(TABLE.drop(columns="p"), "no column p"), (TABLE.iloc[:0], "no rows")],
)
def test_what_cannot_be_drawn_is_refused(table, words):
    with pytest.raises(QueryError, match=words):
        plot_replicated_rows(table)
