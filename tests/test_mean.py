from dataclasses import replace

import numpy as np
import pytensor.tensor as pt
import pytest

from bayesma.analysis import load_analysis
from bayesma.bayes.maths import PyTensorMaths
from bayesma.bayes.model import build_design
from bayesma.decay import FAMILIES
from bayesma.design import Design, Points, design
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean, linear, row_mean
from bayesma.pooling import Pooling
from bayesma.predictive import mean_at_rows

MATHS = NumPyMaths()
# Compiles in a second instead of half a minute; the formula is the same graph.
QUICK = "FAST_COMPILE"


def plan_of(model: str, decay: str) -> Design:
    analysis = load_analysis(model)
    return design(replace(analysis.spec, decay=decay), analysis.effects())


# Plain rows with group effects, and pooled rows over members with delay 0 among them.
CASES = [(model, decay) for model in ("simulated_decay", "ketamine_pain") for decay in FAMILIES]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def plan(request):
    return plan_of(*request.param)


def random_points(model, how_many, seed=1):
    """Points of the unconstrained space, spread over the prior."""
    rng = np.random.default_rng(seed)
    start = model.initial_point()
    yield start
    for _ in range(how_many):
        yield {name: rng.normal(size=np.shape(value)) for name, value in start.items()}


def test_the_sampler_and_the_queries_run_one_formula(plan):
    model = build_design(plan)
    names = [VARIABLES[name] for name in plan.spec.predictors]
    mean = model["y"].owner.inputs[2]  # after the random state and the size
    nodes = model.replace_rvs_by_values([mean, *(model[name] for name in names)])
    evaluate = model.compile_fn(
        nodes, inputs=model.value_vars, mode=QUICK, on_unused_input="ignore"
    )
    for point in random_points(model, 20):
        expected, *coefficients = evaluate(point)
        found = mean_at_rows(plan, dict(zip(names, coefficients, strict=True)))
        # Means of order 10, a few dozen operations of rounding 1e-16 each.
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_gradients_are_finite_and_those_of_finite_differences(plan):
    if "simulated" in plan.effects.source:  # a real table has rows measured at once
        frame = plan.effects.frame.assign(
            delay=plan.effects.frame["delay"].mask(lambda d: d < 0.3, 0)
        )
        plan = design(plan.spec, replace(plan.effects, frame=frame))
    assert (plan.points.clock == 0).any()
    model = build_design(plan)
    value, slope = model.compile_logp(mode=QUICK), model.compile_dlogp(mode=QUICK)
    variables = model.value_vars
    for point in random_points(model, 3):
        gradient = slope(point)
        assert np.isfinite(gradient).all()
        flat = np.concatenate([np.ravel(point[v.name]) for v in variables])
        differences = []
        for i in range(len(flat)):
            ends = []
            for step in (-1e-5, 1e-5):
                moved, taken = flat.copy(), 0
                moved[i] += step
                there = {}
                for v in variables:
                    size = np.size(point[v.name])
                    there[v.name] = moved[taken : taken + size].reshape(np.shape(point[v.name]))
                    taken += size
                ends.append(value(there))
            differences.append((ends[1] - ends[0]) / 2e-5)
        # Central differences: step^2 = 1e-10 times the third derivative, and rounding of a log
        # density of order 1e3 over the step, 1e3 * 1e-16 / 1e-5 = 1e-8.
        scale = 1 + np.abs(gradient).max()
        np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-7 * scale)


@pytest.mark.parametrize("decay", FAMILIES)
def test_gradients_are_finite_where_a_half_life_leaves_nothing(decay):
    plan = plan_of("simulated_decay", decay)
    model = build_design(plan)
    value, slope = model.compile_logp(mode=QUICK), model.compile_dlogp(mode=QUICK)
    start = model.initial_point()
    for extreme in (-3.0, 3.0):  # half-lives of 2 s to 512 d, beside delays of 1 h to 28 d
        point = {name: np.full(np.shape(x), extreme) for name, x in start.items()}
        assert np.isfinite(value(point))
        assert np.isfinite(slope(point)).all()


def points(clock, reference, terms=1):
    ones = np.ones((len(clock), terms))
    matrices = dict.fromkeys(("peak", "half_life", "persistent", "shape"), ones)
    return Points(matrices, np.array(clock, float), np.array(reference, float))


def coefficients(level=3.0, half_life=1.0, persistent=0.0, shape=0.0):
    return {
        "peak": np.array([level]),
        "half_life": np.array([half_life]),
        "persistent": np.array([persistent]),
        "shape": np.array([shape]),
    }


