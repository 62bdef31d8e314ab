import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesma.coders import AVERAGE
from bayesma.coding import code
from bayesma.errors import SpecError, UnseenLevelError
from bayesma.formulas import parse

# Prior standard deviations of averages and contrasts: two odd numbers, so that neither hides.
AVERAGE_SD, CONTRAST_SD = 5.0, 2.5


def coded(text, frame):
    return code(parse(text), frame, "peak")


def prior_covariance(predictor, frame):
    """Prior covariance of the linear predictor at the rows of a frame."""
    x = predictor.matrix(frame)
    average, contrast = x @ predictor.average_basis, x @ predictor.contrast_basis
    return AVERAGE_SD**2 * average @ average.T + CONTRAST_SD**2 * contrast @ contrast.T


def grid(**levels):
    return pd.DataFrame(list(itertools.product(*levels.values())), columns=list(levels))


LEVELS = st.lists(st.sampled_from("abcdefg"), min_size=2, max_size=5, unique=True)
FORMULAS = [
    "a",
    "0 + a",
    "a + b",
    "a * b",
    "a : b",
    "0 + a:b",
    "0 + a + b",
    "a + a:b",
    "a * log(x)",
]


@pytest.mark.parametrize("text", FORMULAS)
@settings(max_examples=30)
@given(first=LEVELS, second=LEVELS, random=st.randoms(use_true_random=False))
def test_renaming_levels_leaves_the_prior_as_it_was(text, first, second, random):
    frame = grid(a=first, b=second, x=[1.0, 3.0])
    shuffled = dict(zip(first, random.sample(first, len(first)), strict=True))
    renamed = frame.assign(a=frame["a"].map(shuffled))
    before = prior_covariance(coded(text, frame), frame)
    after = prior_covariance(coded(text, renamed), renamed)
    # Sums of a few products of size up to 25.
    np.testing.assert_allclose(after, before, atol=1e-11)


@pytest.mark.parametrize("text", ["a", "0 + a", "a + b", "a * b", "a : b", "0 + a:b"])
@settings(max_examples=30)
@given(first=LEVELS, second=LEVELS)
def test_every_cell_has_the_same_prior_variance(text, first, second):
    frame = grid(a=first, b=second)
    variances = np.diag(prior_covariance(coded(text, frame), frame))
    np.testing.assert_allclose(variances, variances[0], rtol=1e-12)  # a few products each


@given(LEVELS)
def test_two_levels_differ_by_one_contrast_sd(levels):
    frame = grid(a=levels)
    covariance = prior_covariance(coded("a", frame), frame)
    for i, j in itertools.combinations(range(len(levels)), 2):
        difference = covariance[i, i] + covariance[j, j] - 2 * covariance[i, j]
        assert difference == pytest.approx(CONTRAST_SD**2, rel=1e-12)  # sums of a few products


@given(LEVELS)
def test_the_intercept_is_the_average_over_levels(levels):
    frame = grid(a=levels)
    predictor = coded("a", frame)
    assert predictor.terms == ("Intercept", *(f"a[{level}]" for level in sorted(levels)))
    # Effects of levels sum to zero: one rounding per level.
    np.testing.assert_allclose(predictor.contrast_basis.sum(axis=0), 0, atol=1e-15 * len(levels))
    np.testing.assert_array_equal(predictor.average_basis[:, 0], [1, *[0] * len(levels)])


def test_a_numeric_covariate_is_centred_and_its_prior_is_per_standard_deviation():
    frame = pd.DataFrame({"x": [1.0, 2.0, 6.0]})
    predictor = coded("x", frame)
    np.testing.assert_allclose(predictor.matrix(frame)[:, 1], [-2, -1, 3], rtol=1e-15)
    # Population standard deviation of 1, 2, 6: sqrt(14 / 3). Two roundings.
    assert predictor.contrast_basis[1, 0] == pytest.approx(np.sqrt(3 / 14), rel=1e-15)
    new = predictor.matrix(pd.DataFrame({"x": [3.0, 10.0]}))
    np.testing.assert_allclose(new, [[1, 0], [1, 7]], atol=1e-15)


@pytest.mark.parametrize("text", ["log(x)", "log2(x)", "log10(x + 1)", "sqrt(x)", "I(x ** 2)"])
def test_calls_are_evaluated_on_new_rows(text):
    frame = pd.DataFrame({"x": [1.0, 2.0, 8.0]})
    functions = {"log": np.log, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt, "I": np.array}
    expected = eval(text, functions, {"x": np.array([4.0, 5.0])})
    centre = eval(text, functions, {"x": frame["x"].to_numpy()}).mean()
    found = coded(text, frame).matrix(pd.DataFrame({"x": [4.0, 5.0]}))[:, 1]
    np.testing.assert_allclose(found, expected - centre, rtol=1e-14)  # a few roundings


def test_a_stateful_call_keeps_the_state_of_the_training_rows():
    frame = pd.DataFrame({"x": [1.0, 2.0, 6.0]})
    found = coded("scale(x)", frame).matrix(pd.DataFrame({"x": [3.0]}))[0, 1]
    assert found == pytest.approx(0, abs=1e-15)  # 3 is the training mean


def test_the_average_level_weighs_levels_by_their_rows():
    frame = pd.DataFrame({"a": ["u", "u", "u", "v"]})
    row = coded("a", frame).matrix(pd.DataFrame({"a": [AVERAGE]}))
    assert row.tolist() == [[1, 0.75, 0.25]]


def test_numbers_as_factors():
    frame = pd.DataFrame({"year": [2004.0, 2005.0, 2004.0]})
    predictor = coded("C(year)", frame)
    assert predictor.terms == ("Intercept", "year[2004]", "year[2005]")
    assert predictor.matrix(pd.DataFrame({"year": [2005]})).tolist() == [[1, 0, 1]]


def test_an_unseen_level_suggests_the_nearest():
    frame = pd.DataFrame({"a": ["single", "repeated"]})
    with pytest.raises(
        UnseenLevelError, match=r"a = 'singles' is not in the data; did you mean 's"
    ):
        coded("a", frame).matrix(pd.DataFrame({"a": ["singles"]}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "regimens",
            r"peak = 'regimens': no column 'regimens'; did you mean 'regimen'\? known: reg",
        ),
        ("one", r"peak: factor one has one level \('u'\) in these rows; drop it"),
        ("constant", r"peak: constant has one value \(0.1\) in these rows; drop it"),
        ("log(zero)", r"peak: log\(zero\) is not finite in 1 rows; leave them out"),
        ("nonsense(x)", r"'nonsense\(x\)' cannot be evaluated"),
        ("poly(x, 2)", r"'poly\(x, 2\)' gives 2 columns; use one, or C\(column\)"),
    ],
)
def test_what_cannot_be_coded_is_refused(text, message):
    frame = pd.DataFrame(
        {
            "regimen": ["a", "b", "a"],
            "one": ["u"] * 3,
            "constant": [0.1] * 3,
            "zero": [0.0, 1.0, 2.0],
            "x": [1.0, 2.0, 4.0],
        }
    )
    with pytest.raises(SpecError, match=message):
        coded(text, frame)
