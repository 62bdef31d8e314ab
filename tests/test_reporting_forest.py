"""Sections that answer: their numbers are those of the queries, their words fit the model."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, prior_fit

from bayesma.effects import effect_sizes
from bayesma.queries import (
    compare_regimens,
    decay_curve,
    grid,
    half_life,
    population_effects,
    shrinkage,
    summary,
    time_to_loss,
)
from bayesma.reporting.blocks import Fold, Picture, Section, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.noun import Report
from bayesma.reporting.phrases import chance, days_estimate, delay_text, estimate
from bayesma.reporting.sections.comparisons import comparisons
from bayesma.reporting.sections.decay import decay
from bayesma.reporting.sections.forest import forest
from bayesma.reporting.tidying import floored
from bayesma.spec import ModelSpec


def page(write, material):
    return Section("s", "S", write(material))


def table(section, name):
    (found,) = [b for b in section.flat() if isinstance(b, Table) and b.name == name]
    return found.frame


def words(section):
    return " ".join(b.text for b in section.flat() if isinstance(b, Words))


def html(section):
    return Report("T", "S", True, (section,)).html


@pytest.fixture(scope="module")
def pooled():
    return Material(prior_fit("ketamine_pain"))


@pytest.fixture(scope="module")
def studies():
    spec = ModelSpec(peak="regimen + (1 | study)", half_life="regimen")
    return Material(prior_fit(effect_sizes(EIGHT_ROWS), spec))


@pytest.fixture(scope="module")
def plain():
    return Material(
        prior_fit(effect_sizes(EIGHT_ROWS), ModelSpec(peak="1 + (1 | study)", decay="none"))
    )


@pytest.fixture(scope="module")
def drugs():
    rows = EIGHT_ROWS.assign(drug=list("abcabcab"))
    spec = ModelSpec(peak="drug + species + (1 | study)", decay="none")
    return Material(prior_fit(effect_sizes(rows), spec))


# -- studies -----------------------------------------------------------------------------------


def test_the_forest_has_every_row_and_its_population(studies):
    section = page(forest, studies)
    rows = shrinkage(studies.fit, seed=0).set_index("name")
    found = table(section, "forest-rows").set_index("Row")
    assert set(found.index) == set(rows.index)
    for head, name in (
        ("Observed", "y"),
        ("Observed 95% high", "high"),
        ("True effect", "true"),
        ("True effect 95% low", "true_low"),
        ("Mean of rows like it", "fitted"),
    ):
        # What is negligible beside the median of the table is written as 0.
        np.testing.assert_allclose(found[head], rows[name].loc[found.index], atol=1e-3)
    assert found["Observed"].is_monotonic_decreasing
    population = population_effects(studies.fit, "regimen", seed=0)
    shown = table(section, "forest-population")
    np.testing.assert_allclose(shown["New study 95% high"], population["new_high"])
    np.testing.assert_allclose(shown["Mean effect"], population["median"])
    assert "prediction interval" not in words(section)


def test_pooled_rows_say_why_there_is_no_prediction_interval(pooled):
    section = page(forest, pooled)
    assert "There is no prediction interval of a new study" in words(section)
    found = table(section, "forest-rows")
    assert list(found["Row"]) == ["MA3", "MA1", "MA4", "MA2"]
    assert "True effect" not in found
    assert "Fitted" in found
    assert "New study 95% low" not in table(section, "forest-population")


def test_a_model_without_study_effects_says_so():
    fit = prior_fit(effect_sizes(EIGHT_ROWS), ModelSpec(peak="regimen", decay="none"))
    assert "no row is shrunken" in words(page(forest, Material(fit)))


def test_rows_of_the_table_name_marks_of_the_picture(studies):
    page_html = html(page(forest, studies))
    rows = set(re.findall(r'<tr data-mark="([^"]*)"', page_html))
    marks = set(re.findall(r'<g[^>]*data-mark="([^"]*)"', page_html))
    assert len(rows) == 8
    assert rows <= marks


# -- decay -------------------------------------------------------------------------------------


def test_the_twin_of_the_curve_is_short_and_has_its_numbers(studies):
    section = page(decay, studies)
    found = table(section, "decay-curves-table")
    # 0, round delays and the last of the data; two regimens.
    assert len(found) <= 2 * 8
    assert {"0", "1 d", "7 d", "28 d"} <= set(found["Delay"])
    delays = sorted(set(found["Delay (d)"]))
    at = studies.quietly(lambda: grid(studies.fit, regimen=["repeated", "single"], delay=delays))
    curve = studies.quietly(lambda: summary(decay_curve(studies.fit, at)))
    # What is negligible beside the median of the table is written as 0.
    np.testing.assert_allclose(found["Mean effect"], curve["median"], atol=1e-3)
    np.testing.assert_allclose(found["95% low"], curve["ci_low"], atol=1e-3)
    np.testing.assert_allclose(found["P(> 0)"], curve["p_positive"])
    assert found["Beyond the data"].tolist() == curve["beyond_data"].tolist()
    assert found["Regimen"].tolist() == curve["regimen"].tolist()


def test_what_lies_beyond_the_data_is_said(pooled):
    text = words(page(decay, pooled))
    assert "repeated: 0 to 34 d; single: 15 min to 3 d" in text
    assert "what the exponential form says, not what anyone measured" in text


def test_rows_on_the_curve_have_titles(studies):
    titles = re.findall("<title>([^<]*)", html(page(decay, studies)))
    found = [title for title in titles if title.startswith("A · r0: ")]
    half = 1.959964 * 0.2**0.5
    assert found == [f"A · r0: 1.00 [{1 - half:.2f}, {1 + half:.2f}] at 12 h"]


def test_curves_of_models_beside_are_drawn_too(pooled):
    spec = ModelSpec(peak="regimen", decay="plateau", half_life="regimen")
    beside = {
        "plateau": prior_fit("ketamine_pain", spec),
        "none": prior_fit("ketamine_pain", ModelSpec(peak="regimen", decay="none")),
        "stuck": prior_fit("ketamine_pain", spec, divergent=5),
    }
    section = page(decay, Material(pooled.fit, beside=beside))
    pictures = [block.name for block in section.flat() if isinstance(block, Picture)]
    assert pictures == ["decay-curves", "decay-beside-1"]
    assert "none: has no decay" in words(section)
    assert "stuck: has not converged, so its curve is not drawn" in words(section)


def test_without_decay_there_is_a_sentence(plain):
    assert "no decay: its effect is the same at every delay" in words(page(decay, plain))


# -- comparisons -------------------------------------------------------------------------------


def test_half_lives_and_times_to_loss_are_those_of_the_queries(pooled):
    found = table(page(comparisons, pooled), "comparisons-half-lives")
    at = grid(pooled.fit, regimen=["repeated", "single"])
    for name, query in (
        ("half-life", summary(half_life(pooled.fit, at))),
        ("70% lost after", summary(time_to_loss(pooled.fit, at, 0.7))),
    ):
        rows = found[found["Quantity"] == name]
        assert list(rows["Regimen"]) == ["repeated", "single"]
        np.testing.assert_allclose(rows["Median (d)"], query["median"])
        np.testing.assert_allclose(rows["95% high"], query["ci_high"])
    # By hand: an exponential has lost 70% after log2(1 / 0.3) half-lives.
    halves, losses = (found["Median (d)"].to_numpy()[i : i + 2] for i in (0, 2))
    np.testing.assert_allclose(losses / halves, np.log2(1 / 0.3))


def test_contrasts_are_those_of_compare_regimens(pooled):
    section = page(comparisons, pooled)
    found = table(section, "comparisons-table")
    query = pooled.quietly(lambda: compare_regimens(pooled.fit, pooled.delays))
    # What is negligible beside the median of the table is written as 0.
    np.testing.assert_allclose(found["Difference"], query["difference"], atol=1e-3)
    np.testing.assert_allclose(found["P(> 0)"], query["p_greater"])
    unstable = query["p_other_sign"] > 0.025
    assert unstable.any()
    assert "Ratio" not in found or found.loc[unstable, "Ratio"].isna().all()
    assert "Ratios are left out where the denominator may be 0" in words(section)
    (picture,) = [block for block in section.flat() if isinstance(block, Picture)]
    assert all(delay_text(delay) in picture.alt for delay in pooled.delays)


def test_models_stand_side_by_side(pooled):
    spec = ModelSpec(peak="regimen", decay="plateau", half_life="regimen")
    plateau = prior_fit("ketamine_pain", spec)
    stuck = prior_fit("ketamine_pain", spec, divergent=5)
    material = Material(pooled.fit, beside={"plateau": plateau, "stuck": stuck})
    section = page(comparisons, material)
    found = table(section, "comparisons-models").set_index("Median and 95% interval")
    assert list(found) == ["exponential (this report)", "plateau", "stuck"]
    assert (found["stuck"] == "").all()
    row = summary(half_life(plateau, grid(plateau, regimen="single"))).iloc[0]
    text = days_estimate(row["median"], row["ci_low"], row["ci_high"])
    assert found.loc["half-life (d), single", "plateau"] == text
    # Beyond the 3 d after a single dose: starred, and a probability for each model.
    assert re.fullmatch(r"(> )?0\.\d\d", found.loc["P(repeated > single) at 28 d*", "plateau"])
    assert "Not converged, and so not printed: stuck" in words(section)
    assert "half-life of a plateau is that of the part which fades" in words(section)


def test_without_levels_the_mean_is_the_answer(plain):
    section = page(comparisons, plain)
    row = population_effects(plain.fit, seed=0).iloc[0]
    text = estimate(row["median"], row["ci_low"], row["ci_high"])
    assert f"Its mean effect is {text} SMD" in words(section)
    assert "the true effect of a new study lies in" in words(section)
    assert table(section, "comparisons-table")["Mean effect"].tolist() == [row["median"]]


def test_many_levels_share_one_picture_and_other_factors_are_folded(drugs):
    section = page(comparisons, drugs)
    assert drugs.lead == "drug"
    found = table(section, "comparisons-table")
    assert list(found["Drug"]) == ["a", "b", "c"]
    assert np.isnan(found["Difference"].iloc[0])
    (picture,) = [block for block in section.flat() if isinstance(block, Picture)]
    said = {t.get_text() for t in picture.figure.axes[0].texts}
    assert {"b − a", "c − a"} <= said
    (fold,) = [block for block in section.blocks if isinstance(block, Fold)]
    assert "by species" in fold.summary
    query = compare_regimens(drugs.fit, covariate="species")
    frame = table(section, "comparisons-by-species")
    np.testing.assert_allclose(frame["Difference"], query["difference"])


def test_sections_of_every_kind_of_model_make_a_page(pooled, studies, plain, drugs):
    for material in (pooled, studies, plain, drugs):
        for write in (forest, decay, comparisons):
            section = page(write, material)
            text = html(section)
            assert "nan" not in re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.S)
            names = [b.name for b in section.flat() if isinstance(b, Table | Picture)]
            assert len(names) == len(set(names))
            for block in section.flat():
                if isinstance(block, Picture):
                    assert len(block.alt) > 40


# -- numbers as words --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.5, "0.50"), (0.9951, "> 0.99"), (0.004, "< 0.01"), (1.0, "> 0.99"), (float("nan"), "")],
)
def test_chances(p, text):
    assert chance(p) == text


def test_numbers_read_as_people_write_them():
    assert estimate(1.576, -0.001, 3.1) == "1.58 [0.00, 3.10]"
    assert estimate(-1.2, -2000.0, float("inf")) == "−1.20 [−2e+03, ∞]"
    assert days_estimate(0.5, 0.004, 123.4) == "0.50 [0.004, 123]"
    assert days_estimate(12.34, 1.0, float("inf")) == "12.3 [1.00, ∞]"
    assert [delay_text(d) for d in (0, 1 / 24, 7)] == ["0", "1 h", "7 d"]


def test_what_has_faded_to_nothing_is_nothing():
    frame = pd.DataFrame({"a": [1.0, 1e-122, -1e-9], "b": ["x", "y", "z"], "c": [2.0, 0.5, np.nan]})
    out = floored(frame)
    assert out["a"].tolist() == [1.0, 0.0, 0.0]
    assert out["c"].iloc[1] == 0.5
    assert np.isnan(out["c"].iloc[2])
    assert frame["a"].iloc[1] == 1e-122
    # Probabilities and ratios are on scales of their own.
    own = pd.DataFrame({"Effect": [30.0], "P(> 0)": [5e-4], "Ratio, 95% low": [1e-4]})
    pd.testing.assert_frame_equal(floored(own), own)


@pytest.fixture(scope="module")
def many():
    """Eleven half-lives by two levels of the lead: more than a picture holds."""
    rows = pd.concat([EIGHT_ROWS] * 3, ignore_index=True)
    rows = rows.assign(row_id=rows.index.astype(str), drug=[f"drug {i % 11}" for i in range(24)])
    spec = ModelSpec(peak="drug + regimen + (1 | study)", half_life="drug")
    return Material(prior_fit(effect_sizes(rows), spec))


def test_more_curves_than_colours_are_a_table(many):
    section = page(decay, many)
    assert not [b for b in section.flat() if isinstance(b, Picture)]
    assert "22 curves cannot be told apart in one picture" in words(section)
    assert table(section, "decay-curves-table").groupby(["Drug", "Regimen"]).ngroups == 22


def test_more_contrasts_than_a_picture_holds_are_a_table(many):
    section = page(comparisons, many)
    assert not [b for b in section.flat() if isinstance(b, Picture)]
    assert "differences are too many for one picture" in words(section)
    assert len(table(section, "comparisons-table"))


def test_models_that_cannot_be_asked_the_same_say_why(studies):
    other = EIGHT_ROWS.assign(regimen=["single"] * 4 + ["daily"] * 4)
    apart = prior_fit(effect_sizes(other), studies.fit.spec)
    ratio = prior_fit(effect_sizes(EIGHT_ROWS, "ROM"), studies.fit.spec)
    beside = {"other levels": apart, "other measure": ratio}
    section = page(comparisons, Material(studies.fit, beside=beside))
    assert list(table(section, "comparisons-models")) == [
        "Median and 95% interval",
        "exponential (this report)",
    ]
    assert "other measure cannot stand beside it: its measure is ROM." in words(section)
    assert "other levels cannot stand beside it: " in words(section)
