"""Species as draws from a population, against quadrature of the whole hierarchical model."""

from __future__ import annotations

import numpy as np
import pytest
from fits import EIGHT_ROWS, hand_fit, prior_fit
from scipy import integrate, optimize, stats

from bayesma import priors
from bayesma.effects import effect_sizes
from bayesma.spec import ModelSpec
from bayesma.translation.pathway.origins import contrasts_of
from bayesma.translation.pathway.population import NODES, QUANTILES, population

# What the review prints within 3 h: effect and standard error (half the interval over 1.96).
PRINTED = np.array([1.7, 1.1]), np.array([0.306, 0.434])
SPECIES = ModelSpec(peak="species", decay="none")


def _normal_draws(mean, covariance, steps=60):
    """A regular grid of equally likely draws from a normal in two dimensions."""
    one = stats.norm.ppf((np.arange(steps) + 0.5) / steps)
    grid = np.stack(np.meshgrid(one, one), axis=-1).reshape(-1, 2)
    return mean + grid @ np.linalg.cholesky(covariance).T


def _fitted(y, se, c0, mean_sd=1e4):
    """Mean and covariance of two species' effects under the fit's own prior.

    Their average is N(0, mean_sd^2), and their orthonormal contrast N(0, c0^2), as in a fit.
    """
    basis = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    prior = basis.T @ np.diag([2 * mean_sd**2, c0**2]) @ basis
    precision = np.linalg.inv(prior) + np.diag(1 / se**2)
    covariance = np.linalg.inv(precision)
    return covariance @ (y / se**2), covariance


def _mixture(told, means, levels=2):
    """Return mean and sd of a new species by draw and sigma, and their weights."""
    weights = np.exp(told.log_weights - told.log_weights.max())
    sds = told.sigma * np.sqrt(1 + 1 / levels)
    return means[:, None], sds, weights[:, None] / weights.sum() / told.sigma.shape[1]


def _interval(mean, sd, weight, prob=0.95):
    def quantile(p):
        return optimize.brentq(
            lambda x: float((weight * stats.norm.cdf((x - mean) / sd)).sum()) - p, -60, 60
        )

    return quantile((1 - prob) / 2), quantile((1 + prob) / 2)


def _by_quadrature(y, se, prior, mean_sd=1e6, steps=4000):
    """The whole model with sigma on a grid: a_s ~ N(mu, sigma^2), y_s ~ N(a_s, se_s^2), mu wide.

    Given sigma, mu ~ N(sum w y / P, 1 / P), w = 1 / (sigma^2 + se^2), P = sum w + 1 / mean_sd^2,
    and the new species is N(mu, sigma^2). No draw and no contrast is in it.
    """
    sigma = prior.distribution().ppf((np.arange(steps) + 0.5) / steps)
    w = 1 / (sigma[:, None] ** 2 + se**2)
    total = w.sum(axis=1) + 1 / mean_sd**2
    centre = (w * y).sum(axis=1) / total
    log = 0.5 * np.log(w).sum(axis=1) - 0.5 * np.log(total)
    log -= 0.5 * ((w * y**2).sum(axis=1) - total * centre**2)
    weight = np.exp(log - log.max())
    return sigma, centre, np.sqrt(sigma**2 + 1 / total), weight / weight.sum()


def test_the_quadrature_is_the_one_the_design_prints_from():
    """Its figures are of mu ~ N(0, 5^2): [.14, 2.68] and [-2.29, 4.81].

    They round to what is printed but for -2.2, which is a tenth off.
    """
    for scale, exact, printed, off in (
        (0.5, (0.144, 2.677), (0.1, 2.7), 0.05),
        (2.0, (-2.285, 4.814), (-2.2, 4.8), 0.1),
    ):
        _, centre, sd, weight = _by_quadrature(*PRINTED, priors.half_normal(scale), mean_sd=5)
        found = _interval(centre, sd, weight)
        np.testing.assert_allclose(found, exact, atol=0.01)  # 4000 steps instead of 8000
        np.testing.assert_allclose(found, printed, atol=off)  # one decimal


