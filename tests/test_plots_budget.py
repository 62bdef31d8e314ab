from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from bayesma.errors import QueryError
from bayesma.plots import plot_budget
from bayesma.plots.budget import FACTORS as DRAWN
from bayesma.translation import Budget
from bayesma.translation.pathway.innovations import FACTORS

SHARES = np.array([0.3, 0.0, 0.2, 0.25, 0.15, 0.06, 0.04, 0.0])


def budget(points, of="effect", shares=None):
    count = len(points)
    shares = np.tile(SHARES, (count, 1)) if shares is None else np.asarray(shares)
    table = points.loc[points.index.repeat(len(FACTORS))].reset_index(drop=True)
    table = table.assign(factor=list(FACTORS) * count, shapley=shares.ravel())
    table = table.assign(shapley_mcse=0.001, first_order=table["shapley"], total=table["shapley"])
    variance = np.arange(1, count + 1.0) ** 2
    variance = points.assign(variance=variance, mcse=0.01, sd=np.sqrt(variance))
    return Budget(of, table, variance, "SMD", ("exactly 0, for they move nothing here: dose",))


@pytest.fixture
def curve():
    frame = pd.DataFrame(
        {"delay": [1 / 24, 1.0, 7.0] * 2, "regimen": ["single"] * 3 + ["repeated"] * 3}
    )
    return budget(frame)


def artists(figure):
    return {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid()}


def test_every_share_is_drawn_in_the_panel_of_its_regimen(curve):
    figure = plot_budget(curve)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["single", "repeated"]
    ticks = [text.get_text() for text in figure.axes[1].get_xticklabels()]
    assert ticks == ["1 h", "1 d", "7 d"]
    found = artists(figure)
    below = 0.0
    for name, share in zip(FACTORS, SHARES, strict=True):
        gid = f"{name}: repeated, 7 d"
        if share == 0:
            assert gid not in found
            continue
        bar = found[gid]
        assert bar.axes is figure.axes[1]
        # Rounding of sums.
        assert bar.get_height() == pytest.approx(share, abs=1e-12)
        assert bar.get_y() == pytest.approx(below, abs=1e-12)
        below += share
    assert found["sd: repeated, 7 d"].get_text() == "SD 6"
    assert plt.get_fignums() == []


def test_factors_keep_their_colours_and_are_named_in_the_order_of_the_stack(curve):
    assert list(DRAWN) == list(FACTORS)
    colours = {to_hex(colour) for colour, _ in DRAWN.values()}
    assert len(colours) == len(FACTORS)
    figure = plot_budget(curve)
    bars = artists(figure)
    assert to_hex(bars["scaling: single, 1 d"].get_facecolor()) == to_hex(DRAWN["scaling"][0])
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    there = [DRAWN[name][1] for name, share in zip(FACTORS, SHARES, strict=True) if share > 0]
    assert words == there[::-1]
    assert "Exactly 0, for they move nothing here: dose." in bars["caption"].get_text()


def test_everything_is_on_the_page(curve):
    many = pd.DataFrame(
        {"delay": np.tile(np.arange(1.0, 9.0), 5), "regimen": np.repeat(list("abcde"), 8)}
    )
    long = pd.DataFrame({"regimen": ["a very long name of a regimen", "b"], "dose": [1.0, 2.0]})
    for one in (curve, budget(many), budget(long, "half_life"), budget(pd.DataFrame(index=[0]))):
        figure = plot_budget(one, title="A title")
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        whole = figure.bbox
        for artist in [*figure.texts, *figure.legends, *figure.axes]:
            box = artist.get_tightbbox(renderer)
            # 1 pixel: what a stroke is wide.
            assert box.x0 >= whole.x0 - 1, artist
            assert box.x1 <= whole.x1 + 1, artist
            assert box.y0 >= whole.y0 - 1, artist
            assert box.y1 <= whole.y1 + 1, artist
        caption = artists(figure)["caption"].get_window_extent(renderer)
        for axes in figure.axes:
            assert not axes.get_tightbbox(renderer).overlaps(caption)
        boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
        boxes += [figure.legends[0].get_tightbbox(renderer)]
        for place, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[:place]), one


def test_a_half_life_has_a_bar_for_each_combination():
    points = pd.DataFrame({"regimen": ["single", "repeated"], "route": ["ip", "ip"]})
    figure = plot_budget(budget(points, "half_life"))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["single", "repeated"]
    assert axes.get_xlabel() == ""
    assert any("half-life" in text.get_text() for text in figure.texts)


def test_what_has_no_variance_is_said_in_its_place():
    points = pd.DataFrame({"delay": [0.0, 1.0]})
    figure = plot_budget(budget(points, shares=[np.full(8, np.nan), SHARES]))
    found = artists(figure)
    assert found["none: 0 d"].get_text() == "no finite variance"
    assert "sd: 0 d" not in found
    assert "fit: 1 d" in found


def test_what_cannot_be_drawn_is_refused(curve):
    with pytest.raises(QueryError, match="a budget is needed, not a DataFrame"):
        plot_budget(curve.table)
    points = pd.DataFrame({"delay": np.arange(1.0, 61.0)})
    with pytest.raises(QueryError, match="60 bars do not fit beside each other"):
        plot_budget(budget(points))
    with pytest.raises(KeyError, match="weather"):
        plot_budget(replace(curve, table=curve.table.replace({"factor": {"fit": "weather"}})))


def test_every_piece_says_its_share(curve):
    figure = plot_budget(curve)
    pieces = [a for a in figure.findobj() if ": " in str(a.get_gid()) and a.get_label()]
    labels = {a.get_gid(): a.get_label() for a in pieces}
    assert len(labels) == len(pieces)
    share = dict(zip(FACTORS, SHARES, strict=True))["discrepancy"]
    said = f"repeated, 7 d: {DRAWN['discrepancy'][1]}, {share:.0%} of the variance"
    assert labels["discrepancy: repeated, 7 d"] == said
