"""The question, the three sentences of the answer, the data and the guidelines."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fits import EIGHT_ROWS, prior_fit
from helpers import arms

import bayesma as bm
from bayesma.posterior import Fit
from bayesma.reporting import report
from bayesma.reporting.barg import items
from bayesma.reporting.blocks import Fold, Items, Link, Picture, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import (
    counted,
    days_interval,
    duration_text,
    estimate,
    listed,
    share,
)
from bayesma.reporting.sections.answer import answer, question_of, sentences
from bayesma.reporting.sections.guidelines import guidelines
from bayesma.reporting.sections.rows import rows

FLAT = bm.ModelSpec(peak="1 + (1 | study)", decay="none")
FADING = bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen")


def with_draws(fit, **draws):
    """Return a fit whose draws of some variables are replaced: (terms,) or () to all draws."""
    posterior = fit.posterior.copy(deep=True)
    for name, values in draws.items():
        array = posterior[name]
        noise = 1e-3 * np.random.default_rng(1).standard_normal(array.shape)
        posterior[name] = (array.dims, np.broadcast_to(values, array.shape) + noise)
    groups = {name: node.dataset for name, node in fit.tree.children.items()}
    tree = xr.DataTree.from_dict(groups | {"posterior": posterior})
    tree.attrs = fit.tree.attrs
    return Fit(tree, fit.design)


def flat_fit(frame=EIGHT_ROWS, spec=FLAT, **options):
    return prior_fit(bm.effect_sizes(frame), spec, **{"draws": 250, **options})


@pytest.fixture(scope="module")
def fading():
    """Level 2 for repeated and 1 for single; half-lives of 8 and 2 d; tau 0.5.

    Noise of 0.001 lets chains be judged and moves no printed digit but the last.
    """
    terms = {"level": [1.5, 0.5, -0.5], "log2_half_life": [2.0, 1.0, -1.0]}
    return with_draws(flat_fit(spec=FADING), **terms, tau=0.5)


@pytest.fixture(scope="module")
def ketamine():
    return prior_fit("ketamine_pain", draws=250)


def test_the_answer_has_three_sentences_with_the_models_numbers(fading):
    size, fades, prospect = sentences(Material(fading))
    # Reference delays 3 d and 12 h. Levels 2 and 1 there; at 28 d 2 x 2^(-25/8) = 0.23, at 3 d
    # 1 x 2^(-2.5/2) = 0.42. The delays said are those nearest to quantiles of 25% and 90% that
    # lie inside the data: 3 and 14 d (of 3, 7, 14, 28), 1 and 3 d (of 0.5, 1, 2, 4).
    numbers = [float(n.replace("−", "-")) for n in re.findall(r"([−\d.]+) \[", size)]
    expected = [2.0, 2 * 2 ** (-11 / 8), 2 ** (-0.5 / 2), 2 ** (-2.5 / 2)]
    assert numbers == pytest.approx(expected, abs=0.006)  # two decimals, and the noise
    assert "3 d after the last dose" in size
    assert "14 d after the last dose" in size
    assert "for regimen repeated; " in size
    assert size.count("P(> 0) > 0.99") == 4
    assert re.search(r"It halves in 8(\.0\d)? d \[.*\] for regimen repeated; in 2 d", fades)
    # A new study: 1.96 x 0.5 to either side, by 1,000 draws of the study (0.1 is 4 standard
    # errors of a 2.5% quantile).
    low, high = re.search(r"from ([−\d.]+) to ([\d.]+) ", prospect).groups()
    assert float(low) == pytest.approx(2 - 0.98, abs=0.15)
    assert float(high) == pytest.approx(2 + 0.98, abs=0.15)
    assert "standard deviation of 0.50 [0.50, 0.50] by study" in prospect
    for text in (size, fades, prospect):
        assert text.endswith(".")
        assert not re.search(r"[.!?] [A-Z]", text)


def test_a_half_life_of_all_rows_is_told():
    # No factor by which the effect fades: one half-life, 2^3 d.
    spec = bm.ModelSpec(peak="1 + (1 | study)", half_life="1")
    fit = with_draws(flat_fit(spec=spec), log2_half_life=3.0)
    assert re.match(r"It halves in 8(\.0\d)? d \[[^]]*\]\.$", sentences(Material(fit))[1])


def test_a_number_that_stands_at_its_mean_is_told():
    fit = flat_fit(spec=bm.ModelSpec(peak="dose + (1 | study)", decay="none"))
    assert ", averaged over dose as in the data, is " in sentences(Material(fit))[0]


def test_a_probability_at_a_late_delay_is_said_to_be_of_the_sign(fading):
    assert any("keeps its sign" in b.text for b in answer(Material(fading)) if hasattr(b, "text"))
    flat = answer(Material(flat_fit()))
    assert not any("keeps its sign" in b.text for b in flat if hasattr(b, "text"))


def test_an_effect_below_0_has_the_probability_of_that_side():
    size, *_ = sentences(Material(with_draws(flat_fit(), level=-1.0)))
    assert size == (
        "The population mean effect (SMD, median with 95% interval) is −1.00 [−1.00, −1.00] "
        "(P(< 0) > 0.99)."
    )


def test_a_model_without_decay_or_studies_says_so(ketamine):
    _, fades, prospect = sentences(Material(flat_fit()))
    assert fades.startswith("The model has no decay")
    assert "of a new study" in prospect or "In a new study" in prospect
    *_, pooled = sentences(Material(ketamine))
    assert pooled.startswith("What a new study would find cannot be said: pooled results")
    *_, none = sentences(Material(flat_fit(spec=bm.ModelSpec(peak="1", decay="none"))))
    assert none.endswith("cannot be said: the model has no study effects.")


def test_a_plateau_says_what_stays():
    spec = bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen", decay="plateau")
    fit = with_draws(flat_fit(spec=spec), logit_persistent=0.0)
    fades = sentences(Material(fit))[1]
    assert fades.startswith("What fades of it halves in ")
    assert fades.endswith("while a share of the peak stays for good: 50% [50%, 50%].")


def test_a_half_life_that_the_data_hardly_inform_is_marked(fading):
    # Prior draws of a half-life lie mostly outside the delays of the data.
    assert "(hardly informed by these data)" in sentences(Material(flat_fit(spec=FADING)))[1]
    assert "hardly" not in sentences(Material(fading))[1]


def test_the_question_is_the_reviewers_own_or_the_models(ketamine):
    assert answer(Material(ketamine, question="Why?"))[0].text == "Why?"
    assert question_of(Material(ketamine)) == (
        "How large is the effect (SMD) of ketamine and S-ketamine by regimen (repeated and "
        "single), and how fast does it fade?"
    )
    assert question_of(Material(flat_fit())) == "How large is the effect (SMD) of the treatment?"


def test_problems_stand_beneath_the_answer(ketamine):
    (listing,) = (b for b in answer(Material(ketamine)) if isinstance(b, Items))
    assert listing.tone == "caution"
    assert [item.lower().rstrip(".") for item in listing.items] == [
        problem.lower() for problem in ketamine.problems
    ]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (EIGHT_ROWS, "their sign is that of their source"),
        (arms(8), "have more of the outcome than controls"),
        (arms(8, direction=-1), "do better than controls"),
    ],
)
def test_what_a_positive_effect_means_is_said(frame, words):
    note = next(b for b in answer(Material(flat_fit(frame))) if getattr(b, "tone", "") == "note")
    assert words in note.text


def test_models_beside_it_agree_or_differ_in_one_line(fading):
    level = [2.5, 1.5, -1.5]
    other = with_draws(fading, level=level)
    beside = {
        "same": fading,
        "other": other,
        "flat": flat_fit(),
        "wild": flat_fit(spec=FADING, divergent=3),
    }
    *_, listing = answer(Material(fading, beside=beside))
    same, differs, flat, wild = listing.items
    assert "agrees on the 4 effects above" in same
    assert "differs on 2 of 4 effects above, such as for regimen repeated 3 d" in differs
    assert "'regimen' is not a covariate of this model" in flat
    assert "has not converged" in wild


# -- numbers in sentences ----------------------------------------------------------------------


def test_numbers_are_written_as_people_do():
    assert estimate(1.5849, 0.931, 3.1) == "1.58 [0.93, 3.10]"
    assert estimate(0.0816, 3e-29, 0.875) == "0.08 [0.00, 0.88]"
    assert estimate(-0.001, -1234.4, float("inf")) == "0.00 [−1.23e+03, ∞]"
    assert [share(p) for p in (0.999, 0.5, 0.001)] == ["> 0.99", "= 0.50", "< 0.01"]
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert counted(1, "study", "studies") == "1 study"
    assert counted(1200, "row") == "1 200 rows"


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (0.0, "0 h"),
        (1e-9, "under 1 s"),
        (30 / 86400, "30 s"),
        (20 / 1440, "20 min"),
        (1 / 24, "1 h"),
        (3.2 / 24, "3.2 h"),
        (5.0, "5 d"),
        (1461.0, "4 years"),
        (1e9, "over 100 years"),
    ],
)
def test_durations_are_written_as_people_do(days, text):
    assert duration_text(days) == text


def test_a_duration_and_its_interval():
    assert days_interval(0.5, 1 / 1440, 40) == "12 h [1 min, 40 d]"


# -- the data ----------------------------------------------------------------------------------


def tables(blocks):
    found = {}
    for block in blocks:
        if isinstance(block, Table):
            found[block.name] = block.frame
        elif isinstance(block, Fold):
            found |= tables(block.blocks)
        elif isinstance(block, Picture) and block.twin:
            found[block.twin.name] = block.twin.frame
    return found


def test_pooled_results_are_listed_with_what_stands_behind_them(ketamine):
    found = tables(rows(Material(ketamine)))
    counts = found["data-counts"].set_index("What")["Number"]
    assert counts["of them pooled results"] == 4
    assert counts["comparisons behind them"] == 41
    pooled = found["data-pooled"].set_index("Result")
    assert pooled.loc["MA1", "Comparisons"] == 19
    # As printed: 1.6 [1.1, 2.1].
    assert pooled.loc["MA1", ["95% low", "95% high"]].tolist() == pytest.approx([1.1, 2.1])
    assert pooled["Delays"].tolist() == ["15 min to 2 h", "1 d to 3 d", "0 h", "1 d to 34 d"]
    assert len(found["data-members"]) == 41
    levels = found["data-levels"].set_index("Level")
    assert levels["Comparisons"].to_dict() == {"repeated": 15, "single": 26}
    assert levels.loc["single", "Delays"] == "15 min to 3 d"


def test_rows_beside_pooled_ones_are_not_called_pooled():
    pooled = {"row_id": "P", "study": "P", "y": 2.0, "v": 0.2, "i2": 60.0, "members": "a;b"}
    frame = pd.concat([EIGHT_ROWS, pd.DataFrame([pooled])], ignore_index=True)
    members = pd.DataFrame(
        {"row_id": ["a", "b"], "study": ["X", "Y"], "delay": [1.0, 2.0]}
        | {"n_treated": [8, 8], "n_control": [8, 8]}
    )
    spec = bm.ModelSpec(peak="1 + (1 | study)", half_life="1")
    fit = prior_fit(bm.effect_sizes(frame, members=members), spec)
    found = rows(Material(fit))
    assert found[0].text.startswith(
        "1 published pooled result, which stands for 2 comparisons, and 8 effects of single "
        "comparisons, from 6 studies"
    )
    assert tables(found)["data-pooled"]["Result"].tolist() == ["P"]
    assert tables(found)["data-members"]["Comparison"].tolist() == ["a", "b"]
    picture = next(b for b in found if isinstance(b, Picture))
    assert "comparisons alone or behind pooled results" in picture.caption
    assert report(fit).subtitle.startswith("9 effects, 1 of them pooled results, (SMD)")


def test_every_note_is_told(ketamine):
    (listing,) = (b for b in rows(Material(ketamine)) if isinstance(b, Items))
    assert listing.items == tuple(f"{note}." for note in ketamine.notes)
    assert any(
        "was read into the rows" in b.text for b in rows(Material(ketamine)) if isinstance(b, Words)
    )


def test_data_taken_as_they_are_are_said_to_be():
    normal = bm.ModelSpec(peak="1 + (1 | study)", decay="none", likelihood="normal")
    fit = flat_fit(EIGHT_ROWS.drop(columns=["delay", "dose"]), normal)
    assert fit.notes == ()
    assert rows(Material(fit))[-1].text.startswith("No row was left out")


def test_animals_and_missing_delays_are_counted():
    frame = arms(8, delay=[1.0, None] * 4, drug="ketamine", species="rat")
    counts = tables(rows(Material(flat_fit(frame))))["data-counts"].set_index("What")["Number"]
    assert counts["animals, summed over rows"] == 8 * 18
    assert counts["rows without a delay"] == 4
    assert counts["studies"] == 4


def test_data_without_regimen_species_and_delay_have_no_map():
    blocks = rows(Material(flat_fit(arms(8))))
    assert any(isinstance(b, Words) and "no evidence map" in b.text for b in blocks)
    assert not any(isinstance(b, Picture) for b in blocks)


def test_a_path_is_told_by_its_last_part():
    from bayesma.reporting.sections.rows import _source

    def told(source):
        return _source(SimpleNamespace(effects=SimpleNamespace(source=source)))

    assert told("/home/someone/review/table.csv") == "table.csv"
    assert told("van_velzen_2021/pooled") == "van_velzen_2021/pooled"


# -- the guidelines ----------------------------------------------------------------------------


def statuses(fit):
    return {f"{item.step} {item.name}": item.status for item in items(Material(fit))}


def test_every_step_of_the_guidelines_is_there(ketamine):
    steps = [item.step for item in items(Material(ketamine))]
    assert len(steps) == 30
    # Kruschke 2021, table 1: a preamble of 2, steps of 5, 4, 3, 5, 5 and 6.
    heads = pd.Series([step[0] for step in steps]).value_counts().to_dict()
    assert heads == {"P": 2, "1": 5, "2": 4, "3": 3, "4": 5, "5": 5, "6": 6}


def test_what_rests_on_convergence_is_no_where_there_is_none(ketamine):
    sound, broken = statuses(ketamine), statuses(prior_fit("ketamine_pain", divergent=5))
    changed = {name for name in sound if sound[name] != broken[name]}
    assert {"2B Convergence of chains", "3B Summary of the posterior", "5A Broad priors"} <= changed
    assert all(broken[name] == "no" for name in changed)
    assert broken["1D Formal specification"] == "yes"


def test_what_is_not_on_the_page_is_not_claimed(ketamine, monkeypatch):
    first = items(Material(ketamine))[0]
    assert first.to == "crosscheck"
    assert "classical answer" in first.reason
    unconverged = items(Material(prior_fit("ketamine_pain", divergent=5)))[0]
    monkeypatch.setattr(Material, "checked", False)
    for item in (items(Material(ketamine))[0], unconverged):
        assert item.to == "model"
        assert "classical" not in item.reason
    # Power-scaling moves priors a little; no other broad prior is tried.
    assert statuses(ketamine)["5A Broad priors"] == "partly"


def test_what_is_not_used_is_not_ticked(ketamine):
    found = statuses(ketamine)
    for name in ("3C Bayes factors and model probabilities", "4A Why decisions"):
        assert found[name] == "not used"


def test_priors_of_ones_own_are_to_be_justified_by_the_reviewer():
    spec = bm.ModelSpec(
        peak="1 + (1 | study)", decay="none", priors={"tau": bm.priors.half_normal(1)}
    )
    found = statuses(flat_fit(spec=spec))
    assert found["1C Prior distribution"] == "partly"
    assert found["5B Informed priors"] == "partly"
    assert statuses(flat_fit())["5B Informed priors"] == "not used"


def test_the_words_count_the_items(ketamine):
    words, table = guidelines(Material(ketamine))
    counts = table.frame["Answered"].value_counts()
    for status, count in counts.items():
        assert f"{count} {status}" in words.text
    assert all(isinstance(cell, Link) for cell in table.frame["Where"])


# -- the page ----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["pooled", "fading", "flat", "not converged"])
def page(request, ketamine, fading):
    """A whole report; its draws are few and tame, so that no curve overflows."""
    made = {
        "pooled": lambda: with_draws(ketamine, level=1.0, log2_half_life=1.0),
        "fading": lambda: fading,
        "flat": lambda: flat_fit(arms(8, rob1="yes", rob2="no")),
        "not converged": lambda: flat_fit(spec=FADING, divergent=3),
    }
    return report(made[request.param]())


def test_every_link_of_a_page_leads_somewhere(page):
    ids = set(re.findall(r'\bid="([^"]+)"', page.html))
    targets = set(re.findall(r'href="#([^"]+)"', page.html))
    assert {"guidelines", "model-priors", "reproducibility-settings"} <= targets
    assert targets <= ids


def test_no_table_or_picture_has_the_name_of_a_section_or_of_another(page):
    mine = ("answer", "data", "model", "quality", "reproducibility", "guidelines")
    names = [
        block.name
        for section in page.sections
        if section.name in mine
        for block in section.flat()
        if isinstance(block, Table | Picture)
    ]
    assert names
    assert len(names) == len(set(names))
    assert not set(names) & {section.name for section in page.sections}


def test_a_page_that_did_not_converge_prints_no_answer():
    fit = flat_fit(spec=FADING, divergent=3)
    html = report(fit).html
    assert "The population mean effect" not in html
    assert "Equations of this very fit" in html
    assert "How large is the effect (SMD)" in html  # the question is no answer
