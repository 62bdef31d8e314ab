import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from bayesma import priors
from bayesma.analysis import load_analysis
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.predictive import (
    group_effects,
    group_precisions,
    log_likelihoods,
    mean_at_rows,
    prior_draws,
    replicates,
)
from bayesma.spec import ModelSpec

ROWS = pd.DataFrame(
    {
        "study": ["A", "A", "A", "B", "B", "C"],
        "experiment": ["1", "1", "2", "1", "1", "1"],
        "y": [1.0, 2.0, 1.5, 0.5, 2.5, 1.0],
        "v": [0.2, 0.3, 0.4, 0.2, 0.5, 0.3],
        "regimen": ["single", "single", "repeated", "single", "repeated", "repeated"],
        "delay": [1.0, 2, 3, 1, 7, 14],
    }
)


def nested(**spec):
    effects = effect_sizes(ROWS, rho=0.5)
    return design(ModelSpec(peak="1 + (1 | study/experiment)", decay="none", **spec), effects)


def covariance(tau, tau_experiment, ratio=(1, 1, 1, 1, 1, 1)):
    """Dense covariance of the rows above."""
    dense = effect_sizes(ROWS, rho=0.5).V.copy()
    study = ROWS["study"].to_numpy()
    cluster = (ROWS["study"] + ROWS["experiment"]).to_numpy()
    shared = tau**2 * (study[:, None] == study) + tau_experiment**2 * (cluster[:, None] == cluster)
    return dense + shared * np.outer(ratio, ratio)


def test_prior_draws_have_one_column_per_term():
    spec = ModelSpec(
        peak="regimen + (1 | study/experiment)", decay="plateau", half_life="regimen", tau="regimen"
    )
    draws = prior_draws(design(spec, effect_sizes(ROWS)), 7, np.random.default_rng(1))
    assert {name: values.shape for name, values in draws.items()} == {
        "level": (7, 3),
        "log2_half_life": (7, 3),
        "logit_persistent": (7, 1),
        "log_tau_ratio": (7, 3),
        "tau": (7,),
        "tau_experiment": (7,),
    }
    # tau's formula is relative to its average: ratios of the levels multiply to 1.
    np.testing.assert_allclose(draws["log_tau_ratio"].sum(1), 0, atol=1e-14)  # one rounding
    assert (draws["log_tau_ratio"][:, 0] == 0).all()


def test_a_prior_of_one_s_own_is_drawn_from():
    own = {"peak": priors.student_t(30, 2, 0.1), "tau": priors.log_normal(0, 0.1)}
    draws = prior_draws(nested(priors=own), 500, np.random.default_rng(1))
    # A median's standard error: 1.25 sd / sqrt(500); four of them.
    slack = 4 * 1.25 * 0.1 / np.sqrt(500)
    assert np.median(draws["level"]) == pytest.approx(2, abs=slack)
    assert np.log(np.median(draws["tau"])) == pytest.approx(0, abs=slack)


def test_the_mean_of_a_pooled_row_is_that_of_its_weighted_members():
    analysis = load_analysis("ketamine_pain")
    plan = design(analysis.spec, analysis.effects())
    level, half_life = np.array([3.0, 1.0, -1.0]), np.array([0.0, 2.0, -2.0])
    found = mean_at_rows(plan, {"level": level, "log2_half_life": half_life})
    by_hand = []
    for i in range(4):
        mine = plan.pooling.row == i
        members = plan.frame[mine]
        sign = np.where(members["regimen"] == "repeated", 1.0, -1.0)
        clock = np.where(members["exposure"] == "on", 0.0, members["delay"])
        reference = [plan.references[(regimen,)] for regimen in members["regimen"]]
        mean = (3 + sign) * 2 ** -((clock - reference) / 2 ** (2 * sign))
        tau2 = plan.effects.frame["i2"][i] / 100 * len(members) * plan.effects.v[i]
        weight = 1 / (tau2 + 2 / 7 + mean**2 / 28)  # seven animals per arm
        by_hand.append((weight * mean).sum() / weight.sum())
    # Sums over at most 19 members.
    np.testing.assert_allclose(found, by_hand, rtol=1e-13)


def test_likelihoods_are_the_dense_normal_s():
    plan = nested()
    draws = {"level": np.array([[1.2]]), "tau": np.array([0.7]), "tau_experiment": np.array([0.4])}
    by_group, by_row = log_likelihoods(plan, draws)
    dense = covariance(0.7, 0.4)
    whole = stats.multivariate_normal(np.full(6, 1.2), dense).logpdf(ROWS["y"])
    assert by_group.shape == (1, 3)
    assert by_row.shape == (1, 6)
    # Condition numbers below 100.
    assert by_group.sum() == pytest.approx(whole, abs=1e-12)
    precision = np.linalg.inv(dense)
    gap = precision @ (ROWS["y"] - 1.2) / np.diag(precision)
    expected = stats.norm.logpdf(gap, scale=np.diag(precision) ** -0.5)
    np.testing.assert_allclose(by_row[0], expected, atol=1e-12)


