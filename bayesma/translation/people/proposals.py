"""Proposals: draws of a prediction at the points of human results, and how they fare there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.translation.pathway.innovations import FACTORS, Innovations, innovations
from bayesma.translation.pathway.prediction import Predicted
from bayesma.translation.people.points import Results
from bayesma.translation.people.weighing import Weighed, sampling_covariance, weighed

__all__ = ["Pool", "pool_of"]

Floats = NDArray[np.float64]

# Proposals evaluated at a time.
CHUNK = 20_000


@dataclass(frozen=True)
class Pool:
    """Proposals from the prediction without human evidence.

    Attributes
    ----------
    drawn : Innovations
    predicted : ndarray, shape (proposals, results)
        What each result might have been; natural logarithms of half-lives in days.
    below : ndarray, shape (results,)
        P(predicted < observed).
    weighed : Weighed
    """

    drawn: Innovations
    predicted: Floats
    below: Floats
    weighed: Weighed


def pool_of(
    results: Results, size: int, rng: np.random.Generator, noise: np.random.Generator
) -> Pool:
    """Return proposals and how likely they make the evidence, a chunk at a time."""
    drawn: list[Innovations] = []
    predicted, below, light = [], [], []
    for count in _chunks(size):
        here = innovations(count, rng)
        found = results.prediction(here)
        own = _deviations(results, here, found, rng)
        mean, sd = _moments(results, found, own)
        with np.errstate(invalid="ignore"):
            predicted.append(mean + sd * noise.standard_normal(mean.shape))
        below.append(_below(results.y, mean, sd))
        light.append(_weigh(results, found, own))
        drawn.append(here)
    together = Weighed(
        np.concatenate([one.log_likelihood for one in light]),
        np.concatenate([one.mean for one in light]),
        np.concatenate([one.variance for one in light]),
    )
    whole = {name: np.concatenate([one.parts[name] for one in drawn]) for name in FACTORS}
    share = np.concatenate(below).mean(axis=0)
    return Pool(Innovations(whole), np.concatenate(predicted), share, together)


def _chunks(size: int) -> Iterator[int]:
    for first in range(0, size, CHUNK):
        yield min(CHUNK, size - first)


def _studies(results: Results) -> NDArray[np.int64]:
    return np.asarray(pd.factorize(results.frame["study"])[0], dtype=np.int64)


def _deviations(
    results: Results, here: Innovations, found: Predicted, rng: np.random.Generator
) -> Floats:
    """Return the SD of each result's trial deviation, shape (proposals, results).

    Trials that are Student-t have a precision of their own each, and so one prediction each.
    """
    sd, study = found.deviation_sd.copy(), _studies(results)
    if all(form.trials.nu is None for form in results.prediction.forms):
        return sd
    numbers = here.parts["new study"]
    for one in range(study.max() + 1):
        fresh = np.column_stack([numbers[:, :1], rng.random(numbers[:, 1:].shape)])
        again = results.prediction(here.replaced("new study", fresh))
        sd[:, study == one] = again.deviation_sd[:, study == one]
    return sd


def _moments(results: Results, found: Predicted, own: Floats) -> tuple[Floats, Floats]:
    """Return mean and SD of each result given the proposal, delta integrated out."""
    error = np.nan_to_num(results.spread)
    prior = _delta(results)
    mean = found.carried + found.loading * prior[0]
    sd = np.sqrt((found.loading * prior[1]) ** 2 + own**2 + error**2)
    if found.log2_half_life is not None:
        fading = results.fading
        mean = np.where(fading, found.log2_half_life * np.log(2), mean)
        sd = np.where(fading, error, sd)
    return mean, sd


def _delta(results: Results) -> tuple[float, float]:
    """Return mean and SD of delta."""
    prior = results.prediction.given.discrepancy
    if prior is None:
        return 0.0, 0.0
    told = prior.distribution()
    return float(told.mean()), float(told.std())


def _below(y: Floats, mean: Floats, sd: Floats) -> Floats:
    """Return P(predicted < observed) by proposal and result."""
    from scipy import special

    with np.errstate(divide="ignore", invalid="ignore"):
        smooth = special.ndtr((y - mean) / sd)
    # Half of what is exactly as observed lies below it.
    sharp = np.where(mean < y, 1.0, np.where(mean > y, 0.0, 0.5))
    return np.asarray(np.where(sd > 0, smooth, sharp))


def _weigh(results: Results, found: Predicted, own: Floats) -> Weighed:
    """Return how likely the rows with an interval are."""
    told = ~np.isnan(results.spread)
    effects, fading = told & ~results.fading, told & results.fading
    centre, scale = _delta(results)
    study = _studies(results)[effects]
    rho = results.prediction.given.within_trial
    out = weighed(
        results.y[effects] - found.carried[:, effects] - found.loading[:, effects] * centre,
        found.loading[:, effects],
        own[:, effects],
        sampling_covariance(results.spread[effects], study, rho),
        study,
        scale,
    )
    if not fading.any() or found.log2_half_life is None:
        return out
    error = results.spread[fading]
    gap = (results.y[fading] - found.log2_half_life[:, fading] * np.log(2)) / error
    times = (-0.5 * gap**2 - np.log(error * np.sqrt(2 * np.pi))).sum(axis=1)
    return Weighed(out.log_likelihood + times, out.mean, out.variance)
