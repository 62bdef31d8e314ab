"""What animals are worth to a human trial: a prior for it, and how many patients it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from bayesma.errors import QueryError
from bayesma.translation.noun import Translation, check_translation
from bayesma.translation.pathway.asked import PEOPLE, STANDARDISED, check_counts
from bayesma.translation.pathway.assumptions import Assumptions
from bayesma.translation.pathway.innovations import innovations
from bayesma.translation.worth.mixturefits import LARGEST, MixtureFit, fitted_mixture, is_count
from bayesma.translation.worth.mixtures import NormalMixture
from bayesma.translation.worth.samplesizes import (
    Information,
    effective_sample_size,
    information_at,
)

__all__ = ["MapPrior", "map_prior"]

# Per arm, for 80% power at an SMD of 0.5, two-sided 5% (Cohen 1988, Statistical Power Analysis,
# table 2.4.1).
USUAL = 64
# Draws of how far trials spread, and how many of them stand for all.
ALONE, SPREADS = 4096, 32
# Labels of a point that say where it lies, not which it is.
NOT_ASKED = ("point", "beyond_data")


@dataclass(frozen=True)
class MapPrior:
    """A robust meta-analytic-predictive prior of the true effect in one new trial.

    p(theta) = (1 - r) sum_k w_k N(theta; m_k, s_k^2) + r N(theta; 0, 1 / i_1(0))

    Attributes
    ----------
    mixture : NormalMixture
        The whole; the unit-information component is its last.
    fit : MixtureFit
        Of the draws alone, without that component.
    robust : float
        r.
    ess, ess_informative, ess_moment : float
        Patients per arm: of the whole by ELIR; without the unit-information component; of the
        whole by moments.
    ess_assumed : float or None
        Patients per arm, by ELIR, that the assumptions would be worth without any animal: delta
        and one trial's own deviation. None where there is no delta.
    at : mapping of str
        The point: covariates and delay (d).
    to, measure : str
    unit_sd : float
        1 / sqrt(i_1(0)): the SD of what one unit says, and RBesT's reference scale.
    notes : tuple of str
    assumptions : Assumptions
        What the translation assumes.
    """

    mixture: NormalMixture
    fit: MixtureFit
    robust: float
    ess: float
    ess_informative: float
    ess_moment: float
    ess_assumed: float | None
    at: Mapping[str, Any]
    to: str
    measure: str
    unit_sd: float
    notes: tuple[str, ...]
    assumptions: Assumptions

    @property
    def sentence(self) -> str:
        """What the animals are worth, in one sentence."""
        said = (
            f"the animals (and these assumptions) are worth {_patients(self.ess)} of a new trial"
            f"{_where(self.at)}"
        )
        if self.measure not in STANDARDISED:
            return said + "."
        return (
            f"{said}; a usual trial, planned for 80% power at an SMD of 0.5, has {USUAL} per arm."
        )

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the prior as JSON for RBesT and PyMC, and write it where a path is given.

        As `NormalMixture.to_json`; RBesT's own `ess` then counts units of the information that one
        patient per arm has at an effect of 0.
        """
        about = {
            "what": f"prior of the true effect in one new trial ({self.measure})",
            "to": self.to,
            "at": {name: _plain(value) for name, value in self.at.items()},
            "robust": self.robust,
            "ess_per_arm": self.ess,
            "assumptions": [vars(record) for record in self.assumptions.records],
            "notes": list(self.notes),
        }
        return self.mixture.to_json(path, sigma=self.unit_sd, about=about)

    @property
    def words(self) -> str:
        """The mixture and what it is worth."""
        head = f"prior of the true effect in one new trial{_where(self.at)} ({self.measure})"
        worth = (
            f"patients per arm: {self.ess:.2f} by ELIR "
            f"({self.ess_informative:.2f} without the unit-information component; "
            f"{self.ess_moment:.2f} by moments)"
        )
        said = [self.sentence[0].upper() + self.sentence[1:]]
        if self.ess_assumed is not None:
            said.append(
                "Delta and one trial's own deviation, as assumed and without any animal, would be "
                f"worth {_patients(self.ess_assumed)}, beside {self.ess_informative:.1f} with the "
                "animals; neither with the unit-information component."
            )
        return "\n".join([head, str(self.mixture), worth, *said])

    def __str__(self) -> str:
        """Return the mixture, what it is worth, the assumptions and the notes."""
        assumed = ["Assumptions", str(self.assumptions)]
        return "\n".join([self.words, *assumed, "Notes", *self.notes])


