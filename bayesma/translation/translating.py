"""translate(): a fit of animals to a prediction for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.errors import QueryError
from bayesma.posterior import Fit
from bayesma.queries.fading import half_life_words
from bayesma.queries.grids import grid, points_of, warn_outside
from bayesma.translation.noun import Translation
from bayesma.translation.pathway.asked import (
    PEOPLE,
    Fits,
    Question,
    check_counts,
    prediction_at,
    question,
)
from bayesma.translation.pathway.assumptions import Assumptions
from bayesma.translation.pathway.innovations import Innovations, innovations
from bayesma.translation.pathway.origins import COLUMN
from bayesma.translation.pathway.prediction import Predicted, Prediction
from bayesma.translation.pathway.sentences import notes_of

__all__ = ["grid_of", "grids_of", "translate"]


def translate(
    fit: Fits,
    to: str = PEOPLE,
    *,
    delay: Any = None,
    dose: Any = None,
    species: str | None = None,
    human: Any = None,
    update: bool = True,
    assumptions: Assumptions | None = None,
    weights: Mapping[str, float] | Sequence[float] | None = None,
    draws: int = 10_000,
    seed: int = 0,
    **covariates: Any,
) -> Translation:
    """Predict the effect in people, at delays after a regimen, from a fit of animals.

    theta = T m_h(t) + delta (`Assumptions`); m_h(t) = level share(t / k) / share(t_ref / k) is the
    fit's own mean, with its time stretched by k = (W_human / W_animal)^b and its level, at the
    delay t_ref where the data are, kept.

    Parameters
    ----------
    fit : Fit, or sequence or mapping of Fit
        Several fits of the same data by other decay forms are averaged.
    to : str
        The target: "human", or another species of the table, which delta and a failure to
        translate do not concern.
    delay : float, str or sequence
        In the target, days or texts, as `grid` takes them.
    dose : float or str, optional
        In the target, "0.5 mg/kg" or a number of mg/kg. Needed where the model has a dose.
    species : str, optional
        The one species of the data to start from. Where absent: the target itself where the model
        tells it apart; else all that it tells apart, alike; or, where it tells none, those of the
        rows in their shares.
    human : HumanEvidence, pandas.DataFrame or StudyTable, optional
        Human evidence (columns as `human_evidence` takes them): each number's position in what
        is predicted for it, and an update of delta, b and everything else.
    update : bool
        False holds the evidence out: positions only.
    assumptions : Assumptions, optional
    weights : mapping of str to float, or sequence of float, optional
        Of the decay forms; alike where absent.
    draws : int
        Number of draws.
    seed : int
        The same seed gives the same draws.
    **covariates
        Levels or numbers of the model's covariates, as `grid` takes them: regimen="repeated".

    Returns
    -------
    Translation

    Raises
    ------
    QueryError
        If a species, a dose or a covariate is missing or unknown, or weights do not fit.
    TableError
        If human evidence has faults.
    UnseenLevelError
        If a level is not in the data.

    Warns
    -----
    ExtrapolationWarning
        Where a delay lies outside those of the animals.

    References
    ----------
    The scaling of time: Hu & Hayton 2001, AAPS PharmSci 3:E29. Of doses: FDA 2005, Guidance for
    Industry: estimating the maximum safe starting dose, table 1.
    """
    check_counts(seed, 2, draws=draws)
    if not isinstance(update, bool):
        raise QueryError(f"update = {update!r}: True, or False to hold human evidence out")
    asked = question(fit, to, dose, species, assumptions, weights)
    at = grids_of(asked, delay, covariates)
    for one, points in zip(asked.fits.values(), at, strict=True):
        if "beyond_data" in points.coords:
            warn_outside(one.design, points)
            # Once is enough: the fits are of the same data. The first may be without decay.
            at[0] = at[0].assign_coords(beyond_data=points["beyond_data"])
            break
    frame = at[0].drop_vars(COLUMN, errors="ignore")
    prediction, origins = prediction_at(asked, [points_of(one) for one in at])
    notes = notes_of(asked, origins)
    drawn = innovations(draws, np.random.default_rng(seed))
    positions, updated = None, False
    if human is not None:
        from bayesma.translation.people.updating import confronted

        drawn, found = confronted(asked, human, drawn, update, seed)
        positions, updated = found.positions, update
        notes += list(found.notes)
    return _labelled(asked, frame, prediction, drawn, notes, positions, updated, seed)


def grids_of(asked: Question, delay: Any, covariates: Mapping[str, Any]) -> list[xr.Dataset]:
    """Return the points as each fit knows them."""
    return [grid_of(fit, asked, delay, covariates) for fit in asked.fits.values()]


def grid_of(fit: Fit, asked: Question, delay: Any, covariates: Mapping[str, Any]) -> xr.Dataset:
    """Return the points as one fit knows them: with the species to start from, and the dose."""
    plan = fit.design
    if delay is None and plan.spec.family.parameters:
        raise QueryError("the effect depends on the delay: name it, delay=[1, 7, 28] (days)")
    more: dict[str, Any] = {}
    if COLUMN in plan.cells:
        if asked.named is None:
            raise QueryError(
                f"the effect fades differently by {COLUMN}: name the one to start from, "
                f"{COLUMN}='rat'"
            )
        more[COLUMN] = asked.named
    if asked.dose is not None and "dose" in plan.covariates:
        more["dose"] = asked.dose
    return grid(fit, delay=delay, **{**covariates, **more})


def _labelled(
    asked: Question,
    at: xr.Dataset,
    prediction: Prediction,
    drawn: Innovations,
    notes: list[str],
    positions: pd.DataFrame | None,
    updated: bool,
    seed: int,
) -> Translation:
    found = prediction(drawn)
    measure = asked.first.design.effects.measure
    who = "people" if asked.to == PEOPLE else asked.to
    about = f"in {who}, predicted from animals" + (" and human evidence" if updated else "")
    common = {"measure": measure, "units": measure, "kind": "effect"}
    effect = _draws(found.effect, at, "effect")
    effect.attrs = {"estimand": f"mean effect {about} ({measure})", **common}
    trial = _draws(found.trial, at, "trial")
    trial.attrs = {"estimand": f"true effect in one new trial {about} ({measure})", **common}
    return Translation(
        asked.to,
        effect,
        trial,
        _half_lives(asked, found, at, about),
        asked.given,
        positions,
        updated,
        tuple(notes),
        prediction,
        dict(zip(asked.fits, map(float, asked.weights), strict=True)),
        seed,
    )


def _half_lives(
    asked: Question, found: Predicted, at: xr.Dataset, about: str
) -> xr.DataArray | None:
    if found.log2_half_life is None:
        return None
    frame = points_of(at).drop(columns=["delay"], errors="ignore")
    first = np.flatnonzero(~frame.duplicated()) if len(frame.columns) else np.zeros(1, dtype=int)
    where = at.isel(point=first).drop_vars(["delay", "beyond_data"], errors="ignore")
    out = _draws(np.exp2(found.log2_half_life[:, first]), where, "half_life")
    out.attrs = {
        "estimand": f"{_half_life_words(asked)} {about}, if it translates",
        "units": "d",
        "kind": "duration",
    }
    return out


def _half_life_words(asked: Question) -> str:
    """Return what a half-life is in these fits, in words."""
    told = [
        half_life_words(fit)
        for fit, weight in zip(asked.fits.values(), asked.weights, strict=True)
        if weight > 0
    ]
    if len(set(told)) == 1:
        return told[0]
    parts = [name for name, fit in asked.fits.items() if "persistent" in fit.spec.family.parameters]
    return f"half-life of the effect (by {', '.join(parts)}: of the share that fades)"


def _draws(values: Any, at: xr.Dataset, name: str) -> xr.DataArray:
    coords = {"chain": np.arange(1), "draw": np.arange(len(values)), **at.coords}
    return xr.DataArray(values[None], coords, ("chain", "draw", "point"), name=name)