def test_replicates_have_the_marginal_mean_and_covariance():
    size = 60_000
    plan = nested(tau="regimen")
    ratio = np.array([np.log(1.5), -np.log(1.5)])  # repeated, single
    draws = {
        "level": np.full((size, 1), 1.2),
        "tau": np.full(size, 0.7),
        "tau_experiment": np.full(size, 0.4),
        "log_tau_ratio": np.tile([0, *ratio], (size, 1)),
    }
    found = replicates(plan, draws, np.random.default_rng(2))
    by_row = np.where(ROWS["regimen"] == "repeated", 1.5, 1 / 1.5)
    expected = covariance(0.7, 0.4, by_row)
    variance = np.diag(expected)
    # Five standard errors of means and covariances over 60 000 draws.
    np.testing.assert_array_less(np.abs(found.mean(0) - 1.2), 5 * np.sqrt(variance / size))
    blur = np.sqrt((np.outer(variance, variance) + expected**2) / size)
    np.testing.assert_array_less(np.abs(np.cov(found.T) - expected), 5 * blur)


def covariance_by_mean(mean, tau, kappa):
    """Dense covariance of the rows above where heterogeneity goes with the mean."""
    outer, inner = (np.sqrt(t**2 + (k * mean) ** 2) for t, k in zip(tau, kappa, strict=True))
    study = ROWS["study"].to_numpy()
    cluster = (ROWS["study"] + ROWS["experiment"]).to_numpy()
    shared = np.outer(outer, outer) * (study[:, None] == study)
    return (
        effect_sizes(ROWS, rho=0.5).V
        + shared
        + np.outer(inner, inner) * (cluster[:, None] == cluster)
    )


def proportional(size):
    plan = design(
        ModelSpec(peak="regimen + (1 | study/experiment)", decay="none",
                  heterogeneity="proportional"),
        effect_sizes(ROWS, rho=0.5),
    )  # fmt: skip
    numbers = {"tau": 0.5, "tau_experiment": 0.2, "kappa": 0.6, "kappa_experiment": 0.3}
    draws = {name: np.full(size, value) for name, value in numbers.items()}
    draws["level"] = np.tile([1.5, 0.5, -0.5], (size, 1))  # average, repeated, single
    mean = np.where(ROWS["regimen"] == "repeated", 2.0, 1.0)
    return plan, draws, mean, covariance_by_mean(mean, (0.5, 0.2), (0.6, 0.3))


def test_proportional_heterogeneity_is_the_dense_normal_s():
    plan, draws, mean, dense = proportional(1)
    by_group, by_row = log_likelihoods(plan, draws)
    whole = stats.multivariate_normal(mean, dense).logpdf(ROWS["y"])
    assert by_group.sum() == pytest.approx(whole, abs=1e-12)  # condition number below 100
    precision = np.linalg.inv(dense)
    gap = precision @ (ROWS["y"] - mean) / np.diag(precision)
    expected = stats.norm.logpdf(gap, scale=np.diag(precision) ** -0.5)
    np.testing.assert_allclose(by_row[0], expected, atol=1e-12)


def test_replicates_spread_with_their_mean():
    size = 60_000
    plan, draws, mean, expected = proportional(size)
    found = replicates(plan, draws, np.random.default_rng(2))
    variance = np.diag(expected)
    # Five standard errors of means and covariances.
    np.testing.assert_array_less(np.abs(found.mean(0) - mean), 5 * np.sqrt(variance / size))
    blur = np.sqrt((np.outer(variance, variance) + expected**2) / size)
    np.testing.assert_array_less(np.abs(np.cov(found.T) - expected), 5 * blur)


