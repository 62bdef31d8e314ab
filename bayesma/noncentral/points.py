"""Points at which the SDs of sets that hold the same animals stand to each other.

A set's nu q is W + sum over its visits of (sqrt(rho C) + sqrt(1 - rho) z)^2 + (1 - rho) G, with
W and G chi-squared of the set's own and the visit's degrees of freedom, C of the cohort's and
common to its visits, z ~ N(0, 1): the diagonal of a Wishart matrix with correlations rho. All of
them together, T = sum W + C + z^2 + G, are chi-squared too and independent of their shares in T.
So T integrates out in closed form, as the one q of all rows, and points are needed for the shares
alone: scrambled Sobol points with a fixed seed, so that one set of data has one likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import chi2, qmc

__all__ = ["POINTS", "Linked", "shares_of"]

Floats = NDArray[np.float64]

# log2 of the number of points.
POINTS = 10
SEED = 20260


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
def shares_of(linked: Linked) -> tuple[Floats, float]:
    """Return q_set nu* / T by point and set, and nu*, the degrees of freedom of T.

    Given a point, q_set is the share times a common q ~ chi2 of nu* over nu*.

    Returns
    -------
    shares : ndarray, shape (points, sets)
    total : float
    """
    sizes = [own for own in linked.own if own > 0]
    for df, seen in linked.cohorts:
        sizes += [df, *([df - 1] * len(seen) if df > 1 else [])]
    normals = sum(len(seen) for _, seen in linked.cohorts)
    uniform = qmc.Sobol(len(sizes) + normals, rng=SEED).random_base2(POINTS)
    squares = iter(chi2.ppf(uniform[:, : len(sizes)], sizes).T)
    z = iter(ndtri(uniform[:, len(sizes) :]).T)
    total = np.zeros(len(uniform))
    out = np.zeros((len(uniform), len(linked.df)))
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
            rest = next(squares) if df > 1 else np.zeros(len(uniform))
            total += normal**2 + rest
            along = np.sqrt(linked.rho * common) + np.sqrt(1 - linked.rho) * normal
            out[:, place] += along**2 + (1 - linked.rho) * rest
    freedom = float(sum(sizes) + normals)
    return out * freedom / total[:, None] / np.array(linked.df), freedom
