"""Unequal SDs in unbalanced arms: the bias of the pooled SD against simulated animals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import arms

from bayesma.bayes import engine
from bayesma.design import design
from bayesma.diagnostics import data_problems
from bayesma.effects import effect_sizes
from bayesma.errors import SpreadWarning
from bayesma.measures import SMD, arms_of
from bayesma.spec import ModelSpec
from bayesma.spreads import relative_bias, uneven_spreads

POOLED = ModelSpec(decay="none")


def drawn(n_treated, n_control, ratio, rows=60, studies=20, theta=5.0, seed=1):
    """A table of animals whose treated SD is `ratio` times that of controls, in units of s_h."""
    rng = np.random.default_rng(seed)
    sd_control = np.sqrt(2 / (1 + ratio**2))
    sizes = [np.broadcast_to(n, rows) for n in (n_treated, n_control)]
    columns = {"study": [f"s{i % studies}" for i in range(rows)]}
    for arm, n, mean, sd in (
        ("treated", sizes[0], 10 + theta, ratio * sd_control),
        ("control", sizes[1], 10.0, sd_control),
    ):
        columns[f"mean_{arm}"] = rng.normal(mean, sd / np.sqrt(n))
        columns[f"sd_{arm}"] = sd * np.sqrt(rng.chisquare(n - 1) / (n - 1))
        columns[f"n_{arm}"] = n
    return arms(rows, **columns)


@pytest.mark.parametrize(("n", "ratio"), [((8, 4), 1.5), ((4, 8), 1.5), ((12, 5), 0.7)])
def test_the_bias_is_that_of_simulated_animals(n, ratio):
    frame = drawn(*n, ratio, rows=100_000)
    g, _ = SMD(arms_of(*(frame[name] for name in (
        "mean_treated", "sd_treated", "n_treated", "mean_control", "sd_control", "n_control"
    ))))  # fmt: skip
    error = g.std() / 5 / np.sqrt(len(g))
    # Satterthwaite's chi2 is an approximation: 1% at so few animals.
    assert abs(g.mean() / 5 - 1 - relative_bias(*n, ratio)) < 4 * error + 0.01


def test_equal_arms_and_equal_sds_have_none():
    # The difference of two sums that are equal but for rounding.
    assert relative_bias(8, 4, 1.0) == pytest.approx(0, abs=1e-14)
    # Equal arms: only J is off, by the few degrees of freedom that unequal SDs cost.
    assert 0 < relative_bias(8, 8, 1.5) < 0.01
    assert relative_bias(400, 400, 1.5) < 1e-3


def test_what_is_unequal_is_told_with_what_it_implies():
    found = uneven_spreads(drawn(8, 4, 1.5))
    # log 1.5 from 60 rows: a standard error of 0.49 / sqrt(60), four of which shift 3%.
    assert found.bias == pytest.approx(float(relative_bias(8, 4, 1.5)), abs=0.03)
    assert found.matters
    assert found.sentence.startswith(
        "unequal SDs in unbalanced arms: in 60 rows with a treated arm 1.5 times the other's size "
        "or more, treated SDs are 1."
    )
    assert "% low: SMDs are in pooled SDs" in found.sentence
    other = uneven_spreads(drawn(4, 8, 1.5))
    assert other.bias > 0.03
    assert "with a control arm 1.5 times" in other.sentence


def test_biases_of_either_side_add_up_or_cancel():
    low, high = drawn(8, 4, 1.5), drawn(4, 8, 1.5, seed=2)
    both = uneven_spreads(pd.concat([low, high.assign(study="x" + high["study"])]))
    alone = uneven_spreads(low).bias, uneven_spreads(high).bias
    # The mean over rows of both tables.
    assert both.bias == pytest.approx(np.mean(alone), rel=1e-12)
    few = pd.concat([low, drawn(6, 6, 1.0, rows=600)])
    diluted = uneven_spreads(few)
    assert diluted.bias == pytest.approx(alone[0] / 11, rel=1e-12)
    assert not diluted.matters


@pytest.mark.parametrize(
    "frame",
    [
        drawn(6, 6, 1.6),  # balanced
        drawn(8, 4, 1.6, rows=6, studies=3),  # too few studies to tell
        pd.DataFrame({"study": ["a", "b"], "y": [1.0, 2.0], "v": [0.1, 0.1]}),
    ],
)
def test_nothing_is_said_where_nothing_is_seen(frame):
    assert uneven_spreads(frame) is None


def test_equal_sds_raise_a_false_alarm_as_often_as_they_should():
    alarms = [uneven_spreads(drawn(8, 4, 1.0, rows=24, studies=12, seed=s)) for s in range(400)]
    # 2.5% for one side; the upper 99.9% point of 400 trials.
    assert sum(found is not None for found in alarms) <= 20


def test_a_model_tells_it_a_fit_counts_it_and_sampling_warns(monkeypatch):
    effects = effect_sizes(drawn(8, 4, 1.5))
    plan = design(POOLED, effects)
    sentence = uneven_spreads(effects.frame).sentence
    assert sentence in plan.notes
    assert data_problems(plan) == [sentence]
    monkeypatch.setattr(engine, "fit_design", lambda plan, settings, source: plan)
    with pytest.warns(SpreadWarning, match="unequal SDs in unbalanced arms"):
        engine.fit(effects, POOLED, seed=1)
    mixed = pd.concat([drawn(8, 4, 1.5), drawn(6, 6, 1.0, rows=600)], ignore_index=True)
    few = effect_sizes(mixed)
    plan = design(POOLED, few)  # no warning: pytest would raise it
    assert engine.fit(few, POOLED, seed=1) is not None
    assert any("unequal SDs" in note for note in plan.notes)
    assert data_problems(plan) == []


def test_smds_on_both_sds_alike_are_not_concerned():
    effects = effect_sizes(drawn(8, 4, 1.5), "SMDH")
    assert not any("unequal SDs" in note for note in design(POOLED, effects).notes)
