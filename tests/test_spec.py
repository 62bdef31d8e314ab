import json
import pickle

import pytest

from bayesma import priors
from bayesma.errors import SpecError
from bayesma.spec import CHOICES, ModelSpec

FULL = ModelSpec(
    peak="regimen + species + (1 | study/experiment)",
    half_life="regimen",
    decay="plateau",
    persistent="regimen",
    tau="species",
    priors={"peak": priors.normal(0, 3), "tau": priors.half_cauchy(1)},
)
# Every field of a choice is another than usual in one of the two.
OTHER = ModelSpec(
    decay="weibull",
    shape="species",
    population="student",
    heterogeneity="proportional",
    missing_delay="latent",
    small_study="1/sqrt(n)",
    pooled_weights="equal",
    priors={"nu": priors.gamma(3, 0.2), "delay": priors.log_normal(-1, 2)},
)


@pytest.mark.parametrize("spec", [FULL, OTHER])
def test_a_spec_survives_json_and_pickling(spec):
    again = ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert hash(again) == hash(spec)
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_what_survives_is_every_choice():
    usual = ModelSpec()
    for name in CHOICES:
        if name != "likelihood":  # one is known
            assert getattr(OTHER, name) != getattr(usual, name)


def test_a_spec_and_its_priors_are_frozen():
    given = {"peak": priors.normal(0, 3)}
    spec = ModelSpec(priors=given)
    given["tau"] = priors.half_normal(1)
    assert set(spec.priors) == {"peak"}
    with pytest.raises(TypeError, match="does not support item assignment"):
        spec.priors["tau"] = priors.half_normal(1)  # type: ignore[index]
    with pytest.raises(AttributeError, match="cannot assign to field 'decay'"):
        spec.decay = "none"  # type: ignore[misc]


def test_what_the_formulas_say():
    assert FULL.groups == ("study", "experiment")
    assert FULL.predictors == ("peak", "half_life", "persistent")
    assert ModelSpec(decay="none").predictors == ("peak",)
    assert ModelSpec().groups == ("study",)
    assert FULL.formula("peak").terms == (("regimen",), ("species",))


def test_priors_are_filled_in_by_measure_and_those_given_stay():
    resolved = FULL.resolved("SMD")
    assert resolved.priors["peak"] == priors.normal(0, 3)
    assert resolved.priors["tau"] == priors.half_cauchy(1)
    # The defaults that the documentation states.
    assert resolved.priors["peak_contrast"] == priors.normal(0, 2.5)
    assert resolved.priors["half_life"] == priors.normal(0, 3)
    assert resolved.priors["persistent"] == priors.normal(0, 1.5)
    weibull = ModelSpec(decay="weibull", shape="regimen").resolved("SMD")
    assert weibull.predictors == ("peak", "half_life", "shape")
    assert weibull.priors["shape"] == weibull.priors["shape_contrast"] == priors.normal(0, 0.5)
    assert ModelSpec().resolved("SMD").priors["peak"] == priors.normal(0, 5)
    assert ModelSpec().resolved("SMD").priors["tau"] == priors.half_normal(2)
    assert resolved.resolved("SMD") == resolved


def test_only_the_priors_that_are_used_are_kept():
    assert set(ModelSpec(peak="1", decay="none").resolved("SMD").priors) == {
        "peak",
        "peak_contrast",
    }


