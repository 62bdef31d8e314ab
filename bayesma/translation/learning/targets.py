"""Target: the number that a next study is to tell more of, and its moments given what animals show.

theta = T (m + e) + L delta, where animals can show m and the mean of e over species. Given that,

E theta   = q m + L E delta,                                        q = P(T = 1),
Var theta = q (m^2 + s^2) - q^2 m^2 + L^2 Var delta,                s the SD of e left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.errors import QueryError, did_you_mean
from bayesma.posterior import Fit
from bayesma.queries.curves import effect_at
from bayesma.queries.fading import half_life_at
from bayesma.queries.grids import grid, points_of, warn_outside
from bayesma.translation.learning.particles import Particles
from bayesma.translation.pathway.asked import PEOPLE, Question, prediction_at
from bayesma.translation.pathway.origins import Origin
from bayesma.translation.pathway.prediction import Prediction
from bayesma.translation.pathway.species import Species
from bayesma.translation.translating import grid_of, grids_of

__all__ = ["Moments", "Sought", "Target", "sought_of"]

Floats = NDArray[np.float64]
KINDS = ("effect", "half_life", "contrast")


@dataclass(frozen=True)
class Target:
    """What a next study is to tell more of: one number.

    Parameters
    ----------
    of : {"effect", "half_life", "contrast"}
        The mean effect at a delay; the half-life, on the scale of doublings (log2 days); or the
        difference of two mean effects.
    to : str or None
        "human", another species of the table, or None for the animals' own population mean.
    delay : float or str, optional
        In the target, days or a text. Not for half-lives.
    at : mapping, optional
        Levels or numbers of the model's covariates; what is not named is averaged, as in `grid`.
    pair : mapping, optional
        Of a contrast: one covariate (or "delay") and its two levels, first minus second.

    Raises
    ------
    QueryError
        If the parts do not go together.

    Examples
    --------
    >>> Target("contrast", delay=7, pair={"regimen": ("repeated", "single")}).words
    'difference in mean effect in people, regimen repeated minus single, delay 7'
    """

    of: str = "effect"
    to: str | None = PEOPLE
    delay: Any = None
    at: Mapping[str, Any] = field(default_factory=dict)
    pair: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Say all that is wrong at once."""
        faults = _kind_faults(self)
        if faults:
            raise QueryError("\n".join(faults))
        if self.of not in KINDS:
            faults.append(f"target: of = {self.of!r}; {did_you_mean(self.of, KINDS)}")
        if (self.pair is not None) != (self.of == "contrast"):
            faults.append(
                "target: a contrast, and nothing else, has a pair: Target('contrast', delay=7, "
                "pair={'regimen': ('repeated', 'single')})"
            )
        faults += [] if self.pair is None else _pair_faults(self.pair)
        if self.of == "half_life" and self.delay is not None:
            faults.append(f"target: a half-life has no delay: drop delay = {self.delay!r}")
        faults += [
            f"target: {name} = {value!r}: a target is one number; name one"
            for name, value in (("delay", self.delay), *(self.at or {}).items())
            if isinstance(value, list | tuple | np.ndarray)
        ]
        if faults:
            raise QueryError("\n".join(faults))
        object.__setattr__(self, "at", MappingProxyType(dict(self.at or {})))
        if self.pair is not None:
            object.__setattr__(self, "pair", MappingProxyType(dict(self.pair)))

    @property
    def words(self) -> str:
        """The target in words."""
        who = {PEOPLE: "in people", None: "in these animals"}.get(self.to, f"in {self.to}")
        what = {
            "effect": "mean effect",
            "half_life": "half-life (doublings)",
            "contrast": "difference in mean effect",
        }[self.of]
        parts = [f"{what} {who}"]
        for name, levels in (self.pair or {}).items():
            parts.append(f"{name} {levels[0]} minus {levels[1]}")
        parts += [f"{name} {value}" for name, value in self.at.items()]
        return ", ".join(parts + ([] if self.delay is None else [f"delay {self.delay}"]))

    @property
    def sides(self) -> list[dict[str, Any]]:
        """What to ask a grid for: one side, or the two of a contrast."""
        base = dict(self.at) | ({} if self.delay is None else {"delay": self.delay})
        if self.pair is None:
            return [base]
        ((name, levels),) = self.pair.items()
        return [{**base, name: level} for level in levels]


def _kind_faults(given: Target) -> list[str]:
    """Return what is no mapping where one is needed."""
    wanted = {"at": "{'regimen': 'repeated'}", "pair": "{'regimen': ('repeated', 'single')}"}
    return [
        f"target: {name} = {getattr(given, name)!r}: covariates by name, {example}"
        for name, example in wanted.items()
        if not isinstance(getattr(given, name), Mapping | None)
    ]


