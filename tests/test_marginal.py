import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import oracle
from scipy import stats

from bayesma import marginal, priors
from bayesma.analysis import load_analysis
from bayesma.bayes.model import build_design
from bayesma.covariance import Blocks, compound_symmetry
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import SpecError
from bayesma.grouping import Groups
from bayesma.maths import NumPyMaths
from bayesma.predictive import log_likelihoods
from bayesma.simulation import Truth, layout, simulate_table
from bayesma.spec import ModelSpec

MATHS = NumPyMaths()
QUICK = "FAST_COMPILE"  # compiles in a second


class Case:
    """Random rows in random nested groups, and their dense covariance."""

    def __init__(self, seed, depth=2, rho=0.5):
        rng = np.random.default_rng(seed)
        parent = np.repeat(np.arange(4), rng.integers(1, 4, size=4))
        inner = rng.permutation(np.repeat(np.arange(len(parent)), rng.integers(1, 4, len(parent))))
        studies = tuple(f"S{i}" for i in range(4))
        experiments = tuple(f"S{p}/E{i}" for i, p in enumerate(parent))
        self.n, self.outer = len(inner), parent[inner]
        self.groups = (
            Groups(("study", "experiment"), (studies, experiments), (parent,), inner)
            if depth == 2
            else Groups(("study",), (studies,), (), self.outer)
        )
        self.residual = rng.normal(size=self.n)
        # Varying heterogeneity, and pooled rows, into which no group effect enters.
        self.scale = rng.uniform(0.3, 2, self.n) * (rng.uniform(size=self.n) > 0.2)
        self.scale[0] = 0
        self.taus = [0.7, 1.3][:depth]  # innermost first
        v = rng.uniform(0.1, 1.5, self.n)
        self.V = compound_symmetry(v, [str(i) for i in inner], rho)
        members = [inner, self.outer] if depth == 2 else [self.outer]
        self.loadings = [
            self.scale[:, None] * (index[:, None] == np.arange(index.max() + 1))
            for index in members
        ]
        self.dense = self.V.dense() + sum(
            tau**2 * z @ z.T for tau, z in zip(self.taus, self.loadings, strict=True)
        )

    def levels(self):
        taus = [np.array([tau]) for tau in self.taus]
        whitening = self.V.whitening()
        return marginal.levels(self.residual, [self.scale], taus, whitening, self.groups, MATHS)


def rows_of(residual, scales, found, whitening, groups):
    """The likelihood of each row given the others of its group."""
    (rows,) = marginal.row_log_likelihoods(
        residual, scales, found, found[-1:], whitening, groups, MATHS
    )
    return rows


CASES = [
    pytest.param(seed, depth, rho, id=f"seed{seed}-{depth}levels-rho{rho}")
    for seed, depth, rho in itertools.product(range(4), (1, 2), (0.0, 0.5))
]


@pytest.mark.parametrize(("seed", "depth", "rho"), CASES)
def test_the_group_likelihood_is_the_dense_multivariate_normal(seed, depth, rho):
    case = Case(seed, depth, rho)
    found = marginal.group_log_likelihood(case.levels(), np.bincount(case.outer), MATHS)
    for group, value in enumerate(found):
        rows = case.outer == group
        dense = stats.multivariate_normal(cov=case.dense[np.ix_(rows, rows)])
        # Log densities of order 10 over at most 9 rows; condition numbers below 1e3.
        assert value == pytest.approx(dense.logpdf(case.residual[rows]), abs=1e-10)


@pytest.mark.parametrize(("seed", "depth", "rho"), CASES)
def test_the_row_likelihood_is_the_dense_conditional(seed, depth, rho):
    case = Case(seed, depth, rho)
    found = rows_of(case.residual, [case.scale], case.levels(), case.V.whitening(), case.groups)
    for i in range(case.n):
        rest = np.arange(case.n) != i
        across = np.linalg.solve(case.dense[np.ix_(rest, rest)], case.dense[rest, i])
        mean = across @ case.residual[rest]
        variance = case.dense[i, i] - across @ case.dense[rest, i]
        expected = stats.norm.logpdf(case.residual[i], mean, np.sqrt(variance))
        assert found[i] == pytest.approx(expected, abs=1e-10)  # as above


