"""Human evidence against what was predicted for it, and what it leaves of the prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.errors import QueryError
from bayesma.translation.asked import Question
from bayesma.translation.drafts import Z
from bayesma.translation.innovations import FACTORS, Innovations, innovations
from bayesma.translation.points import Results, results_of
from bayesma.translation.prediction import Predicted
from bayesma.translation.weighing import Weighed, sampling_covariance, weighed

__all__ = ["Confronted", "confronted"]

Floats = NDArray[np.float64]

# Proposals for each draw that is wanted, at least so many in all, and how many at a time.
PROPOSALS, FEWEST, CHUNK = 20, 100_000, 20_000
# Below this many independent draws, or above this tail shape, an update is not to be trusted
# (Vehtari et al. 2024, JMLR 25(72)).
ENOUGH, HEAVY = 400, 0.7


@dataclass(frozen=True)
class Confronted:
    """Positions of human numbers, and sentences on them."""

    positions: pd.DataFrame
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Pool:
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


def confronted(
    asked: Question, human: Any, drawn: Innovations, update: bool, seed: int
) -> tuple[Innovations, Confronted]:
    """Return innovations given human evidence, and where it lies in what was predicted.

    The position of a number is P(predicted < observed), the prediction with its own trial's
    deviation and sampling error in it but no human evidence: a prior-predictive check (Box 1980,
    J R Stat Soc A 143:383). The update is by importance weights: those of innovations other than
    delta's are the normal density of all effects, delta and the trials' deviations integrated
    out, times log-normal densities of the half-lives; delta then is drawn from its conditional
    normal distribution. A half-life says nothing of whether the effect translates.

    Parameters
    ----------
    asked : Question
    human : HumanEvidence, pandas.DataFrame or StudyTable
    drawn : Innovations
        Without human evidence; as many are returned.
    update : bool
        False returns them as they are.
    seed : int

    Raises
    ------
    QueryError
        If no proposal comes near the evidence.
    TableError
        If the evidence has faults.
    """
    results = results_of(asked, human)
    _check_correlation(results, asked.given.within_trial)
    rng = np.random.default_rng([seed, 1])
    pool = _pool(results, max(PROPOSALS * len(drawn), FEWEST), rng)
    positions = _positions(results, pool)
    if not update:
        held = "human evidence: held out, so that it moves nothing"
        return drawn, Confronted(positions, (*results.notes, held))
    usable = ~np.isnan(results.spread)
    if not usable.any():
        none = "human evidence: no row has an interval, so nothing is updated"
        return drawn, Confronted(positions, (*results.notes, none))
    weights, shape = _smoothed(pool.weighed.log_likelihood)
    found = _resampled(pool, weights, drawn, rng)
    notes = [*results.notes, *_quality(int(usable.sum()), weights, shape)]
    notes.append(_learnt(asked, found))
    return found, Confronted(positions, tuple(notes))


def _check_correlation(results: Results, rho: float) -> None:
    several = results.frame.loc[~results.fading & ~np.isnan(results.spread), "study"]
    if rho == 1 and several.duplicated().any():
        raise QueryError(
            "within_trial = 1: a second result of one trial would have no error of its own; "
            "state a correlation below 1"
        )


def _pool(results: Results, size: int, rng: np.random.Generator) -> _Pool:
    """Return proposals and how likely they make the evidence, a chunk at a time."""
    drawn: list[Innovations] = []
    predicted, below, light = [], [], []
    for count in _chunks(size):
        here = innovations(count, rng)
        found = results.prediction(here)
        own = _deviations(results, here, found, rng)
        mean, sd = _moments(results, found, own)
        with np.errstate(invalid="ignore"):
            predicted.append(mean + sd * rng.standard_normal(mean.shape))
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
    return _Pool(Innovations(whole), np.concatenate(predicted), share, together)


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


def _positions(results: Results, pool: _Pool) -> pd.DataFrame:
    """Return where each result lies in what was predicted for it."""
    frame, fading = results.frame, results.fading
    low, median, high = np.quantile(pool.predicted, [0.025, 0.5, 0.975], axis=0)
    said_low = results.y - Z * results.spread
    said_high = results.y + Z * results.spread

    def shown(values: Floats) -> Floats:
        return np.where(fading, np.exp(np.where(fading, values, 0.0)), values)

    names = ["row_id", "study", "quantity", *results.covariates, "delay"]
    names += ["start"] if frame["start"].notna().any() else []
    return frame[names].assign(
        observed=shown(results.y),
        obs_low=frame["ci_low"].fillna(pd.Series(shown(said_low))),
        obs_high=frame["ci_high"].fillna(pd.Series(shown(said_high))),
        predicted=shown(median),
        pred_low=shown(low),
        pred_high=shown(high),
        position=pool.below,
        conflict_p=2 * np.minimum(pool.below, 1 - pool.below),
    )


def _smoothed(log_likelihood: Floats) -> tuple[Floats, float]:
    """Return Pareto-smoothed weights that add to 1, and the shape of their tail."""
    from arviz_stats.base import array_stats

    reached = np.flatnonzero(np.isfinite(log_likelihood))
    if len(reached) < ENOUGH:
        raise QueryError(
            f"human evidence: {len(reached)} of {len(log_likelihood)} draws of the prediction come "
            "anywhere near it; look at its positions (update=False)"
        )
    # It takes log likelihoods of what is left out, whose negatives are the log weights.
    log_weights, shape = array_stats.psislw(-log_likelihood[reached])
    weights = np.zeros(len(log_likelihood))
    weights[reached] = np.exp(log_weights - np.max(log_weights))
    return weights / weights.sum(), float(shape)


def _resampled(
    pool: _Pool, weights: Floats, drawn: Innovations, rng: np.random.Generator
) -> Innovations:
    """Return innovations given the evidence: systematic resampling, then delta given the rest."""
    from scipy import special

    size = len(drawn)
    steps = (rng.random() + np.arange(size)) / size
    index = np.minimum(np.searchsorted(np.cumsum(weights), steps), len(weights) - 1)
    index = rng.permutation(index)
    found = pool.drawn.taken(index)
    z = rng.standard_normal(size) * np.sqrt(pool.weighed.variance[index])
    z += pool.weighed.mean[index]
    # The new trial is none of those seen: it shares their tau, and is a draw of its own.
    own = np.column_stack([found.parts["new study"][:, :1], drawn.parts["new study"][:, 1:]])
    found = found.replaced("discrepancy", special.ndtr(z)[:, None])
    return found.replaced("new study", own)


def _quality(count: int, weights: Floats, shape: float) -> list[str]:
    effective = 1 / float((weights**2).sum())
    told = (
        f"human evidence: updated by {count} numbers; {len(weights)} proposals are worth "
        f"{effective:.0f} draws (Pareto k {shape:.2f})"
    )
    if effective >= ENOUGH and shape <= HEAVY:
        return [told]
    return [
        told,
        "human evidence: the update rests on few draws and is not to be trusted: the evidence "
        "lies far from what was predicted; look at the positions, or ask for more draws",
    ]


def _learnt(asked: Question, after: Innovations) -> str:
    """Return what the evidence says of the assumptions themselves."""
    given, told = asked.given, []
    if given.discrepancy is not None:
        delta = given.discrepancy.distribution().ppf(after.parts["discrepancy"])
        told.append(f"delta is {delta.mean():.2f} (SD {delta.std():.2f})")
    for name, part, chance in (
        ("no translation", "no translation", given.no_translation),
        ("no scaling of time", "scaling", given.no_scaling),
    ):
        if 0 < chance < 1:
            now = float((after.parts[part][:, 0] < chance).mean())
            told.append(f"P({name}) {now:.2f}, from {chance:.2f}")
    return "human evidence: after it, " + ("; ".join(told) or "no assumption has moved")
