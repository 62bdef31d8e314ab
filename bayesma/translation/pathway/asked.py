"""Question: which fits are asked, of which target, under which assumptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.errors import QueryError, did_you_mean
from bayesma.posterior import Fit
from bayesma.spec import ModelSpec
from bayesma.translation.pathway.assumptions import Assumptions
from bayesma.translation.pathway.doses import dose_of
from bayesma.translation.pathway.forms import form_of
from bayesma.translation.pathway.origins import Origin, levels_of
from bayesma.translation.pathway.prediction import Prediction
from bayesma.translation.pathway.species import Species, species_of

__all__ = [
    "PEOPLE",
    "STANDARDISED",
    "Fits",
    "Question",
    "check_counts",
    "fits_of",
    "prediction_at",
    "question",
    "weights_of",
]

PEOPLE = "human"
Fits = Fit | Sequence[Fit] | Mapping[str, Fit]
# Measures on which the default size of delta means something.
STANDARDISED = ("SMD", "SMDH")


@dataclass(frozen=True)
class Question:
    """What is asked, apart from the points.

    Attributes
    ----------
    fits : mapping of str to Fit
        By decay form.
    weights : ndarray, shape (fits,)
        They add to 1.
    to : str
        Target species, as asked for.
    target : Species
    named : str or None
        The one species to start from.
    dose : float or None
        mg/kg in the target.
    given : Assumptions
    alike : bool
        Whether no weights were stated.
    """

    fits: Mapping[str, Fit]
    weights: NDArray[np.float64]
    to: str
    target: Species
    named: str | None
    dose: float | None
    given: Assumptions
    alike: bool = True

    @property
    def first(self) -> Fit:
        """The fit whose covariates label the points."""
        return next(iter(self.fits.values()))


def question(
    fit: Fits,
    to: str,
    dose: Any,
    named: str | None,
    assumptions: Assumptions | None,
    weights: Mapping[str, float] | Sequence[float] | None,
) -> Question:
    """Return a checked question.

    Raises
    ------
    QueryError
        If fits, weights, species, dose or assumptions do not go together.
    """
    fits = fits_of(fit)
    if assumptions is not None and not isinstance(assumptions, Assumptions):
        raise QueryError(f"assumptions = {assumptions!r}: use bm.Assumptions(...)")
    given = assumptions or Assumptions()
    measures = {one.design.effects.measure for one in fits.values()}
    if len(measures) > 1:
        raise QueryError(f"the fits are of different measures: {', '.join(sorted(measures))}")
    (measure,) = measures
    if measure not in STANDARDISED and assumptions is None:
        raise QueryError(
            f"measure {measure}: how far people may lie from animals has a default for SMD only; "
            "state it, assumptions=bm.Assumptions(discrepancy=..., between_species=...)"
        )
    amounts = [dose_of(one, dose) for one in fits.values()]
    target = species_of(to, given.species)
    people = species_of(PEOPLE, given.species)
    name = PEOPLE if target is people else to
    if named is None and name != PEOPLE:
        named = _itself(next(iter(fits.values())), target, given)
    shares = weights_of(fits, weights)
    return Question(fits, shares, name, target, named, amounts[0], given, weights is None)


def _itself(fit: Fit, target: Species, given: Assumptions) -> str | None:
    """Return the target's own name among the species that the model tells apart, if it is one."""
    for name in levels_of(fit.design):
        try:
            if species_of(name, given.species) == target:
                return name
        except QueryError:
            continue  # no weight is known of it; it is refused where that is needed
    return None


def fits_of(fit: Fits) -> dict[str, Fit]:
    """Return the fits by the name of their decay form.

    Raises
    ------
    QueryError
        If there is none, or something is no fit.
    """
    if isinstance(fit, Fit):
        return {fit.spec.decay: fit}
    if isinstance(fit, Mapping):
        found = dict(fit)
    elif isinstance(fit, Sequence):
        names = [getattr(one, "spec", ModelSpec()).decay for one in fit]
        unique = len(set(names)) == len(names)
        found = {
            name if unique else f"{name} {number}": one
            for number, (name, one) in enumerate(zip(names, fit, strict=True))
        }
    else:
        kind = type(fit).__name__
        raise QueryError(f"a fit is needed, or several, not a {kind}: bm.load_fit(path)")
    if not found or not all(isinstance(one, Fit) for one in found.values()):
        raise QueryError("a fit is needed, or several: bm.load_fit(path)")
    return found


def check_counts(seed: Any, least: int, **counts: Any) -> None:
    """Refuse a seed and numbers of draws that are none, all at once.

    Raises
    ------
    QueryError
        If the seed is no whole number, 0 or more, or a count none of at least `least`.
    """
    named = [(name, value, least) for name, value in counts.items()]
    faults = [
        f"{name} = {value!r}: at least {low}, a whole number"
        for name, value, low in [*named, ("seed", seed, 0)]
        if isinstance(value, bool) or not (isinstance(value, Integral) and int(value) >= low)
    ]
    if faults:
        raise QueryError("\n".join(faults))


def weights_of(fits: Mapping[str, Fit], weights: Any) -> NDArray[np.float64]:
    """Return the weights of fits, alike where none are given; they add to 1.

    Raises
    ------
    QueryError
        If they do not fit.
    """
    if weights is None:
        return np.full(len(fits), 1 / len(fits))
    if isinstance(weights, Mapping):
        for name in weights:
            if name not in fits:
                raise QueryError(f"weights: no fit '{name}'; {did_you_mean(str(name), list(fits))}")
        values: Any = [weights.get(name, 0.0) for name in fits]
    else:
        values = weights
    try:
        found = np.array(list(values), dtype=float)
    except (TypeError, ValueError):
        found = np.full(len(fits), np.nan)
    if found.shape != (len(fits),) or not (np.isfinite(found).all() and (found >= 0).all()):
        names = ", ".join(fits)
        raise QueryError(f"weights = {weights!r}: one number for each of {names}, 0 or more")
    if found.sum() == 0:
        raise QueryError(f"weights = {weights}: they are all 0")
    return np.asarray(found / found.sum())


def prediction_at(
    asked: Question,
    frames: Sequence[pd.DataFrame],
    dose: float | NDArray[np.float64] | None = None,
) -> tuple[Prediction, list[Origin]]:
    """Return the prediction at points, and the animals behind them by fit.

    Parameters
    ----------
    asked : Question
    frames : sequence of pandas.DataFrame, shape (points, columns)
        The same points as each fit knows them: covariates, `delay` in days, and perhaps `start`.
    dose : float or ndarray, shape (points,), optional
        mg/kg in the target, where it is not the question's.
    """
    amount = asked.dose if dose is None else dose
    pairs = [
        form_of(fit, frame, asked.target, asked.given, asked.named, amount)
        for fit, frame in zip(asked.fits.values(), frames, strict=True)
    ]
    forms, origins = zip(*pairs, strict=True)
    return Prediction(forms, asked.weights, asked.given, asked.to == PEOPLE), list(origins)
