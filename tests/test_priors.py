import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from bayesma import priors
from bayesma.errors import SpecError
from bayesma.priors import REGISTRY, Prior, from_dict

EXAMPLES = [
    priors.normal(0.5, 2),
    priors.student_t(4, -1, 2.5),
    priors.half_normal(2),
    priors.half_cauchy(0.5),
    priors.log_normal(0.2, 0.7),
    # Many degrees of freedom: quad loses digits in the tail of fewer (test_priors_literature).
    priors.log_student_t(30, -0.4, 0.6),
    priors.gamma(2, 0.5),
    priors.beta(2, 3.5),
    priors.uniform(-1, 3),
]

# The densities as textbooks print them, without SciPy's parametrisations.
CLOSED = {
    "normal": lambda x, m, s: math.exp(-0.5 * ((x - m) / s) ** 2) / (s * math.sqrt(2 * math.pi)),
    "student_t": lambda x, nu, m, s: (
        math.gamma((nu + 1) / 2)
        / (math.gamma(nu / 2) * math.sqrt(nu * math.pi) * s)
        * (1 + ((x - m) / s) ** 2 / nu) ** (-(nu + 1) / 2)
    ),
    "half_normal": lambda x, s: math.sqrt(2 / math.pi) / s * math.exp(-0.5 * (x / s) ** 2),
    "half_cauchy": lambda x, s: 2 / (math.pi * s * (1 + (x / s) ** 2)),
    "log_normal": lambda x, m, s: (
        math.exp(-0.5 * ((math.log(x) - m) / s) ** 2) / (x * s * math.sqrt(2 * math.pi))
    ),
    "log_student_t": lambda x, nu, m, s: (
        math.gamma((nu + 1) / 2)
        / (math.gamma(nu / 2) * math.sqrt(nu * math.pi) * s * x)
        * (1 + ((math.log(x) - m) / s) ** 2 / nu) ** (-(nu + 1) / 2)
    ),
    "gamma": lambda x, a, b: b**a * x ** (a - 1) * math.exp(-b * x) / math.gamma(a),
    "beta": lambda x, a, b: (
        math.gamma(a + b) / (math.gamma(a) * math.gamma(b)) * x ** (a - 1) * (1 - x) ** (b - 1)
    ),
    "uniform": lambda x, a, b: 1 / (b - a),
}
SUPPORT = {
    "normal": (-math.inf, math.inf),
    "student_t": (-math.inf, math.inf),
    "half_normal": (0, math.inf),
    "half_cauchy": (0, math.inf),
    "log_normal": (0, math.inf),
    "log_student_t": (0, math.inf),
    "gamma": (0, math.inf),
    "beta": (0, 1),
    "uniform": (-1, 3),
}


def test_every_registered_prior_is_tried():
    assert {prior.name for prior in EXAMPLES} == set(REGISTRY) == set(CLOSED)


@pytest.mark.parametrize("prior", EXAMPLES, ids=str)
def test_log_density_is_the_textbooks(prior):
    numbers = prior.to_dict()[prior.name]
    x = np.array([0.1, 0.7, 2.9])
    x = x[x < prior.support[1]]
    expected = [math.log(CLOSED[prior.name](value, *numbers)) for value in x]
    # A handful of roundings in terms of size about 1.
    np.testing.assert_allclose(prior.log_density(x), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("prior", EXAMPLES, ids=str)
def test_density_integrates_to_one_on_its_support(prior):
    assert prior.support == SUPPORT[prior.name]
    total, _ = integrate.quad(lambda x: math.exp(prior.log_density(np.array(x))), *prior.support)
    # quad's own default accuracy.
    assert total == pytest.approx(1, abs=1.5e-8)


@pytest.mark.parametrize("prior", EXAMPLES, ids=str)
def test_draws_repeat_with_the_seed_and_follow_the_distribution(prior):
    n = 20_000
    draws = prior.draw(np.random.default_rng(5), (4, n // 4))
    assert draws.shape == (4, n // 4)
    np.testing.assert_array_equal(draws, prior.draw(np.random.default_rng(5), (4, n // 4)))
    numbers = prior.to_dict()[prior.name]
    low = prior.support[0] if math.isfinite(prior.support[0]) else -math.inf
    below, _ = integrate.quad(lambda x: CLOSED[prior.name](x, *numbers), max(low, -1e3), 0.6)
    # Four standard errors of a proportion, at most 0.0142, and t(4)'s mass of 1e-10 below -1000.
    assert (draws < 0.6).mean() == pytest.approx(below, abs=4 * math.sqrt(0.25 / n))


numbers = st.floats(-1e6, 1e6)
scales = st.floats(1e-6, 1e6)
PARTS = {
    **dict.fromkeys(("sigma", "nu", "alpha", "beta", "upper"), scales),
    "mu": numbers,
    "lower": st.floats(-9, 0),
}
any_prior = st.one_of(
    *(
        st.builds(kind, **{key: PARTS[key] for key in kind.__annotations__ if key != "name"})
        for kind in REGISTRY.values()
    )
)


@given(any_prior)
def test_a_prior_survives_being_written(prior):
    again = from_dict(prior.to_dict())
    assert again == prior
    assert hash(again) == hash(prior)
    assert type(again) is type(prior)


def test_a_single_number_needs_no_list():
    assert from_dict({"half_normal": 2}) == priors.half_normal(2)


def test_priors_print_as_people_write_them():
    assert str(priors.normal(0, 2.5)) == "Normal(0, 2.5)"
    assert str(priors.half_cauchy(5)) == "HalfCauchy(5)"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"normals": [0, 1]},
            r"no prior is named 'normals'; did you mean 'normal'\? known: normal",
        ),
        ({"pareto": [1, 1]}, "no prior is named 'pareto'; known: normal, student_t, half_normal"),
        ({"normal": [0]}, r"prior normal = \[0\]: it takes the numbers \[mu, sigma\]"),
        ({"half_normal": [0, 1]}, r"it takes the numbers \[sigma\]"),
        ({"normal": ["0", 1]}, "prior normal: mu = '0' is not a number"),
        ({"normal": [0, True]}, "prior normal: sigma = True is not a number"),
        ({"normal": [[0], 1]}, r"prior normal: mu = \[0\] is not a number"),
        ({"normal": [0, -1]}, r"prior Normal\(0, -1\): sigma must be positive"),
        ({"half_cauchy": 0}, r"prior HalfCauchy\(0\): sigma must be positive"),
        ({"student_t": [0, 0, 1]}, "nu must be positive"),
        ({"normal": [math.nan, 1]}, "mu must be finite"),
        ({"normal": [0, math.inf]}, "sigma must be finite"),
        ({"uniform": [1, 1]}, r"prior Uniform\(1, 1\): lower must be below upper"),
        ({}, r"a prior is written \{normal = \[0, 5\]\}, not \{\}"),
        ({"normal": [0, 1], "uniform": [0, 1]}, "a prior is written"),
        ("normal(0, 5)", r"a prior is written \{normal = \[0, 5\]\}, not 'normal\(0, 5\)'"),
        ([0, 5], "a prior is written"),
    ],
)
def test_what_is_no_prior_is_refused(record, message):
    with pytest.raises(SpecError, match=message):
        from_dict(record)


def test_the_base_class_has_no_distribution():
    with pytest.raises(NotImplementedError, match=r"^$"):
        Prior().distribution()
