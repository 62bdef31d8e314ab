"""Sections beside the answer: the classical twin, small studies, people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, conjugate_fit, prior_fit
from helpers import arms
from test_reporting_forest import html, page, table, words

from bayesma.checks import cross_check
from bayesma.effects import effect_sizes
from bayesma.frequentist import egger
from bayesma.queries import funnel_points
from bayesma.reporting import report
from bayesma.reporting.blocks import Items, Picture
from bayesma.reporting.material import EXACT_ROWS, Material
from bayesma.reporting.sections.crosscheck import crosscheck
from bayesma.reporting.sections.funnel import funnel
from bayesma.reporting.sections.people import people
from bayesma.spec import ModelSpec
from bayesma.translation import translate, uncertainty_budget

SPEC = ModelSpec(peak="1 + (1 | study)", decay="none", likelihood="normal")


def sized(k=12, **columns):
    rng = np.random.default_rng(5)
    rows = arms(k).assign(n_treated=6 + np.arange(k), mean_treated=rng.normal(6, 1, k))
    return effect_sizes(rows.assign(study=[f"S{i}" for i in range(k)], **columns))


def said(section):
    items = [item for b in section.flat() if isinstance(b, Items) for item in b.items]
    return " ".join([words(section), *items])


@pytest.fixture(scope="module")
def studies():
    return Material(conjugate_fit(SPEC, sized()))


@pytest.fixture(scope="module")
def pooled():
    return Material(prior_fit("ketamine_pain"))


# -- cross-check -------------------------------------------------------------------------------


def test_the_cross_check_is_printed_whole(studies):
    section = page(crosscheck, studies)
    check = cross_check(studies.fit)
    found = table(section, "crosscheck-table")
    np.testing.assert_allclose(found["Bayesian"], check.table["bayesian"])
    np.testing.assert_allclose(found["Classical 95% high"], check.table["frequentist_ci_high"])
    assert found["Verdict"].tolist() == check.table["verdict"].tolist()
    assert "Published" not in found
    assert "Nothing published is at hand" in words(section)
    text = said(section)
    assert all(sentence in text for sentence in check.sentences)
    assert "agree: less than 0.25 posterior standard deviations apart" in text


def test_published_results_stand_beside(pooled):
    section = page(crosscheck, pooled)
    found = table(section, "crosscheck-table").set_index("Quantity")
    # As van Velzen et al. 2021 print it.
    row = found.loc["row, MA3"]
    assert row["Published"] == 5.1
    assert (row["Published 95% low"], row["Published 95% high"]) == (3.6, 6.5)
    assert row["Against print"] != ""
    assert "Nothing published" not in words(section)


def test_an_exact_fit_of_many_rows_says_how_to_check_it(studies):
    exact = prior_fit(sized(EXACT_ROWS + 1), replace(SPEC, likelihood="exact"), draws=20)
    assert Material(exact).check is None
    section = page(crosscheck, Material(exact))
    assert "bm.report(fit, check=check)" in words(section)
    check = cross_check(studies.fit)
    given = page(crosscheck, Material(exact, given_check=check))
    assert len(table(given, "crosscheck-table")) == len(check.table)


# -- funnel ------------------------------------------------------------------------------------


def test_eggers_test_is_the_engines(studies):
    section = page(funnel, studies)
    effects = studies.fit.design.effects
    n = effects.frame["n_treated"] + effects.frame["n_control"]
    expected = egger(effects, n=n, predictor="1/sqrt(n)")
    found = table(section, "funnel-egger").set_index("Coefficient")
    row = found.loc["slope on 1/sqrt(n)"]
    assert row["Estimate"] == pytest.approx(expected.beta[1])
    assert row["p"] == pytest.approx(expected.p)
    rows = table(section, "funnel-rows")
    assert rows["Animals"].tolist() == sorted(n.astype(int), reverse=True)
    assert "An uneven funnel is not proof of publication bias" in words(section)
    assert "Zwetsloot" in words(section)


def test_a_mean_with_covariates_is_taken_off_first():
    source = sized(regimen=["single", "repeated"] * 6)
    material = Material(conjugate_fit(replace(SPEC, peak="regimen + (1 | study)"), source))
    section = page(funnel, material)
    points = funnel_points(material.fit)
    expected = egger(points["effect"], points["v"], n=points["n"], predictor="1/sqrt(n)")
    row = table(section, "funnel-egger").iloc[1]
    assert row["Estimate"] == pytest.approx(expected.beta[1])
    assert "minus the mean that the model has" in words(section)
    assert "as if the fitted mean were known" in words(section)
    assert "Residual" in table(section, "funnel-rows")


def test_pooled_rows_have_no_funnel(pooled):
    section = page(funnel, pooled)
    assert "No funnel: every row is a published pooled result" in words(section)
    assert not [b for b in section.flat() if isinstance(b, Picture)]


def test_few_rows_and_unknown_sizes_are_said():
    section = page(funnel, Material(conjugate_fit(SPEC, effect_sizes(EIGHT_ROWS))))
    text = words(section)
    assert "8 rows are fewer than 10" in text
    assert "8 of 8 rows do not say how many animals they had" in text
    assert "this funnel is skewed even without any bias" in text


def test_alike_sizes_are_refused_with_the_reason():
    rows = arms(12).assign(mean_treated=np.arange(12.0))
    section = page(funnel, Material(conjugate_fit(SPEC, effect_sizes(rows))))
    assert "No test of asymmetry: " in words(section)
    with pytest.raises(Exception, match="1/sqrt") as caught:
        egger(effect_sizes(rows), predictor="1/sqrt(n)")
    assert str(caught.value) in words(section)


def test_before_convergence_the_funnel_has_no_posterior_in_it():
    source = sized(regimen=["single", "repeated"] * 6)
    fit = prior_fit(source, replace(SPEC, peak="regimen + (1 | study)"), divergent=5)
    section = page(funnel, Material(fit))
    assert "The fit has not converged, so effects are drawn as observed" in words(section)
    assert "Fitted mean" not in table(section, "funnel-rows")
    (picture,) = [b for b in section.flat() if isinstance(b, Picture)]
    gids = {artist.get_gid() for artist in picture.figure.findobj()}
    assert "centre: mean" not in gids


# -- people ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def translated(pooled):
    return translate(pooled.fit, delay=[1.0, 3.0], regimen="single", draws=2000, seed=1)


def test_without_a_translation_there_is_one_sentence(pooled):
    section = page(people, pooled)
    assert len(section.blocks) == 1
    assert "nothing here was translated to people" in words(section)


def test_a_translation_is_printed_with_all_it_assumes(pooled, translated):
    section = page(people, Material(pooled.fit, translation=translated))
    found = table(section, "people-effects")
    query = translated.summary()
    # What is negligible beside the median of the table is written as 0.
    np.testing.assert_allclose(found["Mean effect"], query["median"], atol=1e-3)
    np.testing.assert_allclose(found["One trial 95% high"], query["trial_high"], atol=1e-3)
    assert found["Delay"].tolist() == ["1 d", "3 d"]
    assumed = table(section, "people-assumptions")
    assert assumed["Assumption"].tolist() == list(translated.assumptions.table.index)
    assert (assumed["Source"] != "").all()
    shares = table(section, "people-shares")
    budget = uncertainty_budget(translated, size=2048, seed=0)
    np.testing.assert_allclose(shares["Discrepancy"], budget.wide["discrepancy"])
    text = said(section)
    assert all(note in text for note in translated.notes)
    pictures = [b.name for b in section.flat() if isinstance(b, Picture)]
    assert pictures == ["people-curve", "people-budget"]
    assert "people-evidence" not in html(section)


def test_human_evidence_stands_where_it_lies(pooled):
    human = pd.DataFrame(
        {"study": ["T1"], "delay": [1.0], "regimen": ["single"], "y": [0.6], "se": [0.2]}
    )
    found = translate(pooled.fit, delay=[1.0, 3.0], regimen="single", human=human, update=False,
                      draws=2000, seed=1)  # fmt: skip
    section = page(people, Material(pooled.fit, translation=found))
    rows = table(section, "people-evidence")
    assert rows["Observed"].tolist() == [0.6]
    assert len(rows) == len(found.positions)


def test_one_delay_makes_a_table_and_no_curve(pooled):
    found = translate(pooled.fit, delay=1.0, regimen="single", draws=2000, seed=1)
    section = page(people, Material(pooled.fit, translation=found))
    assert "Not drawn: a curve needs two or more delays" in words(section)
    assert len(table(section, "people-effects")) == 1


def test_report_takes_a_check_that_is_at_hand(studies):
    check = cross_check(studies.fit)
    made = report(studies.fit, check=check)
    assert len(made.tables["crosscheck-table"]) == len(check.table)
