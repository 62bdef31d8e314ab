import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import oracle
from scipy import stats

from bayesma import marginal, priors
from bayesma.analysis import load_analysis
from bayesma.bayes.masks import without_row
from bayesma.bayes.model import build_design
from bayesma.covariance import Blocks, compound_symmetry
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import SpecError
from bayesma.grouping import Groups
from bayesma.maths import NumPyMaths
from bayesma.noncentral.rows import latent_df, variance_ratios
from bayesma.predictive import (
    given_ratios,
    group_log_likelihoods,
    log_likelihoods,
    mean_at_rows,
)
from bayesma.simulation import Truth, layout, simulate_table
from bayesma.spec import ModelSpec

MATHS = NumPyMaths()
QUICK = "FAST_COMPILE"  # compiles in a second


class Case:
    """Random rows in random nested groups, and their dense covariance."""

    def __init__(self, seed, depth=2, rho=0.5, shared=True):
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
        # One loading for all levels, or one for each.
        self.scales = [self.scale]
        if not shared:
            self.scales = [self.scale * rng.uniform(0.3, 2, self.n) for _ in range(depth)]
        v = rng.uniform(0.1, 1.5, self.n)
        self.V = compound_symmetry(v, [str(i) for i in inner], rho)
        members = [inner, self.outer] if depth == 2 else [self.outer]
        by_level = self.scales if len(self.scales) == depth else self.scales * depth
        self.loadings = [
            scale[:, None] * (index[:, None] == np.arange(index.max() + 1))
            for index, scale in zip(members, by_level, strict=True)
        ]
        self.dense = self.V.dense() + sum(
            tau**2 * z @ z.T for tau, z in zip(self.taus, self.loadings, strict=True)
        )

    def levels(self):
        taus = [np.array([tau]) for tau in self.taus]
        whitening = self.V.whitening()
        return marginal.levels(self.residual, self.scales, taus, whitening, self.groups, MATHS)


def rows_of(residual, scales, found, whitening, groups):
    """The likelihood of each row given the others of its group."""
    (rows,) = marginal.row_log_likelihoods(
        residual, scales, found, found[-1:], whitening, groups, MATHS
    )
    return rows


CASES = [
    pytest.param(seed, depth, rho, shared, id=f"seed{seed}-{depth}levels-rho{rho}-{shared}")
    for seed, depth, rho, shared in itertools.product(range(4), (1, 2), (0.0, 0.5), (True, False))
]


@pytest.mark.parametrize(("seed", "depth", "rho", "shared"), CASES)
def test_the_group_likelihood_is_the_dense_multivariate_normal(seed, depth, rho, shared):
    case = Case(seed, depth, rho, shared)
    found = marginal.group_log_likelihood(case.levels(), np.bincount(case.outer), MATHS)
    for group, value in enumerate(found):
        rows = case.outer == group
        dense = stats.multivariate_normal(cov=case.dense[np.ix_(rows, rows)])
        # Log densities of order 10 over at most 9 rows; condition numbers below 1e3.
        assert value == pytest.approx(dense.logpdf(case.residual[rows]), abs=1e-10)


@pytest.mark.parametrize(("seed", "depth", "rho", "shared"), CASES)
def test_the_row_likelihood_is_the_dense_conditional(seed, depth, rho, shared):
    case = Case(seed, depth, rho, shared)
    found = rows_of(case.residual, case.scales, case.levels(), case.V.whitening(), case.groups)
    for i in range(case.n):
        rest = np.arange(case.n) != i
        across = np.linalg.solve(case.dense[np.ix_(rest, rest)], case.dense[rest, i])
        mean = across @ case.residual[rest]
        variance = case.dense[i, i] - across @ case.dense[rest, i]
        expected = stats.norm.logpdf(case.residual[i], mean, np.sqrt(variance))
        assert found[i] == pytest.approx(expected, abs=1e-10)  # as above


@pytest.mark.parametrize(("depth", "shared"), [(1, True), (2, True), (2, False)])
def test_draws_of_the_effects_have_the_moments_of_the_dense_conditional(depth, shared):
    case, draws = Case(7, depth, shared=shared), 40_000
    whitening = case.V.whitening()
    residual = np.broadcast_to(case.residual, (draws, case.n))
    scales = [np.broadcast_to(scale, (draws, case.n)) for scale in case.scales]
    taus = [np.full((draws, 1), tau) for tau in case.taus]
    found = marginal.levels(residual, scales, taus, whitening, case.groups, MATHS)
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


# -- Student-t -------------------------------------------------------------------------------------


def group_of(a, b, q, log_det, tau):
    """One group with the given inner products."""
    as_row = {name: np.array([x]) for name, x in (("a", a), ("b", b), ("q", q), ("l", log_det))}
    return marginal.Level(
        {(0, 0): as_row["a"]}, {0: as_row["b"]}, as_row["q"], as_row["l"], np.array([tau**2]), 0
    )


