"""Normal group effects integrated out: one algebra for the sampler, LOO and exact draws.

With y = m + sum over levels of tau_l c_l b_l + e, e ~ N(0, V) and b_l ~ N(0, 1), the covariance
of an outermost group is V plus nested rank-one terms. Per group, the inner products

    a_jk = c_j' S^-1 c_k,    b_j = c_j' S^-1 r,    q = r' S^-1 r,

of the distinct loadings c_j (one, unless levels differ in it) and log det S are enough. Adding
tau^2 c c' to S turns them (Sherman & Morrison 1950) into a_jk - tau^2 a_j a_k / d,
b_j - tau^2 a_j b / d, q - tau^2 b^2 / d and log det S + log d, where a_j = c_j' S^-1 c,
b = c' S^-1 r and d = 1 + tau^2 c' S^-1 c; for the loading c itself these are a / d and b / d.
Groups of the next level up then sum those of their members. The cost is linear in the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesma.covariance import Whitening
from bayesma.decay import Maths
from bayesma.grouping import Groups

__all__ = [
    "Level",
    "conditional_draws",
    "group_log_likelihood",
    "levels",
    "mixture",
    "row_log_likelihoods",
    "student_log_likelihood",
]

Floats = NDArray[np.float64]

LOG_2PI = float(np.log(2 * np.pi))

# Nodes of the one integral that a Student-t population leaves, over the log of the precision.
NODES = np.linspace(0, 1, 56)


@dataclass(frozen=True)
class Level:
    """The inner products at one level, before its own effect is added.

    Attributes
    ----------
    products : mapping of (int, int) to array, shape (..., groups)
        a_jk for j <= k, of the loadings of this level and those further out.
    projections : mapping of int to array, shape (..., groups)
        b_j.
    q, log_det : array, shape (..., groups)
        See the module.
    tau2 : array, shape (..., 1) or (..., groups)
        Variance of the level's effect; 0 where it has none.
    column : int
        Which loading is the level's own.
    """

    products: Mapping[tuple[int, int], Any]
    projections: Mapping[int, Any]
    q: Any
    log_det: Any
    tau2: Any
    column: int

    @property
    def a(self) -> Any:
        """The product of the level's own loading with itself, c' S^-1 c."""
        return self.products[self.column, self.column]

    @property
    def b(self) -> Any:
        """The product of the level's own loading with r, c' S^-1 r."""
        return self.projections[self.column]

    @property
    def d(self) -> Any:
        """1 + tau^2 a: what the level's effect multiplies the determinant by."""
        return 1 + self.tau2 * self.a

    def cross(self, column: int) -> Any:
        """Return c_j' S^-1 c of another loading with the level's own."""
        first, second = sorted((column, self.column))
        return self.products[first, second]

    def absorbed(self) -> Level:
        """Return the inner products with the level's effect added to S; tau2 is then void."""
        own, d = self.column, self.d
        gain = self.tau2 / d
        products = {
            (j, k): value / d if own in (j, k) else value - gain * self.cross(j) * self.cross(k)
            for (j, k), value in self.products.items()
        }
        projections = {
            j: value / d if j == own else value - gain * self.cross(j) * self.b
            for j, value in self.projections.items()
        }
        q = self.q - self.tau2 * self.b**2 / d
        return Level(products, projections, q, self.log_det, self.tau2, own)


def whiten(x: Any, whitening: Whitening, maths: Maths) -> Any:
    """Return L^-1 x over the last axis, for V = L L'."""
    if whitening.diagonal:
        return whitening.values * x
    entries = whitening.values * maths.take(x, whitening.cols)
    return maths.segment_sum(entries, whitening.rows, whitening.n)


