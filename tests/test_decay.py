import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from bayesma.decay import FAMILIES, Exponential, Plateau, Weibull, family, persistent_share
from bayesma.errors import SpecError
from bayesma.maths import NumPyMaths

MATHS = NumPyMaths()
log2_half_lives = st.floats(-8, 8)
logits = st.floats(-6, 6)
log_shapes = st.floats(-1.5, 1.5)
delays = st.floats(0, 1e3)


def predicted(half_life=0.0, persistent=0.0, shape=0.0):
    """The linear predictors of every parameter there is."""
    given = {"half_life": half_life, "persistent": persistent, "shape": shape}
    return {name: np.array(value) for name, value in given.items()}


def shares(name, delay, half_life=0.0, persistent=0.0, shape=0.0):
    predictors = predicted(half_life, persistent, shape)
    return np.exp2(FAMILIES[name].log2_share(np.asarray(delay), predictors, MATHS))


def test_shares_by_hand():
    # Half-life 2 d: a quarter is left after 4 d. Persistent 3/4 (logit log 3): of the other
    # quarter an eighth is left after 6 d. Roundings of one exp2 and one log2.
    assert shares("exponential", 4, 1) == pytest.approx(0.25, rel=1e-15)
    assert shares("plateau", 6, 1, math.log(3)) == pytest.approx(0.75 + 0.25 / 8, rel=1e-14)
    assert shares("none", 1e6) == 1
    # Shape 2: 2^-(6/2)^2. An exp of a log, and a power of it.
    assert shares("weibull", 6, 1, shape=math.log(2)) == pytest.approx(2**-9, rel=1e-13)


@pytest.mark.parametrize("name", FAMILIES)
@given(half_life=log2_half_lives, persistent=logits, shape=log_shapes)
def test_everything_is_left_at_delay_zero(name, half_life, persistent, shape):
    # p and 1 - p are rounded apart, so they sum to 1 within one rounding.
    assert shares(name, 0.0, half_life, persistent, shape) == pytest.approx(1, abs=3e-16)


@pytest.mark.parametrize("name", FAMILIES)
@given(half_life=log2_half_lives, persistent=logits, shape=log_shapes, early=delays, late=delays)
def test_the_share_never_grows_and_stays_within_zero_and_one(
    name, half_life, persistent, shape, early, late
):
    early, late = sorted((early, late))
    first = shares(name, early, half_life, persistent, shape)
    then = shares(name, late, half_life, persistent, shape)
    slack = 1e-15  # roundings where the share is flat
    assert 0 <= then <= first + slack <= 1 + 2 * slack


@given(half_life=log2_half_lives, persistent=logits, delay=delays)
def test_the_plateau_never_falls_below_its_persistent_share(half_life, persistent, delay):
    stays = persistent_share(persistent, MATHS)
    # One exp2 of a log2: a relative rounding of a few ulp.
    assert shares("plateau", delay, half_life, persistent) >= stays * (1 - 1e-14)


@given(half_life=log2_half_lives, share=st.floats(0.01, 1))
def test_the_exponential_is_inverted(half_life, share):
    delay = Exponential().delay_at(share, {"half_life": np.array(half_life)}, MATHS)
    assert delay >= 0
    # log2 of a number near 1 is as exact as the number: 1e-16 / (log2 step); far off it is ulp.
    assert shares("exponential", delay, half_life) == pytest.approx(share, rel=1e-13)


@given(half_life=log2_half_lives, persistent=logits, share=st.floats(0.01, 1))
def test_the_plateau_is_inverted_where_it_is_reached(half_life, persistent, share):
    predictors = {"half_life": np.array(half_life), "persistent": np.array(persistent)}
    delay = Plateau().delay_at(share, predictors, MATHS)
    if share <= persistent_share(persistent, MATHS):
        assert delay == math.inf
    else:
        # Close above the plateau the delay is long and its error grows, but the share's does not.
        assert shares("plateau", delay, half_life, persistent) == pytest.approx(share, rel=1e-12)