def _pair_faults(pair: Mapping[str, Any]) -> list[str]:
    levels = next(iter(pair.values())) if len(pair) == 1 else None
    if isinstance(levels, list | tuple) and len(levels) == 2:
        return []
    return [f"target: pair = {dict(pair)!r}: one covariate and its two levels"]


@dataclass(frozen=True)
class Moments:
    """Mean and variance of the target given what animals can show, shape (particles,)."""

    mean: Floats
    variance: Floats

    @property
    def total(self) -> float:
        """Variance of the target now."""
        return float(self.variance.mean() + self.mean.var())


@dataclass(frozen=True)
class Sought:
    """A target at points, ready to be evaluated.

    Attributes
    ----------
    target : Target
    species : Species
        Of the target; without meaning where it is of the animals themselves.
    signs : ndarray, shape (sides,)
        1, or 1 and -1.
    prediction : Prediction or None
        None where it is of the animals themselves.
    concentration : float
        Variance of the species' population mean around that of those seen, in sigma^2.
    values : tuple of ndarray, shape (draws,)
        By fit, where it is of the animals themselves.
    origin : Origin or None
        The animals it starts from.
    """

    target: Target
    species: Species
    signs: Floats
    prediction: Prediction | None
    concentration: float
    values: tuple[Floats, ...] = ()
    origin: Origin | None = None

    def moments(self, particles: Particles, met: bool = False) -> Moments:
        """Return moments given each particle.

        Parameters
        ----------
        particles : Particles
        met : bool
            Whether the target species' own deviation is among what is shown.
        """
        if self.prediction is None:
            own = particles.pick(self.values)
            return Moments(own, np.zeros(len(own)))
        if self.target.of == "half_life":
            found = self.prediction(particles.at).log2_half_life
            assert found is not None
            return Moments(found[:, 0], np.zeros(len(found)))
        return self._effect(self.prediction, particles, met)

    def _effect(self, prediction: Prediction, particles: Particles, met: bool) -> Moments:
        sure = particles.translated()
        steps = (0.0, 1.0)
        found = [prediction(sure.of_species(self.concentration, step)) for step in steps]
        mean, further = (one.carried @ self.signs for one in found)
        load, own = found[0].loading @ self.signs, further - mean
        given = prediction.given
        q = 1 - given.no_translation if prediction.discrepant else 1.0
        m, s = 0.0, 0.0
        if prediction.discrepant and given.discrepancy is not None:
            law = given.discrepancy.distribution()
            m, s = float(law.mean()), float(law.std())
        if met:
            mean, own = mean + own * particles.own[self.species], np.zeros_like(own)
        variance = q * (mean**2 + own**2) - (q * mean) ** 2 + (load * s) ** 2
        return Moments(q * mean + load * m, variance)


def sought_of(asked: Question, target: Target) -> Sought:
    """Return a target evaluated on fits; warn where it lies beyond the animals' delays.

    Parameters
    ----------
    asked : Question
    target : Target

    Raises
    ------
    QueryError
        If the fits do not have what the target names.
    """
    fitted = asked.fits
    if target.of == "half_life":
        for name, fit in fitted.items():
            if "half_life" not in fit.spec.predictors:
                raise QueryError(f"target: the fit '{name}' has no half-life (decay = none)")
    signs = np.array([1.0, -1.0])[: len(target.sides)]
    if target.to is None:
        values = tuple(_own(fit, target) for fit in fitted.values())
        return Sought(target, asked.target, signs, None, 0.0, values)
    if target.of == "half_life":
        # Half-lives are the same at every delay; one is needed to have a point.
        at = [[grid_of(fit, asked, 1.0, target.at) for fit in fitted.values()]]
    else:
        sides = [dict(side) for side in target.sides]
        at = [grids_of(asked, side.pop("delay", None), side) for side in sides]
    frames = [
        pd.concat([points_of(side[number]) for side in at], ignore_index=True)
        for number in range(len(fitted))
    ]
    prediction, origins = prediction_at(asked, frames)
    shares = float(np.mean([origin.concentration.mean() for origin in origins]))
    return Sought(target, asked.target, signs, prediction, shares, origin=origins[0])


def _own(fit: Fit, target: Target) -> Floats:
    """Return the animals' own number by draw."""
    if target.of == "half_life":
        frame = points_of(grid(fit, **target.sides[0]))
        return np.asarray(np.log2(half_life_at(fit, frame)).ravel())
    sides = [grid(fit, **side) for side in target.sides]
    values = []
    for at in sides:
        warn_outside(fit.design, at)
        values.append(effect_at(fit, points_of(at)).ravel())
    return values[0] if len(values) == 1 else values[0] - values[1]
