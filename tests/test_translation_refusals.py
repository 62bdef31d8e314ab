"""What a translation refuses, warns of, and says it rests on."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, prior_fit

from bayesma import priors
from bayesma.effects import effect_sizes
from bayesma.errors import BayesmaError, ExtrapolationWarning, QueryError, UnseenLevelError
from bayesma.spec import ModelSpec
from bayesma.translation import Assumptions, Species, translate
from bayesma.translation.pathway.species import SPECIES, species_of

FADING = ModelSpec(peak="regimen", half_life="regimen")
ASK = {"delay": 7.0, "regimen": "repeated", "draws": 20}
BY_DOSE = ModelSpec(peak="log(dose)", decay="none")


def fit_of(spec=FADING, rows=EIGHT_ROWS, measure="SMD"):
    return prior_fit(effect_sizes(rows, measure=measure), spec, draws=5)


@pytest.fixture(scope="module")
def fading():
    return fit_of()


# ---- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (
            {"to": "unicorn"},
            "species 'unicorn' is not in the table of body weights; known: .*; add",
        ),
        ({"to": "humn"}, "did you mean 'human'"),
        ({"delay": None}, r"the effect depends on the delay: name it, delay=\[1, 7, 28\]"),
        ({"delay": -1.0}, "delays are finite and 0 or more"),
        ({"delay": "a week or so"}, "a week or so"),
        ({"dose": "5 mg"}, "dose = '5 mg': .*mg/kg"),
        ({"dose": 0}, "dose = 0: a positive dose in mg/kg is needed"),
        ({"dose": -1}, "dose = -1"),
        ({"dose": "a lot"}, "dose = 'a lot'"),
        ({"weights": [1, 2]}, "weights = .*: one number for each of exponential"),
        ({"weights": [-1]}, "one number for each of exponential, 0 or more"),
        ({"weights": [0]}, "they are all 0"),
        ({"weights": [np.nan]}, "one number for each"),
        ({"weights": {"weibull": 1}}, "weights: no fit 'weibull'"),
        ({"draws": 1}, "draws = 1: at least 2"),
        ({"draws": 20.0}, "draws = 20.0: at least 2, a whole number"),
        ({"draws": "many", "seed": -1}, "draws = 'many': at least 2.*\nseed = -1: at least 0"),
        ({"seed": None}, "seed = None: at least 0, a whole number"),
        ({"weights": 1}, "weights = 1: one number for each"),
        ({"weights": ["all"]}, r"weights = \['all'\]: one number for each"),
        ({"species": ["rat"]}, "names the one species|is not in the data"),
        ({"strain": "Wistar"}, "'strain' is not a covariate of this model"),
        ({"assumptions": {"fades": True}}, r"use bm.Assumptions\(...\)"),
    ],
)
def test_one_wrong_thing_is_refused_by_name(fading, wrong, match):
    with pytest.raises(BayesmaError, match=match):
        translate(fading, **{**ASK, **wrong})


@pytest.mark.parametrize("wrong", ["fit", 3, None, [], {}, ["fit"]])
def test_what_is_no_fit_is_refused(wrong):
    with pytest.raises(QueryError, match="a fit is needed"):
        translate(wrong, **ASK)


def test_levels_that_are_not_in_the_data_are_refused(fading):
    with pytest.raises(UnseenLevelError, match=r"regimen = 'infusion' is not in the data"):
        translate(fading, **{**ASK, "regimen": "infusion"})
    with pytest.raises(UnseenLevelError, match="species = 'dog' is not in the data; known: mouse"):
        translate(fading, species="dog", **ASK)
    with pytest.raises(QueryError, match="fades differently by 'regimen': name it"):
        translate(fading, delay=7.0)


def test_a_model_with_a_dose_needs_one_per_kg():
    fit = fit_of(BY_DOSE, EIGHT_ROWS.assign(dose_unit="mg/kg"))
    with pytest.raises(QueryError, match="name the dose in people, such as"):
        translate(fit, draws=20)
    found = translate(fit, draws=20, dose="0.5 mg/kg")
    assert any("dose in people 0.5 mg/kg" in note for note in found.notes)
    # 1 to 4 mg/kg of rats and mice are less in people.
    assert any("beyond what was tried" in n for n in translate(fit, draws=9, dose=50).notes)
    other = fit_of(BY_DOSE, EIGHT_ROWS.assign(dose_unit="mg"))
    with pytest.raises(QueryError, match=r"the animals' doses are in mg: .*keep the rows in mg/kg"):
        translate(other, draws=20, dose=0.5)


def test_a_dose_that_the_model_does_not_have_is_said_to_move_nothing(fading):
    found = translate(fading, dose=0.5, **ASK)
    assert any("the model has no dose, so it moves nothing" in note for note in found.notes)
    without = translate(fading, **ASK)
    np.testing.assert_array_equal(found.effect.values, without.effect.values)


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        (ModelSpec(peak="regimen*species", decay="none"), "an interaction"),
        (ModelSpec(peak="regimen", half_life="species"), "the formula of half_life"),
        (
            ModelSpec(peak="species + (1 | study)", tau="species", decay="none"),
            "the formula of tau",
        ),
    ],
)
def test_species_that_interact_have_to_be_named(spec, where):
    fit = fit_of(spec)
    ask = {"draws": 20, "delay": None if spec.decay == "none" else 3.0}
    with pytest.raises(QueryError, match=rf"{where}, so species have no single|fades differently"):
        translate(fit, **ask)
    assert translate(fit, species="rat", **ask).effect.shape[1] == 20


def test_rows_that_do_not_say_their_species_need_it_named():
    fit = fit_of(rows=EIGHT_ROWS.drop(columns="species"))
    with pytest.raises(QueryError, match=r"no column 'species'.*name it, species='rat'"):
        translate(fit, **ASK)
    assert translate(fit, species="rat", **ASK).notes[0] == "From rat"


def test_a_species_of_the_data_that_no_table_weighs():
    rows = EIGHT_ROWS.assign(species=["rat", "quokka"] * 4)
    with pytest.raises(QueryError, match=r"'quokka' is not in the table.*bm.Assumptions"):
        translate(fit_of(rows=rows), **ASK)
    own = Assumptions(species={"quokka": Species(3.0, 12.0)})
    found = translate(fit_of(rows=rows), assumptions=own, **ASK)
    assert "quokka" in found.notes[0]
    assert "species quokka" in found.assumptions.table.index


def test_a_measure_without_a_default_needs_delta_stated():
    rows = EIGHT_ROWS.assign(measure="ROM")
    spec = ModelSpec(peak="regimen", decay="none")
    fit = fit_of(spec, rows, measure="ROM")
    with pytest.raises(QueryError, match=r"measure ROM: .* has a default for SMD only"):
        translate(fit, draws=20, regimen="single")
    own = Assumptions(discrepancy=priors.normal(0, 0.2), between_species=priors.half_normal(0.2))
    assert (
        translate(fit, draws=20, regimen="single", assumptions=own).effect.attrs["units"] == "ROM"
    )
    smd = fit_of(spec)
    with pytest.raises(QueryError, match="different measures: ROM, SMD"):
        translate({"a": fit, "b": smd}, draws=20, regimen="single", assumptions=own)


# ---- warned and said -----------------------------------------------------------------------------


def test_delays_beyond_the_animals_warn_once(fading):
    with pytest.warns(ExtrapolationWarning, match=r"1 of 2 points lie outside") as told:
        found = translate(
            [fading, fit_of(ModelSpec(peak="regimen", half_life="regimen", decay="weibull"))],
            **{**ASK, "delay": [7.0, 90.0]},
        )
    assert len(told) == 1
    assert found.effect["beyond_data"].values.tolist() == [False, True]


def test_few_species_are_mostly_assumed_and_none_wholly(fading):
    two = translate(fit_of(ModelSpec(peak="species", decay="none")), draws=20)
    assert any(
        "rests on 2 species" in note and note.endswith("mostly assumed") for note in two.notes
    )
    assert any(
        "spread of species is its prior, HalfNormal(1)" in n for n in translate(fading, **ASK).notes
    )
    alike = translate(fading, assumptions=Assumptions(between_species=None), **ASK)
    assert any("species are taken as alike" in note for note in alike.notes)


def test_few_effective_draws_are_told():
    wide = ModelSpec(peak="species", decay="none", priors={"peak_contrast": priors.normal(0, 500)})
    rows = EIGHT_ROWS.assign(species=["rat", "mouse", "dog", "rabbit"] * 2)
    found = translate(fit_of(wide, rows), draws=20)
    assert any(
        "posterior draws are effective" in note and "peak_contrast" in note for note in found.notes
    )


def test_unidentified_heterogeneity_is_that_of_people_and_said(fading):
    assert any(
        "tau ~ HalfNormal(0.5), of human trials" in n for n in translate(fading, **ASK).notes
    )
    own = Assumptions(between_trials=priors.half_normal(0.3))
    found = translate(fading, assumptions=own, **ASK)
    assert not any("of human trials" in note for note in found.notes)


def test_a_fit_that_has_not_converged_says_so():
    fit = prior_fit(effect_sizes(EIGHT_ROWS), FADING, draws=5, divergent=3)
    assert any("decay form exponential: " in note for note in translate(fit, **ASK).notes)


def test_a_result_prints_its_assumptions_with_their_sources(fading):
    text = str(translate(fading, **ASK))
    for part in (
        "mean effect in people",
        "half-life of the effect in people",
        "no_translation = 0.333",
        "Hackam & Redelmeier 2006",
        "Hu & Hayton 2001",
        "Notes",
    ):
        assert part in text
    table = translate(fading, **ASK).summary()
    assert {"regimen", "delay", "p_positive", "trial_low", "trial_p_positive"} <= set(table)
    assert (table["trial_low"] <= table["ci_low"]).all()


# ---- assumptions ---------------------------------------------------------------------------------


def test_assumptions_refuse_all_that_is_wrong_at_once():
    with pytest.raises(QueryError) as caught:
        Assumptions(
            discrepancy=priors.half_normal(1),
            between_species=priors.normal(0, 1),
            exponent=None,
            no_translation=1.5,
            no_scaling=True,
            fades=1,
            dose_spread=-1,
            within_trial=2,
            sources={"scaling": "me"},
            species={"quokka": 3.0},
        )
    lines = str(caught.value).splitlines()
    assert len(lines) == 10
    for name in (
        "discrepancy",
        "between_species",
        "exponent",
        "no_translation",
        "no_scaling",
        "fades",
        "dose_spread",
        "within_trial",
        "no assumption 'scaling'",
        "quokka",
    ):
        assert any(name in line for line in lines), name


def test_every_assumption_has_a_source_and_ones_own_is_named():
    usual = Assumptions()
    assert all(one.source and one.about for one in usual.records)
    assert not any(one.source == "stated by the user" for one in usual.records)
    own = Assumptions(
        no_translation=0.2, exponent=priors.normal(0.3, 0.1), sources={"exponent": "a paper"}
    )
    table = own.table
    assert table.loc["no_translation", "source"] == "stated by the user"
    assert table.loc["exponent", "source"] == "a paper"
    assert table.loc["exponent", "value"] == "Normal(0.3, 0.1)"
    assert table.loc["no_scaling", "source"] == usual.table.loc["no_scaling", "source"]
    assert "no_translation = 0.2" in str(own)


def test_assumptions_are_frozen_alike_and_pickle():
    own = Assumptions(no_translation=0.2, species={"quokka": Species(3.0, 12.0, "a zoo")})
    again = pickle.loads(pickle.dumps(own))
    assert again == own
    assert again != Assumptions()
    assert again.species["quokka"].source == "a zoo"
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        own.fades = True
    with pytest.raises(TypeError, match="does not support item assignment"):
        own.species["rat"] = Species(1.0, 1.0)


def test_species_by_other_spellings():
    for name, same in (
        ("Rats", "rat"),
        ("mice", "mouse"),
        ("Guinea  Pigs", "guinea pig"),
        ("beagle", "dog"),
        ("MAN", "human"),
    ):
        assert species_of(name) is SPECIES[same]
    own = {"rat": Species(0.3, 7.0)}
    assert species_of("Rat", own).weight == 0.3
    for wrong in (0, -1.0, np.nan, np.inf, "heavy"):
        with pytest.raises(QueryError, match="a positive number is needed"):
            Species(wrong, 6.0)


def test_asking_of_people_by_any_name_is_of_people(fading):
    names = [translate(fading, name, **ASK) for name in ("human", "people", "Humans")]
    assert {one.to for one in names} == {"human"}
    for one in names[1:]:
        pd.testing.assert_frame_equal(one.summary(), names[0].summary())
    assert "rabbit" in translate(fading, "rabbit", **ASK).effect.attrs["estimand"]


def test_the_room_needs_no_sampler():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, bayesma.translation; print(sorted(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for heavy in ("pymc", "pytensor", "nutpie", "matplotlib", "arviz"):
        assert f"'{heavy}'" not in done.stdout


def test_effects_that_go_with_the_size_of_studies_say_of_which_size():
    rows = EIGHT_ROWS.assign(n_treated=[5, 6, 7, 8, 9, 10, 11, 12], n_control=8)
    fit = fit_of(ModelSpec(peak="regimen", half_life="regimen", small_study="1/sqrt(n)"), rows)
    assert any("effects are those of a study of" in note for note in translate(fit, **ASK).notes)
