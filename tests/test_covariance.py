import numpy as np
import pytest
from helpers import oracle
from hypothesis import assume, given
from hypothesis import strategies as st

from bayesma.covariance import Blocks, blocks_of, compound_symmetry
from bayesma.errors import SpecError


@st.composite
def clustered(draw):
    n = draw(st.integers(1, 12))
    v = draw(st.lists(st.floats(0.01, 100), min_size=n, max_size=n))
    cluster = draw(st.lists(st.sampled_from("abcd"), min_size=n, max_size=n))
    return np.array(v), cluster, draw(st.floats(0, 0.95))


def by_loop(v, cluster, rho):
    """The definition, entry by entry."""
    full = np.zeros((len(v), len(v)))
    for i in range(len(v)):
        for j in range(len(v)):
            if i == j:
                full[i, j] = v[i]
            elif cluster[i] == cluster[j]:
                full[i, j] = rho * np.sqrt(v[i] * v[j])
    return full


@given(clustered())
def test_compound_symmetry_is_its_definition(case):
    # A product of two square roots against the root of a product.
    np.testing.assert_allclose(compound_symmetry(*case).dense(), by_loop(*case), rtol=1e-14)


@given(clustered())
def test_whitening_turns_v_into_the_identity(case):
    blocks = compound_symmetry(*case)
    found = blocks.whitening()
    factor = np.zeros((found.n, found.n))
    factor[found.rows, found.cols] = found.values
    # The condition number is at most (1 + 11 rho) / (1 - rho) < 230 after scaling by sd.
    identity = factor @ blocks.dense() @ factor.T
    np.testing.assert_allclose(identity, np.eye(found.n), atol=1e-12)
    sign, log_det = np.linalg.slogdet(blocks.dense())
    assert sign == 1
    # Up to 12 logarithms of at most 5 in size each.
    assert found.log_det.sum() == pytest.approx(log_det, abs=1e-10)
    assert found.diagonal == (not blocks.blocks)


@given(clustered(), st.randoms(use_true_random=False))
def test_rows_left_out_leave_the_whitening_of_the_others(case, random):
    blocks = compound_symmetry(*case)
    n = len(blocks.v)
    out = sorted(random.sample(range(n), random.randint(0, n)))
    stay = [i for i in range(n) if i not in out]
    found, every = blocks.without(out), blocks.whitening()
    np.testing.assert_array_equal(found.rows, every.rows)
    np.testing.assert_array_equal(found.cols, every.cols)
    factor = np.zeros((n, n))
    factor[found.rows, found.cols] = found.values
    assert not factor[out].any()
    assert not factor[:, out].any()
    block = np.ix_(stay, stay)
    left = blocks.dense()[block]
    # As above: well conditioned after scaling by sd, and logarithms of at most 5 in size.
    identity = factor[block] @ left @ factor[block].T
    np.testing.assert_allclose(identity, np.eye(len(stay)), atol=1e-12)
    assert (found.log_det[out] == 0).all()
    assert found.log_det.sum() == pytest.approx(np.linalg.slogdet(left)[1], abs=1e-10)


def test_a_diagonal_v_is_whitened_in_the_order_of_its_rows():
    found = Blocks(np.array([4.0, 0.25])).whitening()
    assert found.diagonal
    assert found.values.tolist() == [0.5, 2.0]
    assert found.rows.tolist() == found.cols.tolist() == [0, 1]


@given(clustered(), st.randoms(use_true_random=False))
def test_taking_rows_is_taking_rows_and_columns_of_the_matrix(case, random):
    blocks = compound_symmetry(*case)
    rows = random.sample(range(len(blocks.v)), random.randint(0, len(blocks.v)))
    taken = blocks.take(rows)
    np.testing.assert_array_equal(taken.dense(), blocks.dense()[np.ix_(rows, rows)])
    assert all(len(index) > 1 for index, _ in taken.blocks)


def test_labels_say_which_rows_belong_together():
    blocks = compound_symmetry([1, 1, 1, 1], ["b", "a", "b", "c"], 0.5)
    assert blocks.labels().tolist() == [0, -1, 0, -1]