def map_prior(
    translation: Translation,
    *,
    at: Mapping[str, Any] | None = None,
    robust: float = 0.2,
    components: int | None = None,
    information: Information | None = None,
    seed: int = 0,
) -> MapPrior:
    """Return a prior for one new human trial at one point of a translation.

    A mixture of normals is fitted to the draws of that trial's true effect, and a component that
    one unit of information makes up, N(0, 1 / i_1(0)), is added with weight `robust`: where the
    trial contradicts the animals, it takes over.

    Parameters
    ----------
    translation : Translation
    at : mapping, optional
        Which point: covariates and "delay" (d), as many as tell it from the others.
    robust : float
        Weight of the unit-information component, from 0 to below 1.
    components : int, optional
        Of the mixture; where absent, chosen by AIC (`fitted_mixture`).
    information : "SMD", float or callable, optional
        What one unit says (`effective_sample_size`). Where absent: one patient per arm, for SMDs;
        for other measures it has to be stated, such as 1 / (2 * sigma**2) for a mean difference
        of patients whose SD is sigma.
    seed : int
        Of the starts of the fit.

    Returns
    -------
    MapPrior

    Raises
    ------
    QueryError
        If no point, or more than one, is meant, the weight is out of range, the information is
        missing, or the draws are not finite.

    References
    ----------
    Schmidli, Gsteiger, Roychoudhury, O'Hagan, Spiegelhalter & Neuenschwander 2014, Biometrics
    70:1023: the robust MAP prior.
    """
    check_translation(translation, "a prior")
    _check(at, robust, components, seed)
    measure = str(translation.trial.attrs["measure"])
    if information is None:
        if measure not in STANDARDISED:
            raise QueryError(
                f"measure {measure}: say what one patient per arm tells of it, information="
                "1 / (2 * sigma**2) for a mean difference with the SD of patients"
            )
        information = "SMD"
    number, where = _point(translation.trial, at or {})
    fit = fitted_mixture(translation.trial.values[..., number], components, seed)
    unit_sd = float(1 / np.sqrt(information_at(information, np.zeros(1))[0]))
    whole = _robust(fit.mixture, robust, unit_sd)
    return MapPrior(
        whole,
        fit,
        robust,
        effective_sample_size(whole, information),
        effective_sample_size(fit.mixture, information),
        effective_sample_size(whole, information, "moment"),
        _assumed(translation, number, information),
        MappingProxyType(where),
        translation.to,
        measure,
        unit_sd,
        (*_notes(translation, fit, number), *translation.notes),
        translation.assumptions,
    )


def _check(at: Any, robust: Any, components: Any, seed: Any) -> None:
    """Say all that is wrong at once."""
    faults = []
    if not isinstance(at, Mapping | None):
        faults.append(f"at = {at!r}: labels by name, such as {{'delay': 7}}")
    number = isinstance(robust, Real) and not isinstance(robust, bool)
    if not (number and 0 <= robust < 1):
        faults.append(f"robust = {robust!r}: a weight from 0 to below 1")
    if not is_count(components):
        faults.append(f"components = {components!r}: a whole number from 1 to {LARGEST}")
    try:
        check_counts(seed, 0)
    except QueryError as error:
        faults.append(str(error))
    if faults:
        raise QueryError("\n".join(faults))


