"""The sections on what studies and priors move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fits import conjugate_fit, prior_fit

import bayesma as bm
from bayesma.checks.influences import study_influence
from bayesma.reporting.blocks import Items, Picture, Section, Words
from bayesma.reporting.material import Material
from bayesma.reporting.sections.influence import influence
from bayesma.reporting.sections.sensitivity import sensitivity

STUDIES = 14


def fitted(sigma=2.0):
    rng = np.random.default_rng(3)
    y = np.append(1 + rng.normal(0, 0.3, STUDIES - 1), 2.1)
    rows = {"study": [f"S{i}" for i in range(STUDIES)], "y": y, "v": 0.15}
    spec = bm.ModelSpec(
        peak="1 + (1 | study)",
        decay="none",
        likelihood="normal",
        priors={"peak": bm.priors.normal(0, sigma), "tau": bm.priors.half_normal(1)},
    )
    return conjugate_fit(spec, bm.effect_sizes(pd.DataFrame(rows)))


@pytest.fixture(scope="module")
def fit():
    return fitted()


def flat(blocks):
    return Section("s", "S", blocks).flat()


def tables(blocks):
    return {block.name: block.frame for block in flat(blocks) if hasattr(block, "frame")}


def words(blocks):
    found = flat(blocks)
    said = [block.text for block in found if isinstance(block, Words)]
    return " ".join(said + [i for block in found if isinstance(block, Items) for i in block.items])


def test_the_study_that_moves_the_mean_most_is_named_with_its_numbers(fit):
    blocks = influence(Material(fit))
    table = study_influence(fit).set_index("study")
    most = table.loc["S13"]
    said = words(blocks)
    assert "S13 moves the population mean most" in said
    assert f"{most['without']:.2f} instead of {most['answer']:.2f}" in said
    assert f"for all {STUDIES} studies" in said
    assert "No study's removal turns the sign" in said


def test_ten_studies_are_listed_the_largest_first_and_all_in_the_twin(fit):
    found = tables(influence(Material(fit)))
    ten, every = found["influence-most"], found["influence-studies"]
    assert len(ten) == 10
    assert len(every) == STUDIES
    size = ten["change (SDs)"].abs()
    assert size.is_monotonic_decreasing
    assert size.iloc[0] == every["change (SDs)"].abs().max()


def test_pooled_rows_are_told_in_the_words_of_the_check():
    (told,) = influence(Material(prior_fit("ketamine_pain")))
    assert told.text == "Not done: leave-one-out needs studies; these rows are pooled results."


def test_models_beside_are_ranked_where_they_can_be(fit):
    blocks = influence(Material(fit, beside={"tight": fitted(0.2)}))
    table = tables(blocks)["influence-models"].set_index("model")
    assert set(table.index) == {"this fit", "tight"}
    expected = bm.leave_one_study_out(fit, refit=False).elpd
    assert table.loc["this fit", "elpd"] == pytest.approx(expected, rel=1e-12)


def test_models_that_cannot_be_ranked_say_why(fit):
    few = bm.effect_sizes(fit.design.effects.frame.iloc[:12][["study", "y", "v"]])
    other = conjugate_fit(fit.spec, few)
    said = words(influence(Material(fit, beside={"fewer": other})))
    assert "does not rank the models beside this one" in said
    assert "rows" in said


def test_what_the_priors_move_is_counted_and_the_prior_named():
    # A prior of the mean far from the data, and as narrow as what they say.
    table = bm.prior_sensitivity(fitted(0.15), by="prior")
    moved = table[table["verdict"] != "-"]
    assert len(moved)
    blocks = sensitivity(Material(fitted(0.15)))
    said = words(blocks)
    assert f"The priors move {len(moved)} of {len(table)} reported quantities" in said
    assert "most of it the prior of peak" in said


def test_priors_that_move_nothing_are_said_to(fit):
    wide = fitted(50.0)
    table = bm.prior_sensitivity(wide, by="prior")
    blocks = sensitivity(Material(wide))
    assert (table["verdict"] == "-").all()
    assert f"The priors move none of the {len(table)} reported quantities" in words(blocks)
    found = tables(blocks)["sensitivity-quantities"]
    np.testing.assert_array_equal(found["prior"], table["prior"])


def test_every_picture_says_what_it_shows(fit):
    blocks = (*influence(Material(fit)), *sensitivity(Material(fit)))
    pictures = [block for block in flat(blocks) if isinstance(block, Picture)]
    assert [picture.name for picture in pictures] == ["influence-plot", "sensitivity-plot"]
    assert all(len(picture.alt) > 80 and picture.twin is not None for picture in pictures)


def test_names_of_studies_with_colons_do_not_break_titles(fit):
    frame = fit.design.effects.frame[["study", "y", "v"]]
    named = frame.assign(study=[f"Lab {i}: rats" for i in range(STUDIES)])
    other = conjugate_fit(replace(fit.spec), bm.effect_sizes(named))
    found = tables(influence(Material(other)))
    assert found["influence-most"]["study"].iloc[0] == "Lab 13: rats"