@pytest.mark.parametrize("depth", [1, 2])
def test_draws_of_the_effects_have_the_moments_of_the_dense_conditional(depth):
    case, draws = Case(7, depth), 40_000
    whitening = case.V.whitening()
    residual = np.broadcast_to(case.residual, (draws, case.n))
    scale = np.broadcast_to(case.scale, (draws, case.n))
    taus = [np.full((draws, 1), tau) for tau in case.taus]
    found = marginal.levels(residual, [scale], taus, whitening, case.groups, MATHS)
    effects = marginal.conditional_draws(found, taus, case.groups, np.random.default_rng(3))
    assert [e.shape[1] for e in effects] == [z.shape[1] for z in case.loadings]

    sample, z = np.hstack(effects), np.hstack(case.loadings)
    prior = np.concatenate(
        [np.full(b.shape[1], tau**-2) for b, tau in zip(case.loadings, case.taus, strict=True)]
    )
    inverse = np.linalg.inv(case.V.dense())
    covariance = np.linalg.inv(z.T @ inverse @ z + np.diag(prior))
    mean = covariance @ z.T @ inverse @ case.residual
    variance = np.diag(covariance)
    # Five standard errors: of a mean sqrt(c_ii / N), of a covariance
    # sqrt((c_ii c_jj + c_ij^2) / N). Some 100 comparisons: one in 10^4 runs would fail by chance,
    # and the seed is fixed.
    np.testing.assert_array_less(np.abs(sample.mean(0) - mean), 5 * np.sqrt(variance / draws))
    blur = np.sqrt((np.outer(variance, variance) + covariance**2) / draws)
    np.testing.assert_array_less(np.abs(np.cov(sample.T) - covariance), 5 * blur)


def test_many_draws_at_once_are_the_same_as_one_by_one():
    case = Case(2)
    taus = [np.array([[0.7], [0.1]]), np.array([[1.3], [0.0]])]
    residual = np.stack([case.residual, 2 * case.residual])
    scale, whitening = np.stack([case.scale] * 2), case.V.whitening()
    together = marginal.levels(residual, [scale], taus, whitening, case.groups, MATHS)
    counts = np.bincount(case.outer)
    found = marginal.group_log_likelihood(together, counts, MATHS)
    rows = rows_of(residual, [scale], together, whitening, case.groups)
    for k in range(2):
        alone = marginal.levels(
            residual[k], [scale[k]], [tau[k] for tau in taus], whitening, case.groups, MATHS
        )
        # The same sums in the same order.
        np.testing.assert_array_equal(found[k], marginal.group_log_likelihood(alone, counts, MATHS))
        np.testing.assert_array_equal(
            rows[k],
            rows_of(residual[k], [scale[k]], alone, whitening, case.groups),
        )


# -- REML ------------------------------------------------------------------------------------------


def fixed_rows(groups):
    """The rows of the oracle as effects, their design and the model matrix."""
    section = oracle("fixed_variances")
    frame = pd.DataFrame({name: section[name] for name in ("study", "experiment", "y", "v")})
    frame["x"] = section["X"]["moderator"]
    rho = section["rho"] if len(groups) == 2 else 0.0
    effects = effect_sizes(frame, rho=rho)
    plan = design(ModelSpec(peak=f"x + (1 | {'/'.join(groups)})", decay="none"), effects)
    return section, effects, plan, np.column_stack(list(section["X"].values()))


