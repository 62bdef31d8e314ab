"""Species as draws from a population of species.

a_s = mu + e_s,  e_s ~ N(0, sigma^2),  sigma ~ a stated prior.

A fit knows its species as levels of a factor, whose S - 1 orthonormal contrasts c have the prior
N(0, c0^2). In the population they have N(0, sigma^2). With SS = c'c both densities depend on the
data through SS alone, so a draw of the fit is weighted by

    w(SS) = p_population(SS) / p_fit(SS),
    p_population(SS) = E_sigma[ sigma^-(S-1) exp(-SS / (2 sigma^2)) ],

which turns the fit's posterior into that of the population model, exactly; and sigma given the
draw is a density in one dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesma.priors import Prior

__all__ = ["Population", "population"]

Floats = NDArray[np.float64]

# Equally likely values of sigma under its prior, and of its quantile given a draw.
NODES = 512
QUANTILES = 64


@dataclass(frozen=True)
class Population:
    """What the species of a fit say of their spread, draw by draw.

    Attributes
    ----------
    levels : int
        Species that the model tells apart; 1 where it tells none.
    log_weights : ndarray, shape (draws,)
        Of the fit's draws, as above.
    sigma : ndarray, shape (draws, quantiles) or (1, quantiles)
        Equally likely values of sigma given the draw; one row where the data say nothing.
    prior_sd, posterior_sd : float
        Standard deviations of sigma before and after the data.
    """

    levels: int
    log_weights: Floats
    sigma: Floats
    prior_sd: float
    posterior_sd: float

    @property
    def effective(self) -> float:
        """Effective number of draws, (sum w)^2 / sum w^2 (Kish 1965)."""
        weights = np.exp(self.log_weights - self.log_weights.max())
        return float(weights.sum() ** 2 / (weights**2).sum())

    @property
    def learnt(self) -> float:
        """Share of the prior variance of sigma that the data took away; below 0 if they added.

        No number where the prior has no finite variance.
        """
        if np.isinf(self.prior_sd):
            return float("nan")
        return 1.0 - (self.posterior_sd / self.prior_sd) ** 2 if self.prior_sd > 0 else 0.0


def population(contrasts: Floats, fitted_sd: float, prior: Prior | None) -> Population:
    """Return what the contrasts of species say of the population of species.

    Parameters
    ----------
    contrasts : ndarray, shape (draws, species - 1)
        Orthonormal contrasts of the species' effects, posterior draws.
    fitted_sd : float
        Standard deviation that the fit's prior gives each contrast.
    prior : Prior or None
        Of sigma; None where species are alike: sigma = 0, and the fit's draws stay as they are.
    """
    draws, count = contrasts.shape
    if prior is None:
        return Population(count + 1, np.zeros(draws), np.zeros((1, QUANTILES)), 0.0, 0.0)
    nodes = prior.distribution().ppf((np.arange(NODES) + 0.5) / NODES)
    steps = (np.arange(QUANTILES) + 0.5) / QUANTILES
    if count == 0:
        known = prior.distribution().ppf(steps)[None, :]
        return Population(1, np.zeros(draws), known, nodes.std(), nodes.std())
    squares = (contrasts**2).sum(axis=1)
    given = -count * np.log(nodes) - squares[:, None] / (2 * nodes**2)
    largest = given.max(axis=1, keepdims=True)
    weight = np.exp(given - largest)
    log_hierarchical = largest[:, 0] + np.log(weight.mean(axis=1))
    log_fitted = -count * np.log(fitted_sd) - squares / (2 * fitted_sd**2)
    log_weights = log_hierarchical - log_fitted
    sigma = _quantiles(nodes, weight, steps)
    outer = np.exp(log_weights - log_weights.max())
    mean = np.average(sigma.mean(axis=1), weights=outer)
    square = np.average((sigma**2).mean(axis=1), weights=outer)
    spread = float(np.sqrt(max(square - mean**2, 0.0)))
    return Population(count + 1, log_weights, sigma, float(prior.distribution().std()), spread)


def _quantiles(nodes: Floats, weight: Floats, steps: Floats) -> Floats:
    """Return quantiles of each row's distribution on the nodes, shape (rows, steps)."""
    heights = np.cumsum(weight, axis=1)
    # Half of each node's own weight lies below it.
    heights = (heights - weight / 2) / heights[:, -1:]
    # One interpolation for all rows, each lifted above the last; none may reach into the next.
    lift = np.arange(len(weight))[:, None]
    at = np.clip(steps, heights[:, :1], heights[:, -1:]) + lift
    values = np.interp(at.ravel(), (heights + lift).ravel(), np.tile(nodes, len(weight)))
    return values.reshape(at.shape)