def test_effects_that_go_with_the_mean_have_the_moments_of_the_dense_conditional():
    size = 40_000
    plan, draws, mean, dense = proportional(size)
    inner, outer = group_effects(plan, draws, np.random.default_rng(4))
    study = np.equal.outer(ROWS["study"].to_numpy(), np.array(list("ABC"))).astype(float)
    cluster = (ROWS["study"] + ROWS["experiment"]).to_numpy()
    cells = np.equal.outer(cluster, np.array(["A1", "A2", "B1", "C1"])).astype(float)
    for effects, groups, (tau, kappa) in (
        (outer, study, (0.5, 0.6)),
        (inner, cells, (0.2, 0.3)),
    ):
        spread = np.sqrt(tau**2 + (kappa * mean) ** 2)
        loading = groups * spread[:, None]
        # Standard effects given y, at the average loading of each group's rows.
        average = loading.sum(0) / groups.sum(0)
        weights = loading.T @ np.linalg.inv(dense)
        expected = average * (weights @ (ROWS["y"] - mean))
        covariance = np.eye(groups.shape[1]) - weights @ loading
        sd = average * np.sqrt(np.diag(covariance))
        # Five standard errors of a mean, and of an SD.
        np.testing.assert_array_less(np.abs(effects.mean(0) - expected), 5 * sd / np.sqrt(size))
        np.testing.assert_allclose(effects.std(0), sd, rtol=5 / np.sqrt(2 * size))


@pytest.mark.parametrize("options", [{}, {"heterogeneity": "proportional"}])
def test_no_effect_enters_a_pooled_row(options):
    members = pd.DataFrame({"row_id": ["a", "b"], "study": ["A", "B"]})
    rows = pd.DataFrame(
        {
            "row_id": ["P", "x", "z"],
            "study": ["P", "X", "Y"],
            "y": [1.0, 2.0, 0.5],
            "se": [0.3, 0.5, 0.6],
            "members": ["a;b", None, None],
        }
    )
    spec = ModelSpec(peak="1 + (1 | study)", decay="none", **options)
    plan = design(spec, effect_sizes(rows, members=members))
    draws = {"level": np.ones((9, 1)), "tau": np.ones(9), "kappa": np.ones(9)}
    (effects,) = group_effects(plan, draws, np.random.default_rng(1))
    assert (effects[:, 0] == 0).all()
    assert (effects[:, 1:] != 0).all()


def student(size, nu=4.0):
    plan = nested(population="student")
    draws = {"tau": np.full(size, 0.7), "tau_experiment": np.full(size, 0.4)}
    return plan, draws | {"level": np.full((size, 1), 1.2), "nu": np.full(size, nu)}


def student_density(rows, nu=4.0):
    """log p(y of rows) of one study with a Student-t effect u, by quadrature over u."""
    index = np.flatnonzero(rows)
    inverse = np.linalg.inv(covariance(0, 0.4)[np.ix_(index, index)])
    r = ROWS["y"].to_numpy()[index] - 1.2
    u = np.linspace(-60, 60, 200_001)
    a, b, q = inverse.sum(), (inverse @ r).sum(), r @ inverse @ r
    rows_given = -0.5 * (q - 2 * u * b + u**2 * a)
    constant = 0.5 * np.linalg.slogdet(inverse)[1] - len(index) / 2 * np.log(2 * np.pi)
    density = rows_given + stats.t.logpdf(u / 0.7, nu) - np.log(0.7)
    return constant + special.logsumexp(density) + np.log(u[1] - u[0])


def test_a_student_population_is_a_mixture_of_normals():
    plan, draws = student(1)
    by_group, by_row = log_likelihoods(plan, draws)
    study = ROWS["study"].to_numpy()
    for group, name in enumerate("ABC"):
        # The tail of t_4 beyond 60 and the nodes of log w: below 1e-6.
        assert by_group[0, group] == pytest.approx(student_density(study == name), abs=3e-6)
    # p(y_i | rest) = p(y) / p(rest).
    without = (study == "A") & (np.arange(6) != 1)
    expected = student_density(study == "A") - student_density(without)
    assert by_row[0, 1] == pytest.approx(expected, abs=6e-6)


def test_replicates_of_a_student_population_have_its_variance():
    size, nu = 100_000, 12.0
    plan, draws = student(size, nu)
    found = replicates(plan, draws, np.random.default_rng(5))
    # Variance tau^2 nu / (nu - 2) + tau_experiment^2 + v; excess kurtosis at most 6 / (nu - 4).
    expected = 0.49 * nu / (nu - 2) + 0.16 + ROWS["v"]
    np.testing.assert_allclose(found.var(0), expected, rtol=5 * np.sqrt((2 + 0.75) / size))


