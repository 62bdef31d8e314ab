"""The table of a sceptical reader: each row is the answer under what it says."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from fits import EIGHT_ROWS, prior_fit

from bayesma import priors
from bayesma.effects import effect_sizes
from bayesma.errors import ExtrapolationWarning, QueryError
from bayesma.queries import summary
from bayesma.spec import ModelSpec
from bayesma.translation import Assumptions, Species, translate, translation_sensitivity

ASK = {"delay": [3.0, 7.0], "regimen": "repeated", "draws": 400, "seed": 3}
FADING = ModelSpec(peak="regimen", half_life="regimen")


def fit_of(spec=FADING, rows=EIGHT_ROWS):
    return prior_fit(effect_sizes(rows), spec, draws=25)


@pytest.fixture(scope="module")
def forms():
    plateau = ModelSpec(peak="regimen", half_life="regimen", decay="plateau", persistent="1")
    return [fit_of(), fit_of(plateau)]


@pytest.fixture(scope="module")
def table(forms):
    return translation_sensitivity(forms, **ASK)


CHANGES = {
    ("base", ""): {},
    ("SD of delta", "Normal(0, 0.5)"): {"discrepancy": priors.normal(0, 0.5)},
    ("SD of delta", "Normal(0, 2)"): {"discrepancy": priors.normal(0, 2)},
    ("delta", "fades with the effect"): {"fades": True},
    ("P(no translation)", "0"): {"no_translation": 0.0},
    ("P(no translation)", "0.5"): {"no_translation": 0.5},
    ("scaling of time", "always by body weight"): {"no_scaling": 0.0},
    ("scaling of time", "never"): {"no_scaling": 1.0},
    ("SD of the exponent", "Normal(0.26, 0.08)"): {"exponent": priors.normal(0.26, 0.08)},
    ("SD of the exponent", "Normal(0.26, 0.32)"): {"exponent": priors.normal(0.26, 0.32)},
    ("SD of species", "HalfNormal(0.5)"): {"between_species": priors.half_normal(0.5)},
    ("SD of species", "HalfNormal(2)"): {"between_species": priors.half_normal(2)},
    ("SD of species", "alike"): {"between_species": None},
    ("tau of trials", "HalfNormal(0.25)"): {"between_trials": priors.half_normal(0.25)},
    ("tau of trials", "HalfNormal(1)"): {"between_trials": priors.half_normal(1)},
    ("species", "mouse only"): "mouse",
    ("species", "rat only"): "rat",
    ("decay form", "exponential"): [1, 0],
    ("decay form", "plateau"): [0, 1],
}


def test_the_table_has_each_change_once_per_point(table):
    found = table.groupby(["assumption", "value"], sort=False).size()
    assert list(found.index) == list(CHANGES)
    assert (found == 2).all()
    assert not table.isna().any(axis=None)


@pytest.mark.parametrize(("change", "how"), CHANGES.items(), ids=lambda key: str(key)[:40])
def test_each_row_is_what_translate_says(forms, table, change, how):
    more = {"assumptions": Assumptions(**how)} if isinstance(how, dict) else {}
    more |= {"species": how} if isinstance(how, str) else {}
    more |= {"weights": how} if isinstance(how, list) else {}
    found = translate(forms, **more, **ASK)
    rows = table[(table["assumption"] == change[0]) & (table["value"] == change[1])]
    expected, half = found.summary(), summary(found.half_life).iloc[0]
    for name in ("delay", "median", "ci_low", "ci_high", "p_positive", "trial_low", "trial_high"):
        np.testing.assert_array_equal(rows[name], expected[name])
    for name, of in (("half_life", "median"), ("half_life_low", "ci_low")):
        assert (rows[name] == half[of]).all()


def test_ones_own_base_is_what_is_changed(forms):
    own = Assumptions(
        discrepancy=None, no_translation=0.5, no_scaling=1.0, fades=True,
        between_species=priors.log_normal(0, 1), between_trials=priors.half_normal(1),
    )  # fmt: skip
    found = translation_sensitivity(forms[0], assumptions=own, species="rat", **ASK)
    names = list(found.drop_duplicates(["assumption", "value"])["value"])
    assert names == [
        "", "0", "always by body weight",
        f"LogNormal({-np.log(2):.4g}, 1)", f"LogNormal({np.log(2):.4g}, 1)", "alike",
        "HalfNormal(0.25)", "HalfNormal(0.5)",
    ]  # fmt: skip
    # Neither delta, nor a species beside the one named, nor a second form.
    assert not {"SD of delta", "delta", "species", "decay form"} & set(found["assumption"])


def test_what_has_no_say_is_left_out(forms):
    to_dog = translation_sensitivity(forms[0], "dog", **ASK)
    assert not {"SD of delta", "P(no translation)"} & set(to_dog["assumption"])
    lasting = fit_of(ModelSpec(peak="1 + (1 | study)", decay="none"))
    found = translation_sensitivity(lasting, draws=50)
    assert not {"scaling of time", "delta", "doubt of the dose"} & set(found["assumption"])
    assert "half_life" not in found
    tau = found.loc[found["assumption"] == "tau of trials", "value"]
    assert list(tau) == ["HalfNormal(0.25)", "HalfNormal(0.5)", "HalfNormal(1)"]


def test_a_dose_and_ones_own_species_go_along():
    rows = EIGHT_ROWS.assign(species=["rat", "quokka"] * 4, dose_unit="mg/kg")
    fit = fit_of(ModelSpec(peak="log(dose)", decay="none"), rows)
    own = Assumptions(species={"quokka": Species(3.0, 12.0)})
    found = translation_sensitivity(fit, dose=0.5, assumptions=own, draws=50)
    doubt = found[found["assumption"] == "doubt of the dose"]
    assert list(doubt["value"]) == ["0", "0.32"]
    assert {"quokka only", "rat only"} <= set(found["value"])


def test_delays_beyond_the_data_warn_once_and_bad_input_is_refused(forms):
    with pytest.warns(ExtrapolationWarning, match="1 of 1 points lie outside") as told:
        translation_sensitivity(forms, **{**ASK, "delay": 90.0, "draws": 20})
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(QueryError, match="name it, delay="):
            translation_sensitivity(forms, regimen="repeated")
