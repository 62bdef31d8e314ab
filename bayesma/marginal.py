"""Normal group effects integrated out: one algebra for the sampler, LOO and exact draws.

With y = m + sum over levels of tau_l c b_l + e, e ~ N(0, V) and b_l ~ N(0, 1), the covariance
of an outermost group is V plus nested rank-one terms. Three inner products per group,

    a = c' S^-1 c,    b = c' S^-1 r,    q = r' S^-1 r,

and log det S are enough. Adding tau^2 c c' to S turns them (Sherman & Morrison 1950) into
a/d, b/d, q - tau^2 b^2/d and log det S + log d, with d = 1 + tau^2 a; groups of the next level
up then sum those of their members. The cost is linear in the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesma.covariance import Whitening
from bayesma.decay import Maths
from bayesma.grouping import Groups

__all__ = ["Level", "conditional_draws", "group_log_likelihood", "levels", "row_log_likelihood"]

Floats = NDArray[np.float64]

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Level:
    """The inner products at one level, before its own effect is added.

    Attributes
    ----------
    a, b, q, log_det : array, shape (..., groups)
        See the module.
    tau2 : array, shape (...)
        Variance of the level's effect; 0 where it has none.
    """

    a: Any
    b: Any
    q: Any
    log_det: Any
    tau2: Any

    @property
    def d(self) -> Any:
        """1 + tau^2 a: what the level's effect multiplies the determinant by."""
        return 1 + self.tau2 * self.a


def whiten(x: Any, whitening: Whitening, maths: Maths) -> Any:
    """Return L^-1 x over the last axis, for V = L L'."""
    if whitening.diagonal:
        return whitening.values * x
    entries = whitening.values * maths.take(x, whitening.cols)
    return maths.segment_sum(entries, whitening.rows, whitening.n)


def levels(
    residual: Any,
    scale: Any,
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
    scale : array, shape (..., rows)
        c: 1, the row's tau relative to the average, or 0 where no group effect enters.
    taus : sequence of array, shape (..., 1)
        Standard deviation of each level's effect, innermost first, one per level of `groups`.
    whitening : Whitening
        Of the sampling covariance; its blocks stay within the innermost groups.
    groups : Groups
    maths : Maths

    Returns
    -------
    list of Level
    """
    r = whiten(residual, whitening, maths)
    c = whiten(scale, whitening, maths)
    index, n = groups.innermost, len(groups.labels[-1])
    found = Level(
        maths.segment_sum(c * c, index, n),
        maths.segment_sum(c * r, index, n),
        maths.segment_sum(r * r, index, n),
        maths.segment_sum(whitening.log_det, index, n),
        taus[0] ** 2,
    )
    out = [found]
    for parent, labels, tau in zip(groups.parent, groups.labels[-2::-1], taus[1:], strict=True):
        inner = out[-1]
        outer, n = parent, len(labels)
        out.append(
            Level(
                maths.segment_sum(inner.a / inner.d, outer, n),
                maths.segment_sum(inner.b / inner.d, outer, n),
                maths.segment_sum(inner.q - inner.tau2 * inner.b**2 / inner.d, outer, n),
                maths.segment_sum(inner.log_det + maths.log(inner.d), outer, n),
                tau**2,
            )
        )
    return out


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


def conditional_draws(
    found: Sequence[Level], taus: Sequence[Floats], groups: Groups, rng: np.random.Generator
) -> list[Floats]:
    """Return exact draws of the group effects given y and the parameters, innermost first.

    From the outside in, b_l | y, outer effects ~ N(tau (b - a shift) / d, 1 / d), where shift
    is the sum of the outer effects of the group.

    Parameters
    ----------
    found : sequence of Level
        As `levels` returns them, on draws.
    taus : sequence of ndarray, shape (..., 1)
        As given to `levels`.
    groups : Groups
    rng : numpy.random.Generator

    Returns
    -------
    list of ndarray, shape (..., groups of the level)
        Effects tau b in the units of y (for a row of average tau).
    """
    out: list[Floats] = []
    shift: Floats = np.zeros_like(found[-1].b)
    for depth in range(len(found) - 1, -1, -1):
        level, tau = found[depth], taus[depth]
        mean = tau * (level.b - shift * level.a) / level.d
        effect = tau * (mean + rng.standard_normal(mean.shape) / np.sqrt(level.d))
        out.append(effect)
        if depth:
            shift = (shift + effect)[..., groups.parent[depth - 1]]
    return out[::-1]


def row_log_likelihood(
    residual: Floats,
    scale: Floats,
    found: Sequence[Level],
    whitening: Whitening,
    groups: Groups,
    maths: Maths,
) -> Floats:
    """Return log p(y_i | the other rows of its group), shape (..., rows).

    The conditional of a multivariate normal has precision [S^-1]_ii and residual
    [S^-1 r]_i / [S^-1]_ii (Sundararajan & Keerthi 2001, eq. 13-14); S^-1 r, S^-1 c and
    diag S^-1 follow the same rank-one updates as the inner products.
    """

    def solve(x: Floats) -> Floats:
        white = whiten(x, whitening, maths)
        entries = whitening.values * white[..., whitening.rows]
        return np.asarray(maths.segment_sum(entries, whitening.cols, whitening.n))

    solved, loading = solve(residual), solve(scale)
    precision = maths.segment_sum(whitening.values**2, whitening.cols, whitening.n)
    index = groups.innermost
    for depth, level in enumerate(found):
        d, b = level.d[..., index], level.b[..., index]
        precision = precision - level.tau2 / d * loading**2
        solved = solved - level.tau2 * b / d * loading
        loading = loading / d
        if depth < len(groups.parent):
            index = groups.parent[depth][index]
    return np.asarray(-0.5 * (LOG_2PI - np.log(precision) + solved**2 / precision))