@pytest.mark.parametrize("c0", [1.5, 2.5, 100.0])
@pytest.mark.parametrize(
    ("scale", "expected"), [(0.5, (0.158, 2.699)), (2.0, (-2.295, 5.102))], ids=["0.5", "2"]
)
def test_two_species_say_what_quadrature_says(scale, expected, c0):
    """Whatever the fit's own prior of the difference.

    mu is flat here, where the design has N(0, 5^2), which takes 0.3 off the upper end under
    HalfNormal(2) and 0.02 under HalfNormal(0.5).
    """
    prior = priors.half_normal(scale)
    mean, covariance = _fitted(*PRINTED, c0)
    draws = _normal_draws(mean, covariance)
    told = population((draws[:, :1] - draws[:, 1:]) / np.sqrt(2), c0, prior)
    ours = _interval(*_mixture(told, draws.mean(axis=1)))
    _, centre, sd, weight = _by_quadrature(*PRINTED, prior)
    exact = _interval(centre, sd, weight)
    np.testing.assert_allclose(exact, expected, atol=0.01)  # 4000 steps instead of 8000
    # 64 equally likely sigmas stand for their whole tail, and 60 x 60 draws for a plane: together
    # they move an end of the interval by less than a hundredth of its width.
    np.testing.assert_allclose(ours, exact, atol=0.01 * (exact[1] - exact[0]))


def test_draws_of_any_prior_become_those_of_the_population():
    """Three species alike in error: SS and sigma have densities in one dimension."""
    y, se, prior, c0 = np.array([2.0, 0.9, 1.6]), 0.4, priors.half_normal(1), 1.2
    basis = np.linalg.svd(np.eye(3) - 1 / 3)[0][:, :-1]
    seen = basis.T @ y
    shrunk, variance = seen / (1 + se**2 / c0**2), 1 / (1 / se**2 + 1 / c0**2)
    told = population(_normal_draws(shrunk, variance * np.eye(2)), c0, prior)
    weights = np.exp(told.log_weights - told.log_weights.max())

    def density(sigma):
        return prior.distribution().pdf(sigma) * np.prod(
            stats.norm.pdf(seen, 0, np.sqrt(sigma**2 + se**2))
        )

    whole = integrate.quad(density, 0, 8)[0]
    for power in (1, 2):
        exact = integrate.quad(lambda s, k=power: s**k * density(s), 0, 8)[0] / whole
        ours = np.average((told.sigma**power).mean(axis=1), weights=weights)
        # Midpoints of 512 and 64 equal steps leave out the far tail: 1% of a mean, 2% of a square.
        assert ours == pytest.approx(exact, rel=0.01 * power)
    mean = integrate.quad(lambda s: s * density(s), 0, 8)[0] / whole
    square = integrate.quad(lambda s: s**2 * density(s), 0, 8)[0] / whole
    assert told.posterior_sd == pytest.approx(np.sqrt(square - mean**2), rel=0.03)
    assert told.levels == 3


def test_the_contrasts_themselves_are_moved_to_the_population():
    """E(c | y) under the population: each sigma shrinks by its own factor."""
    y, se, prior, c0 = np.array([3.0, 0.0]), np.array([0.5, 0.5]), priors.half_normal(0.5), 3.0
    precision = 1 / 0.25 + 1 / c0**2
    steps = stats.norm.ppf((np.arange(3000) + 0.5) / 3000)
    contrast = (3 / np.sqrt(2) / 0.25 / precision + steps / np.sqrt(precision))[:, None]
    told = population(contrast, c0, prior)
    weights = np.exp(told.log_weights - told.log_weights.max())
    sigma, _, _, weight = _by_quadrature(y, se, prior)
    shrunk = (weight * sigma**2 / (sigma**2 + 0.25)).sum() * 3 / np.sqrt(2)
    # 3000 equally likely draws leave out the tail to which the weights are largest: half a percent.
    assert np.average(contrast[:, 0], weights=weights) == pytest.approx(shrunk, rel=0.01)
    assert contrast.mean() > 1.15 * shrunk  # the weights have something to do


