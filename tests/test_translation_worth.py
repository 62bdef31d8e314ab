import json
from dataclasses import replace

import numpy as np
import pytest
from fits import EIGHT_ROWS, prior_fit
from scipy import integrate, stats

import bayesma as bm
from bayesma.effects import effect_sizes
from bayesma.errors import BayesmaError, QueryError
from bayesma.spec import ModelSpec
from bayesma.translation import (
    Assumptions,
    NormalMixture,
    effective_sample_size,
    map_prior,
    translate,
)
from bayesma.translation.worth.mixturefits import fitted_mixture

MIXTURE = NormalMixture([0.3, 0.5, 0.2], [-1.0, 0.5, 3.0], [0.4, 1.2, 0.7])


def quadrature(f, low=-12.0, high=14.0, points=(-1.0, 0.5, 3.0)):
    return integrate.quad(f, low, high, points=points, limit=400)[0]


# -- the mixture ---------------------------------------------------------------------------------


def test_density_cdf_and_moments_agree_with_scipy_and_with_quadrature():
    at = np.linspace(-4, 6, 23)
    parts = [stats.norm(m, s) for m, s in ((-1, 0.4), (0.5, 1.2), (3, 0.7))]
    expected = 0.3 * parts[0].pdf(at) + 0.5 * parts[1].pdf(at) + 0.2 * parts[2].pdf(at)
    below = 0.3 * parts[0].cdf(at) + 0.5 * parts[1].cdf(at) + 0.2 * parts[2].cdf(at)
    # The same sums in another order.
    np.testing.assert_allclose(MIXTURE.density(at), expected, rtol=1e-12)
    np.testing.assert_allclose(MIXTURE.cdf(at), below, rtol=1e-12)
    mean = quadrature(lambda x: x * MIXTURE.density(x))
    second = quadrature(lambda x: x * x * MIXTURE.density(x))
    # quad's own error is below 1e-9.
    assert MIXTURE.mean == pytest.approx(mean, abs=1e-8)
    assert MIXTURE.sd == pytest.approx(np.sqrt(second - mean**2), abs=1e-8)


def test_quantiles_invert_the_cdf_far_out_too():
    wanted = np.array([1e-6, 0.025, 0.5, 0.9, 1 - 1e-6])
    # A double at 7 has 16 digits; the density there is 1e-6 and more.
    np.testing.assert_allclose(MIXTURE.cdf(MIXTURE.quantile(wanted)), wanted, atol=1e-13)
    with pytest.raises(QueryError, match="between 0 and 1"):
        MIXTURE.quantile([0.5, 1.0])


def test_curvature_is_minus_the_second_difference_of_the_log_density():
    at, step = np.linspace(-4, 6, 41), 1e-4
    log = MIXTURE.log_density
    second = (log(at + step) - 2 * log(at) + log(at - step)) / step**2
    # Differences of 1e-16 x 20 over 1e-8, and the fourth derivative times 1e-8.
    np.testing.assert_allclose(MIXTURE.curvature(at), -second, atol=2e-6)
    assert MIXTURE.curvature(-0.3) < 0 < MIXTURE.curvature(0.5)  # a valley, a peak


def test_draws_follow_the_cdf():
    found = MIXTURE.draw(20_000, seed=3)
    # Kolmogorov's distance of so many draws exceeds 1.63 / sqrt(n) once in 100; the seed is fixed.
    assert stats.kstest(found, MIXTURE.cdf).statistic < 1.63 / np.sqrt(20_000)
    np.testing.assert_array_equal(found, MIXTURE.draw(20_000, seed=3))


def test_the_posterior_is_prior_times_likelihood():
    posterior = MIXTURE.posterior(1.4, 0.6)

    def joint(x):
        return MIXTURE.density(x) * stats.norm.pdf(1.4, x, 0.6)

    total = quadrature(joint)
    for at in (-1.0, 0.3, 1.2, 2.5):
        # quad's own error.
        assert posterior.density(at) == pytest.approx(joint(at) / total, rel=1e-8)
    with pytest.raises(QueryError, match="positive standard error"):
        MIXTURE.posterior(1.0, 0.0)


def test_a_component_that_the_datum_excludes_is_dropped():
    # exp(-5000) is no float.
    found = NormalMixture([0.5, 0.5], [0, 100], [1, 1]).posterior(0.0, 0.1)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        (([0.5, 0.4], [0, 1], [1, 1]), "add to 0.9: they must add to 1"),
        (([0.5, 0.5], [0, 1], [1, -1]), "sds .* each above 0"),
        (([1.5, -0.5], [0, 1], [1, 1]), "weights .* each above 0"),
        (([1.0], [0, 1], [1, 1]), "as many weights as means"),
        (([1.0], [np.inf], [1.0]), "finite"),
        (([], [], []), "one or more"),
    ],
)
def test_numbers_that_make_no_mixture_are_refused(parts, match):
    with pytest.raises(QueryError, match=match):
        NormalMixture(*parts)


