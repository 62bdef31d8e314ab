import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesma.maths import NumPyMaths


@st.composite
def segments(draw):
    n = draw(st.integers(1, 5))
    index = draw(st.lists(st.integers(0, n - 1), max_size=12))
    lead = draw(st.sampled_from([(), (3,), (2, 3)]))
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).normal(size=(*lead, len(index))), np.array(index, int), n


@given(segments())
def test_segment_sum_is_its_loop(case):
    x, index, n = case
    expected = np.zeros((*x.shape[:-1], n))
    for position, segment in enumerate(index):
        expected[..., segment] += x[..., position]
    found = NumPyMaths.segment_sum(x, index, n)
    assert found.shape == expected.shape
    # At most 12 numbers of size about 1, summed in another order.
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_segment_sum_takes_whole_numbers_and_leaves_empty_segments_at_zero():
    assert NumPyMaths.segment_sum([1, 2, 3], np.array([0, 2, 0]), 4).tolist() == [4, 0, 2, 0]


def test_take_picks_along_the_last_axis():
    x = np.arange(6).reshape(2, 3)
    assert NumPyMaths.take(x, np.array([2, 0, 2])).tolist() == [[2, 0, 2], [5, 3, 5]]


@pytest.mark.parametrize(("name", "value"), [("exp", np.e), ("exp2", 2.0)])
def test_elementary_functions(name, value):
    assert getattr(NumPyMaths, name)(1.0) == pytest.approx(value, rel=1e-15)  # one rounding
    assert (NumPyMaths.log(1.0), NumPyMaths.log2(8.0)) == (0.0, 3.0)
    assert NumPyMaths.where(np.array([True, False]), 1, 2).tolist() == [1, 2]
