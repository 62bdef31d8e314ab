"""Learning: how much of a variance data of a known law would take away, on arrays.

    reduction = Var_y(E[target | y]) / Var(target) = 1 - E_y[Var(target | y)] / Var(target)

With equally likely particles i, E[target | y] = sum_i p(y | i) m_i / sum_i p(y | i), and the
expectation over y is by the trapezoidal rule for one study, and over simulated sets of results
for several (nested Monte Carlo with the inner draws weighted anew instead of drawn anew: Goda,
Hironaka & Iwamoto 2020, Stoch. Anal. Appl. 38:553, on what it converges to).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bayesma.translation.learning.experiments import Law
from bayesma.translation.learning.particles import GROUPS
from bayesma.translation.learning.targets import Moments

__all__ = ["Learnt", "learnt", "variances_after"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Results that lay out the points of one study's result, how many points there may be, and how far
# apart, in the least standard deviation of a result.
LAID, POINTS, STEP = 20_000, (96, 640), 0.5
# The rule is exact to 1e-4 up to this many standard deviations of a result between points.
WIDEST = 1.5
# Sets of results of several studies, and how many of them at once where each is looked at.
SETS, PIECE = 1000, 100
# Of the mean of a set's results, by which the posterior mean is smoothed.
POWERS = 4


@dataclass(frozen=True)
class Learnt:
    """What data would teach.

    Attributes
    ----------
    reduction : float
        Share of the target's variance that they take away, on average.
    mcse : float
        Its Monte Carlo standard error: of the posterior draws, by a jackknife over groups of
        neighbours, and of the simulated results.
    effective : float
        Effective number of particles, averaged over results.
    """

    reduction: float
    mcse: float
    effective: float


def learnt(
    moments: Moments, law: Law, studies: int, groups: Ints, rng: np.random.Generator
) -> Learnt:
    """Return what independent studies of one law would teach of a target.

    Parameters
    ----------
    moments : Moments
        Of the target given each particle.
    law : Law
    studies : int
    groups : ndarray of int, shape (particles,)
        Which the jackknife leaves out together.
    rng : numpy.random.Generator
    """
    points, measure = _laid_out(law, len(groups), rng)
    resolved, means = _resolved(law, points), None
    table = law.log_density(points) if resolved else None
    if table is not None and studies == 1:
        density = np.exp(table)
    else:
        source = _spread_out(moments.mean, min(SETS, len(groups)))
        density, means = _of_sets(table, points, law, source, studies, rng)
        measure = 1 / density.mean(axis=0)
    found = _reductions(moments, density, measure, groups)
    whole, without = found[0], found[1:]
    spread = (GROUPS - 1) * without.var()
    corrected = GROUPS * whole - (GROUPS - 1) * without.mean()
    weight = density.mean(axis=0) * measure
    effective = density.sum(axis=0) ** 2 / np.maximum((density**2).sum(axis=0), 1e-300)
    if means is not None:
        many = _results(law, rng.integers(len(groups), size=LAID), studies, points, rng)
        shift, variance = _simulated(moments, density, means, many.mean(axis=0))
        corrected, spread = corrected + shift, spread + variance
    return Learnt(
        float(corrected), float(np.sqrt(spread)), float(np.average(effective, weights=weight))
    )


def _laid_out(law: Law, particles: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return results, ascending, and their weights in an integral over all results.

    The trapezoidal rule in u, y = centre + scale sinh u, which is even where results are likely
    and has all digits that a smooth integrand allows.
    """
    drawn = law.draws(rng.integers(particles, size=LAID), rng)
    low, centre, high = np.quantile(drawn, [0.025, 0.5, 0.975])
    scale = (high - low) / 2
    reach = np.arcsinh((np.array([drawn.min(), drawn.max()]) - centre) / scale)
    first, last = float(reach[0]) - 0.1, float(reach[1]) + 0.1
    narrowest = np.sqrt(np.quantile(law.between[:, 0], 0.02) + law.sampling)
    count = int(np.clip((last - first) / (STEP * narrowest / scale), *POINTS))
    u = np.linspace(first, last, count)
    return centre + scale * np.sinh(u), scale * np.cosh(u) * (u[1] - u[0])


def _resolved(law: Law, points: Floats) -> bool:
    """Return whether no particle's density falls between the points.

    Towards delay 0 a mean may lie many orders of magnitude out, where points are far apart.
    """
    place = np.clip(np.searchsorted(points, law.mean), 1, len(points) - 1)
    gap = points[place] - points[place - 1]
    return bool((gap <= WIDEST * np.sqrt(law.between.min(axis=1) + law.sampling)).all())


