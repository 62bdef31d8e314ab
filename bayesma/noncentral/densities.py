"""Densities of effects divided by an estimated SD: noncentral t, of one row or of several.

The k rows d of a set share q ~ chi2_nu / nu, and d sqrt(q) ~ N(m, S). With a = d' S^-1 d,
b = d' S^-1 m, c = m' S^-1 m and x = b / sqrt(nu + a), q integrates out to

    log p(d) = -(k/2) log(2 pi nu) - (nu/2 - 1) log 2 - log Gamma(nu/2) - log|S| / 2
               - (nu + k)/2 log(1 + a/nu) - (c - x^2)/2 + log M_n(x),        n = nu + k - 1,

    M_n(x) = int_0^inf w^n exp(-(w - x)^2 / 2) dw,

for one row the noncentral t (Johnson, Kotz & Balakrishnan 1995, Continuous Univariate
Distributions 2, ch. 31; the Hh function of Fisher 1931). log p is concave in m, as the integrand
is in (w, m) together (Prekopa 1973).

M_n is its saddlepoint form at w = (x + s)/2, s = sqrt(x^2 + 4 n), times exp(R),

    log M_n(x) = (n + 1/2) log w - log(s)/2 - (n/w)^2 / 2 + log(2 pi)/2 + R_n(x / s);

R_n is bounded, goes from 0 at 1 to Stirling's remainder at -1, and a polynomial in x / s stands
for it, within 2e-11.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

__all__ = ["Moments", "log_constant", "log_noncentral_t", "saddle"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOG_2PI = float(np.log(2 * np.pi))
# Degrees of the polynomials: the first is taken whose left-out terms come to less than this.
DEGREES, LEFT_OUT = (10, 18, 26, 44, 72), 2e-11
# Powers lose digits beyond; the sum of Chebyshev polynomials does not.
POWERS = 26
# Elements of one pass: what a core's cache holds.
AT_ONCE = 16384


def saddle(n: ArrayLike, x: Floats) -> tuple[Floats, Floats]:
    """Return w, where w^n exp(-(w - x)^2 / 2) peaks, and s = sqrt(x^2 + 4 n).

    w approximates the derivative of log M_n(x) + x^2 / 2, and w / s the second one.
    """
    s = np.sqrt(x * x + 4 * np.asarray(n))
    high = 0.5 * (np.abs(x) + s)
    return np.where(x > 0, high, np.asarray(n) / high), s


def _remainder(n: float, u: Floats) -> Floats:
    """Return R_n at x / s = u inside (-1, 1), shape (points,), by the trapezoidal rule in log w.

    The integrand falls like exp(-w^2) to the right and w^(n + 1) to the left, and is analytic in a
    strip, so that a step of 1/12 of its width leaves rounding alone.
    """
    x = 2 * np.sqrt(n) * u / np.sqrt(1 - u * u)
    w, s = saddle(n, x)
    width = 1 / np.sqrt(w * s)
    z = width[:, None] * np.arange(-45, 14, 1 / 12)
    grown = w[:, None] * np.expm1(z)
    # (w e^z - x)^2 - (w - x)^2 without the difference of two large numbers.
    fall = 0.5 * grown * (grown + 2 * (w - x)[:, None])
    return np.asarray(np.log(np.exp((n + 1) * z - fall).sum(axis=1) / 12) - 0.5 * LOG_2PI)


@lru_cache(maxsize=4096)
def _coefficients(n: float) -> Floats:
    """Return coefficients of R_n in x / s: of powers up to degree POWERS, else Chebyshev's."""
    most = DEGREES[-1]
    u = np.cos(np.pi * (np.arange(most + 1) + 0.5) / (most + 1))
    found = chebyshev.chebfit(u, _remainder(n, u), most)
    left = [float(np.abs(found[degree + 1 :]).sum()) for degree in DEGREES]
    degree = next((d for d, out in zip(DEGREES, left, strict=True) if out < LEFT_OUT), most)
    kept = found[: degree + 1]
    return np.asarray(chebyshev.cheb2poly(kept) if degree <= POWERS else kept)


