"""How likely human results are, given everything but delta and the trials' own deviations.

With r the results less what is predicted at the mean of delta, l the loadings of delta, s its SD,
d the standard deviations of a trial's own deviation and V the sampling covariance,

r ~ N(0, C + s^2 l l'),   C = V + [same trial] d d',
z | r ~ N(s l'S^-1 r, 1 - s^2 l'S^-1 l),   S = C + s^2 l l',   delta = m + s z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Weighed", "sampling_covariance", "weighed"]

Floats = NDArray[np.float64]

# What lies this many times the finest standard error away has no weight beside what does not, and
# would cost the sums of squares their digits.
FAR = 1e6


@dataclass(frozen=True)
class Weighed:
    """Proposals in the light of effects.

    Attributes
    ----------
    log_likelihood : ndarray, shape (draws,)
        Delta and the trials' deviations integrated out; -inf where a proposal is out of reach.
    mean, variance : ndarray, shape (draws,)
        Of z, standardised delta, given proposal and effects.
    """

    log_likelihood: Floats
    mean: Floats
    variance: Floats


def sampling_covariance(spread: Floats, study: NDArray[np.int64], rho: float) -> Floats:
    """Return V: errors of one study correlate by rho, shape (results, results)."""
    same = study[:, None] == study[None, :]
    correlation = np.where(same, rho, 0.0)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation * np.outer(spread, spread))


def weighed(
    residual: Floats,
    loading: Floats,
    deviation_sd: Floats,
    covariance: Floats,
    study: NDArray[np.int64],
    scale: float,
) -> Weighed:
    """Return proposals in the light of effects.

    Parameters
    ----------
    residual : ndarray, shape (draws, results)
        y - T m_h - loading m, m the mean of delta.
    loading, deviation_sd : ndarray, shape (draws, results)
    covariance : ndarray, shape (results, results)
        V.
    study : ndarray, shape (results,)
        Which trial each result is of.
    scale : float
        s; 0 for no delta.
    """
    draws, count = residual.shape
    out = Weighed(np.full(draws, -np.inf), np.zeros(draws), np.ones(draws))
    if count == 0:
        return Weighed(np.zeros(draws), out.mean, out.variance)
    far = FAR * np.sqrt(np.diag(covariance).min())
    near = (np.abs(residual) < far).all(axis=1) & (deviation_sd < far).all(axis=1)
    r, own = residual[near], deviation_sd[near]
    shared = scale * loading[near]
    same = study[:, None] == study[None, :]
    total = covariance + same * own[:, :, None] * own[:, None, :]
    total += shared[:, :, None] * shared[:, None, :]
    root = np.linalg.cholesky(total)
    white = np.linalg.solve(root, np.stack([r, shared], axis=2))
    a, b = white[:, :, 0], white[:, :, 1]
    log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    out.log_likelihood[near] = -0.5 * (a**2).sum(axis=1) - log_det - 0.5 * count * np.log(2 * np.pi)
    out.mean[near] = (a * b).sum(axis=1)
    out.variance[near] = np.maximum(1.0 - (b**2).sum(axis=1), 0.0)
    return out
