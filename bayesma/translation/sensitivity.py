"""translation_sensitivity(): how far the answer goes with each assumption."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesma import priors as p
from bayesma.errors import ExtrapolationWarning
from bayesma.priors import Prior
from bayesma.queries import summary
from bayesma.translation.asked import PEOPLE, Fits, Question, question
from bayesma.translation.assumptions import FALLBACK_TRIALS, Assumptions
from bayesma.translation.noun import Translation
from bayesma.translation.origins import origin_of
from bayesma.translation.translating import grids_of, translate

__all__ = ["translation_sensitivity"]

BASE = "base"
# Scales are halved and doubled; probabilities take these values.
FACTORS = (0.5, 2.0)
NO_TRANSLATION = (0.0, 0.5)
# Of people (Roever et al. 2021), and half and twice of it.
TRIALS = (p.HalfNormal(0.25), FALLBACK_TRIALS, p.HalfNormal(1.0))

# One change: assumption, value in words, and what to call translate with.
Change = tuple[str, str, dict[str, Any]]


def translation_sensitivity(
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
    ci_prob: float = 0.95,
    **covariates: Any,
) -> pd.DataFrame:
    """Return the answer of `translate`, and again with one assumption changed at a time.

    All answers are of the same random numbers, so that two rows differ by the assumption alone.

    Parameters
    ----------
    fit, to, delay, dose, species, human, update, assumptions, weights, draws, seed, **covariates
        As `translate` takes them.
    ci_prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        One row per point and change: `assumption` ("base" first), `value`; the covariates,
        `delay` (d); `median`, `ci_low`, `ci_high`, `p_positive` of the mean effect, in units of the
        effect measure; `trial_low`, `trial_high`, `trial_p_positive` of one new trial's true
        effect; and where the effect fades `half_life`, `half_life_low`, `half_life_high` (d).
        Changed are: delta (its scale halved and doubled, and fading with the effect), the
        probability of no translation (0, 0.5), the scaling of time (always, never, and the spread
        of its exponent), the species (the scale of their spread, alike, each alone), tau of human
        trials, the doubt of the dose, and each decay form alone. What has no say here is left out,
        and so is a value that is the base's.

    Raises
    ------
    QueryError, TableError, UnseenLevelError
        As `translate` does.

    Warns
    -----
    ExtrapolationWarning
        As `translate` does, once.
    """
    asked = question(fit, to, dose, species, assumptions, weights)
    common = {"delay": delay, "dose": dose, "human": human, "update": update, "draws": draws}
    common |= {"seed": seed, **covariates}
    usual: dict[str, Any] = {"assumptions": assumptions, "species": species, "weights": weights}
    base = translate(fit, to, **usual, **common)
    tables = [_answers(base, BASE, "", ci_prob)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)  # said once, by the base
        for name, value, change in _changes(asked, _animals(asked, delay, covariates)):
            found = translate(asked.fits, to, **{**usual, **change}, **common)
            tables.append(_answers(found, name, value, ci_prob))
    return pd.concat(tables, ignore_index=True)


def _answers(found: Translation, name: str, value: str, ci_prob: float) -> pd.DataFrame:
    table = found.summary(ci_prob).drop(columns=["mean", "sd", "beyond_data"], errors="ignore")
    table.insert(0, "assumption", name)
    table.insert(1, "value", value)
    if found.half_life is None:
        return table
    half = summary(found.half_life, ci_prob)
    names = {"median": "half_life", "ci_low": "half_life_low", "ci_high": "half_life_high"}
    half = half.drop(columns="p_never").rename(columns=names)
    by = [column for column in half if column not in names.values()]
    return table.merge(half, on=by) if by else table.merge(half, how="cross")


def _animals(asked: Question, delay: Any, covariates: Mapping[str, Any]) -> list[str]:
    """Return the species of the data that the base starts from."""
    if asked.named is not None:
        return []
    frame = grids_of(asked, delay, covariates)[0].to_dataframe()
    origin = origin_of(asked.first, frame.reset_index(drop=True), None, asked.given)
    return [str(name) for name in origin.shares]


def _changes(asked: Question, animals: Sequence[str]) -> Iterator[Change]:
    given = asked.given
    fades = [bool(one.spec.family.parameters) for one in asked.fits.values()]
    changed: list[tuple[str, str, dict[str, Any]]] = []
    if asked.to == PEOPLE:
        changed += _of_people(given, any(fades))
    if any(fades):
        changed += _of_time(given)
    changed += _scaled(given, "between_species", "SD of species")
    if given.between_species is not None:
        changed.append(("SD of species", "alike", {"between_species": None}))
    tau = [one for one in TRIALS if one != _tau(asked)]
    changed += [("tau of trials", str(one), {"between_trials": one}) for one in tau]
    if "dose" in asked.first.design.covariates:
        spread = given.dose_spread
        values = [value for value in (0.0, 2 * spread) if value != spread]
        changed += [("doubt of the dose", f"{v:g}", {"dose_spread": v}) for v in values]
    for name, value, change in changed:
        yield name, value, {"assumptions": replace(given, **change)}
    if len(animals) > 1:
        for animal in animals:
            yield "species", f"{animal} only", {"assumptions": given, "species": animal}
    if len(asked.fits) > 1:
        for form in asked.fits:
            yield "decay form", form, {"assumptions": given, "weights": {form: 1.0}}


def _of_people(given: Assumptions, fades: bool) -> list[Change]:
    found = _scaled(given, "discrepancy", "SD of delta")
    if given.discrepancy is not None and fades:
        words = "stands" if given.fades else "fades with the effect"
        found.append(("delta", words, {"fades": not given.fades}))
    for value in NO_TRANSLATION:
        if value != given.no_translation:
            found.append(("P(no translation)", f"{value:g}", {"no_translation": value}))
    return found


def _of_time(given: Assumptions) -> list[Change]:
    found: list[Change] = []
    for value, words in ((0.0, "always by body weight"), (1.0, "never")):
        if value != given.no_scaling:
            found.append(("scaling of time", words, {"no_scaling": value}))
    return found + (
        _scaled(given, "exponent", "SD of the exponent") if given.no_scaling < 1 else []
    )


def _scaled(given: Assumptions, name: str, words: str) -> list[Change]:
    """Return the prior with its scale halved and doubled; none where it has no scale."""
    prior = getattr(given, name)
    priors = [_times(prior, factor) for factor in FACTORS]
    return [(words, str(one), {name: one}) for one in priors if one is not None]


def _times(prior: Prior | None, factor: float) -> Prior | None:
    """Return a prior that is wider by a factor; None for a family without a scale."""
    if isinstance(prior, p.LogNormal | p.LogStudentT):
        return replace(prior, mu=prior.mu + float(np.log(factor)))
    if isinstance(prior, p.Normal | p.HalfNormal | p.HalfCauchy | p.StudentT):
        return replace(prior, sigma=factor * prior.sigma)
    return None


def _tau(asked: Question) -> Prior | None:
    """Return the prior of tau of the base; None where it is the animals'."""
    if asked.given.between_trials is not None:
        return asked.given.between_trials
    identified = all(one.design.tau_names for one in asked.fits.values())
    return None if identified else FALLBACK_TRIALS