@given(half_life=log2_half_lives, shape=log_shapes)
def test_half_is_left_after_a_half_life_whatever_the_shape(half_life, shape):
    # The power is k times the difference of two equal logarithms, off by an ulp of 8 at most.
    left = shares("weibull", 2.0**half_life, half_life, shape=shape)
    assert left == pytest.approx(0.5, rel=1e-13)


@given(half_life=log2_half_lives, delay=delays)
def test_a_weibull_of_shape_one_is_the_exponential(half_life, delay):
    # log2 and exp2 there and back: the logarithm of the share, up to 3e5, is off by some ulp, of
    # which the share itself is off by as much in absolute terms where it is not 0 anyway.
    found, expected = (shares(n, delay, half_life) for n in ("weibull", "exponential"))
    assert found == pytest.approx(expected, abs=1e-13)


@given(half_life=log2_half_lives, shape=log_shapes, share=st.floats(0.01, 1))
def test_the_weibull_is_inverted(half_life, shape, share):
    delay = Weibull().delay_at(share, predicted(half_life, shape=shape), MATHS)
    assert delay >= 0
    # A power 1/k and back: the logarithm of the share, at most 7, is off by k = e^1.5 times the
    # rounding of log2 of the delay, at most 1e2 ulp; near share 1 it is as exact as 1 - share.
    assert shares("weibull", delay, half_life, shape=shape) == pytest.approx(share, rel=1e-12)


def test_a_plateau_of_one_never_divides_by_zero():
    predictors = {"half_life": np.zeros(3), "persistent": np.array([40.0, 100.0, -100.0])}
    np.testing.assert_array_equal(
        Plateau().delay_at(1.0, predictors, MATHS)[:2], [math.inf, math.inf]
    )
    assert Plateau().delay_at(0.5, predictors, MATHS)[2] == pytest.approx(1, rel=1e-15)
    assert np.isfinite(Plateau().log2_share(np.array(3.0), predictors, MATHS)).all()


def test_no_decay_never_fades():
    assert FAMILIES["none"].delay_at(0.5, {}, MATHS) == math.inf


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_declares_itself(name):
    found = family(name)
    assert found.name == name
    assert set(found.parameters) <= set(predicted())
    assert found.equation.startswith("share(t) = ")


@pytest.mark.parametrize(
    ("name", "hint"), [("exponentials", "exponential"), ("Plateau", "plateau")]
)
def test_an_unknown_family_suggests_the_nearest(name, hint):
    with pytest.raises(
        SpecError, match=rf"no decay family '{name}'; did you mean '{hint}'\? known"
    ):
        family(name)


def test_persistent_share_is_the_logistic_function():
    # One exp and one division.
    assert persistent_share(np.log(3.0), MATHS) == pytest.approx(0.75, rel=1e-15)


# -- areas -----------------------------------------------------------------------------------------


def area(name, start, stop, reference, half_life=0.0, persistent=0.0, shape=0.0):
    predictors = predicted(half_life, persistent, shape)
    with np.errstate(over="ignore"):  # an area may be more than a float holds
        found = FAMILIES[name].relative_area(start, stop, np.array(reference), predictors, MATHS)
    return float(found)


def integrated(name, start, stop, reference, **parameters):
    """The integral by quadrature, interval by interval halved towards the start."""
    predictors = predicted(**parameters)
    at = FAMILIES[name].log2_share(np.array(reference), predictors, MATHS)

    def relative(delay):
        return np.exp2(FAMILIES[name].log2_share(np.array(delay), predictors, MATHS) - at)

    ends = [start + (stop - start) * 2.0**-i for i in range(40)]
    return sum(quad(relative, *pair, epsabs=0)[0] for pair in zip(ends[1:], ends, strict=False))


