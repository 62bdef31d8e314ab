"""One fit at the points of a question, as arrays that innovations pick from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.decay import Decay
from bayesma.design import Points
from bayesma.mean import VARIABLES, linear
from bayesma.posterior import Fit
from bayesma.translation.pathway.assumptions import FALLBACK_TRIALS, Assumptions
from bayesma.translation.pathway.origins import COLUMN, Origin, origin_of
from bayesma.translation.pathway.population import QUANTILES
from bayesma.translation.pathway.species import Species, species_of

__all__ = ["Form", "Trials", "form_of"]

Floats = NDArray[np.float64]

# The doubt about a dose is taken at this many equally likely values.
DOSES = 15


@dataclass(frozen=True)
class Trials:
    """How far one trial's true effect lies from the mean, draw by draw.

    Attributes
    ----------
    taus, kappas : tuple of ndarray, shape (draws,)
        By level, outermost first; no kappas where heterogeneity is constant.
    ratio : ndarray, shape (draws, doses, points), or None
        What a formula of tau multiplies it by.
    nu : ndarray, shape (draws,), or None
        Degrees of freedom of the outermost level.
    stated : ndarray, shape (quantiles,), or None
        Equally likely values of tau where it is not the fit's.
    """

    taus: tuple[Floats, ...] = ()
    kappas: tuple[Floats, ...] = ()
    ratio: Floats | None = None
    nu: Floats | None = None
    stated: Floats | None = None


@dataclass(frozen=True)
class Form:
    """One fit at points.

    Attributes
    ----------
    family : Decay
    heights : ndarray, shape (draws,)
        Cumulative weights of the posterior draws.
    predictors : mapping of str to ndarray, shape (draws, doses, points)
        Linear predictors of the mean, `peak` first.
    clock, reference : ndarray, shape (points,)
        Days in people; the delay at which animals' levels are stated.
    start : ndarray, shape (points,)
        Where an effect averaged over time starts; NaN for the effect at a delay.
    log_ratio : ndarray, shape (points,)
        log(W_human / W_animal).
    new_species : ndarray, shape (points,)
        sqrt(1 + sum of squared shares): a new species from the mean of those seen, in sigmas; 0
        where the target is the species started from.
    sigma : ndarray, shape (draws or 1, quantiles)
        Equally likely values of the standard deviation of species.
    trials : Trials
    """

    family: Decay
    heights: Floats
    predictors: Mapping[str, Floats]
    clock: Floats
    reference: Floats
    start: Floats
    log_ratio: Floats
    new_species: Floats
    sigma: Floats
    trials: Trials


def form_of(
    fit: Fit,
    frame: pd.DataFrame,
    target: Species,
    given: Assumptions,
    named: str | None = None,
    dose: float | Floats | None = None,
) -> tuple[Form, Origin]:
    """Return a fit at points, and the animals behind them.

    Parameters
    ----------
    fit : Fit
    frame : pandas.DataFrame
        Covariates of the points, `delay` in days in the target species where the effect fades,
        and `start` where it is averaged from there.
    target : Species
    given : Assumptions
    named : str, optional
        The species to start from.
    dose : float or ndarray, shape (points,), optional
        mg/kg in the target species.
    """
    plan = fit.design
    start = np.full(len(frame), np.nan)
    if "start" in frame:
        start = frame["start"].to_numpy(dtype=float)
    frame = frame.drop(columns=["start", COLUMN], errors="ignore").reset_index(drop=True)
    origin = origin_of(fit, frame, named, given)
    points, tau_matrices = _points(fit, frame, origin, target, given, dose)
    draws = {n: _flat(fit, VARIABLES[n]) for n in plan.spec.predictors}
    predictors = {
        name: np.stack([linear(draws[name], at.matrices[name]) for at in points], axis=1)
        for name in plan.spec.predictors
    }
    # The species it starts from is no new one.
    same = named is not None and species_of(named, given.species) == target
    new_species = np.zeros(len(frame)) if same else np.sqrt(1 + origin.concentration)
    weights = np.exp(origin.population.log_weights - origin.population.log_weights.max())
    heights = np.cumsum(weights)
    form = Form(
        plan.spec.family,
        heights / heights[-1],
        predictors,
        points[0].clock,
        points[0].reference,
        start,
        np.log(target.weight) - origin.log_weight,
        new_species,
        origin.population.sigma,
        _trials(fit, tau_matrices, given),
    )
    return form, origin


def _flat(fit: Fit, name: str) -> Floats:
    """Return a variable's draws with the chains one after another."""
    values = fit.posterior[name].values
    return np.asarray(values.reshape(-1, *values.shape[2:]))


def _points(
    fit: Fit,
    frame: pd.DataFrame,
    origin: Origin,
    target: Species,
    given: Assumptions,
    dose: float | Floats | None,
) -> tuple[list[Points], list[Floats]]:
    """Return the points for each value of the dose, averaged over species by their shares."""
    plan, found, taus = fit.design, [], []
    exponents = np.zeros(1)
    if dose is not None and "dose" in plan.covariates and given.dose_spread > 0:
        from scipy import special

        steps = special.ndtri((np.arange(DOSES) + 0.5) / DOSES)
        # So few of them lack the tails: without this their SD would be 4% below the stated one.
        exponents = given.dose_spread * steps / steps.std()
    for exponent in exponents:
        total: dict[str, Floats] = {}
        at, tau = Points({}, np.zeros(0), np.zeros(0)), np.zeros(0)
        for name, share in origin.shares.items():
            rows = frame.assign(**{COLUMN: str(name)})
            if dose is not None and "dose" in frame:
                one = origin.animals[str(name)]
                ratio = (target.weight / one.weight) ** exponent
                rows = rows.assign(dose=dose * target.km / one.km * ratio)
            at, part = plan.at(rows), share.to_numpy()[:, None]
            for key, matrix in at.matrices.items():
                total[key] = total.get(key, 0.0) + part * matrix
            if plan.varying_tau:
                tau = (
                    tau + part * plan.predictors["tau"].matrix(rows)
                    if tau.size
                    else (part * plan.predictors["tau"].matrix(rows))
                )
        found.append(Points(total, at.clock, at.reference))
        taus.append(tau)
    return found, taus


def _trials(fit: Fit, tau_matrices: list[Floats], given: Assumptions) -> Trials:
    plan = fit.design
    if given.between_trials is not None or not plan.tau_names:
        prior = given.between_trials or FALLBACK_TRIALS
        steps = (np.arange(QUANTILES) + 0.5) / QUANTILES
        return Trials(stated=np.asarray(prior.distribution().ppf(steps)))
    ratio = None
    if plan.varying_tau:
        draws = _flat(fit, VARIABLES["tau"])
        ratio = np.exp(np.stack([linear(draws, matrix) for matrix in tau_matrices], axis=1))
    return Trials(
        tuple(_flat(fit, name) for name in plan.tau_names),
        tuple(_flat(fit, name) for name in plan.kappa_names),
        ratio,
        _flat(fit, "nu") if "nu" in plan.scalars else None,
    )
