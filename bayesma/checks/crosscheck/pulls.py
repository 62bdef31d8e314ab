"""Pulls: how far priors move a quantity, from the highest likelihood to the highest posterior.

    pull = q(argmax L(x) p(x)) - q(argmax L(x)),

x the coordinates of all parameters, L the likelihood and p the prior density of the coefficients
and standard deviations. What then lies between the highest posterior and the posterior mean is
averaging: the mean of a skewed density is not its highest point, and a mean that bends with its
parameters is not the mean at their best values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesma.checks.crosscheck.quantities import Draws, Quantity
from bayesma.design import Design
from bayesma.frequentist.fading.coordinates import Coordinates, Part
from bayesma.frequentist.fading.descent import descend
from bayesma.frequentist.fading.starts import heights
from bayesma.frequentist.fading.surface import NOWHERE, Joint
from bayesma.mean import VARIABLES

__all__ = ["Pulls", "pulls_of"]

Floats = NDArray[np.float64]

PARAMETERS = {variable: parameter for parameter, variable in VARIABLES.items()}


@dataclass(frozen=True)
class Pulls:
    """Parameters where the likelihood and where the posterior density is highest."""

    likeliest: Draws
    posterior: Draws

    def of(self, quantity: Quantity) -> float:
        """Return how far the priors move a quantity, on its scale."""
        ends = [quantity.scaled(draws).ravel()[0] for draws in (self.posterior, self.likeliest)]
        with np.errstate(invalid="ignore"):
            return float(ends[0] - ends[1])


def pulls_of(plan: Design, draws: Draws) -> Pulls | None:
    """Return both maxima, looked for from the middle of the posterior; None if in vain.

    Parameters
    ----------
    plan : Design
    draws : mapping of str to ndarray, shape (draws, ...)
        Of the posterior.
    """
    surface = Joint(plan)
    joint = surface.joint
    start, axes = _middle(joint, draws), np.eye(joint.size)
    likeliest = descend(lambda x: heights(surface, x), start, axes)

    def height(x: Floats) -> Floats:
        return np.asarray(surface.value(x) + prior_height(plan, joint, x))

    ends = [descend(height, x, axes) for x in (start, likeliest.x)]
    best = min(ends, key=lambda end: end.value)
    if not max(likeliest.value, best.value) < NOWHERE:
        return None
    return Pulls(joint.draws(likeliest.x[None]), joint.draws(best.x[None]))


def _middle(joint: Coordinates, draws: Draws) -> Floats:
    """Return the coordinates of the posterior medians."""
    out = np.zeros(joint.size)
    for part in joint.parts:
        middle = np.atleast_1d(np.median(draws[part.name], axis=0))
        middle = np.log(middle) if part.kind == "log" else middle
        out[part.place] = np.linalg.lstsq(part.basis, middle, rcond=None)[0]
    return out


def prior_height(plan: Design, joint: Coordinates, x: Floats) -> Floats:
    """Return minus the log prior density of coordinates, shape (points,), up to a constant."""
    out = np.zeros(len(x))
    with np.errstate(divide="ignore"):
        for part in joint.parts:
            out -= _log_prior(plan, part, x[:, part.place]).sum(axis=-1)
    return np.where(np.isfinite(out), out, NOWHERE)


def _log_prior(plan: Design, part: Part, x: Floats) -> Floats:
    """Return log densities of one part's coordinates, shape (points, coordinates)."""
    priors = plan.spec.priors
    if part.kind in ("spread", "log") or part.name == "small_study":
        value = part.natural(x_of(part, x))[:, None]
        return priors[plan.scalars[part.name]].log_density(value)
    name = PARAMETERS[part.name]
    predictor = plan.predictors[name]
    bases = predictor.average_basis, predictor.contrast_basis
    # The ratio of taus has contrasts only: its average belongs to tau.
    kinds = ("_contrast",) if part.kind == "ratio" else ("", "_contrast")
    out, start = np.zeros_like(x), 0
    for basis, kind in zip(bases[-len(kinds) :], kinds, strict=True):
        stop = start + basis.shape[1]
        if stop > start:
            unit = float(np.linalg.norm(part.basis[:, start]) / np.linalg.norm(basis[:, 0]))
            out[:, start:stop] = priors[f"{name}{kind}"].log_density(x[:, start:stop] * unit)
        start = stop
    return out


def x_of(part: Part, x: Floats) -> Floats:
    """Return a part's coordinates padded to where the part looks for them."""
    return np.concatenate([np.zeros((len(x), part.place.start)), x], axis=-1)
