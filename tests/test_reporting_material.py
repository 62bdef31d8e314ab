"""What the sections of a report share: the lead, the delays, the curve."""

from __future__ import annotations

import numpy as np
import pytest
from fits import EIGHT_ROWS, prior_fit

import bayesma as bm
from bayesma.plots.lines import COLOURS
from bayesma.reporting.material import LINES, Material


def of(rows=EIGHT_ROWS, **spec):
    return Material(prior_fit(bm.effect_sizes(rows), bm.ModelSpec(**spec)))


def test_regimen_leads_where_it_is_in_the_model():
    material = of(peak="species + regimen + (1 | study)", decay="none")
    assert material.lead == "regimen"
    assert material.at == {"regimen": ["repeated", "single"]}


def test_what_the_effect_fades_by_leads_where_there_is_no_regimen():
    material = of(peak="1 + (1 | study)", half_life="species", decay="exponential")
    assert material.lead == "species"


def test_nothing_leads_where_there_is_no_factor():
    material = of(peak="1 + (1 | study)", decay="exponential")
    assert material.lead is None
    assert material.at == {}
    assert material.curve.sizes["point"] == len(np.unique(material.curve["delay"]))


def test_every_decay_cell_is_asked_for():
    material = of(peak="regimen", half_life="regimen + species", decay="exponential")
    assert set(material.at) == {"regimen", "species"}


def test_a_model_without_decay_has_no_delays_and_no_curve():
    material = of(peak="regimen + (1 | study)", decay="none")
    assert material.delays == []
    assert material.curve is None


def test_delays_are_round_and_inside_the_data():
    material = of(peak="regimen + (1 | study)", half_life="regimen", decay="exponential")
    assert material.delays == [1.0, 3.0, 7.0, 14.0, 28.0]
    wide = of(EIGHT_ROWS.assign(delay=[0.01, 1, 7, 90] * 2), peak="regimen", decay="exponential")
    # Eight are inside; early and late ones both stay.
    assert wide.delays == [1 / 24, 0.25, 3.0, 7.0, 28.0, 84.0]
    rows = EIGHT_ROWS.assign(delay=[0.01, 0.012, 0.014, 0.016] * 2)
    few = of(rows, peak="regimen + (1 | study)", decay="exponential")
    assert few.delays == [pytest.approx(0.013)]  # the median: no round delay lies inside


def test_the_curve_is_the_model_s_over_the_delays_of_the_data():
    material = of(peak="regimen + (1 | study)", half_life="regimen", decay="exponential")
    curve = material.curve
    assert curve["delay"].min() == 0
    assert curve["delay"].max() == 28
    with pytest.warns(bm.ExtrapolationWarning):
        same = bm.decay_curve(
            material.fit,
            bm.grid(material.fit, regimen=["repeated", "single"], delay=curve["delay"].values[:3]),
        )
    # One formula: equal draws at equal points.
    np.testing.assert_array_equal(curve.values[..., :3], same.values[..., :3])


def test_as_many_lines_as_a_picture_has_colours():
    assert len(COLOURS) == LINES