def test_effective_draws():
    even = population(np.full((50, 1), 0.3), 1.0, priors.half_normal(1))
    assert even.effective == pytest.approx(50)
    far = population(np.r_[np.full((49, 1), 30.0), [[0.0]]], 1e3, priors.half_normal(0.1))
    assert far.effective == pytest.approx(1)


def test_where_the_model_tells_no_species_apart_sigma_is_its_prior():
    prior = priors.half_normal(1)
    told = population(np.zeros((7, 0)), 1.0, prior)
    assert (told.levels, told.learnt) == (1, 0.0)
    assert told.sigma.shape == (1, QUANTILES)
    quantiles = prior.distribution().cdf(told.sigma[0])
    np.testing.assert_allclose(np.diff(quantiles), 1 / QUANTILES, rtol=1e-9)  # rounding
    assert told.prior_sd == pytest.approx(prior.distribution().std(), rel=0.01)  # the far tail


def test_species_alike_leave_the_fit_as_it_is():
    told = population(np.ones((5, 2)), 1.0, None)
    assert (told.sigma == 0).all()
    assert (told.log_weights == 0).all()
    assert told.learnt == 0.0
    assert told.levels == 3


def test_the_data_take_away_doubt_of_sigma():
    rng = np.random.default_rng(1)
    many = population(rng.normal(0, 1, (1, 400)) + np.zeros((50, 1)), 1.0, priors.half_normal(1))
    # 400 contrasts say sigma to 1/sqrt(800); the nodes of the prior lie 0.003 apart there.
    assert many.posterior_sd == pytest.approx(1 / np.sqrt(800), rel=0.1)
    assert many.learnt > 0.99
    assert NODES >= 512  # what the line above rests on


def test_contrasts_are_orthonormal_and_their_prior_is_the_fits():
    fit = prior_fit(effect_sizes(EIGHT_ROWS), ModelSpec(peak="regimen + species", decay="none"))
    contrasts, prior_sd = contrasts_of(fit)
    level = fit.posterior["level"]
    named = [level.sel(level_term=f"species[{s}]").values.ravel() for s in ("mouse", "rat")]
    apart = (named[0] - named[1]) ** 2 / 2
    np.testing.assert_allclose((contrasts**2).sum(axis=1), apart, rtol=1e-9)  # rounding
    # The standard deviation of 1000 draws is known to 2.2%; 4 of these.
    assert contrasts.std() == pytest.approx(prior_sd, rel=0.09)


def test_contrasts_of_three_species_are_alike_before_data():
    rows = EIGHT_ROWS.assign(species=["rat", "mouse", "dog", "rat", "mouse", "dog", "rat", "dog"])
    spec = ModelSpec(peak="species", decay="none", priors={"peak_contrast": priors.normal(0, 0.7)})
    contrasts, prior_sd = contrasts_of(prior_fit(effect_sizes(rows), spec, draws=2500))
    assert contrasts.shape == (10_000, 2)
    # 10,000 draws: 0.7% each; 4 of these.
    np.testing.assert_allclose(contrasts.std(axis=0), prior_sd, rtol=0.03)
    # 0.7 is that of a difference of two levels; closed form, to rounding.
    assert prior_sd == pytest.approx(0.7 / np.sqrt(2), rel=1e-9)
    assert abs(np.corrcoef(contrasts.T)[0, 1]) < 0.04  # 4 / sqrt(10,000)


@pytest.mark.parametrize("peak", ["1", "regimen", "regimen:species"])
def test_no_contrasts_where_the_model_has_no_species_of_its_own(peak):
    fit = prior_fit(effect_sizes(EIGHT_ROWS), ModelSpec(peak=peak, decay="none"), draws=5)
    assert contrasts_of(fit)[0].shape == (20, 0)


def test_hand_made_draws_are_read_in_their_order():
    fit = hand_fit(SPECIES, level=[[1.0, 0.3, -0.3], [2.0, -0.5, 0.5]])
    np.testing.assert_allclose(contrasts_of(fit)[0][:, 0] ** 2, [0.18, 0.5], rtol=1e-12)