def integrated(plan, X, taus):
    """Log density with beta integrated out under a flat prior; its mode and standard errors.

    The group log-likelihood is a quadratic in beta, l = c + g'b - b'Hb/2, so its values at
    0, +-e_i and e_i + e_j give c, g and H exactly.
    """
    effects, p = plan.effects, X.shape[1]
    whitening = effects.covariance.whitening()
    counts = np.bincount(plan.groups.outermost)

    def log_likelihood(beta):
        found = marginal.levels(
            effects.y - X @ beta, [np.ones(len(effects))], taus, whitening, plan.groups, MATHS
        )
        return marginal.group_log_likelihood(found, counts, MATHS).sum()

    unit = np.eye(p)
    c = log_likelihood(np.zeros(p))
    g = np.array([log_likelihood(e) - log_likelihood(-e) for e in unit]) / 2
    one = np.array([log_likelihood(e) - c for e in unit])
    H = np.array([[one[i] + one[j] - (log_likelihood(unit[i] + unit[j]) - c) for j in range(p)]
                  for i in range(p)])  # fmt: skip
    covariance = np.linalg.inv(H)
    beta = covariance @ g
    value = log_likelihood(beta) + p / 2 * marginal.LOG_2PI - np.linalg.slogdet(H)[1] / 2
    return value, beta, np.sqrt(np.diag(covariance))


@pytest.mark.parametrize("kind", ["rma", "rma_mv"])
def test_beta_integrated_out_is_metafor_s_restricted_likelihood(kind):
    groups = ("study", "experiment") if kind == "rma_mv" else ("row_id",)
    section, effects, plan, X = fixed_rows(groups)
    if kind == "rma_mv":
        np.testing.assert_allclose(effects.V, section["V"], rtol=1e-12)  # 15 digits on file
    gaps = []
    for point in section[kind]["grid"]:
        variances = (
            [point["sigma2_experiment"], point["sigma2_study"]]
            if kind == "rma_mv"
            else [point["tau2"]]
        )
        taus = [np.sqrt([variance]) for variance in variances]
        value, beta, se = integrated(plan, X, taus)
        gaps.append(value - point["log_likelihood"])
        # GLS by two routes: linear algebra of condition number below 1e3, 15 digits on file.
        np.testing.assert_allclose(beta, point["beta"], rtol=1e-9)
        np.testing.assert_allclose(se, point["se"], rtol=1e-9)
    # Constant over the grid; and the constant is known: metafor adds log|X'X| / 2. Log densities
    # of order 100 on 15 digits.
    assert np.ptp(gaps) < 1e-8
    assert gaps[0] == pytest.approx(-np.linalg.slogdet(X.T @ X)[1] / 2, abs=1e-8)


# -- the PyMC model --------------------------------------------------------------------------------

ROWS = layout(6, 3, {"single": (0.0, 1.0, 3.0), "repeated": (0.0, 7.0, 28.0)})
TRUTH = Truth({"single": 1.5, "repeated": 2.5}, {"single": 1.0, "repeated": 7.0})
WIDE = {"peak": priors.student_t(4, 0, 5), "tau": priors.half_cauchy(1)}
SPECS = {
    "one level": ModelSpec(peak="regimen + (1 | study)", half_life="regimen"),
    "two levels": ModelSpec(peak="1 + (1 | study/experiment)", decay="plateau"),
    "no level": ModelSpec(peak="0 + regimen", decay="none"),
    "varying tau": ModelSpec(peak="regimen + (1 | study)", tau="regimen", decay="none"),
    "other priors": ModelSpec(peak="regimen + (1 | study)", decay="none", priors=WIDE),
}


@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("name", SPECS)
def test_the_model_s_log_density_is_numpy_s_prior_plus_likelihood(name, rho):
    # Two rows per experiment, so that a sampling correlation has something to link.
    rows = pd.concat([ROWS, ROWS.assign(row_id=ROWS["row_id"] + "b")], ignore_index=True)
    table = simulate_table(TRUTH, rows, seed=4)
    groups = SPECS[name].groups
    effects = effect_sizes(table, rho=rho, within="experiment") if groups else effect_sizes(table)
    plan = design(SPECS[name], effects)
    model = build_design(plan)
    names = [v.name for v in model.deterministics] + list(plan.tau_names)
    nodes = model.replace_rvs_by_values([model[n] for n in names])
    evaluate = model.compile_fn(
        nodes, inputs=model.value_vars, mode=QUICK, on_unused_input="ignore"
    )
    # Without the change of variables: the density of tau itself.
    whole = model.compile_logp(jacobian=False, mode=QUICK)
    rng, gaps = np.random.default_rng(5), []
    for _ in range(3):
        point = {k: rng.normal(size=np.shape(v)) for k, v in model.initial_point().items()}
        draws = dict(zip(names, evaluate(point), strict=True))
        by_group, _ = log_likelihoods(plan, draws)
        expected = by_group.sum()
        for key, value in point.items():
            if key.endswith("_z"):
                expected += stats.norm.logpdf(value).sum()
            if key.endswith("_average"):
                expected += plan.spec.priors["peak"].log_density(value).sum()
        for tau in plan.tau_names:
            expected += plan.spec.priors["tau"].log_density(draws[tau])
        gaps.append(float(whole(point)) - expected)
    # PyMC keeps constants such as log sqrt(2 / pi) in single precision: up to 1e-8 per prior, and
    # a Student's varies by 3e-10. The rest are roundings of log densities of order 1e3.
    assert np.ptp(gaps) < 1e-9
    assert abs(gaps[0]) < 3e-8