def test_a_mixture_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        MIXTURE.means[0] = 3.0
    assert NormalMixture([1], [0], [1]) == NormalMixture([1], [0], [1])
    assert len({NormalMixture([1], [0], [1]), NormalMixture([1], [0], [1])}) == 1


def test_json_is_laid_out_as_rbest_reads_it_and_comes_back(tmp_path):
    path = tmp_path / "prior.json"
    MIXTURE.to_json(path, sigma=2**0.5)
    found = json.loads(path.read_text(encoding="utf-8"))
    # RBesT: mix <- comp; attributes(mix) <- meta. Checked in R with jsonlite on one, two and three
    # components; two dimnames of length 3 each would turn into a matrix, so they have names.
    assert found["meta"]["dim"] == [3, 3]
    assert found["meta"]["dimnames"]["parameter"] == ["w", "m", "s"]
    assert found["meta"]["class"] == ["normMix", "mix"]
    assert found["meta"]["likelihood"] == ["normal"]
    assert found["meta"]["sigma"] == [2**0.5]
    assert found["comp"] == [[0.3, 0.5, 0.2], [-1.0, 0.5, 3.0], [0.4, 1.2, 0.7]]
    assert found["r"] == "RBesT::mixnorm(c(0.3, -1, 0.4), c(0.5, 0.5, 1.2), c(0.2, 3, 0.7))"
    assert found["pymc"] == (
        'pm.NormalMixture("theta", w=[0.3, 0.5, 0.2], mu=[-1, 0.5, 3], sigma=[0.4, 1.2, 0.7])'
    )
    assert NormalMixture.from_json(path) == MIXTURE
    assert NormalMixture.from_json(MIXTURE.to_json()) == MIXTURE


def test_json_that_holds_no_mixture_says_so(tmp_path):
    with pytest.raises(QueryError, match=r"nowhere\.json: cannot be read"):
        NormalMixture.from_json(tmp_path / "nowhere.json")
    for text in ("{}", '{"comp": [[1], [0]]}', '{"comp": 3}', "{"):
        with pytest.raises(QueryError, match="no mixture of normals"):
            NormalMixture.from_json(text)
    with pytest.raises(QueryError, match=r"JSON: normal mixture: .* add to 2"):
        NormalMixture.from_json('{"comp": [[2], [0], [1]]}')
    with pytest.raises(BayesmaError, match="cannot be written"):
        MIXTURE.to_json(tmp_path / "nowhere" / "prior.json")


# -- effective sample size -----------------------------------------------------------------------

# RBesT 1.9-0, help page of ess: nmix; and the article on a normal endpoint (crohn): the MAP prior
# and the robust one, as printed there.
NMIX = NormalMixture([0.5, 0.5], [0, 3], [2, 4])
CROHN = NormalMixture(
    [0.50104846, 0.41871594, 0.08023561],
    [-51.42408665, -47.25917128, -55.07086416],
    [19.04525409, 7.85193726, 44.57325],
)
CROHN_ROBUST = NormalMixture(
    [0.40083877, 0.33497275, 0.06418848, 0.2],
    [-51.42408665, -47.25917128, -55.07086416, -50],
    [19.04525409, 7.85193726, 44.57325, 88],
)


def logistic(theta):
    """Fisher information of one Bernoulli trial about its log odds."""
    return 0.25 / np.cosh(theta / 2) ** 2


@pytest.mark.parametrize(
    ("mixture", "information", "method", "printed"),
    [
        # Their last digits: 7 are printed.
        (NMIX, 1 / 10**2, "elir", 10.82796),
        (NMIX, 1 / 10**2, "moment", 8.163265),
        (NMIX, 1 / 20**2, "elir", 43.31185),
        (
            NormalMixture([1], [np.log(5 / 15)], [np.sqrt(1 / 5 + 1 / 15)]),
            logistic,
            "elir",
            21.78289,
        ),
        (
            NormalMixture([0.2, 0.8], [0, np.log(10 / 2)], [2, np.sqrt(1 / 10 + 1 / 2)]),
            logistic,
            "elir",
            10.12276,
        ),
        (NormalMixture([1], [np.log(1 / 3)], [2 / np.sqrt(10)]), logistic, "elir", 15.17836),
    ],
)
def test_sample_sizes_are_those_that_rbest_prints(mixture, information, method, printed):
    # Half a unit of the last of 7 digits, for the numbers of 8.
    found = effective_sample_size(mixture, information, method)
    assert found == pytest.approx(printed, abs=6e-6)


