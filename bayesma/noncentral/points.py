"""Points at which the SDs of sets that hold the same animals stand to each other.

A set's nu q is W + sum over its visits of (sqrt(rho C) + sqrt(1 - rho) z)^2 + (1 - rho) G, with
W and G chi-squared of the set's own and the visit's degrees of freedom, C of the cohort's and
common to its visits, z ~ N(0, 1): the diagonal of a Wishart matrix with correlations rho. All of
them together, T = sum W + C + z^2 + G, are chi-squared too and independent of their shares in T.
So T integrates out in closed form, as the one q of all rows, and points are needed for the shares
alone: scrambled Sobol points with a fixed seed, so that one set of data has one likelihood. What
they leave in the log likelihood of a set of two times is about 0.02, and 0.1 where the two
contradict each other; the tests hold both to Kibble's density.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri
from scipy.stats import chi2, qmc

__all__ = ["POINTS", "Linked", "shares_of"]

Floats = NDArray[np.float64]

# log2 of the number of points.
POINTS = 10
SEED = 20260
# Degrees of freedom of the wider points, as a share.
WIDENED = 0.4


@dataclass(frozen=True)
class Linked:
    """Sets whose SDs are correlated, or whose numerators are.

    Attributes
    ----------
    df : tuple of float
        nu of each set.
    own : tuple of float
        Degrees of freedom seen at no other set, of each set.
    cohorts : tuple of (int, tuple of int)
        Degrees of freedom of each cohort, and the sets it is seen at.
    rho : float
        Correlation of an animal with itself.
    """

    df: tuple[float, ...]
    own: tuple[float, ...]
    cohorts: tuple[tuple[float, tuple[int, ...]], ...]
    rho: float


@lru_cache(maxsize=512)
def shares_of(linked: Linked) -> tuple[Floats, Floats, float]:
    """Return q_set nu* / T by point and set, log weights, and nu*, the freedom of T.

    Given a point, q_set is the share times a common q ~ chi2 of nu* over nu*.

    Returns
    -------
    shares : ndarray, shape (points, sets)
    log_weight : ndarray, shape (points,)
    total : float
    """
    sizes = [own for own in linked.own if own > 0]
    for df, seen in linked.cohorts:
        sizes += [df, *([df - 1] * len(seen) if df > 1 else [])]
    normals = sum(len(seen) for _, seen in linked.cohorts)
    columns, log_weight = _drawn(np.array(sizes), normals)
    squares, z = iter(columns[:, : len(sizes)].T), iter(columns[:, len(sizes) :].T)
    total = np.zeros(len(columns))
    out = np.zeros((len(columns), len(linked.df)))
    for place, own in enumerate(linked.own):
        if own > 0:
            found = next(squares)
            total += found
            out[:, place] += found
    for df, seen in linked.cohorts:
        common = next(squares)
        total += common
        for place in seen:
            normal = next(z)
            rest = next(squares) if df > 1 else np.zeros(len(columns))
            total += normal**2 + rest
            along = np.sqrt(linked.rho * common) + np.sqrt(1 - linked.rho) * normal
            out[:, place] += along**2 + (1 - linked.rho) * rest
    freedom = float(sum(sizes) + normals)
    return out * freedom / total[:, None] / np.array(linked.df), log_weight, freedom


def _drawn(sizes: Floats, normals: int) -> tuple[Floats, Floats]:
    """Return chi-squared and normal columns by point, and log weights.

    Their shares in the sum are Dirichlet. Half of the points come from a wider Dirichlet, so that
    sets that contradict each other have points as well; the weight is p over the mean of both.
    """
    shape = 0.5 * np.append(sizes, np.ones(normals))
    halves = []
    for seed, widened in ((SEED, 1.0), (SEED + 1, WIDENED)):
        uniform = qmc.Sobol(len(shape), rng=seed).random_base2(POINTS - 1)
        squares = chi2.ppf(uniform[:, : len(sizes)], widened * sizes)
        halves.append(np.concatenate([squares, ndtri(uniform[:, len(sizes) :])], axis=1))
    columns = np.concatenate(halves)
    squares = np.concatenate([columns[:, : len(sizes)], columns[:, len(sizes) :] ** 2], axis=1)
    wide = np.append(WIDENED * shape[: len(sizes)], shape[len(sizes) :])
    shares = squares / squares.sum(axis=1, keepdims=True)
    ratio = np.log(shares) @ (wide - shape) + _log_beta(shape) - _log_beta(wide)
    return columns, -np.log(0.5 + 0.5 * np.exp(ratio)) - np.log(len(columns))


def _log_beta(shape: Floats) -> float:
    return float(gammaln(shape).sum() - gammaln(shape.sum()))