def test_rho_zero_leaves_no_blocks():
    assert compound_symmetry([1, 2], ["a", "a"], 0).blocks == ()


@pytest.mark.parametrize("rho", [-0.1, 1, 1.5, float("nan"), "a"])
def test_rho_must_be_a_correlation_below_one(rho):
    with pytest.raises(SpecError, match=r"a sampling correlation lies in \[0, 1\)"):
        compound_symmetry([1, 1], ["a", "a"], rho)


@pytest.mark.parametrize("cluster", [["a", None], ["a", float("nan")], ["a"], ["a", "b", "c"]])
def test_every_row_needs_a_cluster(cluster):
    with pytest.raises(SpecError, match="every row needs a cluster; give one of its own to a row"):
        compound_symmetry([1, 1], cluster, 0.5)


@pytest.mark.parametrize("rows", [[True, False], [0, 0], [0.0, 1.0]])
def test_rows_to_take_are_positions(rows):
    with pytest.raises(SpecError, match="rows must be positions, each once; a mask goes through"):
        Blocks(np.ones(2)).take(rows)


def test_a_block_that_is_no_covariance_is_named():
    block = (np.array([1, 3]), np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(SpecError, match=r"covariance of rows \[1, 3\] is not positive definite"):
        Blocks(np.ones(4), (block,)).whitening()


def test_the_oracles_v_is_compound_symmetric():
    section = oracle("fixed_variances")
    cluster = [f"{s}/{e}" for s, e in zip(section["study"], section["experiment"], strict=True)]
    ours = compound_symmetry(section["v"], cluster, section["rho"]).dense()
    # The oracle carries 15 digits.
    np.testing.assert_allclose(ours, section["V"], rtol=1e-14)


@given(clustered(), st.randoms(use_true_random=False))
def test_a_full_matrix_is_taken_apart_into_its_blocks(case, random):
    full = compound_symmetry(*case).dense()
    order = random.sample(range(len(full)), len(full))
    full = full[np.ix_(order, order)]
    found = blocks_of(full)
    np.testing.assert_array_equal(found.dense(), full)
    # As many blocks as clusters of two rows or more that correlate.
    _, counts = np.unique(np.array(case[1], dtype=str), return_counts=True)
    # Below the smallest normal number a correlation times two deviations may round to 0.
    some = case[2] > np.finfo(float).tiny * 1e10
    assume(some or case[2] == 0)
    assert len(found.blocks) == (sum(counts > 1) if some else 0)


def test_rows_that_covary_through_others_are_one_block():
    full = np.eye(4) + 0.4 * (np.eye(4, k=1) + np.eye(4, k=-1))
    full[2, 3] = full[3, 2] = 0.0
    (block,) = blocks_of(full).blocks
    assert block[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 0.5]], "must be a square matrix"),
        ([[1.0, np.inf], [np.inf, 1.0]], "not a number in rows a, b"),
        ([[1.0, 0.5], [0.4, 1.0]], "not symmetric in rows a, b"),
        ([[1.0, 0.0], [0.0, -1.0]], "not above 0 in row b"),
        ([[1.0, 1.0], [1.0, 1.0]], "not positive definite among rows a, b; lower the correlation"),
    ],
)
def test_a_matrix_that_is_no_covariance_is_refused_by_row(matrix, message):
    with pytest.raises(SpecError, match=message):
        blocks_of(matrix, ["a", "b"])


@pytest.mark.parametrize(
    ("v", "message"),
    [
        ([1.0, -1.0, np.nan], r"v is not above 0 in rows 2, 3; correct it"),
        (["a", 1.0, 1.0], "v must be numbers"),
        ([[1.0, 1.0, 1.0]], r"one column of numbers, not of shape \(1, 3\)"),
    ],
)
def test_variances_that_are_none_are_refused(v, message):
    with pytest.raises(SpecError, match=message):
        compound_symmetry(v, ["a", "a", "b"], 0.5)