def test_left_out_groups_do_not_count():
    plan = design(SPECS["one level"], effect_sizes(simulate_table(TRUTH, ROWS, seed=4)))
    model = build_design(plan)
    point = model.initial_point()
    log_density = model.compile_logp(vars=[model["y"]], sum=False, mode=QUICK)
    (every,) = log_density(point)
    include = np.ones(6)
    include[2] = 0
    model.set_data("include", include)
    (some,) = log_density(point)
    draws = {"level": np.zeros(3), "log2_half_life": np.zeros(3), "tau": np.exp(point["tau_log__"])}
    by_group, _ = log_likelihoods(plan, draws)
    # Sums of order 100 in another order.
    assert every - some == pytest.approx(by_group[2], abs=1e-10)


# -- pooled rows -----------------------------------------------------------------------------------


def test_group_effects_never_enter_a_pooled_row():
    members = pd.DataFrame({"row_id": ["a", "b", "c"], "study": ["A", "B", "C"]})
    rows = pd.DataFrame(
        {
            "row_id": ["P", "x", "y", "z"],
            "study": ["P", "X", "X", "Y"],
            "y": [1.0, 2.0, 2.5, 0.5],
            "se": [0.3, 0.5, 0.4, 0.6],
            "members": ["a;b;c", None, None, None],
        }
    )
    effects = effect_sizes(rows, members=members)
    plan = design(ModelSpec(peak="1 + (1 | study)", decay="none"), effects)
    assert plan.pooled.tolist() == [True, False, False, False]
    for tau in (0.0, 1.0, 100.0):
        draws = {"level": np.array([1.2]), "tau": np.array(tau)}
        by_group, by_row = log_likelihoods(plan, draws)
        alone = stats.norm.logpdf(1.0, 1.2, 0.3)
        # One normal density by two routes.
        assert by_group[0] == pytest.approx(alone, abs=1e-13)
        assert by_row[0] == pytest.approx(alone, abs=1e-13)
        both = np.diag([0.25, 0.16]) + tau**2
        expected = stats.multivariate_normal([1.2, 1.2], both).logpdf([2.0, 2.5])
        # tau^2 = 1e4 beside 0.16: condition number 1e5.
        assert by_group[1] == pytest.approx(expected, abs=1e-10)


def test_without_group_effects_every_row_stands_alone():
    plan = design(load_analysis("ketamine_pain").spec, load_analysis("ketamine_pain").effects())
    assert plan.tau_names == ()
    draws = {"level": np.array([2.0, -1.0, 1.0]), "log2_half_life": np.zeros(3)}
    by_group, by_row = log_likelihoods(plan, draws)
    # One normal density by two routes.
    np.testing.assert_allclose(by_group, by_row, rtol=1e-13)


def test_a_covariance_that_links_groups_is_refused():
    effects = effect_sizes(simulate_table(TRUTH, ROWS, seed=4))
    across = Blocks(effects.v, ((np.array([0, 3]), np.diag(effects.v[[0, 3]]) + 0.01),))
    with pytest.raises(SpecError, match="links rows of different groups; correlate within study"):
        design(SPECS["one level"], replace(effects, covariance=across))