# Errors of the trapezoidal rule as measured: tails that are cut at small nu, steps that are wide
# against the density where 300 degrees of freedom meet an effect hundreds of tau away.
@pytest.mark.parametrize(("nu", "within"), [(0.3, 1e-4), (1.5, 2e-5), (10, 1e-5), (300, 5e-3)])
@pytest.mark.parametrize("tau", [0.05, 0.3, 1.2])
@pytest.mark.parametrize("far", [0.1, 2.0, 25.0])
def test_a_student_effect_is_that_of_quadrature(nu, within, tau, far):
    v = np.array([0.1, 0.15])
    r = np.array([far, far + 0.3])
    found = group_of((1 / v).sum(), (r / v).sum(), (r**2 / v).sum(), np.log(v).sum(), tau)
    value = marginal.student_log_likelihood([found], np.array([2]), np.array([nu]), MATHS)
    # Over the effect itself: finely where the rows put it, and where the population does.
    fine = np.linspace(-1.5, 1.5, 20_001)
    grid = np.unique(np.concatenate([fine * tau * 20, far + 0.15 + fine * 2, fine * 40]))
    rows = stats.norm.logpdf(r[:, None], grid, np.sqrt(v)[:, None]).sum(0)
    logs = rows + stats.t.logpdf(grid / tau, nu) - np.log(tau)
    top = logs.max()
    expected = top + np.log(np.trapezoid(np.exp(logs - top), grid))
    assert value[0] == pytest.approx(expected, abs=within)


def test_many_degrees_of_freedom_are_a_normal_effect():
    found = group_of(5.0, 2.0, 6.0, -1.0, 0.8)
    counts = np.array([3])
    normal = marginal.group_log_likelihood([found], counts, MATHS)
    student = marginal.student_log_likelihood([found], counts, np.array([1e7]), MATHS)
    # A t on nu degrees differs from a normal by terms of order 1/nu.
    assert student[0] == pytest.approx(normal[0], abs=1e-6)


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
    "proportional": ModelSpec(
        peak="regimen + (1 | study/experiment)", half_life="1", heterogeneity="proportional"
    ),
    "student": ModelSpec(peak="1 + (1 | study/experiment)", decay="none", population="student"),
    "small-study term": ModelSpec(peak="1 + (1 | study)", decay="none", small_study="1/sqrt(n)"),
    "unknown delays": ModelSpec(
        peak="1 + (1 | study)", missing_delay="latent", priors={"delay": priors.log_normal(0, 1)}
    ),
    "all at once": ModelSpec(
        peak="1 + (1 | study/experiment)",
        population="student",
        heterogeneity="proportional",
        small_study="1/sqrt(n)",
        missing_delay="latent",
        priors={"delay": priors.gamma(2, 1)},
    ),
}


@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("likelihood", ["normal", "exact"])
@pytest.mark.parametrize("name", SPECS)
def test_the_model_s_log_density_is_numpy_s_prior_plus_likelihood(name, likelihood, rho):
    # Two rows per experiment, so that a sampling correlation has something to link.
    rows = pd.concat([ROWS, ROWS.assign(row_id=ROWS["row_id"] + "b")], ignore_index=True)
    table = simulate_table(TRUTH, rows, seed=4)
    groups = SPECS[name].groups
    if SPECS[name].missing_delay == "latent":
        gaps = table.frame["delay"].mask(table.frame["study"].isin(["S002", "S003"]))
        table = replace(table, frame=table.frame.assign(delay=gaps))
    effects = effect_sizes(table, rho=rho, within="experiment") if groups else effect_sizes(table)
    plan = design(replace(SPECS[name], likelihood=likelihood), effects)
    model = build_design(plan)
    # Given the variance ratios an exact likelihood is normal too; they are known by their law.
    ratios = {} if plan.exact is None else latent_df(plan.exact)
    names = [v.name for v in model.deterministics] + [*plan.scalars, *plan.vectors, *ratios]
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
        expected = (given_ratios if ratios else group_log_likelihoods)(plan, draws).sum()
        for key, df in ratios.items():
            if key != "q_visit_z":
                expected += stats.chi2.logpdf(draws[key] * df, df).sum() + np.log(df).sum()
        for key, value in point.items():
            if key.endswith("_z"):
                expected += stats.norm.logpdf(value).sum()
            if key.endswith("_average"):
                expected += plan.spec.priors["peak"].log_density(value).sum()
        for key, prior in plan.scalars.items():
            expected += plan.spec.priors[prior].log_density(draws[key])
        for key in plan.vectors:
            expected += plan.spec.priors["delay"].log_density(draws[key]).sum()
        gaps.append(float(whole(point)) - expected)
    # PyMC keeps constants such as log sqrt(2 / pi) in single precision: up to 1e-8 per prior, and
    # a Student's varies by 3e-10. The rest are roundings of log densities of order 1e3.
    # Of variance ratios there are 180, each with a log gamma in its density.
    assert np.ptp(gaps) < (1e-8 if ratios else 1e-9)
    assert abs(gaps[0]) < 3e-8