def test_sample_sizes_of_the_crohn_example_are_the_printed_ones():
    assert round(effective_sample_size(CROHN, 1 / 88**2)) == 39
    assert round(effective_sample_size(CROHN, 1 / 88**2, "moment")) == 21
    assert round(effective_sample_size(CROHN_ROBUST, 1 / 88**2)) == 28


def test_one_normal_has_closed_forms():
    one = NormalMixture([1], [1.6], [1.0])
    # E[2 + theta^2/4] / s^2 = 2 + (1.6^2 + 1)/4; the design's 2.6 is the information at the mean.
    assert effective_sample_size(one) == pytest.approx(2.89, abs=1e-10)
    assert effective_sample_size(one, method="moment") == pytest.approx(2.64, abs=1e-10)
    known = NormalMixture([1], [-49], [88 / np.sqrt(20)])
    assert effective_sample_size(known, 1 / 88**2) == pytest.approx(20, abs=1e-9)


def test_elir_is_predictively_consistent():
    # Neuenschwander et al. 2020: the posterior's, averaged over data of N units, less N.
    units, sigma = 7, 1.3
    se = sigma / np.sqrt(units)
    ahead = NormalMixture(MIXTURE.weights, MIXTURE.means, np.sqrt(MIXTURE.sds**2 + se**2))

    def weighed(y):
        posterior = effective_sample_size(MIXTURE.posterior(y, se), sigma**-2)
        return float(ahead.density(y)) * (posterior - units)

    nodes, weights = np.polynomial.legendre.leggauss(160)
    found = 13 * sum(w * weighed(1 + 13 * x) for x, w in zip(nodes, weights, strict=True))
    # 160 points on a smooth integrand; beyond 12 SDs there is nothing.
    assert found == pytest.approx(effective_sample_size(MIXTURE, sigma**-2), rel=1e-6)
    # Moments are not, which is why they are not the default.
    assert effective_sample_size(MIXTURE, sigma**-2, "moment") < 0.6 * found


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"method": "morita"}, "method = 'morita'; .*known: elir, moment"),
        ({"information": -1.0}, "a positive number such as"),
        ({"information": "MD"}, "information = 'MD'"),
        ({"information": lambda theta: theta}, "positive number for each"),
        ({"information": lambda theta: 1.0}, "positive number for each"),
    ],
)
def test_sample_sizes_refuse_what_has_no_meaning(given, match):
    with pytest.raises(QueryError, match=match):
        effective_sample_size(MIXTURE, **given)


# -- fitting -------------------------------------------------------------------------------------


def test_em_finds_a_known_mixture_and_aic_its_number_of_components():
    truth = NormalMixture([0.7, 0.3], [3, 0], [0.5, 1])
    draws = truth.draw(10_000, seed=1)
    found = fitted_mixture(draws)
    assert min(found.aics, key=found.aics.get) == len(found.mixture) == 2
    assert list(found.aics) == [1, 2, 3, 4]
    # Six standard errors of 10,000 draws told apart: of a weight sqrt(.21/n), of a mean s/sqrt(wn),
    # of an SD s/sqrt(2wn). They overlap a little, hence six and not four.
    for name, errors in (("weights", 0.0046), ("means", [0.006, 0.018]), ("sds", [0.0042, 0.013])):
        gap = np.abs(getattr(found.mixture, name) - getattr(truth, name))
        assert (gap < 6 * np.array(errors)).all(), name
    # A maximum of the likelihood lies above the truth.
    assert found.log_likelihood > truth.log_density(draws).sum()
    assert found.log_likelihood == pytest.approx(found.mixture.log_density(draws).sum(), rel=1e-10)
    assert found.distance == pytest.approx(
        stats.kstest(draws, found.mixture.cdf).statistic, abs=1e-12
    )


def test_one_component_has_the_moments_of_the_draws():
    draws = 5 + 2 * MIXTURE.draw(500, seed=2)
    found = fitted_mixture(draws, components=1)
    # Sums in another order.
    assert found.mixture.means[0] == pytest.approx(draws.mean(), rel=1e-12)
    assert found.mixture.sds[0] == pytest.approx(draws.std(), rel=1e-12)
    assert found.aic == pytest.approx(
        -2 * stats.norm.logpdf(draws, *stats.norm.fit(draws)).sum() + 12
    )


def test_normal_draws_keep_to_one_component():
    found = fitted_mixture(np.random.default_rng(5).normal(1, 2, 4000))
    assert len(found.mixture) == 1


@pytest.mark.parametrize(
    ("draws", "components", "match"),
    [
        (np.r_[np.inf, np.arange(99.0)], None, "1 of 100 draws are not finite"),
        (np.repeat([0.0, 1.0], 50), None, "2 distinct draws are too few"),
        (np.arange(99.0), 0, "components = 0"),
    ],
)
def test_draws_that_make_no_mixture_are_refused(draws, components, match):
    with pytest.raises(QueryError, match=match):
        fitted_mixture(draws, components)


