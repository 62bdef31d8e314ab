"""Cohorts of animals: which rows measure whom, and what other animals would have given instead."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.effects import Effects, with_rho
from bayesma.measures import Arms, arms_of, hedges_correction, measure_of
from bayesma.outcomes import signs_of
from bayesma.schema import ARMS, EFFECT
from bayesma.sharing import Sharing, cluster_labels, codes_of, joined, named, shared_labels

__all__ = ["Cohorts", "arms_in", "cohorts_of", "correction_of", "new_outcomes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# What is measured has this mean in control animals and this SD between animals; a standardised
# effect does not depend on either.
CONTROL_MEAN, ANIMAL_SD = 10.0, 2.0


@dataclass(frozen=True)
class Cohorts:
    """The animals behind each row, as numbers that rows of the same animals share.

    Attributes
    ----------
    treated, control : ndarray of int, shape (rows,)
        Cohort of either arm.
    measurement : ndarray of int, shape (rows,)
        Measurement of the control cohort: rows that share it hold the same control mean and SD.
    """

    treated: Ints
    control: Ints
    measurement: Ints


def arms_in(frame: pd.DataFrame) -> Arms:
    """Return the arms of a frame that holds all six arm columns."""
    return arms_of(**{name: frame[name] for name in ARMS})


def correction_of(effects: Effects) -> Floats | None:
    """Return what turns d into y by row: J, or 1 where effects are not corrected.

    None where y is not computed from the arms, up to rounding on the way through a file.
    """
    arms = arms_in(effects.frame)
    found, _ = measure_of("SMD")
    d, _ = found(arms, None, False, signs_of(effects.frame, found))
    for factor in (hedges_correction(arms.df), np.ones(len(d))):
        if np.allclose(effects.y, factor * d, rtol=1e-6, atol=1e-9):
            return factor
    return None


def cohorts_of(frame: pd.DataFrame, sharing: Sharing) -> Cohorts:
    """Return the cohorts behind the rows of a frame with arms, as `sharing` tells them.

    Parameters
    ----------
    frame : pandas.DataFrame
        With all six arm columns in every row.
    sharing : Sharing
        Without columns of labels and with a rho, all rows of a cluster are of the same animals,
        each a measurement of its own.
    """
    own = np.arange(len(frame))
    if not sharing.labelled:
        if not sharing.rho:
            return Cohorts(own, own, own)
        cluster = codes_of(cluster_labels(frame, sharing.within))
        return Cohorts(cluster, cluster, own)
    known = np.ones(len(frame), dtype=bool)
    controls = shared_labels(frame, sharing.shared_control, sharing.within, known)
    animals = shared_labels(frame, sharing.same_animals, sharing.within, known)
    control = joined(controls, animals)
    numbers = frame[["mean_control", "sd_control", "n_control"]].itertuples(index=False)
    measured = [(int(c), *map(float, row)) for c, row in zip(control, numbers, strict=True)]
    return Cohorts(codes_of(named(animals)), control, codes_of(measured))


def new_outcomes(effects: Effects, theta: Floats, rng: np.random.Generator) -> Effects:
    """Return the effects that new animals would give, arms, y, v and covariance alike.

    Normal animals with equal variances, as many as in each arm; cohorts that rows share are
    shared again, and two measurements of one animal correlate by `sharing.rho`.

    Parameters
    ----------
    effects : Effects
        SMDs, every row computed from arms.
    theta : ndarray, shape (rows,)
        True effects, in standard deviations.
    rng : numpy.random.Generator
    """
    frame, measure = effects.frame, measure_of("SMD")[0]
    cohorts, rho, own = (
        cohorts_of(frame, effects.sharing),
        effects.sharing.rho,
        np.arange(len(frame)),
    )
    sign = signs_of(frame, measure)
    treated = _arm(cohorts.treated, own, frame["n_treated"], rho, rng)
    control = _arm(cohorts.control, cohorts.measurement, frame["n_control"], rho, rng)
    # Without labels rho is that of the effects as they are turned, with them that of the animals.
    turned = 1.0 if effects.sharing.labelled else sign
    new = {
        "mean_treated": CONTROL_MEAN + ANIMAL_SD * (sign * theta + turned * treated[0]),
        "sd_treated": ANIMAL_SD * treated[1],
        "mean_control": CONTROL_MEAN + ANIMAL_SD * turned * control[0],
        "sd_control": ANIMAL_SD * control[1],
    }
    corrected = correction_of(effects)
    table = frame.drop(columns=list(EFFECT[2:]), errors="ignore").assign(**new)
    correct = corrected is None or bool((corrected < 1).all())
    table["y"], table["v"] = measure(arms_in(table), effects.variance, correct, sign)
    fresh = replace(effects, frame=table, notes=())
    told = effects.sharing
    again = with_rho(fresh, told.rho, told.within, told.shared_control, told.same_animals)
    return replace(again, notes=effects.notes)


def _arm(
    cohort: Ints, measurement: Ints, n: pd.Series[float], rho: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return means and SDs of standard normal animals by row, those of one measurement alike.

    A measurement of fewer animals than its cohort has is of the first of them.
    """
    table = pd.DataFrame({"cohort": cohort, "measurement": measurement, "n": n.to_numpy(int)})
    visits = table.drop_duplicates(["cohort", "measurement"])
    size = visits["n"].to_numpy()
    mean = rng.normal(0.0, 1 / np.sqrt(size))
    sd = np.sqrt(rng.chisquare(size - 1) / (size - 1))
    for places in visits.groupby("cohort", sort=False).indices.values():
        if len(places) > 1 and rho:
            shared = rng.standard_normal(size[places].max())
            for place in places:
                own = np.sqrt(1 - rho) * rng.standard_normal(size[place])
                animals = np.sqrt(rho) * shared[: size[place]] + own
                mean[place], sd[place] = animals.mean(), animals.std(ddof=1)
    keys = pd.MultiIndex.from_frame(visits[["cohort", "measurement"]])
    at = keys.get_indexer(pd.MultiIndex.from_frame(table[["cohort", "measurement"]]))
    return mean[at], sd[at]
