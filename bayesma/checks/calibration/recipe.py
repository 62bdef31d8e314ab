"""What one calibration is made of, as data that cross to other processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesma.design import Design, design
from bayesma.effects import Effects
from bayesma.errors import SpecError, did_you_mean
from bayesma.mean import VARIABLES
from bayesma.spec import ModelSpec

__all__ = ["OUTCOMES", "Recipe", "Truth", "checked_truth", "planned"]

Floats = NDArray[np.float64]
Truth = Mapping[str, float | Sequence[float] | Mapping[str, float]]

# How a replicate's outcomes come about; the first is the default.
OUTCOMES = ("arms", "effects")
# Another version of these may draw other numbers from the same seed.
PACKAGES = ("bayesma", "nutpie", "numpy", "pymc", "pytensor")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the replicates of a calibration, but for how many there are.

    Attributes
    ----------
    spec : ModelSpec
        With its priors resolved.
    effects : Effects
        The rows whose outcomes are drawn anew.
    outcomes : {"arms", "effects"}
    truth : mapping of str to list or float, or None
        Fixed parameters; None where each replicate draws its own from the prior.
    seed, draws, tune, chains : int
    target_accept : float or None
    """

    spec: ModelSpec
    effects: Effects
    outcomes: str
    truth: Mapping[str, Any] | None
    seed: int
    draws: int
    tune: int
    chains: int
    target_accept: float | None

    @cached_property
    def record(self) -> dict[str, Any]:
        """The recipe as plain data; the rows and versions as hashes and names."""
        return {
            "spec": self.spec.to_dict(),
            "data_sha256": _sha256(self.effects),
            "outcomes": self.outcomes,
            "truth": self.truth,
            "seed": self.seed,
            "draws": self.draws,
            "tune": self.tune,
            "chains": self.chains,
            "target_accept": self.target_accept,
            "versions": {name: version(name) for name in PACKAGES},
        }

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that decides the numbers."""
        text = json.dumps(self.record, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _sha256(effects: Effects) -> str:
    """Return a hash of the rows, their covariance and the comparisons behind pooled ones."""
    members = effects.members
    parts = [
        effects.measure,
        effects.variance,
        repr(effects.sharing),
        effects.frame.to_csv(index=False),
        "" if members is None else members.to_csv(),
    ]
    parts += [f"{index.tolist()}{matrix.tolist()}" for index, matrix in effects.covariance.blocks]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def planned(recipe: Recipe) -> Design:
    """Return the design that all replicates share."""
    return design(recipe.spec, recipe.effects)


def checked_truth(plan: Design, truth: Truth) -> dict[str, Any]:
    """Return fixed parameters as plain numbers, one entry for each posterior name.

    Raises
    ------
    SpecError
        Naming everything that is unknown, missing or no number at once.
    """
    terms = _terms(plan)
    known = list(terms)
    faults = [f"no parameter '{n}'; {did_you_mean(n, known)}" for n in truth if n not in terms]
    lacking = [name for name in known if name not in truth]
    if lacking:
        faults.append(f"no value for {', '.join(lacking)}")
    found: dict[str, Any] = {}
    for name in known:
        if name in truth:
            try:
                found[name] = _values(name, truth[name], terms[name])
            except SpecError as error:
                faults.append(str(error))
    if not faults:
        faults = _outside_the_model(plan, found)
    if faults:
        raise SpecError("truth: " + "; ".join(faults))
    return found


def _terms(plan: Design) -> dict[str, tuple[str, ...] | None]:
    """Return the labels of each posterior name; None for a single number."""
    predicted = (*plan.spec.predictors, *(["tau"] if plan.varying_tau else []))
    found: dict[str, tuple[str, ...] | None] = {
        VARIABLES[name]: tuple(plan.predictors[name].terms) for name in predicted
    }
    found |= dict.fromkeys(plan.scalars)
    return found | {name: tuple(labels) for name, (_, labels) in plan.vectors.items()}


def _values(name: str, given: Any, terms: tuple[str, ...] | None) -> float | list[float]:
    if terms is None:
        return _number(name, given)
    if isinstance(given, Mapping):
        wrong = [str(key) for key in given if key not in terms]
        wrong += [key for key in terms if key not in given]
        if wrong:
            raise SpecError(f"{name} = {dict(given)}: one number for each of {', '.join(terms)}")
        given = [given[key] for key in terms]
    if isinstance(given, Real) and len(terms) == 1:
        given = [given]
    values = list(given) if isinstance(given, Sequence | np.ndarray) else []
    if len(values) != len(terms):
        raise SpecError(f"{name} = {given!r}: one number for each of {', '.join(terms)}")
    return [_number(name, value) for value in values]


def _number(name: str, value: Any) -> float:
    if not isinstance(value, Real) or not np.isfinite(float(value)):
        raise SpecError(f"{name} = {value!r}: it takes a finite number")
    return float(value)


def _outside_the_model(plan: Design, found: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each truth that no draw of the posterior could equal."""
    faults = [
        f"{name} = {found[name]:g}: it is above 0"
        for name in plan.scalars
        if name != "small_study" and not found[name] >= 0
    ]
    if found.get("rho", 0) >= 1:
        faults.append(f"rho = {found['rho']:g}: it is below 1")
    for parameter, predictor in plan.predictors.items():
        name = VARIABLES[parameter]
        if name not in found:
            continue
        bases = [] if parameter == "tau" else [predictor.average_basis]
        basis = np.hstack([*bases, predictor.contrast_basis])
        values = np.array(found[name])
        fitted = basis @ np.linalg.lstsq(basis, values, rcond=None)[0]
        # 1e-8: rounding of numbers written to a few digits, not of a level left out.
        if not np.allclose(values, fitted, atol=1e-8):
            faults.append(
                f"{name} = {found[name]}: the levels of a factor are deviations that sum to 0"
            )
    return faults
