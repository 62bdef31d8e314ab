"""The exact likelihood against brute force: grids over group effects and q, and simulation."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln, logsumexp

from bayesma.covariance import Blocks
from bayesma.grouping import Groups
from bayesma.maths import NumPyMaths
from bayesma.noncentral import integrals, points
from bayesma.noncentral.densities import log_noncentral_t
from bayesma.noncentral.integrals import group_log_likelihoods, log_likelihoods
from bayesma.noncentral.rows import Standardised, Visits, draw_latents, variance_ratios

NONE = np.zeros(0, dtype=np.int64)
NESTED = Groups(
    ("study", "experiment"),
    (("S",), ("A", "B", "C")),
    (np.zeros(3, dtype=np.int64),),
    np.array([0, 0, 1, 2, 2, 2]),
)
MEMBERS = ([0, 1], [2], [3, 4, 5])


def standardised(y, v, df, *, of=None, blocks=(), own=None, visits=None, rho=0.0, correction=None):
    y, df = np.asarray(y, dtype=float), np.asarray(df, dtype=float)
    of = np.arange(len(y)) if of is None else np.asarray(of)
    return Standardised(
        y,
        np.ones(len(y)) if correction is None else np.asarray(correction),
        Blocks(np.asarray(v, dtype=float), tuple(blocks)),
        of,
        df,
        df if own is None else np.asarray(own, dtype=float),
        Visits(NONE, NONE, NONE) if visits is None else visits,
        rho,
    )


def one_group(rows):
    return Groups(("study",), (("S",),), (), np.zeros(rows, dtype=np.int64))


def effect_grid(nu=None, size=401):
    """Effects in units of tau, and log weights; 1e-15 of a normal lies outside."""
    if nu is None:
        b = np.linspace(-9, 9, size)
        return b, stats.norm.logpdf(b) + np.log(b[1] - b[0])
    u = np.linspace(-12, 12, 3 * size)
    b = np.sinh(u)
    return b, stats.t.logpdf(b, nu) + np.log(np.cosh(u) * (u[1] - u[0]))


def brute_force(members, row_density, nu=None):
    """log p of a study by plain grids over the study's effect and each experiment's."""
    b0, w0 = effect_grid()
    b1, w1 = effect_grid(nu)
    total = w1.copy()
    for rows in members:
        inner = np.broadcast_to(w0, (len(b1), len(b0)))
        for i in rows:
            inner = inner + row_density(i, b0, b1[:, None])
        total = total + (logsumexp(inner, axis=1) if rows else 0.0)
    return logsumexp(total)


class Case:
    """Six rows of three experiments in one study."""

    def __init__(self, seed, spread=1.0, common=True):
        rng = np.random.default_rng(seed)
        self.d, self.v = rng.normal(2, spread, 6), rng.uniform(0.1, 0.6, 6)
        self.df, self.mean = rng.choice([2.0, 4.0, 8.0, 18.0], 6), rng.normal(1.5, 1, 6)
        scale = np.ones(6) if common else rng.uniform(0.5, 1.5, 6)
        self.scales = [scale] if common else [scale, rng.uniform(0.5, 1.5, 6)]
        self.exact = standardised(self.d, self.v, self.df)

    def density(self, taus):
        def log_p(i, b0, b1):
            c = [scale[i] for scale in self.scales]
            mean = self.mean[i] + c[0] * taus[0] * b0 + c[-1] * taus[1] * b1
            return log_noncentral_t(self.d[i], self.df[i], mean, self.v[i])

        return log_p


TAUS = [(0.6, 0.9), (0.0, 0.5), (1.5, 0.0), (0.0, 0.0), (2.0, 2.0)]


def arrays(taus):
    return [np.array([tau]) for tau in taus]


@pytest.mark.parametrize("taus", TAUS)
@pytest.mark.parametrize(("spread", "common"), [(1.0, True), (4.0, True), (4.0, False)])
def test_nested_effects_are_integrated_out(taus, spread, common):
    case = Case(3, spread, common)
    found = group_log_likelihoods(case.exact, case.mean, case.scales, arrays(taus), NESTED)
    # The rule's own error at a step of 0.9 widths is about 1e-10 of each of four integrals.
    assert found == pytest.approx(brute_force(MEMBERS, case.density(taus)), abs=1e-8)


@pytest.mark.parametrize("taus", [(0.6, 0.9), (0.0, 0.5), (2.0, 2.0)])
def test_rows_are_left_out_one_by_one(taus):
    case = Case(5, 4.0)
    by_group, by_row = log_likelihoods(case.exact, case.mean, case.scales, arrays(taus), NESTED)
    whole = brute_force(MEMBERS, case.density(taus))
    # Nodes placed for the whole group serve it without a row too, where it may be wider and
    # elsewhere: to 1e-6 in the worst of these.
    assert by_group == pytest.approx(whole, abs=1e-7)
    for row in (0, 2, 4):
        rest = [[i for i in rows if i != row] for rows in MEMBERS]
        without = brute_force(rest, case.density(taus))
        assert by_row[row] == pytest.approx(whole - without, abs=1e-6)


@pytest.mark.parametrize("nu", [1.0, 4.0, 40.0])
@pytest.mark.parametrize("taus", [(0.6, 0.9), (0.0, 0.05)])
def test_a_student_population(nu, taus):
    case = Case(7, 3.0)
    by_study = arrays(taus), NESTED, np.array([nu])
    # As above; a Student-t effect has 160 nodes of its own.
    truth = brute_force(MEMBERS, case.density(taus), nu)
    found = group_log_likelihoods(case.exact, case.mean, case.scales, *by_study)
    assert found == pytest.approx(truth, abs=1e-8)
    _, by_row = log_likelihoods(case.exact, case.mean, case.scales, *by_study)
    rest = brute_force([[0, 1], [], [3, 4, 5]], case.density(taus), nu)
    assert by_row[2] == pytest.approx(truth - rest, abs=1e-6)


def test_one_row_a_study_is_a_noncentral_t():
    rng = np.random.default_rng(4)
    d, v, df = rng.normal(3, 2, 5), rng.uniform(0.2, 0.7, 5), np.array([2.0, 8, 8, 30, 500])
    J = rng.uniform(0.8, 1, 5)
    groups = Groups(("study",), (tuple("abcde"),), (), np.arange(5))
    exact = standardised(J * d, v, df, correction=J)
    by_group, by_row = log_likelihoods(exact, np.full(5, 2.5), [np.ones(5)], arrays([0.8]), groups)
    # d / s ~ nct(nu, m / s), s^2 = tau^2 + v: one formula, and scipy's error of 1.5e-10.
    s = np.sqrt(v + 0.64)
    truth = stats.nct.logpdf(d / s, df, 2.5 / s) - np.log(s) - np.log(J)
    assert by_group == pytest.approx(truth, abs=1e-9)
    assert by_row == pytest.approx(truth, abs=1e-9)


def test_large_effects_and_rows_that_contradict_each_other():
    d, v, df = np.array([60.0, 1.0, 55.0]), np.full(3, 0.4), np.array([8.0, 8.0, 2.0])
    exact, m = standardised(d, v, df), np.full(3, 5.0)
    b, w = np.linspace(-9, 9, 40_001), np.log(18 / 40_000)
    for tau in (0.5, 5.0, 30.0):
        found = group_log_likelihoods(exact, m, [np.ones(3)], arrays([tau]), one_group(3))
        each = sum(log_noncentral_t(d[i], df[i], 5.0 + tau * b, v[i]) for i in range(3))
        # The nodes' error, for an integrand far from normal.
        assert found == pytest.approx(logsumexp(each + stats.norm.logpdf(b) + w), abs=1e-8)


def test_no_effect_enters_a_row_of_loading_0():
    exact = standardised([2.0, 3.0], [0.4, 0.4], [8, 8])
    found = group_log_likelihoods(exact, np.ones(2), [np.array([1.0, 0.0])], arrays([2.0]),
                                  one_group(2))  # fmt: skip
    apart = log_noncentral_t(np.array([2.0, 3.0]), 8, 1.0, np.array([4.4, 0.4]))
    # The first alone is a closed form; here it is a quadrature.
    assert found == pytest.approx(apart.sum(), abs=1e-9)


# -- rows of one set -------------------------------------------------------------------------------


def log_q(df, size=6001):
    z = np.linspace(-14, 5, size)
    density = 0.5 * df * (np.log(0.5 * df) + z - np.exp(z)) - gammaln(0.5 * df)
    return z, density + np.log(z[1] - z[0])


def shared_control():
    """Three rows beside one control group of 6, and one row by itself; 1/n_c covaries."""
    block = np.full((3, 3), 1 / 6) + np.diag([1 / 6, 1 / 8, 1 / 5])
    v = np.array([*np.diag(block), 0.4])
    return standardised(
        [4.0, 5.5, 2.0, 3.0], v, [21, 8], of=[0, 0, 0, 1], blocks=[(np.arange(3), block)]
    )


def test_rows_that_share_a_control_share_q():
    exact, tau, m = shared_control(), 0.9, np.array([3.0, 5.0, 2.5, 3.5])
    z, w = log_q(21)
    half = np.exp(0.5 * z)

    def truth(rows):
        """Given q and b the rows are normal; b in closed form, q on a grid."""
        S = exact.covariance.dense()[np.ix_(rows, rows)] + tau**2
        normal = stats.multivariate_normal(np.zeros(len(rows)), S)
        residual = half[:, None] * exact.y[rows] - m[rows]
        return logsumexp(w + 0.5 * len(rows) * z + normal.logpdf(residual))

    groups = Groups(("study",), (("a", "b"),), (), np.array([0, 0, 0, 1]))
    by_group, by_row = log_likelihoods(exact, m, [np.ones(4)], arrays([tau]), groups)
    # Closed forms on both sides but for the grid over log q, which is exact to rounding.
    assert by_group[0] == pytest.approx(truth([0, 1, 2]), abs=1e-9)
    assert by_group[1] == pytest.approx(log_noncentral_t(3.0, 8, 3.5, 0.4 + tau**2), abs=1e-9)
    assert by_row[1] == pytest.approx(truth([0, 1, 2]) - truth([0, 2]), abs=1e-9)
    # In one group with the row by itself, b on a grid.
    b, w_b = effect_grid()
    normal = stats.multivariate_normal(np.zeros(3), exact.covariance.dense()[:3, :3])
    for leave, rows in ((None, [0, 1, 2, 3]), (3, [0, 1, 2])):
        residual = half[:, None, None] * exact.y[:3] - m[:3] - tau * b[:, None]
        given = logsumexp(w[:, None] + 1.5 * z[:, None] + normal.logpdf(residual), axis=0)
        if 3 in rows:
            given = given + log_noncentral_t(3.0, 8, 3.5 + tau * b, 0.4)
        together = logsumexp(given + w_b)
        if leave is None:
            whole = together
        else:
            rest = together
    by_group, by_row = log_likelihoods(exact, m, [np.ones(4)], arrays([tau]), one_group(4))
    # As for independent rows.
    assert by_group == pytest.approx(whole, abs=1e-7)
    assert by_row[3] == pytest.approx(whole - rest, abs=1e-6)


# -- the same animals again ------------------------------------------------------------------------


def again(d, rho=0.6, n=6):
    """Both arms of n animals measured at every time."""
    k = len(d)
    block = (2 / n) * (rho + (1 - rho) * np.eye(k))
    visits = Visits(np.zeros(k, dtype=np.int64), np.arange(k), np.array([2 * n - 2]))
    return standardised(
        d,
        np.full(k, 2 / n),
        np.full(k, 2.0 * n - 2),
        blocks=[(np.arange(k), block)],
        own=np.zeros(k),
        visits=visits,
        rho=rho,
    )


def kibble(exact, m, tau):
    """log p of two rows on a grid over both q, whose density Kibble (1941, Sankhya 5:137) gives.

    Given K, negative binomial, nu q / (1 - rho^2) are independent chi2 of nu + 2 K.
    """
    f, r2 = exact.df[0], exact.rho**2
    z = np.linspace(-3.5, 2.2, 401)
    scaled = f * np.exp(z) / (1 - r2)
    total = np.zeros((len(z), len(z)))
    for k in range(200):
        weight = gammaln(f / 2 + k) - gammaln(k + 1) - gammaln(f / 2)
        one = stats.chi2.pdf(scaled, f + 2 * k) * scaled
        total += np.exp(weight + f / 2 * np.log1p(-r2) + k * np.log(r2)) * one[:, None] * one
    half = np.exp(0.5 * z)
    residual = np.stack(np.broadcast_arrays(
        half[:, None] * exact.y[0] - m[0], half * exact.y[1] - m[1]), axis=-1)  # fmt: skip
    normal = stats.multivariate_normal(np.zeros(2), exact.covariance.dense() + tau**2)
    density = total * np.exp(normal.logpdf(residual)) * half[:, None] * half
    return np.log(density.sum() * (z[1] - z[0]) ** 2)


def linked_error(d, tau):
    exact, m = again(d), np.array([5.0, 4.5]) if d[0] > 1 else np.ones(2)
    found = group_log_likelihoods(exact, m, [np.ones(2)], arrays([tau]), one_group(2))
    return found[0] - kibble(exact, m, tau)


@pytest.mark.parametrize(
    ("d", "left"), [((1.0, 0.5), 0.01), ((5.0, 5.5), 0.03), ((6.0, 3.0), 0.1), ((10.0, 8.0), 0.15)]
)
@pytest.mark.parametrize("tau", [0.3, 2.0])
def test_two_times_of_the_same_animals(d, left, tau):
    # What 1024 points leave: 0.02 where the times agree with the means, and up to 0.09 where they
    # are off by 2 or more SDs of 6 animals. Much of it is common to all draws and cancels.
    assert abs(linked_error(d, tau)) < left


@pytest.mark.parametrize("d", [(5.0, 5.5), (6.0, 3.0)])
def test_more_points_come_nearer(d, monkeypatch):
    monkeypatch.setattr(points, "POINTS", 13)
    points.shares_of.cache_clear()
    try:
        # 8192 points: 0.004 and 0.009, an eighth of the errors above.
        assert abs(linked_error(d, 0.3)) < 0.015
    finally:
        points.shares_of.cache_clear()


def test_three_times_and_a_row_of_its_own_by_simulation():
    exact = again((5.0, 4.0, 4.5), rho=0.5)
    exact = standardised(
        [*exact.y, 3.0],
        [*exact.covariance.v, 0.5],
        [*exact.df + 4, 6],
        of=np.arange(4),
        blocks=exact.covariance.blocks,
        own=[4, 4, 4, 6],
        visits=exact.visits,
        rho=0.5,
    )
    m, tau, rng = np.array([4.5, 4.2, 4.0, 3.5]), 0.8, np.random.default_rng(2)
    q = variance_ratios(draw_latents(exact, (200_000,), rng), exact, NumPyMaths())
    half = np.sqrt(q)
    normal = stats.multivariate_normal(np.zeros(4), exact.covariance.dense() + tau**2)
    p = np.exp(normal.logpdf(half * exact.y - m)) * half.prod(axis=1)
    error = p.std() / np.sqrt(len(p)) / p.mean()
    found = group_log_likelihoods(exact, m, [np.ones(4)], arrays([tau]), one_group(4))
    # Four standard errors of the simulation, and 0.02 of the points, as for two times.
    assert error < 0.01
    assert found == pytest.approx(np.log(p.mean()), abs=4 * error + 0.02)


def test_one_sd_that_holds_the_same_animals_twice_by_simulation():
    """Beside a control measured once, two visits of five animals: q is no chi2_nu / nu."""
    v, rho = 1 / 5 + 1 / 6, 0.8
    N = np.array([[v, rho / 5 + 1 / 6], [rho / 5 + 1 / 6, v]])
    twice = Visits(np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64), np.array([4]))
    exact = standardised(
        [1.7, 3.0], [v, v], [13.0], of=[0, 0], blocks=[(np.arange(2), N)], own=[5.0], visits=twice,
        rho=rho,
    )  # fmt: skip
    m, tau, rng = np.array([2.0, 2.0]), 0.5, np.random.default_rng(1)
    half = np.sqrt(variance_ratios(draw_latents(exact, (200_000,), rng), exact, NumPyMaths()))
    normal = stats.multivariate_normal(np.zeros(2), N + tau**2)
    p = np.exp(normal.logpdf(half * exact.y - m)) * half[:, 0] ** 2
    error = p.std() / np.sqrt(len(p)) / p.mean()
    found, by_row = log_likelihoods(exact, m, [np.ones(2)], arrays([tau]), one_group(2))
    # Four standard errors of the simulation, and 0.02 of the points, as for two times.
    assert found == pytest.approx(np.log(p.mean()), abs=4 * error + 0.02)
    alone = np.exp(stats.norm.logpdf(half[:, 0] * 3.0, 2.0, np.sqrt(v + tau**2))) * half[:, 0]
    assert found[0] - by_row[0] == pytest.approx(
        np.log(alone.mean()), abs=0.04
    )  # the points, twice


# -- draws -----------------------------------------------------------------------------------------


def test_draws_are_evaluated_one_by_one_or_together(monkeypatch):
    exact, rng = shared_control(), np.random.default_rng(6)
    mean, tau = rng.normal(3, 1, (2, 5, 4)), rng.uniform(0, 2, (2, 5, 1))
    scale = np.broadcast_to(np.ones(4), mean.shape)
    together = log_likelihoods(exact, mean, [scale], [tau], one_group(4))
    assert [x.shape for x in together] == [(2, 5, 1), (2, 5, 4)]
    monkeypatch.setattr(integrals, "AT_ONCE", 1)
    # Another number of Newton steps may place the nodes a little elsewhere.
    for found, all_of_them in zip(
        log_likelihoods(exact, mean, [scale], [tau], one_group(4)), together, strict=True
    ):
        assert found == pytest.approx(all_of_them, abs=1e-6)


def test_a_likelihood_is_smooth_where_an_optimiser_looks():
    case = Case(9, 4.0)
    mean = case.mean + np.linspace(-1, 1, 201)[:, None]
    tau = [np.linspace(0, 0.2, 201)[:, None], np.array([0.4])]
    found = group_log_likelihoods(case.exact, mean, case.scales, tau, NESTED)[:, 0]
    # Fourth differences at steps of 0.01 are those of a smooth function, below 1e-6; a jump of the
    # nodes would show at its own height.
    assert np.abs(np.diff(found, 4)).max() < 1e-6