# -- the prior of a trial ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain():
    """True effects in one new trial ~ N(1.8, 1) after single, N(1.4, 1) after repeated."""
    fit = prior_fit(
        effect_sizes(EIGHT_ROWS, measure="SMD"),
        ModelSpec(peak="regimen + (1 | study)", decay="none"),
        draws=100,
    )
    given = Assumptions(
        discrepancy=bm.priors.normal(0, 0.8), between_trials=bm.priors.log_normal(np.log(0.6), 1e-9)
    )
    found = translate(
        fit, species="rat", regimen=["single", "repeated"], assumptions=given, draws=4000
    )
    standard = np.random.default_rng(8).standard_normal(found.trial.shape)
    return replace(found, trial=found.trial.copy(data=standard + np.array([1.8, 1.4])))


def test_the_prior_is_that_of_a_trial_with_a_unit_of_information_beside_it(plain):
    found = map_prior(plain, at={"regimen": "single"}, components=1)
    draws = plain.trial.sel(point=0).values.ravel()
    assert dict(found.at) == {"regimen": "single"}
    assert found.fit.mixture.means[0] == pytest.approx(draws.mean(), rel=1e-10)
    np.testing.assert_allclose(found.mixture.weights, [0.8, 0.2])
    assert found.mixture.means[1] == 0
    assert found.mixture.sds[1] == pytest.approx(np.sqrt(2), rel=1e-14)
    m, s = found.fit.mixture.means[0], found.fit.mixture.sds[0]
    # The closed form of one normal.
    assert found.ess_informative == pytest.approx((2 + (m**2 + s**2) / 4) / s**2, rel=1e-9)
    assert found.ess == pytest.approx(effective_sample_size(found.mixture), rel=1e-12)
    # delta + tau z ~ N(0, .8^2 + .6^2) without animals: (2 + 1/4) / 1.
    assert found.ess_assumed == pytest.approx(2.25, rel=1e-6)


def test_the_prior_says_plainly_what_it_is_worth(plain):
    found = map_prior(plain, at={"regimen": "repeated"}, components=1, robust=0.0)
    assert found.mixture == found.fit.mixture
    assert found.sentence == (
        f"the animals (and these assumptions) are worth {found.ess:.1f} patients per arm of a new "
        "trial after regimen repeated; a usual trial, planned for 80% power at an SMD of 0.5, has "
        "64 per arm."
    )
    assert found.sentence[1:] in str(found)
    assert "would be worth 2.2 patients per arm" in str(found)
    about = json.loads(found.to_json())["about"]
    assert about["at"] == {"regimen": "repeated"}
    assert about["ess_per_arm"] == found.ess


def test_the_point_must_be_one(plain):
    with pytest.raises(QueryError, match=r"2 of the 2 points; .*regimen = single; regimen = rep"):
        map_prior(plain)
    with pytest.raises(QueryError, match="none of the 2 points"):
        map_prior(plain, at={"regimen": "infusion"})
    with pytest.raises(QueryError, match="at: no 'route' here; known: regimen"):
        map_prior(plain, at={"route": "iv"})
    with pytest.raises(QueryError, match="robust = 1"):
        map_prior(plain, at={"regimen": "single"}, robust=1)


def test_other_measures_need_their_information_stated(plain):
    trial = plain.trial.copy()
    trial.attrs["measure"] = "MD"
    other = replace(plain, trial=trial, updated=True)
    with pytest.raises(QueryError, match=r"measure MD: say what one patient per arm tells"):
        map_prior(other, at={"regimen": "single"})
    found = map_prior(other, at={"regimen": "single"}, components=1, information=1 / (2 * 3.0**2))
    assert found.mixture.sds[1] == pytest.approx(np.sqrt(18), rel=1e-12)
    s = found.fit.mixture.sds[0]
    assert found.ess_informative == pytest.approx(18 / s**2, rel=1e-9)
    assert "usual trial" not in found.sentence
    assert any("do not count it again" in note for note in found.notes)


def test_rare_draws_far_out_do_not_widen_the_rest():
    """Towards delay 0 a few draws run off: the other 9995 stay the normal that they are."""
    rng = np.random.default_rng(1)
    core = rng.normal(0.5, 1, 9995)
    for far in (1e5, 1e8):
        found = fitted_mixture(np.append(core, far * rng.standard_normal(5)))
        assert found.mixture.means[0] == pytest.approx(core.mean(), abs=0.01)
        assert found.mixture.sds[0] == pytest.approx(core.std(), rel=0.01)
        # Kolmogorov's 1e-4 point is 2.2 / sqrt(n).
        assert found.distance < 2.2 / np.sqrt(10_000)
