"""Human evidence against what was predicted for it, and what it leaves of the prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.errors import QueryError
from bayesma.queries.summaries import centre_and_interval
from bayesma.translation.pathway.asked import Question
from bayesma.translation.pathway.innovations import Innovations
from bayesma.translation.people.points import Results, results_of
from bayesma.translation.people.proposals import Pool, pool_of
from bayesma.translation.people.rows import Z

__all__ = ["Confronted", "confronted"]

Floats = NDArray[np.float64]

# Proposals for each draw that is wanted, and at least so many in all.
PROPOSALS, FEWEST = 20, 100_000
# Below this many independent draws, or above this tail shape, an update is not to be trusted
# (Vehtari et al. 2024, JMLR 25(72)).
ENOUGH, HEAVY = 400, 0.7


@dataclass(frozen=True)
class Confronted:
    """Positions of human numbers, and sentences on them."""

    positions: pd.DataFrame
    notes: tuple[str, ...]


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
    # Of their own each, so that a row that only has a position does not move the update.
    proposing, noise, choosing = np.random.default_rng([seed, 1]).spawn(3)
    pool = pool_of(results, max(PROPOSALS * len(drawn), FEWEST), proposing, noise)
    positions = _positions(results, pool)
    if not update:
        held = "human evidence: held out, so that it moves nothing"
        return drawn, Confronted(positions, (*results.notes, held))
    usable = ~np.isnan(results.spread)
    if not usable.any():
        none = "human evidence: no row has an interval, so nothing is updated"
        return drawn, Confronted(positions, (*results.notes, none))
    weights, shape = _smoothed(pool.weighed.log_likelihood)
    found = _resampled(pool, weights, drawn, choosing)
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


def _positions(results: Results, pool: Pool) -> pd.DataFrame:
    """Return where each result lies in what was predicted for it."""
    frame, fading = results.frame, results.fading
    low, median, high = centre_and_interval(pool.predicted, 0.95)
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
    raw = log_likelihood[reached]
    log_weights, shape = raw, -np.inf
    # Where the largest weights are all alike they have no tail to smooth.
    largest = np.sort(raw)[-int(min(len(raw) / 5, 3 * np.sqrt(len(raw)))) :]
    if largest[0] < largest[-1]:
        # It takes log likelihoods of what is left out, whose negatives are the log weights.
        log_weights, shape = array_stats.psislw(-raw)
    weights = np.zeros(len(log_likelihood))
    weights[reached] = np.exp(log_weights - np.max(log_weights))
    return weights / weights.sum(), float(shape)


def _resampled(
    pool: Pool, weights: Floats, drawn: Innovations, rng: np.random.Generator
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