def levels(
    residual: Any,
    scales: Sequence[Any],
    taus: Sequence[Any],
    whitening: Whitening,
    groups: Groups,
    maths: Maths,
) -> list[Level]:
    """Return the inner products level by level, innermost first.

    Parameters
    ----------
    residual : array, shape (..., rows)
        y minus its mean.
    scales : sequence of array, shape (..., rows)
        The loadings c: one that all levels share, or one per level, innermost first. 1, the
        row's tau relative to the average, or 0 where no group effect enters.
    taus : sequence of array, shape (..., 1) or (..., groups)
        Standard deviation of each level's effect, innermost first, one per level of `groups`.
    whitening : Whitening
        Of the sampling covariance; its blocks stay within the innermost groups.
    groups : Groups
    maths : Maths

    Returns
    -------
    list of Level
    """
    columns = [0] * len(taus) if len(scales) == 1 else list(range(len(taus)))
    r = whiten(residual, whitening, maths)
    c = [whiten(scale, whitening, maths) for scale in scales]
    index, n = groups.innermost, len(groups.labels[-1])
    pairs = [(j, k) for j in range(len(c)) for k in range(j, len(c))]
    found = Level(
        {(j, k): maths.segment_sum(c[j] * c[k], index, n) for j, k in pairs},
        {j: maths.segment_sum(own * r, index, n) for j, own in enumerate(c)},
        maths.segment_sum(r * r, index, n),
        maths.segment_sum(whitening.log_det, index, n),
        taus[0] ** 2,
        columns[0],
    )
    out = [found]
    for depth, tau in enumerate(taus[1:], 1):
        column = columns[depth]
        outer, n = groups.parent[depth - 1], len(groups.labels[-1 - depth])
        out.append(_summed(out[-1], column, tau**2, outer, n, maths))
    return out


def _summed(inner: Level, column: int, tau2: Any, outer: Any, n: int, maths: Maths) -> Level:
    """Return the next level out: sums over the groups inside, their effects absorbed."""
    full = inner.absorbed()
    return Level(
        {
            (j, k): maths.segment_sum(value, outer, n)
            for (j, k), value in full.products.items()
            if j >= column
        },
        {
            j: maths.segment_sum(value, outer, n)
            for j, value in full.projections.items()
            if j >= column
        },
        maths.segment_sum(full.q, outer, n),
        maths.segment_sum(inner.log_det + maths.log(inner.d), outer, n),
        tau2,
        column,
    )


def group_log_likelihood(found: Sequence[Level], counts: Any, maths: Maths) -> Any:
    """Return log p(y in group) for each outermost group, shape (..., groups).

    Parameters
    ----------
    found : sequence of Level
        As `levels` returns them.
    counts : array, shape (groups,)
        Rows in each outermost group.
    maths : Maths
    """
    top = found[-1]
    quadratic = top.q - top.tau2 * top.b**2 / top.d
    return -0.5 * (counts * LOG_2PI + top.log_det + maths.log(top.d) + quadratic)


def mixture(top: Level, nu: Any, maths: Maths) -> tuple[Any, Any]:
    """Return nodes of log w and their log weights, each of shape (..., nodes).

    A Student-t effect is normal given its precision w ~ Gamma(nu/2, nu/2), with tau^2 / w in
    place of tau^2. The integral over log w is taken by the trapezoidal rule, whose error falls
    like exp(-2 pi^2 s^2 / h^2) for an integrand of width s at a step h. The nodes reach from
    where the effect furthest out pulls w, about (nu + 1) / (nu + z^2), to the upper tail of the
    prior; below, the integrand falls at least like w^((nu + 1) / 2), and where no data speak
    like the prior.

    Parameters
    ----------
    top : Level
        The outermost level, tau its scale.
    nu : array, shape (..., 1)
        Degrees of freedom.
    maths : Maths
    """
    # A group into which no effect enters says nothing of w.
    speaks = top.a > 0
    a = maths.where(speaks, top.a, 1.0)
    beyond_noise = top.b**2 / a - 9.0
    z2 = maths.largest(maths.where(beyond_noise > 0, beyond_noise / (a * top.tau2), 0.0))
    vague = -maths.largest(maths.where(speaks, -maths.log(a * top.tau2), 0.0))
    prior_sd, posterior_sd = (2 / nu) ** 0.5, (2 / (nu + 1)) ** 0.5
    by_prior = -36 / nu - 7 * prior_sd
    by_data = maths.where(vague < 0, vague, 0.0) - 36 / (nu + 1) - 7 * posterior_sd
    least = maths.where(by_prior > by_data, by_prior, by_data)
    pulled = maths.log((nu + 1) / (nu + z2)) - 7 * posterior_sd
    low = maths.where(pulled < least, pulled, least)
    high = maths.log(1 + 40 / nu + 7 * prior_sd)
    log_w = low + (high - low) * NODES
    half = nu / 2
    log_density = half * (maths.log(half) + log_w - maths.exp(log_w)) - maths.gammaln(half)
    return log_w, log_density + maths.log((high - low) * NODES[1])