def test_a_study_far_out_is_discounted():
    frame = ROWS.assign(y=[1.0, 2.0, 1.5, 0.5, 2.5, 15.0])
    spec = ModelSpec(peak="1 + (1 | study)", decay="none", population="student")
    plan = design(spec, effect_sizes(frame))
    size = 20_000
    draws = {"level": np.full((size, 1), 1.2), "tau": np.full(size, 0.7), "nu": np.full(size, 4.0)}
    weight = group_precisions(plan, {name: array[:1] for name, array in draws.items()})[0]
    # Given its effect u, w ~ Gamma((nu + 1)/2, rate (nu + u^2/tau^2)/2): with u near 13.8 - it is
    # hardly shrunk - E w is 5 / (4 + 389).
    assert weight[2] == pytest.approx(5 / (4 + (13.8 / 0.7) ** 2), rel=0.1)  # u is shrunk by 3%
    assert weight[:2].min() > 1
    # Draws of the effects: the far study keeps what a normal population would shrink by half.
    far = group_effects(plan, draws, np.random.default_rng(1))[-1][:, 2]
    grid = np.linspace(5, 20, 30_001)
    density = stats.norm.pdf(13.8, grid, np.sqrt(0.3)) * stats.t.pdf(grid / 0.7, 4)
    mean = (grid * density).sum() / density.sum()
    sd = np.sqrt(((grid - mean) ** 2 * density).sum() / density.sum())
    # Five standard errors, and the step of log w: half of it moves the shrinkage by under 1%.
    assert far.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(size) + 0.005)
    assert far.std() == pytest.approx(sd, rel=0.03)


def test_unknown_delays_and_sizes_enter_the_mean_draw_by_draw():
    frame = ROWS.assign(
        delay=[1.0, np.nan, 3, 1, np.nan, 14],
        n_treated=[4, 4, 4, 9, 9, 25],
        n_control=[4, 4, 4, 9, 9, 25],
    )
    spec = ModelSpec(
        peak="1 + (1 | study)",
        missing_delay="latent",
        small_study="1/sqrt(n)",
        priors={"delay": priors.log_normal(0, 1)},
    )
    plan = design(spec, effect_sizes(frame))
    assert plan.latent.labels == ("A", "B")
    draws = {
        "level": np.array([[2.0], [3.0]]),
        "log2_half_life": np.array([[0.0], [1.0]]),
        "latent_delay": np.array([[2.0, 4.0], [1.0, 5.0]]),
        "small_study": np.array([0.0, 0.3]),
    }
    clock = np.array([[1, 2.0, 3, 1, 4.0, 14], [1, 1.0, 3, 1, 5.0, 14]])
    x = 1 / np.sqrt([8, 8, 8, 18, 18, 50])
    z = (x - x.mean()) / x.std()
    expected = [2 * 2.0 ** -(clock[0] - 1), 3 * 2.0 ** (-(clock[1] - 1) / 2) + 0.3 * z]
    np.testing.assert_allclose(mean_at_rows(plan, draws), expected, rtol=1e-13)


def test_replicates_of_pooled_rows_spread_by_their_standard_error():
    analysis = load_analysis("ketamine_pain")
    plan = design(analysis.spec, analysis.effects())
    size = 40_000
    draws = {"level": np.full((size, 3), 1.0), "log2_half_life": np.zeros((size, 3))}
    found = replicates(plan, draws, np.random.default_rng(2))
    # Four standard errors of an SD.
    np.testing.assert_allclose(found.std(0), np.sqrt(plan.effects.v), rtol=4 / np.sqrt(2 * size))


def test_group_effects_come_innermost_first_by_chain_and_draw():
    plan = nested()
    draws = {name: np.ones((2, 5)) for name in ("tau", "tau_experiment")}
    draws["level"] = np.ones((2, 5, 1))
    effects = group_effects(plan, draws, np.random.default_rng(1))
    assert [e.shape for e in effects] == [(2, 5, 4), (2, 5, 3)]


def test_the_same_generator_gives_the_same_draws():
    plan = nested()
    first = prior_draws(plan, 5, np.random.default_rng(3))
    again = prior_draws(plan, 5, np.random.default_rng(3))
    np.testing.assert_array_equal(
        replicates(plan, first, np.random.default_rng(4)),
        replicates(plan, again, np.random.default_rng(4)),
    )


@pytest.mark.parametrize("decay", ["exponential", "weibull"])
def test_an_effect_that_no_float_holds_is_infinite_without_a_warning(decay):
    # Stated at 2 d with a half-life of 2^-30 d: at 1 d it was 2^(2^30) times as large.
    rows = ROWS.assign(delay=[1.0, 2, 3, 3, 7, 14])
    plan = design(ModelSpec(decay=decay), effect_sizes(rows))
    draws = {name: np.zeros((1, 1)) for name in ("level", "log_shape")}
    draws |= {"level": np.ones((1, 1)), "log2_half_life": np.full((1, 1), -30.0)}
    reference = plan.references[()]
    delay = rows["delay"].to_numpy()
    expected = np.where(delay < reference, np.inf, np.where(delay > reference, 0.0, 1.0))
    assert set(expected) == {0.0, 1.0, np.inf}
    assert mean_at_rows(plan, draws)[0].tolist() == expected.tolist()
