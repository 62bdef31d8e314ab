"""Averaging over tau: what a posterior of the mean is made of, with the prior of the mean flat.

    E(b | y) = E_tau[b(tau)],   Var(b | y) = E_tau[C(tau)] + Var_tau[b(tau)],

b(tau) = (X'S^-1 X)^-1 X'S^-1 y and C(tau) = (X'S^-1 X)^-1 being generalised least squares at
S = V + tau2 (Gelman et al. 2013, Bayesian Data Analysis, section 5.4). REML takes the one term of
the highest restricted likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesma.checks.crosscheck.likelihood import criterion_of_design, level_basis
from bayesma.checks.crosscheck.quantities import Draws, Quantity
from bayesma.design import Design
from bayesma.mean import VARIABLES

__all__ = ["Averaged", "averaged_over_tau", "can_average"]

Floats = NDArray[np.float64]

# Draws of tau are thinned to about this many: their average is then known to 1/20 of its SD.
ENOUGH = 400


@dataclass(frozen=True)
class Averaged:
    """Generalised least squares at draws of tau, and at the classical one.

    Attributes
    ----------
    coefficients : ndarray, shape (draws, terms)
        b(tau) as coefficients of the level.
    covariances : ndarray, shape (draws, terms, terms)
    classical, classical_covariance : ndarray, shape (terms,), (terms, terms)
    """

    coefficients: Floats
    covariances: Floats
    classical: Floats
    classical_covariance: Floats

    def centre_and_errors(self, quantity: Quantity) -> tuple[float, float, float, float]:
        """Return E_tau b, its SD, the classical b and its SE, of a quantity linear in the level."""
        terms = len(self.classical)
        level = VARIABLES["peak"]
        row = np.asarray(quantity.of({level: np.eye(terms)}))
        centres = self.coefficients @ row
        inner = np.einsum("i,dij,j->d", row, self.covariances, row)
        error = float(np.sqrt(row @ self.classical_covariance @ row))
        spread = float(np.sqrt(inner.mean() + centres.var()))
        return float(centres.mean()), spread, float(self.classical @ row), error


def can_average(plan: Design) -> bool:
    """Return whether the mean is linear in the level at given variances, and these free of it."""
    spec = plan.spec
    linear = not spec.family.parameters and plan.pooling is None and plan.small_study is None
    known = plan.exact is None and plan.clusters is None
    normal = spec.population == "normal" and not plan.kappa_names and not plan.varying_tau
    return linear and known and normal and bool(plan.groups.names)


def averaged_over_tau(plan: Design, draws: Draws, variances: Floats) -> Averaged:
    """Return generalised least squares at draws of tau and at classical variances.

    Parameters
    ----------
    plan : Design
    draws : mapping of str to ndarray, shape (draws,)
        Of the taus.
    variances : ndarray, shape (levels,)
        Classical tau2, outermost first.
    """
    criterion, basis = criterion_of_design(plan), level_basis(plan)
    tau2 = np.stack([np.asarray(draws[name]) ** 2 for name in plan.tau_names], axis=-1)
    some = tau2[:: max(1, len(tau2) // ENOUGH)]
    found = [criterion.coefficients(one) for one in (*some, variances)]
    beta = np.array([b for b, _ in found]) @ basis.T
    covariance = basis @ np.array([c for _, c in found]) @ basis.T
    return Averaged(beta[:-1], covariance[:-1], beta[-1], covariance[-1])
