"""Wrong types and numbers that are none, and what every printed answer rests on."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, prior_fit

import bayesma as bm
from bayesma.effects import effect_sizes
from bayesma.errors import BayesmaError, QueryError, TableError
from bayesma.plots import plot_assurance, plot_translation

FADING = bm.ModelSpec(peak="regimen", half_life="regimen")
ASK = {"delay": [3.0, 7.0], "regimen": "repeated", "draws": 200}
SEEN = pd.DataFrame(
    {
        "study": ["a"],
        "regimen": ["repeated"],
        "delay": [1.0],
        "y": [1.0],
        "se": [0.1],
        "unit": ["pain"],
    }
)
MIXTURE = bm.NormalMixture([0.5, 0.5], [0.0, 2.0], [1.0, 0.5])


def fit_of(rows=EIGHT_ROWS, decay="exponential"):
    spec = FADING if decay == "exponential" else bm.ModelSpec(peak="regimen", decay=decay)
    return prior_fit(effect_sizes(rows, measure="SMD"), spec, draws=5)


@pytest.fixture(scope="module")
def fading():
    return fit_of()


@pytest.fixture(scope="module")
def told(fading):
    return bm.translate(fading, **ASK)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"draws": 2.5}, r"draws = 2\.5: at least 2, a whole number"),
        ({"draws": "x"}, "draws = 'x': at least 2"),
        ({"draws": None}, "draws = None: at least 2"),
        ({"draws": 0, "seed": -1}, r"(?s)draws = 0: .*seed = -1: at least 0"),
        ({"seed": "x"}, "seed = 'x'"),
        ({"seed": None}, "seed = None"),
        ({"weights": 3}, "weights = 3: one number for each"),
        ({"weights": "x"}, "weights = 'x': one number for each"),
        ({"weights": ["a"]}, r"weights = \['a'\]: one number for each"),
        ({"weights": [[1]]}, "one number for each"),
        ({"delay": [1, None]}, "delay None: days, or a text"),
        ({"delay": True}, "delay True: delays are"),
    ],
)
def test_a_translation_refuses_what_is_no_number(fading, wrong, match):
    with pytest.raises(QueryError, match=match):
        bm.translate(fading, **{**ASK, **wrong})


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"species": 3}, "species = 3: species by name"),
        ({"species": {3: bm.Species(1, 1)}}, "species 3: a name is a text"),
        ({"sources": 3}, "sources = 3: texts by name"),
        ({"sources": {"no_translation": 3}}, "no_translation = 3: a text is needed"),
        ({"sources": {3: "x"}}, "no assumption '3'"),
    ],
)
def test_assumptions_refuse_what_is_no_mapping(wrong, match):
    with pytest.raises(QueryError, match=match):
        bm.Assumptions(**wrong)


def test_one_fault_is_told_once_and_two_together():
    with pytest.raises(QueryError) as error:
        bm.Assumptions(discrepancy=3)
    assert str(error.value).count("discrepancy") == 1
    with pytest.raises(QueryError, match=r"(?s)weight = -1: .*km = True: "):
        bm.Species(-1, True)


def test_numbers_of_numpy_are_numbers():
    assert bm.Species(np.int64(70), np.float32(37)).weight == 70
    assert bm.Assumptions(no_translation=np.float32(0.5)).no_translation == 0.5
    assert bm.effective_sample_size(MIXTURE, np.int64(1)) == bm.effective_sample_size(MIXTURE, 1.0)
    assert bm.ClassicalRule(np.float32(0.05)).power(0.5, np.int64(20)) > 0


@pytest.mark.parametrize("thing", [None, 3, pd.DataFrame()])
def test_what_is_no_translation_is_refused(thing):
    for verb in (bm.map_prior, bm.assurance, bm.uncertainty_budget, plot_translation):
        with pytest.raises(
            QueryError, match=f"is of a translation, not of a {type(thing).__name__}"
        ):
            verb(thing)
    with pytest.raises(QueryError, match="is drawn, not a"):
        plot_assurance(thing)
    with pytest.raises(QueryError, match="a NormalMixture is needed, not a"):
        bm.effective_sample_size(thing)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"at": "x"}, "at = 'x': labels by name"),
        ({"robust": None}, "robust = None: a weight"),
        ({"components": True}, "components = True: a whole number from 1 to 10"),
        ({"seed": 1.5, "robust": "x"}, r"(?s)robust = 'x': .*seed = 1\.5"),
        ({"information": lambda theta: -1}, "must return a positive number for each"),
        ({"information": lambda theta: None}, "must return a positive number for each"),
        ({"information": lambda theta: "x"}, "must return a positive number for each"),
    ],
)
def test_a_prior_refuses_wrong_types(told, wrong, match):
    with pytest.raises(QueryError, match=match):
        bm.map_prior(told, **{"at": {"delay": 7}, **wrong})


def test_mixtures_rules_and_sizes_refuse_wrong_types(told):
    for wrong, match in (
        (lambda: bm.NormalMixture("a", [0], [1]), "weights = 'a'.*: sequences of numbers"),
        (lambda: bm.NormalMixture([1], ["x"], [1]), "sequences of numbers"),
        (lambda: MIXTURE.quantile("a"), "probability = 'a'"),
        (lambda: MIXTURE.draw(-1, seed="x"), r"(?s)size = -1: .*seed = 'x'"),
        (lambda: MIXTURE.posterior("a", 1), "y = 'a', se = 1"),
        (lambda: MIXTURE.to_json(sigma=-1), "sigma = -1: the SD of one unit"),
        (lambda: MIXTURE.to_json(about={1, 2}), "about: JSON cannot hold it"),
        (lambda: MIXTURE.to_json(about=float("nan")), "about: JSON cannot hold it"),
        (lambda: bm.BayesianRule(2, "x", 3), r"(?s)probability = 2.*margin = 'x'.*prior = int"),
        (lambda: bm.ClassicalRule().critical(1), "n = 1: a whole number"),
        (lambda: bm.BayesianRule().critical("x"), "n = 'x': a whole number"),
        (lambda: bm.assurance(told, 2.5), r"n = \[2\.5\]: whole numbers"),
        (lambda: bm.assurance(told, None), r"n = \[None\]: whole numbers"),
        (lambda: bm.assurance(told, "20"), r"n = \['20'\]: whole numbers"),
        (lambda: told.summary("a"), "ci_prob = 'a'"),
        (lambda: bm.uncertainty_budget(told, seed="x", size=2.5), r"(?s)size = 2\.5.*seed = 'x'"),
    ):
        with pytest.raises(QueryError, match=match):
            wrong()


def test_a_table_without_rows_is_one_fault():
    with pytest.raises(TableError, match="the table has no rows"):
        bm.human_evidence(pd.DataFrame())


# ---- what an answer rests on ---------------------------------------------------------------------


def test_weights_of_forms_and_of_bodies_are_printed(fading):
    both = [fading, fit_of(decay="none")]
    alike = bm.translate(both, **ASK)
    assert "decay forms: exponential 50%, none 50%, as alike" in str(alike)
    stated = bm.translate(both, weights=[3, 1], **ASK)
    assert "decay forms: exponential 75%, none 25%, as stated" in stated.notes
    (weights,) = [note for note in alike.notes if note.startswith("body weights: ")]
    assert all(part in weights for part in ("rat 0.15 kg", "human 60 kg", "FDA 2005"))
    never = bm.translate(fading, assumptions=bm.Assumptions(no_scaling=1), **ASK)
    assert not any(note.startswith("body weights") for note in never.notes)


def test_fits_of_other_effects_are_told(fading):
    fewer = fit_of(EIGHT_ROWS.iloc[:-1])
    told = bm.translate([fading, fewer], **ASK)
    assert any(note.startswith("the fits are of different effects (8, 7") for note in told.notes)
    same = bm.translate([fading, fading], **ASK)
    assert not any("different effects" in note for note in same.notes)


def test_assurance_and_prior_print_every_assumption_and_note(told):
    prior = bm.map_prior(told, at={"delay": 7})
    result = bm.assurance(told, [20, 50])
    for text in (str(prior), str(result)):
        assert all(str(one) in text for one in told.assumptions.records)
        assert all(note in text for note in told.notes)
    about = json.loads(prior.to_json())["about"]
    assert {one["name"] for one in about["assumptions"]} == set(told.assumptions.table.index)
    assert set(told.notes) <= set(about["notes"])


def test_pictures_tell_delays_that_no_animal_had(fading):
    with pytest.warns(bm.ExtrapolationWarning):
        far = bm.translate(fading, delay=[3, 7, 900], regimen="repeated", draws=200)
    figure = plot_translation(far)
    (rings,) = [a for a in figure.axes[0].lines if str(a.get_gid()).startswith("beyond")]
    assert rings.get_xdata().tolist() == [900]
    said = " ".join(t.get_text() for t in figure.texts)
    assert "no animal was measured" in " ".join(said.split())
    chances = plot_assurance(bm.assurance(far, [20, 50]))
    assert "1 of 3 lines" in " ".join(" ".join(t.get_text() for t in chances.texts).split())


def test_a_long_title_stays_on_the_page(told):
    figure = plot_translation(told, title="a title that runs on and on " * 3)
    (title,) = [text for text in figure.texts if text.get_gid() == "title"]
    box = title.get_window_extent(figure.canvas.get_renderer())
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bm.human_evidence(SEEN, sd=0), "sd = 0 is no standard deviation"),
        (lambda: bm.human_evidence(SEEN, sd="x"), "sd = 'x' is no standard deviation"),
        (lambda: bm.human_evidence(SEEN, sd={"a": True}), "sd = True is no standard deviation"),
        (lambda: bm.Target("contrast", pair=3), "pair = 3: covariates by name"),
        (lambda: bm.Target(at=3), "at = 3: covariates by name"),
        (lambda: bm.Assumptions(dose_spread=float("inf")), "dose_spread = inf"),
    ],
)
def test_what_is_no_number_or_no_mapping_is_refused_by_name(call, said):
    with pytest.raises(BayesmaError, match=re.escape(said)):
        call()


def test_update_is_yes_or_no():
    fit = prior_fit("ketamine_pain")
    with pytest.raises(QueryError, match="update = 'yes': True, or False"):
        bm.translate(fit, delay=1, regimen="repeated", update="yes", draws=10)


def test_the_notes_count_what_stands_behind_a_fit():
    found = bm.translate(prior_fit("ketamine_pain"), delay=1, regimen="repeated", draws=10)
    # Table 1 of the review: 19 + 7 + 9 + 6 comparisons in four pooled results.
    assert "fitted to 4 published pooled results of 41 comparisons" in found.notes


def test_a_prior_without_a_variance_has_no_share_of_it():
    fit = prior_fit(bm.load_analysis("ketamine_pain", "species"))
    given = bm.Assumptions(between_species=bm.priors.half_cauchy(1))
    notes = bm.translate(fit, delay=1, regimen="repeated", draws=10, assumptions=given).notes
    assert any("no finite variance" in note for note in notes)
    assert not any("took away" in note for note in notes)