class Moments:
    """log M_n(x) for elements of different n, each over many x.

    Parameters
    ----------
    n : ndarray, shape (elements,)
        At least 1.
    """

    def __init__(self, n: Floats) -> None:
        self.n = n
        rows = [_coefficients(float(own)) for own in n]
        sizes = np.array([len(own) for own in rows], dtype=np.int64)
        self._kinds: list[tuple[Ints, Floats]] = []
        for size in np.unique(sizes):
            index = np.flatnonzero(sizes == size)
            self._kinds.append((index, np.array([rows[i] for i in index]).T))

    def log(self, x: Floats) -> Floats:
        """Return log M_n(x), shape (elements, points), of x of that shape."""
        out = np.empty_like(x)
        for index, coefficients in self._kinds:
            step = max(1, AT_ONCE // max(len(index), 1))
            whole = len(index) == len(x)
            for start in range(0, x.shape[1], step):
                part = slice(start, start + step)
                some = x[:, part] if whole else x[index, part]
                out[index, part] = _log_moment(self.n[index, None], some, coefficients)
        return out

    def slope(self, x: Floats) -> Floats:
        """Return the derivative of log M_n(x) by x, shape (elements, points)."""
        out = np.empty_like(x)
        for index, coefficients in self._kinds:
            out[index] = _slope(self.n[index, None], x[index], coefficients)
        return out


def _log_moment(n: Floats, x: Floats, coefficients: Floats) -> Floats:
    w, s = saddle(n, x)
    out: Floats = _polynomial(coefficients, x / s)
    out += (n + 0.5) * np.log(w)
    out -= 0.5 * np.log(s)
    np.divide(n, w, out=s)
    s *= s
    s *= 0.5
    out -= s
    out += 0.5 * LOG_2PI
    return np.asarray(out)


def _slope(n: Floats, x: Floats, coefficients: Floats) -> Floats:
    w, s = saddle(n, x)
    u = x / s
    if len(coefficients) <= POWERS + 1:
        derived = coefficients[1:] * np.arange(1, len(coefficients))[:, None]
    else:
        # As long as before, so that it is taken for Chebyshev's too.
        derived = np.pad(np.asarray(chebyshev.chebder(coefficients)), ((0, 1), (0, 0)))
    rest = _polynomial(derived, u) * (1 - u * u)
    return np.asarray(((n + 0.5) - 0.5 * u + (n / w) ** 2 + rest) / s)


def _polynomial(coefficients: Floats, u: Floats) -> Floats:
    """Return polynomials, coefficients (terms, elements), at u (elements, points)."""
    if len(coefficients) > POWERS + 1:
        return _chebyshev(coefficients, u)
    out = u * coefficients[-1][:, None]
    for own in coefficients[-2:0:-1]:
        out += own[:, None]
        out *= u
    out += coefficients[0][:, None]
    return np.asarray(out)


def _chebyshev(coefficients: Floats, u: Floats) -> Floats:
    """Return sums of Chebyshev polynomials by Clenshaw's recurrence (1955)."""
    twice, one, two = 2 * u, np.zeros_like(u), np.zeros_like(u)
    for own in coefficients[:0:-1]:
        two *= -1
        two += twice * one
        two += own[:, None]
        one, two = two, one
    return np.asarray(coefficients[0][:, None] + u * one - two)


def log_constant(df: ArrayLike, rows: ArrayLike) -> Floats:
    """Return what of log p(d) depends on nothing but nu and the number of rows."""
    nu, k = np.asarray(df, dtype=float), np.asarray(rows)
    return np.asarray(
        -0.5 * k * (LOG_2PI + np.log(nu)) - (0.5 * nu - 1) * np.log(2) - gammaln(0.5 * nu)
    )


def log_noncentral_t(d: ArrayLike, df: ArrayLike, mean: ArrayLike, variance: ArrayLike) -> Floats:
    """Return log p(d) for d sqrt(q) ~ N(mean, variance), q ~ chi2_df / df.

    d / sqrt(variance) is noncentral t with noncentrality mean / sqrt(variance).

    Parameters
    ----------
    d, df, mean, variance : array_like
        Shapes that broadcast; df at least 1, variance above 0.

    Returns
    -------
    ndarray
    """
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (d, df, mean, variance)))
    shape = arrays[0].shape
    effect, nu, m, v = (x.ravel() for x in arrays)
    a = effect**2 / v
    x = effect / np.sqrt(v) * m / np.sqrt(v) / np.sqrt(nu + a)
    # c - x^2 = (m^2/v) nu / (nu + a)
    out = log_constant(nu, 1) - 0.5 * np.log(v) - 0.5 * (nu + 1) * np.log1p(a / nu)
    out -= 0.5 * m**2 / v * (nu / (nu + a))
    if np.ndim(df) == 0:  # one SD's degrees of freedom for all: nothing to look for
        return np.asarray((out + Moments(nu[:1]).log(x[None])[0]).reshape(shape))
    known, which = np.unique(nu, return_inverse=True)
    for i, own in enumerate(known):
        mine = np.flatnonzero(which == i)
        out[mine] += Moments(np.array([own])).log(x[mine][None])[0]
    return np.asarray(out.reshape(shape))
