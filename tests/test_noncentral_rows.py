"""What the exact likelihood takes of the rows: against nct, Wishart moments, and animals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import arms
from scipy import integrate, special, stats

from bayesma.covariance import Blocks
from bayesma.effects import effect_sizes, with_rho
from bayesma.errors import SpecError
from bayesma.maths import NumPyMaths
from bayesma.measures import hedges_correction
from bayesma.noncentral.rows import (
    draw_latents,
    latent_df,
    latent_labels,
    standardised,
    variance_ratios,
    why_not,
)

MATHS = NumPyMaths()


def exact(frame, **how):
    return standardised(effect_sizes(frame, **how))


def shared(sizes=(8, 8), n_control=8):
    """Two rows beside one control group."""
    return arms(
        2,
        study="s",
        control_group="c",
        mean_treated=[13.0, 15.0],
        mean_control=3.0,
        n_treated=list(sizes),
        n_control=n_control,
    )


def again(n_treated=6, n_control=6, rows=2, **columns):
    """The same animals at several times."""
    plain = {"study": "s", "animals": "a", "mean_control": [3.0 + i / 8 for i in range(rows)]}
    return arms(rows, **(plain | {"n_treated": n_treated, "n_control": n_control} | columns))


def repeated(rho=0.6, **columns):
    return exact(again(**columns), same_animals="animals", rho=rho)


# -- one row -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [(2, 2), (5, 7), (12, 12), (21, 21)])
@pytest.mark.parametrize("theta", [-1.0, 0.0, 5.0])
@pytest.mark.parametrize("tau", [0.0, 1.6])
def test_a_row_by_itself_is_noncentral_t(n, theta, tau):
    found = exact(arms(2, mean_treated=[13.0, 2.0], n_treated=n[0], n_control=n[1]))
    for i in range(2):
        nu, spread = found.df[i], np.sqrt(found.covariance.v[i] + tau**2)
        d, y = found.d[i], found.y[i]

        # The trapezoidal rule in log q: analytic, and falling off exponentially at both ends.
        log_q = np.linspace(-40, 8, 9601)
        q = np.exp(log_q)
        given = stats.norm.pdf(d * np.sqrt(q), theta, spread) * np.sqrt(q)
        total = (given * stats.chi2.pdf(nu * q, nu) * nu * q).sum() * (log_q[1] - log_q[0])
        own = np.log(total) + found.log_jacobian[i]
        # y = J d, and d / spread ~ nct(nu, theta / spread).
        J = hedges_correction(nu)
        printed = stats.nct.logpdf(y / J / spread, nu, theta / spread) - np.log(J * spread)
        # The series of scipy's nct is good to about 1e-9 in the log within its bulk.
        assert own == pytest.approx(printed, abs=1e-8)


def test_rows_by_themselves_keep_their_effects():
    effects = effect_sizes(arms(4, n_treated=[5, 6, 7, 8]))
    found = standardised(effects)
    # The same closed form, its sums in another order.
    np.testing.assert_allclose(found.y, effects.y, rtol=1e-14)
    assert found.df.tolist() == [13, 14, 15, 16]
    assert found.own_df.tolist() == found.df.tolist()
    assert found.of.tolist() == [0, 1, 2, 3]
    assert latent_df(found).keys() == {"q_own"}
    assert latent_labels(found) == {"q_own_of": ("1", "2", "3", "4")}


def test_effects_turned_or_uncorrected_stay_so():
    frame = arms(2, direction=[-1, 1])
    turned = exact(frame)
    assert (np.sign(turned.y) == [-1, 1]).all()
    plain = exact(frame, correct=False)
    assert plain.correction.tolist() == [1.0, 1.0]
    # One rounding of a division.
    np.testing.assert_allclose(plain.y, turned.d, rtol=1e-15)
    assert plain.log_jacobian.tolist() == [0.0, 0.0]


# -- rows beside one control -------------------------------------------------------------------


def test_rows_beside_one_control_are_one_set():
    found = exact(shared((6, 8), 10), shared_control="control_group")
    assert found.of.tolist() == [0, 0]
    assert found.df.tolist() == [5 + 7 + 9]
    # The SD over all three arms, by hand.
    squares = 5 * 2.0**2 + 7 * 2.0**2 + 9 * 2.5**2
    d = np.array([10.0, 12.0]) / np.sqrt(squares / 21)
    np.testing.assert_allclose(found.d, d, rtol=1e-14)  # roundings of one sum
    expected = [[1 / 6 + 1 / 10, 1 / 10], [1 / 10, 1 / 8 + 1 / 10]]
    np.testing.assert_allclose(found.covariance.dense(), expected, rtol=1e-14)


def test_sets_are_numbered_in_the_order_of_their_first_rows():
    frame = arms(5, study="s", control_group=["b", "a", "b", None, "a"])
    frame["mean_control"] = [4.0, 3.0, 4.0, 3.0, 3.0]
    found = exact(frame, shared_control="control_group")
    assert found.of.tolist() == [0, 1, 0, 2, 1]
    assert latent_labels(found) == {"q_own_of": ("1", "2", "4")}


def test_an_effect_turned_the_other_way_covaries_the_other_way():
    found = exact(shared().assign(direction=[1, -1]), shared_control="control_group")
    assert found.covariance.dense()[0, 1] == pytest.approx(-1 / 8, rel=1e-14)  # roundings


REPLICATES = 200_000


def groups_of(rng, n, mean, replicates=REPLICATES):
    """Means and SDs of groups of n animals of SD 1, animal by animal."""
    animals = rng.standard_normal((replicates, n)) + mean
    return animals.mean(axis=1), animals.std(axis=1, ddof=1)


def test_two_rows_beside_one_control_against_simulated_animals():
    """Moments, and the joint distribution by a one-dimensional integral, at n 6 and theta 5."""
    rng = np.random.default_rng(21)
    n, theta = (6, 7, 5), np.array([5.0, 3.0])
    frame = shared(n[:2], n[2])
    found = exact(frame, shared_control="control_group", correct=False)
    nu, N = found.df[0], found.covariance.dense()
    control, sd = groups_of(rng, n[2], 0.0)
    first, sd_first = groups_of(rng, n[0], theta[0])
    second, sd_second = groups_of(rng, n[1], theta[1])
    squares = 4 * sd**2 + 5 * sd_first**2 + 6 * sd_second**2
    q = squares / nu
    d = np.stack([first - control, second - control]) / np.sqrt(q)
    # Given q, normal with covariance N / q: E d = theta E q^-1/2, E dd' = (tt' + N) E 1/q.
    mean = theta / hedges_correction(nu)
    covariance = (np.outer(theta, theta) + N) * nu / (nu - 2) - np.outer(mean, mean)
    noise = np.sqrt(np.diag(covariance) / REPLICATES)
    assert (np.abs(d.mean(axis=1) - mean) < 4 * noise).all()
    simulated = np.cov(d)
    # Four standard errors of a variance, taken from the fourth moments of the draws.
    centred = d - d.mean(axis=1, keepdims=True)
    products = centred[:, None] * centred[None]
    error = products.std(axis=2) / np.sqrt(REPLICATES)
    assert (np.abs(simulated - covariance) < 4 * error).all()
    numerators = np.cov(d * np.sqrt(q))
    # Wishart: Var of an entry is (N_ii N_jj + N_ij^2) / R.
    error = np.sqrt((np.outer(np.diag(N), np.diag(N)) + N**2) / REPLICATES)
    assert (np.abs(numerators - N) < 4 * error).all()
    assert abs(np.corrcoef(d[0] * np.sqrt(q), q)[0, 1]) < 4 / np.sqrt(REPLICATES)
    for at in ([4.0, 2.5], [6.0, 3.5], [5.0, 5.0]):

        def below(q, at=at):
            normal = stats.multivariate_normal(theta, N)
            return normal.cdf(np.array(at) * np.sqrt(q)) * stats.chi2.pdf(nu * q, nu) * nu

        expected = integrate.quad(below, 0, 5, epsrel=1e-5)[0]
        share = float(((d[0] < at[0]) & (d[1] < at[1])).mean())
        error = np.sqrt(expected * (1 - expected) / REPLICATES)
        assert abs(share - expected) < 4 * error


# -- the same animals at several times ---------------------------------------------------------


def ratios(found, size, seed=3):
    return variance_ratios(draw_latents(found, (size,), np.random.default_rng(seed)), found, MATHS)


@pytest.mark.parametrize("df", [2, 8, 40])
@pytest.mark.parametrize("rho", [0.3, 0.9])
def test_variance_ratios_are_chi2_over_df_and_correlate_by_rho_squared(df, rho):
    found = repeated(rho, n_treated=df // 2 + 1, n_control=df // 2 + 1)
    assert found.df.tolist() == [df, df]
    assert found.own_df.tolist() == [0, 0]
    size = 40_000
    q = ratios(found, size)
    # Kurtosis of chi2_k is 3 + 12 / k: standard errors of a mean, variance and correlation.
    kurtosis = 3 + 12 / df
    assert (np.abs(q.mean(axis=0) - 1) < 4 * np.sqrt(2 / df / size)).all()
    assert (np.abs(q.var(axis=0) - 2 / df) < 4 * 2 / df * np.sqrt((kurtosis - 1) / size)).all()
    # A correlation's standard error is at most that of a product of two standardised variables.
    error = np.sqrt(kurtosis / size)
    assert abs(np.corrcoef(q.T)[0, 1] - rho**2) < 4 * error
    for column in q.T:
        assert stats.kstest(df * column, "chi2", (df,)).pvalue > 1e-4  # twelve tests in all


@pytest.mark.parametrize("power", [-0.5, 0.5, 1.0])
def test_variance_ratios_are_jointly_the_diagonal_of_a_wishart_matrix(power):
    """E (S11 S22)^h = (2^h G(f/2 + h) / G(f/2))^2 2F1(-h, -h; f/2; rho^2) (Kibble 1941)."""
    f, rho = 10, 0.8
    found = repeated(rho)
    q, half = ratios(found, 100_000), f / 2
    one = np.exp(special.gammaln(half + power) - special.gammaln(half)) * (2 / f) ** power
    expected = one**2 * special.hyp2f1(-power, -power, half, rho**2)
    product = (q[:, 0] * q[:, 1]) ** power
    assert abs(product.mean() - expected) < 4 * product.std() / np.sqrt(len(product))


def test_cohorts_of_different_sizes_share_what_they_have_in_common():
    """Six treated animals seen twice, four of six controls: 5 + 3 degrees of freedom in common."""
    found = repeated(0.7, n_treated=6, n_control=[6, 4])
    assert found.df.tolist() == [10, 8]
    assert found.visits.df.tolist() == [8]
    assert found.own_df.tolist() == [2, 0]
    N = found.covariance.dense()
    # Var of a mean of 6, and Cov of it with that of 4 among them: 4 rho / (6 x 4).
    assert N[0, 1] == pytest.approx(0.7 * (1 / 6 + 1 / 6), rel=1e-14)
    simulated = animals_twice(0.7, 6, (6, 4))
    assert_moments(found, *simulated)


def test_dropouts_among_rows_of_one_cohort_by_the_animals_themselves():
    found = repeated(0.5, n_treated=[8, 5], n_control=[7, 7])
    assert found.own_df.tolist() == [3, 0]
    assert_moments(found, *animals_twice(0.5, (8, 5), (7, 7)))


def animals_twice(rho, n_treated, n_control, theta=(5.0, 4.0), seed=8):
    """Differences of means and variances of two visits: the animals drawn one by one."""
    rng, R = np.random.default_rng(seed), 60_000
    differences, squares, df = np.zeros((2, R)), np.zeros((2, R)), np.zeros(2)
    for sign, given in ((1, n_treated), (-1, n_control)):
        sizes = np.broadcast_to(given, 2)
        root = np.linalg.cholesky([[1, rho], [rho, 1]])
        animals = rng.standard_normal((R, sizes.max(), 2)) @ root.T
        for visit, n in enumerate(sizes):
            seen = animals[:, :n, visit]
            differences[visit] += sign * seen.mean(axis=1) + (sign > 0) * theta[visit]
            squares[visit] += ((seen - seen.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
            df[visit] += n - 1
    return differences, squares / df[:, None], np.array(theta)


def assert_moments(found, numerators, q, theta):
    """Means, variances and correlations of numerators, of q and of d, within 4.5 errors each."""
    R = q.shape[1]
    N = found.covariance.dense()
    error = np.sqrt((np.outer(np.diag(N), np.diag(N)) + N**2) / R)
    assert (np.abs(np.cov(numerators) - N) < 4.5 * error).all()
    own = ratios(found, R).T
    for statistic in (
        lambda q: q.mean(axis=1),
        lambda q: (q**2).mean(axis=1),
        lambda q: (q**-0.5).mean(axis=1),
        lambda q: (q[:1] * q[1:]).mean(axis=1),
        lambda q: ((q[0] * q[1]) ** -0.5).mean(keepdims=True),
    ):
        # Both sides are simulated: batches give the error of their difference.
        parts = [
            statistic(a) - statistic(b)
            for a, b in zip(np.split(q, 50, axis=1), np.split(own, 50, axis=1), strict=True)
        ]
        error = np.std(parts, axis=0, ddof=1) / np.sqrt(50)
        assert (np.abs(np.mean(parts, axis=0)) < 4.5 * error).all()
    d = numerators / np.sqrt(q)
    e = np.random.default_rng(9).multivariate_normal(theta, N, R).T / np.sqrt(own)
    for own_d, model_d in ((d, e),):
        parts = [
            np.cov(a) - np.cov(b)
            for a, b in zip(np.split(own_d, 50, 1), np.split(model_d, 50, 1), strict=True)
        ]
        error = np.std(parts, axis=0, ddof=1) / np.sqrt(50)
        assert (np.abs(np.mean(parts, axis=0)) < 4.5 * error).all()


def test_the_same_animals_at_n_6_and_theta_5():
    assert_moments(repeated(0.6), *animals_twice(0.6, 6, 6))


def test_treated_animals_twice_beside_one_control_measurement():
    """One set: its SD holds the treated arm twice, and the visits correlate within it."""
    frame = again(mean_control=3.0, control_group="c")
    found = exact(frame, shared_control="control_group", same_animals="animals", rho=0.8)
    assert found.of.tolist() == [0, 0]
    assert found.df.tolist() == [15]
    N = found.covariance.dense()
    assert N[0, 1] == pytest.approx(1 / 6 + 0.8 / 6, rel=1e-14)  # roundings of a sum
    q = ratios(found, 60_000)[:, 0]
    # Sum of squares: 5 of the control, and two visits of 5 that correlate by rho^2.
    expected = (2 * 5 + 2 * (2 * 5) + 2 * 0.8**2 * 2 * 5) / 15**2
    # The excess kurtosis of such a sum stays below that of chi2_5.
    assert abs(q.var() - expected) < 4 * expected * np.sqrt((2 + 12 / 5) / len(q))


def test_clusters_without_labels_are_the_same_animals():
    frame = again().assign(experiment="1")
    found = exact(frame, rho=0.6)
    labelled = repeated(0.6)
    np.testing.assert_allclose(found.covariance.dense(), labelled.covariance.dense(), rtol=1e-14)
    assert found.visits.df.tolist() == labelled.visits.df.tolist() == [10]
    assert latent_labels(found)["q_visit_of"] == ("1 at 1", "1 at 2")


# -- large groups ------------------------------------------------------------------------------


def cov_of_y(found, theta, i=0, j=1):
    """Cov(y_i, y_j) of one set, or of two whose q are a Wishart diagonal (Kibble 1941)."""
    N, J = found.covariance.dense(), found.correction
    if found.of[i] == found.of[j]:
        nu = found.df[found.of[i]]
        inverse = nu / (nu - 2)
    else:
        f = found.df[0] / 2
        inverse = special.hyp2f1(0.5, 0.5, f, found.rho**2) / (J[i] * J[j])
    return J[i] * J[j] * inverse * (theta[i] * theta[j] + N[i, j]) - theta[i] * theta[j]


@pytest.mark.parametrize(("n", "within"), [(100, 0.03), (1000, 0.003), (10_000, 0.0003)])
def test_gleser_and_olkin_in_large_groups(n, within):
    """1/n_c + g g' / (2 N) beside one control; rho (1/n_t + 1/n_c) + rho^2 g g' / (2 N) again.

    Terms of 1/n are left out in both: the difference falls tenfold with n.
    """
    theta = np.array([5.0, 3.0])
    found = exact(shared((n, n), n), shared_control="control_group")
    printed = 1 / n + theta.prod() / (2 * 3 * n)
    assert cov_of_y(found, theta) == pytest.approx(printed, rel=within)
    rho = 0.7
    found = repeated(rho, n_treated=n, n_control=n)
    printed = rho * 2 / n + rho**2 * theta.prod() / (2 * 2 * n)
    assert cov_of_y(found, theta) == pytest.approx(printed, rel=within)


def test_pairwise_sds_covary_by_the_smaller_share_of_the_control():
    """The normal likelihood's effects are on the SD of their own arms: g g' n_c / (2 N N')."""
    frame = shared((1000, 1000), 1000)
    normal = effect_sizes(frame, shared_control="control_group")
    y = normal.y
    assert normal.V[0, 1] == pytest.approx(1e-3 + y.prod() * 1000 / (2 * 2000**2), rel=1e-12)
    set_of_all = standardised(normal)
    # On one SD for all arms the same rows share more: the whole variance of that SD.
    assert cov_of_y(set_of_all, y) > normal.V[0, 1]


# -- what has none -----------------------------------------------------------------------------


def test_effects_without_an_exact_likelihood_say_why():
    plain = effect_sizes(arms())
    assert why_not(plain) == ""
    assert why_not(effect_sizes(arms(), "MD")) == "it is of SMDs, not of MD"
    given = effect_sizes(pd.DataFrame({"study": ["a", "b"], "y": [1.0, 2.0], "v": [0.1, 0.1]}))
    assert "the table has none" in why_not(given)
    mixed = arms().assign(y=[None, 1.0, None], v=[None, 0.1, None])
    mixed.loc[1, "mean_treated":"n_control"] = None
    assert "1 of 3 rows bring their effect without arms" in why_not(effect_sizes(mixed))
    split = replace(plain, frame=plain.frame.assign(n_control=[5.0, 2.5, 2.5]))
    assert "in a column for shared_control=" in why_not(split)
    moved = replace(plain, frame=plain.frame.assign(y=plain.y + 0.1))
    assert "not those of the arms" in why_not(moved)
    V = Blocks(plain.v, ((np.array([0, 1]), np.diag(plain.v[:2])),))
    assert "the sampling covariance was given" in why_not(replace(plain, covariance=V))
    with pytest.raises(SpecError, match=r"exact': it is of SMDs, not of ROM; .*'auto'"):
        standardised(effect_sizes(arms(), "ROM"))


def test_no_correlation_leaves_no_visits():
    found = standardised(with_rho(effect_sizes(again()), 0.0, same_animals="animals"))
    assert len(found.visits.df) == 0
    assert found.own_df.tolist() == found.df.tolist()
    np.testing.assert_array_equal(found.covariance.dense(), np.diag(found.covariance.v))
