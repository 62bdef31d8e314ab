import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, prior_fit

from bayesma.effects import effect_sizes
from bayesma.errors import QueryError
from bayesma.plots import plot_translation
from bayesma.queries import decay_curve, grid
from bayesma.spec import ModelSpec
from bayesma.translation import translate

DELAYS = [0.1, 1.0, 3.0]


@pytest.fixture(scope="module")
def fit():
    return prior_fit("ketamine_pain")


@pytest.fixture(scope="module")
def human(fit):
    return translate(fit, delay=DELAYS, regimen=["single", "repeated"], draws=500)


def artists(figure):
    found = [part for axes in figure.axes for part in [*axes.lines, *axes.collections]]
    return {part.get_gid(): part for part in found if part.get_gid()}


def test_each_regimen_has_a_panel_with_the_medians_of_the_summary(human):
    drawn = artists(plot_translation(human))
    table = human.summary()
    for name in ("single", "repeated"):
        rows = table[table["regimen"] == name]
        np.testing.assert_array_equal(drawn[f"people: {name}"].get_ydata(), rows["median"])
        np.testing.assert_array_equal(drawn[f"trial_high: {name}"].get_ydata(), rows["trial_high"])


def test_animals_stand_beside_people(human, fit):
    curve = decay_curve(fit, grid(fit, delay=DELAYS, regimen=["single", "repeated"]))
    figure = plot_translation(human, curve)
    assert "animals: single" in artists(figure)
    assert "animals' own curve" in " ".join(figure.texts[-1].get_text().split())


def test_human_studies_are_drawn_where_they_belong(human):
    where = human.summary()[["regimen", "delay"]].head(1)
    seen = where.assign(quantity="effect", observed=0.4, obs_low=0.1, obs_high=0.7)
    figure = plot_translation(human, evidence=seen)
    drawn = artists(figure)
    assert drawn["seen: single"].get_ydata().tolist() == [0.4]
    assert "seen: repeated" not in drawn
    assert "not used in the prediction" in " ".join(figure.texts[-1].get_text().split())


def test_one_delay_is_no_curve(fit):
    human = translate(fit, delay=1, regimen="single", draws=10)
    with pytest.raises(QueryError, match="two or more delays"):
        plot_translation(human)


def test_more_panels_than_a_page_holds_are_refused():
    rows = pd.concat([EIGHT_ROWS.assign(drug=name) for name in "abcde"], ignore_index=True)
    rows["row_id"] = [f"r{i}" for i in range(len(rows))]
    many = prior_fit(effect_sizes(rows), ModelSpec(peak="drug + (1 | study)"))
    human = translate(many, delay=[1, 3, 7], drug=list("abcde"), draws=10)
    with pytest.raises(QueryError, match="5 panels; at most 4"):
        plot_translation(human)
