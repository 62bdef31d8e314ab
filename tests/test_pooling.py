from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayesma.analysis import load_analysis
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import SpecError
from bayesma.priors import normal
from bayesma.spec import ModelSpec


def members(**columns):
    plain = {
        "row_id": ["a", "b", "c"],
        "study": ["A", "B", "C"],
        "delay": [1.0, 2.0, 4.0],
        "n_treated": [5, 8, 10],
        "n_control": [5, 6, 10],
    }
    return pd.DataFrame(plain | columns)


def pooled_rows(**columns):
    plain = {
        "row_id": ["P", "Q"],
        "study": ["P", "Q"],
        "y": [2.0, 1.0],
        "se": [0.5, 0.4],
        "i2": [60.0, 0.0],
        "members": ["a;b", "c"],
    }
    return pd.DataFrame(plain | columns)


POOLED = ModelSpec(peak="1", half_life="1")


def test_weights_of_members_by_hand():
    plan = design(POOLED, effect_sizes(pooled_rows(), members=members()))
    pooling = plan.pooling
    # P: tau^2 = I2 k se^2 = 0.6 * 2 * 0.25 = 0.3; plus 1/5 + 1/5 and 1/8 + 1/6. Q: tau^2 = 0.
    assert pooling.row.tolist() == [0, 0, 1]
    # Roundings of a few sums.
    assert pooling.floor == pytest.approx([0.3 + 0.4, 0.3 + 7 / 24, 0.2], rel=1e-14)
    assert pooling.slope == pytest.approx([1 / 20, 1 / 28, 1 / 40], rel=1e-15)
    assert plan.points.clock.tolist() == [1, 2, 4]
    assert plan.frame["row_id"].tolist() == ["a", "b", "c"]
    assert plan.pooled.all()
    assert not any("weighted" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("more", "fewer"),
    [
        ({}, {"n_treated": [5, None, 10]}),
        ({"i2": [60.0, None]}, {}),
    ],
)
def test_weights_are_equal_where_sizes_or_i2_are_unknown_and_it_is_said(more, fewer):
    plan = design(POOLED, effect_sizes(pooled_rows(**more), members=members(**fewer)))
    assert plan.pooling.floor.tolist() == [1, 1, 1]
    assert plan.pooling.slope.tolist() == [0, 0, 0]
    assert plan.notes[-2].startswith("members of pooled rows are weighted equally")


def test_other_measures_than_smd_weigh_their_members_equally_and_it_is_said():
    effects = effect_sizes(pooled_rows(), "MD", members=members())
    priors = {"peak": normal(0, 5), "peak_contrast": normal(0, 5)}
    plan = design(replace(POOLED, priors=priors), effects)
    assert plan.pooling.floor.tolist() == [1, 1, 1]
    assert plan.pooling.slope.tolist() == [0, 0, 0]
    assert plan.notes[-2] == (
        "members of pooled rows are weighted equally: precision weights are those of SMD, not of MD"
    )


def test_equal_weights_on_request_need_no_note():
    spec = replace(POOLED, pooled_weights="equal")
    plan = design(spec, effect_sizes(pooled_rows(), members=members()))
    assert plan.pooling.floor.tolist() == [1, 1, 1]
    assert not any("weighted" in note for note in plan.notes)


def test_plain_rows_stand_beside_pooled_ones():
    mixed = pooled_rows(
        row_id=["P", "x"], study=["P", "X"], members=["a;b;c", None], delay=[None, 3.0]
    )
    plan = design(POOLED, effect_sizes(mixed, members=members()))
    assert plan.pooled.tolist() == [True, False]
    assert plan.pooling.row.tolist() == [0, 0, 0, 1]
    assert plan.points.clock.tolist() == [1, 2, 4, 3]


def test_a_member_without_a_needed_cell_costs_its_pooled_row():
    effects = effect_sizes(pooled_rows(), members=members(delay=[1.0, None, 4.0]))
    with pytest.raises(SpecError, match="every row has the delay 4 d"):
        design(POOLED, effects)
    plan = design(replace(POOLED, decay="none", peak="1"), effects)
    assert len(plan.effects) == 2


def test_overlapping_pooled_rows_are_refused():
    effects = effect_sizes(pooled_rows(members=["a;b", "b;a;c"]), members=members())
    with pytest.raises(SpecError, match="count comparisons twice: P and Q share 2; fit a part"):
        design(POOLED, effects)


def test_group_effects_need_rows_that_are_not_pooled():
    effects = effect_sizes(pooled_rows(), members=members())
    with pytest.raises(SpecError, match=r"every row is a pooled result, .* drop \(1 \| study\)"):
        design(replace(POOLED, peak="1 + (1 | study)"), effects)


def test_the_shipped_pooled_analysis_is_a_partition():
    analysis = load_analysis("ketamine_pain")
    plan = design(analysis.spec, analysis.effects())
    assert np.bincount(plan.pooling.row).tolist() == [19, 7, 9, 6]
    # While exposed the clock stands at 0: all nine of the third row.
    assert (plan.points.clock[plan.pooling.row == 2] == 0).all()
    assert plan.references[("repeated",)] == 0