@pytest.mark.parametrize("name", FAMILIES)
def test_areas_are_those_of_quadrature(name):
    rng = np.random.default_rng(1)
    for _ in range(25):
        start, length, reference = rng.choice([0, 1]) * rng.exponential(3), *rng.exponential((7, 2))
        # Half-lives of 22 min to 64 d, persistent shares of 0.05 to 0.95, shapes of 0.3 to 3.3.
        parameters = dict(zip(("half_life", "persistent", "shape"),
                              rng.uniform((-6, -3, -1.2), (6, 3, 1.2)), strict=True))  # fmt: skip
        found = area(name, start, start + length, reference, **parameters)
        expected = integrated(name, start, start + length, reference, **parameters)
        if 1e-250 < expected < 1e250:  # elsewhere the quadrature, too, runs out of digits
            # Quadrature of smooth pieces is exact to about 1e-13, as is the incomplete gamma; what
            # lies before the last piece is 2^-39 = 2e-12 of the interval.
            assert found == pytest.approx(expected, rel=1e-9)


def test_areas_by_hand():
    # Half-life 1 d, stated at 0: (1 - 2^-3) / ln 2 over three days, half as much again at 1 d.
    whole = (1 - 1 / 8) / math.log(2)
    assert area("exponential", 0, 3, 0.0) == pytest.approx(whole, rel=1e-15)
    assert area("exponential", 0, 3, 1.0) == pytest.approx(2 * whole, rel=1e-15)
    assert area("weibull", 0, 3, 1.0) == pytest.approx(2 * whole, rel=1e-13)  # gamma functions
    # Persistent 1/2: half of three days stays; 3/4 is left at 1 d.
    assert area("plateau", 0, 3, 1.0) == pytest.approx((1.5 + whole / 2) / 0.75, rel=1e-14)
    assert area("none", 1, 3.5, 7.0) == 2.5
    # Shape 2 is half a bell: the integral of exp(-t^2 ln 2) to infinity is sqrt(pi / ln 2) / 2.
    bell = math.sqrt(math.pi / math.log(2)) / 2
    assert area("weibull", 0, 50, 0.0, shape=math.log(2)) == pytest.approx(bell, rel=1e-13)


@pytest.mark.parametrize("name", ["exponential", "weibull"])
def test_areas_of_a_half_life_of_seconds_are_numbers(name):
    # 2^-16 d is 1.3 s: what is left at 6 h is 2^-16384, which no float holds, but its ratios are.
    rate = 2.0**16 * math.log(2)
    for shape in (0.0, -0.5, 0.5) if name == "weibull" else (0.0,):
        after = area(name, 0.25, 1, 0.25, half_life=-16, shape=shape)
        assert 0 < after < 1
        assert area(name, 0.25, 1, 0.125, half_life=-16, shape=shape) == 0 or shape < 0
        assert area(name, 0, 1, 0.25, half_life=-16, shape=shape) > 1e50
    # From the reference on it is that of an exponential at full height: h / ln 2.
    # 1e4 halvings in the power of a float of 53 bits leave 1e-12.
    assert area(name, 0.25, 1, 0.25, half_life=-16) == pytest.approx(1 / rate, rel=1e-11)
    assert area(name, 0.125, 1, 0.25, half_life=-16) == math.inf
    # A year of hardly any fading, too.
    assert area(name, 0, 365, 0.25, half_life=40) == pytest.approx(365, rel=1e-9)  # 365 / 2^40 left


def test_areas_agree_on_both_sides_of_the_series():
    # u = ln 2 (t / h)^k passes 300 between the two; the area from t on goes on smoothly.
    k, steps = 1.5, (300 / math.log(2)) ** (1 / 1.5) * np.array([1 - 1e-9, 1, 1 + 1e-9])
    below, at, above = (area("weibull", t, 400, t, shape=math.log(k)) for t in steps)
    # A relative step of 1e-9 in t changes the area by as much.
    assert below == pytest.approx(at, rel=1e-8)
    assert above == pytest.approx(at, rel=1e-8)
