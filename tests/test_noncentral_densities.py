"""Noncentral t: scipy in the bulk, quadrature in logarithms in the tails."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln, logsumexp

from bayesma.noncentral.densities import Moments, log_constant, log_noncentral_t, saddle


def log_quadrature(t, df, delta):
    """log p of a noncentral t by the trapezoidal rule over log q, in logarithms."""
    # Around the peak of the integrand over log q, and far on either side of it.
    z = np.linspace(-60, 12, 400_001)
    q = np.exp(z)
    log_q = 0.5 * df * np.log(0.5 * df) - gammaln(0.5 * df) + 0.5 * df * (z - q)
    log_p = log_q + 0.5 * z + stats.norm.logpdf(t * np.sqrt(q), delta)
    return logsumexp(log_p) + np.log(z[1] - z[0])


def test_the_bulk_is_scipy_s():
    rng = np.random.default_rng(1)
    t, df = rng.normal(0, 5, 2000), rng.choice([2, 3, 4, 7, 8, 20, 50, 120], 2000)
    delta = t + rng.normal(0, 1.5, 2000)
    # 2e-11 of the polynomial, and scipy's own error, which reaches 1.5e-10.
    assert log_noncentral_t(t, df, delta, 1.0) == pytest.approx(
        stats.nct.logpdf(t, df, delta), abs=5e-10
    )


@pytest.mark.parametrize(
    ("t", "df", "delta"),
    [
        (-15, 98, 50),
        (-15, 2, 50),
        (300, 8, -20),
        (0.0, 8, 12),
        (95, 8, 90),
        (95, 500, 90),
        (1e-3, 1, 0.0),
        (-3, 500, 3),
        (40, 30, 1),
    ],
)
def test_the_tails_are_those_of_quadrature_in_logarithms(t, df, delta):
    # 2e-11 of the polynomial (2e-13 of 1500 in rounding); df = 1 has 2e-12 more.
    assert log_noncentral_t(t, df, delta, 1.0) == pytest.approx(
        log_quadrature(t, df, delta), rel=1e-12, abs=1e-10
    )


def test_where_scipy_gives_minus_infinity():
    # The quadrature above, to the digits that the issue names.
    assert log_noncentral_t(-15, 98, 50, 1.0) == pytest.approx(-1503.74, abs=0.005)


def test_a_variance_is_a_change_of_units():
    d, s = np.array([2.0, 60.0]), 0.63
    own = log_noncentral_t(d, 8, 55.0, s**2)
    # One formula at two scales: rounding.
    assert own == pytest.approx(log_noncentral_t(d / s, 8, 55.0 / s, 1.0) - np.log(s), abs=1e-9)


def test_without_a_mean_it_is_student_s_t():
    t = np.linspace(-30, 30, 61)
    # 2e-11 of the polynomial.
    assert log_noncentral_t(t, 5, 0.0, 1.0) == pytest.approx(stats.t.logpdf(t, 5), abs=1e-10)


def test_one_number_of_degrees_of_freedom_is_that_number_everywhere():
    d, m = np.linspace(-3, 9, 7)[:, None], np.linspace(-1, 4, 5)
    one = log_noncentral_t(d, 11, m, 0.3)
    np.testing.assert_array_equal(one, log_noncentral_t(d, np.full((7, 5), 11.0), m, 0.3))


def test_shapes_broadcast():
    found = log_noncentral_t(np.ones((3, 1)), np.array([4.0, 9.0]), 0.5, np.ones((2, 1, 1)))
    assert found.shape == (2, 3, 2)


@pytest.mark.parametrize("df", [2.0, 8.0, 60.0])
def test_it_is_smooth_and_concave_in_the_mean(df):
    m = np.linspace(-60, 120, 1801)
    p = log_noncentral_t(10.0, df, m, 0.4)
    assert (np.diff(p, 2) < 0).all()
    # Fifth differences at a step of 0.1, where a joint between pieces would show: those of the
    # function itself are below 1e-4, and 32 times 2e-11 is nothing beside them.
    assert np.abs(np.diff(p, 5)).max() < 1e-4


@pytest.mark.parametrize("n", [1.0, 2.0, 4.0, 9.5, 40.0, 700.0])
def test_moments_obey_their_recurrence(n):
    # Integration by parts: M_{n+1} = x M_n + n M_{n-1}; each within 2e-11, n = 1 within 1e-10.
    x = np.linspace(-40, 40, 401)[None]
    below, here, above = (Moments(np.array([n + k])).log(x) for k in (1, 2, 3))
    signs = np.concatenate([np.sign(x), np.ones_like(x)])
    logs = np.stack([np.log(np.abs(x) + 1e-300) + here, np.log(n + 2) + below])
    right, _ = logsumexp(logs, axis=0, b=signs[:, None], return_sign=True)
    # For negative x the two terms cancel to about n / x^2 of themselves.
    lost = 1 + np.where(x < 0, x**2 / n, 0.0)
    assert (np.abs(right - above) < 2e-10 * lost).all()


@pytest.mark.parametrize("n", [1.0, 3.0, 9.5, 40.0])
def test_the_slope_is_that_of_differences(n):
    x, h = np.linspace(-40, 60, 301)[None], 1e-4
    moments = Moments(np.array([n]))
    # Differences of values within 1e-11 (1e-13 in rounding) over a step of 1e-4, and its square.
    rough = (moments.log(x + h) - moments.log(x - h)) / (2 * h)
    assert moments.slope(x) == pytest.approx(rough, abs=1e-6)
    # The saddlepoint approximates the slope of log M + x^2 / 2 to about half of 1 / w.
    w, s = saddle(n, x)
    assert (np.abs(moments.slope(x) + x - w) < 1 / s + 0.5 / w).all()


def test_moments_of_several_orders_stand_side_by_side():
    orders = np.array([2.0, 30.0, 8.0, 2.0, 500.0])
    x = np.random.default_rng(2).normal(2, 6, (5, 40))
    each = [Moments(np.array([n])).log(row[None])[0] for n, row in zip(orders, x, strict=True)]
    assert (Moments(orders).log(x) == np.array(each)).all()


def test_the_constant_is_that_of_a_density():
    # Two rows that share q: integrated over a grid, all of it is 1.
    t = np.sinh(np.linspace(-7, 7, 401))
    width = np.cosh(np.linspace(-7, 7, 401)) * (14 / 400)
    a = t[:, None] ** 2 + t**2
    m = np.array([0.5, -1.0])
    x = (t[:, None] * m[0] + t * m[1]) / np.sqrt(6 + a)
    log_p = log_constant(6, 2) - 4 * np.log1p(a / 6) - 0.5 * (m @ m - x**2)
    log_p += Moments(np.array([7.0])).log(x.reshape(1, -1)).reshape(x.shape)
    # Beyond 548 lies 1e-15 of a t with 6 degrees of freedom; the grid's own error is less.
    assert (np.exp(log_p) * width[:, None] * width).sum() == pytest.approx(1, abs=1e-8)
