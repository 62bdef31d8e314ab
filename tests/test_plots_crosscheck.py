from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import bayesma as bm
from bayesma.checks import CrossCheck
from bayesma.errors import QueryError

SIDES = ("bayesian", "frequentist", "published")


def row(quantity, unit, numbers, scale="identity", verdict="agree"):
    found = {"quantity": quantity, "where": "", "unit": unit, "scale": scale, "verdict": verdict}
    for side, (middle, low, high) in zip(SIDES, numbers, strict=True):
        found |= {side: middle, f"{side}_ci_low": low, f"{side}_ci_high": high}
    return found


NONE = (np.nan, np.nan, np.nan)


@pytest.fixture
def check():
    table = pd.DataFrame(
        [
            row("mean", "SMD", [(1.0, 0.5, 1.5), (1.2, 0.7, 1.7), (1.3, 0.8, 1.8)]),
            row("new study", "SMD", [(1.0, -1.0, 3.0), (1.2, -0.9, 3.3), (np.nan, -1, 3)]),
            row("half-life", "d", [(4, 1, 16), (5, 0, np.inf), NONE], "log2", "differs"),
            row("odds", "", [NONE, NONE, (3.0, np.nan, np.nan)], verdict="no twin"),
        ]
    )
    return CrossCheck(table, "REML, z", "SMD", 0.95, (), ())


def artists(figure):
    return {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid()}


def test_every_number_is_drawn_where_it_is(check):
    found = artists(bm.plot_crosscheck(check))
    assert found["bayesian: mean"].get_xdata().tolist() == [1.0]
    assert found["frequentist ci: mean"].get_xdata().tolist() == [0.7, 1.7]
    assert found["published: mean"].get_xdata().tolist() == [1.3]
    # Only the interval of a new study is printed.
    assert found["published ci: new study"].get_xdata().tolist() == [-1, 3]
    assert "published: new study" not in found
    # What has no unit has no panel.
    assert not any(str(gid).endswith("odds") for gid in found)


def test_the_three_are_told_apart_by_colour_shape_and_place(check):
    found = artists(bm.plot_crosscheck(check))
    marks = [found[f"{side}: mean"] for side in SIDES]
    for told in (
        {to_hex(mark.get_color()) for mark in marks},
        {mark.get_marker() for mark in marks},
        {float(mark.get_ydata()[0]) for mark in marks},
    ):
        assert len(told) == 3


def test_a_panel_a_unit_and_half_lives_on_a_logarithm(check):
    effects, days = bm.plot_crosscheck(check).axes
    assert effects.get_xlabel() == "Hedges g (SMD)"
    assert (effects.get_xscale(), days.get_xscale()) == ("linear", "log")
    assert days.get_xlabel() == "days (logarithmic)"
    assert [t.get_text() for t in effects.get_yticklabels()] == ["mean", "new study"]
    low, high = effects.get_xlim()
    assert low < -1
    assert high > 3.3


def test_an_interval_without_an_end_ends_in_an_arrow(check):
    figure = bm.plot_crosscheck(check)
    days = figure.axes[1]
    low, high = days.get_xlim()
    assert artists(figure)["frequentist ci: half-life"].get_xdata().tolist() == [low, high]
    arrows = [line for line in days.lines if line.get_marker() in ("<", ">")]
    assert sorted(float(line.get_xdata()[0]) for line in arrows) == [low, high]


def test_one_wide_row_does_not_squeeze_the_others(check):
    wide = row("far", "SMD", [(1.0, -500, 500), (1.1, 0.5, 1.7), NONE])
    table = pd.concat([check.table, pd.DataFrame([wide])], ignore_index=True)
    low, high = bm.plot_crosscheck(replace(check, table=table)).axes[0].get_xlim()
    assert -2 < low < -1
    assert 3 < high < 5


def test_verdicts_and_caption(check):
    found = artists(bm.plot_crosscheck(check, title="mine"))
    assert found["verdict: mean"].get_text() == "agree"
    assert found["verdict: half-life"].get_text() == "differs"
    text = " ".join(found["caption"].get_text().split())
    assert "95% intervals, posterior and REML, z" in text


def test_nothing_to_draw_is_refused(check):
    with pytest.raises(QueryError, match="this cross-check has no number to draw"):
        bm.plot_crosscheck(replace(check, table=check.table.tail(1)))


def test_every_mark_has_an_id_and_a_title_with_its_numbers(check):
    long = "a quantity whose name takes more than one line of the picture"
    table = check.table.assign(quantity=[long, *check.table["quantity"][1:]])
    figure = bm.plot_crosscheck(replace(check, table=table))
    marks = [str(a.get_gid()) for a in figure.findobj() if ": " in str(a.get_gid())]
    assert len(marks) == len(set(marks))
    # A line end in an id would be lost in the picture's file.
    assert not [gid for gid in marks if "\n" in gid]
    found = artists(figure)
    assert found[f"bayesian: {long}"].get_label() == f"{long}: bayesian 1 [0.5, 1.5]"
    assert found["published ci: new study"].get_label() == "new study: published [-1, 3]"
    assert found["frequentist goes on >: half-life"].get_label().endswith("[0, inf]")
    assert found["verdict: half-life"].get_label() == "half-life: differs"