def student_log_likelihood(found: Sequence[Level], counts: Any, nu: Any, maths: Maths) -> Any:
    """Return log p(y in group) for each outermost group, its effect Student-t; (..., groups).

    Parameters
    ----------
    found : sequence of Level
        As `levels` returns them, tau the scale of the outermost effect.
    counts : array, shape (groups,)
        Rows in each outermost group.
    nu : array, shape (..., 1)
        Degrees of freedom.
    maths : Maths
    """
    top, own = found[-1], found[-1].column
    log_w, log_weights = mixture(top, nu, maths)
    by_node = Level(
        {(own, own): top.a[..., None]},
        {own: top.b[..., None]},
        top.q[..., None],
        top.log_det[..., None],
        top.tau2[..., None] * maths.exp(-log_w)[..., None, :],
        own,
    )
    given = group_log_likelihood([by_node], counts[..., None], maths)
    return maths.logsumexp(given + log_weights[..., None, :])


def conditional_draws(
    found: Sequence[Level], taus: Sequence[Floats], groups: Groups, rng: np.random.Generator
) -> list[Floats]:
    """Return exact draws of the group effects given y and the parameters, innermost first.

    From the outside in, b_l | y, outer effects ~ N(tau (b - sum_j a_j u_j) / d, 1 / d), where
    u_j is the sum of the outer effects of the group that enter with loading j.

    Parameters
    ----------
    found : sequence of Level
        As `levels` returns them, on draws.
    taus : sequence of ndarray, shape (..., 1) or (..., groups)
        As given to `levels`.
    groups : Groups
    rng : numpy.random.Generator

    Returns
    -------
    list of ndarray, shape (..., groups of the level)
        Effects tau b in the units of y (for a row of loading 1).
    """
    out: list[Floats] = []
    # The outer effects of each group, by the loading with which they enter its rows.
    shifts: dict[int, Floats] = {}
    for depth in range(len(found) - 1, -1, -1):
        level, tau = found[depth], taus[depth]
        explained = sum((level.cross(j) * shift for j, shift in shifts.items()), 0.0)
        mean = tau * (level.b - explained) / level.d
        effect = tau * (mean + rng.standard_normal(mean.shape) / np.sqrt(level.d))
        out.append(effect)
        if depth:
            shifts[level.column] = shifts.get(level.column, 0.0) + effect
            shifts = {j: shift[..., groups.parent[depth - 1]] for j, shift in shifts.items()}
    return out[::-1]


def row_log_likelihoods(
    residual: Floats,
    scales: Sequence[Floats],
    found: Sequence[Level],
    tops: Sequence[Level],
    whitening: Whitening,
    groups: Groups,
    maths: Maths,
) -> Iterator[Floats]:
    """Yield log p(y_i | the other rows of its group), shape (..., rows), for each of `tops`.

    The conditional of a multivariate normal has precision [S^-1]_ii and residual
    [S^-1 r]_i / [S^-1]_ii (Sundararajan & Keerthi 2001, eq. 13-14); S^-1 r, S^-1 c and
    diag S^-1 follow the same rank-one updates as the inner products.

    Parameters
    ----------
    residual, scales, whitening, groups, maths
        As `levels` took them.
    found : sequence of Level
        As `levels` returned them.
    tops : sequence of Level
        Stand in for the outermost level in turn: they differ in its variance alone.
    """

    def solve(x: Floats) -> Floats:
        white = whiten(x, whitening, maths)
        entries = whitening.values * white[..., whitening.rows]
        return np.asarray(maths.segment_sum(entries, whitening.cols, whitening.n))

    solved, loadings = solve(residual), {j: solve(scale) for j, scale in enumerate(scales)}
    precision = maths.segment_sum(whitening.values**2, whitening.cols, whitening.n)
    index = groups.innermost
    for level, outer, parent in zip(found, found[1:], groups.parent, strict=False):
        own, gain = loadings[level.column], (level.tau2 / level.d)[..., index]
        precision = precision - gain * own**2
        solved = solved - gain * level.b[..., index] * own
        loadings = {
            j: loading / level.d[..., index]
            if j == level.column
            else loading - gain * level.cross(j)[..., index] * own
            for j, loading in loadings.items()
            if j >= outer.column
        }
        index = parent[index]
    for top in tops:
        own, gain = loadings[top.column], (top.tau2 / top.d)[..., index]
        kept = precision - gain * own**2
        rest = solved - gain * top.b[..., index] * own
        yield np.asarray(-0.5 * (LOG_2PI - np.log(kept) + rest**2 / kept))