def test_a_measure_without_default_priors_asks_for_them():
    with pytest.raises(
        SpecError, match="measure MD has no default prior for peak, peak_contrast, tau"
    ):
        ModelSpec().resolved("MD")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"decay": "exponentials"},
            r"no decay family 'exponentials'; did you mean 'exponential'\?",
        ),
        ({"decay": None}, "no decay family 'None'; did you mean 'none'"),
        (
            {"peak": "1", "population": "student"},
            r"population = 'student' needs group effects: add \(1 \| study\)",
        ),
        (
            {"peak": "1", "heterogeneity": "proportional"},
            "heterogeneity = 'proportional' needs group effects",
        ),
        ({"tau": "regimen", "heterogeneity": "proportional"}, "both say how tau varies: use one"),
        (
            {"missing_delay": "latent", "decay": "none"},
            "missing_delay = 'latent': decay = 'none' uses no delay",
        ),
        (
            {"peak": "log(delay)", "missing_delay": "latent"},
            r"peak = 'log\(delay\)' takes the delay as a covariate",
        ),
        (
            {"priors": {"kappa": priors.normal(0, 1)}},
            r"prior of kappa: Normal\(0, 1\) must live on the positive numbers",
        ),
        *(({name: "???"}, f"{name} = '\\?\\?\\?'; known: ") for name in CHOICES),
        ({"half_life": "1 + (1 | study)"}, r"half_life = .*: group effects belong to peak"),
        ({"shape": "1 + (1 | study)"}, r"shape = .*: group effects belong to peak"),
        ({"half_life": "0 + regimen"}, "half_life = '0 . regimen': it needs its intercept"),
        ({"peak": "regimen species"}, "peak = 'regimen species': cannot be parsed"),
        ({"peak": "1 + (1 | study) + (1 | lab)"}, "group effects must be nested"),
        ({"peak": None}, "peak = None: a formula is text"),
        ({"priors": {"peek": priors.normal(0, 1)}}, r"no prior for 'peek'; did you mean 'peak'\?"),
        ({"priors": {"peak": 3}}, "prior of peak: 3 is not a prior; use bayesma.priors"),
        (
            {"priors": {"tau": priors.normal(0, 1)}},
            "prior of tau: Normal.0, 1. must live on the pos",
        ),
        ({"priors": {"peak": priors.half_normal(1)}}, "must live on all numbers"),
        ({"priors": {"peak_contrast": priors.normal(1, 1)}}, r"only Normal\(0, sigma\) treats the"),
        ({"priors": {"half_life_contrast": priors.uniform(-1, 1)}}, r"only Normal\(0, sigma\)"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(options, message):
    with pytest.raises(SpecError, match=message):
        ModelSpec(**options)


def test_every_unknown_key_is_named_with_the_nearest():
    with pytest.raises(
        SpecError, match=r"unknown key 'half_lives': did you mean 'half_life'\?.*'x'"
    ):
        ModelSpec.from_dict({"half_lives": "1", "x": 1})


def test_an_unknown_prior_name_in_a_record():
    with pytest.raises(SpecError, match=r"no prior is named 'normals'; did you mean 'normal'\?"):
        ModelSpec.from_dict({"priors": {"peak": {"normals": [0, 1]}}})


def test_each_choice_brings_its_prior():
    spec = ModelSpec(
        decay="none",
        heterogeneity="proportional",
        population="student",
        small_study="1/sqrt(n)",
    )
    assert {"kappa", "nu", "small_study"} <= set(spec.resolved("SMD").priors)
    assert not {"kappa", "nu", "small_study"} & set(ModelSpec().resolved("SMD").priors)


def test_unknown_delays_need_a_prior_in_days():
    spec = ModelSpec(missing_delay="latent")
    with pytest.raises(SpecError, match="needs a prior of delay, in days"):
        spec.resolved("SMD")
    own = ModelSpec(missing_delay="latent", priors={"delay": priors.log_normal(-3, 1.5)})
    assert own.resolved("SMD").priors["delay"] == priors.log_normal(-3, 1.5)


def test_a_response_ratio_has_narrower_priors_and_a_mean_difference_none():
    assert ModelSpec().resolved("ROM").priors["tau"] == priors.half_normal(0.5)
    assert ModelSpec().resolved("SMDH").priors == ModelSpec().resolved("SMD").priors
    with pytest.raises(SpecError, match="measure NMD has no default prior"):
        ModelSpec().resolved("NMD")