def _spread_out(mean: Floats, size: int) -> Ints:
    """Return particles evenly spread over the order of their means."""
    order = np.argsort(mean, kind="stable")
    return np.asarray(order[((np.arange(size) + 0.5) * len(mean) / size).astype(int)])


def _results(
    law: Law, source: Ints, studies: int, points: Floats, rng: np.random.Generator
) -> Floats:
    """Return results of studies from particles, shape (studies, sets), within the points."""
    drawn = [law.draws(source, rng) for _ in range(studies)]
    return np.clip(np.array(drawn), points[0], points[-1])


def _of_sets(
    table: Floats | None,
    points: Floats,
    law: Law,
    source: Ints,
    studies: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return the density of sets of results, shape (particles, sets), and each set's mean.

    The density is up to a factor by set. log p is read off the table by straight lines between
    its points, which is one product with the weights that each set gives them; without a table
    it is that of the results themselves.
    """
    sets = np.arange(len(source))
    weight = np.zeros((len(points), len(source)))
    results = _results(law, source, studies, points, rng)
    if table is None:
        pieces = [results[:, i : i + PIECE] for i in range(0, len(source), PIECE)]
        out = np.hstack([np.sum([law.log_density(y) for y in piece], axis=0) for piece in pieces])
        return np.asarray(np.exp(out - out.max(axis=0))), results.mean(axis=0)
    for y in results:
        left = np.clip(np.searchsorted(points, y) - 1, 0, len(points) - 2)
        part = (y - points[left]) / (points[left + 1] - points[left])
        weight[left, sets] += 1 - part
        weight[left + 1, sets] += part
    out = table @ weight
    return np.asarray(np.exp(out - out.max(axis=0))), results.mean(axis=0)


def _reductions(moments: Moments, density: Floats, measure: Floats, groups: Ints) -> Floats:
    """Return the reduction by all particles, and without each group."""
    member = (groups == np.arange(GROUPS)[:, None]).astype(float)
    centred = moments.mean - moments.mean.mean()
    rows = {
        "count": member.sum(axis=1),
        "first": member @ centred,
        "second": member @ (centred**2 + moments.variance),
        "density": member @ density,
        "weighted": (member * centred) @ density,
    }
    kept = {name: np.concatenate([[r.sum(axis=0)], r.sum(axis=0) - r]) for name, r in rows.items()}
    mean = kept["first"] / kept["count"]
    total = kept["second"] / kept["count"] - mean**2
    # Far out no particle may be left but by rounding; a mean lies among what it is the mean of.
    inner = np.maximum(kept["density"], 1e-300)
    height = inner * measure
    square = np.clip(kept["weighted"] / inner, centred.min(), centred.max()) ** 2
    among = (height * square).sum(axis=1) / height.sum(axis=1) - mean**2
    return np.asarray(np.divide(among, total, out=np.zeros_like(total), where=total > 0))


def _simulated(
    moments: Moments, density: Floats, means: Floats, many: Floats
) -> tuple[float, float]:
    """Return what simulated sets leave to chance: a correction, and its variance.

    The squared posterior mean of the target goes with the mean of the set's results, whose law is
    known from many more sets.
    """
    # By normal scores: powers of what may lie orders of magnitude out would follow that alone.
    ascending = np.sort(many)
    means, many = (
        special.ndtri((np.searchsorted(ascending, y) + 0.5) / (len(ascending) + 1))
        for y in (means, many)
    )
    centred = moments.mean - moments.mean.mean()
    squares = ((centred @ density) / density.sum(axis=0)) ** 2
    centre, scale = many.mean(), many.std()
    powers = np.arange(POWERS + 1)
    design = ((means - centre) / scale)[:, None] ** powers
    slopes, *_ = np.linalg.lstsq(design, squares, rcond=None)
    known = (((many - centre) / scale)[:, None] ** powers).mean(axis=0) @ slopes
    left = squares - design @ slopes
    # The many leave some chance as well.
    fitted = (((many - centre) / scale)[:, None] ** powers) @ slopes
    variance = left.var() / len(squares) + fitted.var() / len(many)
    return float((known - squares.mean()) / moments.total), float(variance / moments.total**2)


def variances_after(moments: Moments, law: Law, results: Floats) -> Floats:
    """Return the target's variance after one study with each result, shape (results,)."""
    density = np.exp(law.log_density(results))
    weight = density / density.sum(axis=0)
    mean = moments.mean @ weight
    return np.asarray((moments.mean**2 + moments.variance) @ weight - mean**2)