@pytest.mark.parametrize("decay", FAMILIES)
def test_the_level_is_the_effect_at_the_reference_delay(decay):
    found = effect_mean(coefficients(), points([0.5, 4], [0.5, 4]), FAMILIES[decay], MATHS)
    assert found.tolist() == [3, 3]


@pytest.mark.parametrize("decay", FAMILIES)
def test_at_reference_zero_the_level_is_the_peak(decay):
    found = effect_mean(coefficients(), points([0], [0]), FAMILIES[decay], MATHS)
    assert found == pytest.approx(3, rel=1e-15)  # p and 1 - p may sum to 1 - 1e-16


def test_means_by_hand():
    # Level 3 stated at 2 d, half-life 2 d: peak 6; 1.5 at 4 d.
    at = points([0, 4], [2, 2])
    found = effect_mean(coefficients(), at, FAMILIES["exponential"], MATHS)
    assert found == pytest.approx([6, 1.5], rel=1e-15)
    # Persistent 1/2: share 3/4 at 2 d, 5/8 at 4 d; peak 4.
    found = effect_mean(coefficients(), at, FAMILIES["plateau"], MATHS)
    assert found == pytest.approx([4, 2.5], rel=1e-14)  # exp2 of log2: a few ulp
    # Shape 2: half at 2 d, 2^-4 at 4 d; peak 6.
    found = effect_mean(coefficients(shape=np.log(2)), at, FAMILIES["weibull"], MATHS)
    assert found == pytest.approx([6, 6 / 16], rel=1e-14)  # exp of a log: a few ulp
    found = effect_mean(coefficients(), at, FAMILIES["none"], MATHS)
    assert found.tolist() == [3, 3]


@pytest.mark.parametrize("decay", ["exponential", "weibull"])
def test_a_tiny_half_life_neither_overflows_nor_makes_nan(decay):
    # Half-life of 2^-30 d at delays far beyond it: 2^-(10^9) is 0, but ratios stay ratios.
    at = points([1, 1.0, 2], [1, 2, 1])
    with np.errstate(over="ignore"):  # before the reference the effect is truly beyond a float
        found = effect_mean(coefficients(half_life=-30.0), at, FAMILIES[decay], MATHS)
    assert found.tolist() == [3, np.inf, 0]


def test_draws_lead_and_points_trail():
    draws = {name: np.tile(x, (4, 5, 1)) for name, x in coefficients().items()}
    found = effect_mean(draws, points([0, 1, 2], [0, 0, 0]), FAMILIES["plateau"], MATHS)
    assert found.shape == (4, 5, 3)
    assert (found == found[0, 0]).all()


def test_the_linear_predictor_is_a_matrix_product():
    matrix = np.array([[1.0, 0, 2], [1, 1, 0]])
    assert linear(np.array([[1.0, 2, 3], [0, 0, 1]]), matrix).tolist() == [[7, 3], [2, 0]]


def test_rows_are_weighted_means_of_their_points_by_hand():
    # Row 0: means 2 and 4, weights 1 / (1 + 0.25 * 4) = 1/2 and 1 / (2 + 0.5 * 16) = 1/10, so
    # (1 + 0.4) / 0.6; row 1: one point.
    pooling = Pooling(np.array([0, 0, 1]), np.array([1.0, 2, 7]), np.array([0.25, 0.5, 9]))
    found = row_mean(np.array([2.0, 4, 5]), pooling, 2, MATHS)
    assert found == pytest.approx([1.4 / 0.6, 5], rel=1e-15)
    assert row_mean(np.array([2.0, 4, 5]), None, 3, MATHS).tolist() == [2, 4, 5]


@pytest.mark.parametrize("decay", FAMILIES)
def test_areas_are_one_formula_for_both_worlds(decay):
    shape = np.array([-0.5, 0.0, 0.7])
    given = {"half_life": np.array([-5.0, 0.0, 3.0]), "persistent": shape, "shape": shape}
    reference = np.array([0.0, 0.5, 2.0])
    expected = FAMILIES[decay].relative_area(1.0, 7.0, reference, given, MATHS)
    symbols = {name: pt.as_tensor(values) for name, values in given.items()}
    found = FAMILIES[decay].relative_area(
        1.0, 7.0, pt.as_tensor(reference), symbols, PyTensorMaths()
    )
    # The same few dozen operations, roundings of 1e-16 each; powers of up to 2^5 days enlarge them.
    np.testing.assert_allclose(found.eval(mode=QUICK), expected, rtol=1e-12)