def _robust(mixture: NormalMixture, robust: float, unit_sd: float) -> NormalMixture:
    if robust == 0:
        return mixture
    return NormalMixture(
        np.append((1 - robust) * mixture.weights, robust),
        np.append(mixture.means, 0.0),
        np.append(mixture.sds, unit_sd),
    )


def _assumed(translation: Translation, number: int, information: Information) -> float | None:
    """Return what the prior would be worth if the effect in animals said nothing of people."""
    prediction = translation.prediction
    if prediction.given.discrepancy is None or not prediction.discrepant:
        return None
    alone = replace(prediction, given=replace(prediction.given, no_translation=1.0))
    found = alone(innovations(ALONE, np.random.default_rng(translation.seed)))
    # Given how far trials spread, theta is normal: equally likely spreads make it a mixture.
    loading, own = found.loading[:, number], found.deviation_sd[:, number]
    delta = prediction.given.discrepancy.distribution()
    sds = np.sqrt((loading * delta.std()) ** 2 + own**2)
    kept = np.argsort(sds)[(np.arange(SPREADS) * 2 + 1) * ALONE // (2 * SPREADS)]
    even = np.full(SPREADS, 1 / SPREADS)
    mixture = NormalMixture(even, loading[kept] * delta.mean(), sds[kept])
    return effective_sample_size(mixture, information)


def _point(draws: xr.DataArray, at: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return which point is meant, and its labels."""
    labels = {
        str(name): coord.values
        for name, coord in draws.coords.items()
        if coord.dims == ("point",) and name not in NOT_ASKED
    }
    size = draws.sizes["point"]
    chosen = np.ones(size, dtype=bool)
    for name, value in at.items():
        if name not in labels:
            raise QueryError(f"at: no '{name}' here; known: {', '.join(labels) or 'none'}")
        chosen &= labels[name] == value
    index = np.flatnonzero(chosen)
    if len(index) != 1:
        known = "; ".join(
            ", ".join(f"{name} = {_plain(values[i])}" for name, values in labels.items())
            for i in range(size)
        )
        said = "none" if len(index) == 0 else f"{len(index)}"
        raise QueryError(
            f"at = {dict(at)}: {said} of the {size} points; a prior is of one. Known: {known}"
        )
    (number,) = map(int, index)
    return number, {name: values[number] for name, values in labels.items()}


def _notes(translation: Translation, fit: MixtureFit, number: int) -> tuple[str, ...]:
    found = [
        f"{len(fit.mixture)} components of {', '.join(map(str, fit.aics))} tried, by AIC with 6 "
        "for each parameter"
        if len(fit.aics) > 1
        else f"{len(fit.mixture)} components, as asked",
        "the mixture's cumulative probabilities lie within "
        f"{fit.distance:.3f} of those of the draws",
    ]
    if "beyond_data" in translation.trial.coords and bool(
        translation.trial.coords["beyond_data"].values[number]
    ):
        found.append("this delay lies beyond those of the animals")
    if translation.updated:
        found.append("human evidence is in this prior already: do not count it again")
    if translation.to != PEOPLE:
        found.append(f"the trial is one in {translation.to}")
    return tuple(found)


def _patients(ess: float) -> str:
    amount = f"{ess:.1f}" if ess < 10 else f"{ess:.0f}"
    if ess < 0.05:
        amount = "less than 0.1"
    return f"{amount} patients per arm"


def _where(at: Mapping[str, Any]) -> str:
    """Return the point in words: the delay, then everything else."""
    said = f" at {at['delay']:g} d" if "delay" in at else ""
    others = [f"{name} {_plain(value)}" for name, value in at.items() if name != "delay"]
    return said + (f" after {', '.join(others)}" if others else "")


def _plain(value: Any) -> Any:
    """Return a label as Python has it."""
    return value.item() if isinstance(value, np.generic) else value
