"""Mixtures of normals fitted to draws, by EM."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesma.errors import QueryError
from bayesma.translation.worth.mixtures import NormalMixture

__all__ = ["LARGEST", "MOST", "PENALTY", "MixtureFit", "fitted_mixture", "is_count"]

Floats = NDArray[np.float64]

# Components tried where their number is left open, and the most that can be asked for.
MOST, LARGEST = 4, 10
# What a parameter costs. 2 is Akaike's; 6, the upper end of what Collett suggests, keeps to fewer.
PENALTY = 6
# From each start a few steps, from the best of them to the end: where a step adds less than this
# to the mean log density, or there have been this many.
SHORT, LONG, ENOUGH = 40, 3000, 1e-7
STARTS = 6
# A component narrower than this share of the whole is a knot of draws, not a shape.
NARROWEST = 1e-2
# Width of the middle half of a normal in SDs; an SD this many times what that says is of the tails.
MIDDLE, TAILS = 1.349, 5.0


@dataclass(frozen=True)
class MixtureFit:
    """A mixture and how well it stands for the draws.

    Attributes
    ----------
    mixture : NormalMixture
    log_likelihood, aic : float
        aic = -2 log likelihood + 6 parameters.
    aics : dict of int to float
        By number of components tried.
    distance : float
        Largest difference of the draws' and the mixture's cumulative probabilities.
    """

    mixture: NormalMixture
    log_likelihood: float
    aic: float
    aics: dict[int, float]
    distance: float


def fitted_mixture(draws: Floats, components: int | None = None, seed: int = 0) -> MixtureFit:
    """Return the mixture of normals of highest likelihood.

    E: r_ik = w_k N(x_i; m_k, s_k^2) / sum_j w_j N(x_i; m_j, s_j^2)
    M: w_k = mean_i r_ik,  m_k = sum_i r_ik x_i / sum_i r_ik,  s_k^2 the same of (x_i - m_k)^2

    Parameters
    ----------
    draws : ndarray, shape (draws,)
    components : int, optional
        Where absent, 1 to 4 are tried, and the lowest AIC with 6 for each parameter wins: the
        rule of RBesT's automixfit (Weber et al. 2021, J Stat Softw 100(19); Collett 2003,
        Modelling Survival Data in Medical Research: 2 to 6 for each parameter).
    seed : int
        Of the starts.

    Raises
    ------
    QueryError
        If the draws are few, not finite or all alike, or the number of components is none.
    """
    x = np.sort(np.asarray(draws, dtype=float).ravel())
    _check(x, components)
    centre, scale = float(np.median(x)), _scale(x)
    standard = (x - centre) / scale
    tried = range(1, MOST + 1) if components is None else (components,)
    fits = {count: _fitted(standard, count, np.random.default_rng(seed)) for count in tried}
    aics = {
        count: float(-2 * (log - len(x) * np.log(scale)) + PENALTY * (3 * count - 1))
        for count, (_, log) in fits.items()
    }
    best = min(aics, key=lambda count: aics[count])
    (weights, means, sds), log = fits[best]
    order = np.argsort(-weights)
    mixture = NormalMixture(weights[order], centre + scale * means[order], scale * sds[order])
    heights, steps = mixture.cdf(x), np.arange(len(x) + 1) / len(x)
    distance = max(np.abs(heights - steps[1:]).max(), np.abs(heights - steps[:-1]).max())
    log -= len(x) * float(np.log(scale))
    return MixtureFit(mixture, log, aics[best], aics, float(distance))


def is_count(components: Any) -> bool:
    """Return whether a mixture can have so many components; None leaves it open."""
    if components is None:
        return True
    whole = isinstance(components, Integral) and not isinstance(components, bool)
    return whole and 1 <= components <= LARGEST


def _check(x: Floats, components: int | None) -> None:
    if not is_count(components):
        raise QueryError(f"components = {components!r}: a whole number from 1 to {LARGEST}")
    if not np.isfinite(x).all():
        count = int((~np.isfinite(x)).sum())
        raise QueryError(
            f"{count} of {len(x)} draws are not finite: towards delay 0 the effect of a very short "
            "half-life has no bound; ask for a later delay"
        )
    if len(np.unique(x)) < 10 * (components or MOST):
        raise QueryError(
            f"{len(np.unique(x))} distinct draws are too few for a mixture: at least "
            f"{10 * (components or MOST)}"
        )


def _scale(x: Floats) -> float:
    """Return the SD, or that of the middle half as a normal where rare draws make up the SD."""
    whole = float(x.std())
    middle = float(np.subtract(*np.quantile(x, [0.75, 0.25]))) / MIDDLE
    return middle if 0 < TAILS * middle < whole else whole


Parts = tuple[Floats, Floats, Floats]


def _fitted(x: Floats, count: int, rng: np.random.Generator) -> tuple[Parts, float]:
    short = [_climbed(x, start, SHORT) for start in _starts(x, count, rng)]
    parts, _ = max(short, key=lambda found: found[1])
    return _climbed(x, parts, LONG)


def _starts(x: Floats, count: int, rng: np.random.Generator) -> list[Parts]:
    """Return parts side by side, parts of one centre, and random ones."""
    even = np.full(count, 1 / count)
    if count == 1:
        return [(even, np.array([x.mean()]), np.array([x.std()]))]
    pieces = np.array_split(x, count)
    beside = np.array([piece.mean() for piece in pieces])
    widths = np.array([max(piece.std(), NARROWEST) for piece in pieces])
    nested = x.std() * 2.0 ** (np.arange(count) - count / 2)
    found = [(even, beside, widths), (even, np.full(count, np.median(x)), nested)]
    for _ in range(STARTS - len(found)):
        centres = np.sort(rng.choice(x, count, replace=False))
        found.append((even, centres, np.full(count, x.std() / 2)))
    return found


def _climbed(x: Floats, parts: Parts, most: int) -> tuple[Parts, float]:
    """Return the parts after EM, and their log likelihood."""
    before = -np.inf
    for _ in range(most):
        shares, log = _expected(x, parts)
        if log - before < ENOUGH * len(x):
            break
        parts, before = _maximised(x, shares), log
    return parts, _expected(x, parts)[1]


def _expected(x: Floats, parts: Parts) -> tuple[Floats, float]:
    weights, means, sds = (part[:, None] for part in parts)
    joint = np.log(weights) - np.log(sds) - 0.5 * ((x - means) / sds) ** 2
    largest = joint.max(axis=0)
    shares = np.exp(joint - largest)
    total = shares.sum(axis=0)
    log = float((largest + np.log(total)).sum() - 0.5 * len(x) * np.log(2 * np.pi))
    return shares / total, log


def _maximised(x: Floats, shares: Floats) -> Parts:
    # A component that lost all its draws keeps a little, so that its mean is a number.
    total = shares.sum(axis=1) + 1e-12
    means = shares @ x / total
    square = (shares * (x - means[:, None]) ** 2).sum(axis=1) / total
    return total / total.sum(), means, np.sqrt(np.maximum(square, NARROWEST**2))