@pytest.mark.parametrize("likelihood", ["normal", "exact"])
def test_left_out_groups_do_not_count(likelihood):
    spec = replace(SPECS["one level"], likelihood=likelihood)
    plan = design(spec, effect_sizes(simulate_table(TRUTH, ROWS, seed=4)))
    model = build_design(plan)
    point = model.initial_point()
    log_density = model.compile_logp(vars=[model["y"]], sum=False, mode=QUICK)
    (every,) = log_density(point)
    include = np.ones(6)
    include[2] = 0
    model.set_data("include", include)
    (some,) = log_density(point)
    draws = {"level": np.zeros(3), "log2_half_life": np.zeros(3), "tau": np.exp(point["tau_log__"])}
    if plan.exact is not None:
        df = latent_df(plan.exact)["q_own"]
        draws["q_own"] = np.exp(point["q_own_log_in_units__"] / np.sqrt(df / 2))
    by_group = (given_ratios if plan.exact else group_log_likelihoods)(plan, draws)
    # Sums of order 100 in another order.
    assert every - some == pytest.approx(by_group[2], abs=1e-10)


@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("name", ["two levels", "no level", "proportional", "student"])
def test_a_left_out_row_takes_its_conditional_density_with_it(name, rho):
    """log p(y) - log p(y without row i) = log p(y_i | the other rows of its group)."""
    known = rho if SPECS[name].groups else 0.0
    plan, model, point, draws = at_random(replace(SPECS[name], likelihood="normal"), known)
    _, by_row = log_likelihoods(plan, draws)
    for row, gap in left_out_gaps(plan, model, point).items():
        # The constant of the row that is gone stays; sums of order 1e3 in another order.
        assert gap == pytest.approx(by_row[row] + np.log(2 * np.pi) / 2, abs=1e-9)


@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize("name", ["two levels", "no level"])
def test_a_left_out_row_of_an_exact_likelihood_takes_its_scale_with_it_too(name, rho):
    """Given q, y sqrt(q) / J is normal: the conditional density by dense matrices."""
    known = rho if SPECS[name].groups else 0.0
    plan, model, point, draws = at_random(replace(SPECS[name], likelihood="exact"), known)
    assert plan.exact is not None
    ratio = np.sqrt(variance_ratios(draws, plan.exact, NumPyMaths())[plan.exact.of])
    ratio = ratio / plan.exact.correction
    full = plan.exact.covariance.dense()
    index = plan.groups.innermost
    for depth, tau in enumerate(plan.tau_names[::-1]):
        full = full + draws[tau] ** 2 * (index[:, None] == index)
        if depth < len(plan.groups.parent):
            index = plan.groups.parent[depth][index]
    residual = plan.y * ratio - mean_at_rows(plan, draws)
    whole = stats.multivariate_normal(cov=full).logpdf(residual)
    for row, gap in left_out_gaps(plan, model, point).items():
        stay = [i for i in range(len(residual)) if i != row]
        others = stats.multivariate_normal(cov=full[np.ix_(stay, stay)]).logpdf(residual[stay])
        expected = whole - others + np.log(ratio[row]) + np.log(2 * np.pi) / 2
        # Sums of order 1e3 in another order.
        assert gap == pytest.approx(expected, abs=1e-9)


def at_random(spec, rho):
    """Return a plan with two rows an experiment, its model, and a point of it with its draws."""
    rows = pd.concat([ROWS, ROWS.assign(row_id=ROWS["row_id"] + "b")], ignore_index=True)
    table = simulate_table(TRUTH, rows, seed=4)
    plan = design(spec, effect_sizes(table, rho=rho, within="experiment"))
    model = build_design(plan)
    latents = [] if plan.exact is None else list(latent_df(plan.exact))
    names = [v.name for v in model.deterministics] + [*plan.scalars, *latents]
    nodes = model.replace_rvs_by_values([model[n] for n in names])
    evaluate = model.compile_fn(
        nodes, inputs=model.value_vars, mode=QUICK, on_unused_input="ignore"
    )
    rng = np.random.default_rng(5)
    point = {k: rng.normal(size=np.shape(v)) for k, v in model.initial_point().items()}
    return plan, model, point, dict(zip(names, evaluate(point), strict=True))


def left_out_gaps(plan, model, point):
    """Return what the log density loses without a row, for some rows."""
    log_density = model.compile_logp(vars=[model["y"]], sum=False, mode=QUICK)
    (every,) = log_density(point)
    found = {}
    for row in (0, 7, len(plan.effects) - 1):
        for data, values in without_row(plan, row).items():
            model.set_data(data, values)
        (some,) = log_density(point)
        found[row] = every - some
    return found


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
