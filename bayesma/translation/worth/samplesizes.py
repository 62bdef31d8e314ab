"""How many patients a prior is worth."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesma.errors import QueryError, did_you_mean
from bayesma.translation.worth.mixtures import NormalMixture

__all__ = ["Information", "effective_sample_size", "information_at", "smd_information"]

Floats = NDArray[np.float64]
Information = str | float | Callable[[Floats], Floats]

METHODS = ("elir", "moment")
# Normal components are integrated from REACH SDs below to REACH above, in panels of STEP SDs of
# each with a rule of ORDER points: what is left out is 1e-23 of the mass.
REACH, STEP, ORDER = 10.0, 0.5, 12


def smd_information(theta: ArrayLike) -> Floats:
    """Return what one patient per arm says of an SMD: 1 / (2 + theta^2 / 4).

    The sampling variance of an SMD with n per arm is 2/n + theta^2 / (4 n) (Hedges & Olkin 1985,
    Statistical Methods for Meta-Analysis, eq. 5.14, n per arm in place of two sizes).
    """
    return np.asarray(1 / (2 + np.asarray(theta, dtype=float) ** 2 / 4))


def effective_sample_size(
    mixture: NormalMixture, information: Information = "SMD", method: str = "elir"
) -> float:
    """Return how many units of information a prior is worth.

    elir:    ESS = E_theta[ -(log p)''(theta) / i_1(theta) ]
    moment:  ESS = 1 / (sd^2 i_1(mean))

    For one normal N(m, s^2) and SMDs, elir is (2 + (m^2 + s^2)/4) / s^2 and moment is
    (2 + m^2/4) / s^2: 2.89 and 2.64 patients per arm at m = 1.6, s = 1.

    Parameters
    ----------
    mixture : NormalMixture
    information : "SMD", float or callable
        i_1, what one unit says of theta. "SMD": one patient per arm, 1 / (2 + theta^2 / 4). A
        number: the same at every theta, such as 1 / sigma^2 for one patient of a known SD, or
        1 / (2 sigma^2) for a difference with one patient per arm. A function of theta else.
    method : {"elir", "moment"}

    Returns
    -------
    float
        May be below 0 for elir where the mixture is mostly valley.

    Raises
    ------
    QueryError
        If it is no mixture, the method is not known, or the information is not positive.

    References
    ----------
    elir: Neuenschwander, Weber, Schmidli & O'Hagan 2020, Biometrics 76:578, the expected local
    information ratio. It alone is predictively consistent: averaged over data of N units, the
    posterior's is the prior's plus N.
    """
    if not isinstance(mixture, NormalMixture):
        kind = type(mixture).__name__
        raise QueryError(
            f"a NormalMixture is needed, not a {kind}: such as bm.map_prior(...).mixture"
        )
    if method not in METHODS:
        raise QueryError(f"method = '{method}'; {did_you_mean(str(method), METHODS)}")
    if method == "moment":
        unit = information_at(information, np.array([mixture.mean]))[0]
        return float(1 / (mixture.sd**2 * unit))
    at, weights = _nodes(mixture)
    ratio = mixture.curvature(at) / information_at(information, at)
    return float(weights @ (mixture.density(at) * ratio))


def information_at(information: Information, at: Floats) -> Floats:
    """Return i_1(theta), of the shape of theta.

    Raises
    ------
    QueryError
        If it is neither "SMD" nor a positive number nor a function that returns positive numbers.
    """
    found = _function_of(information)(at)
    try:
        numbers = np.asarray(found, dtype=float)
    except (TypeError, ValueError):
        numbers = np.full(0, np.nan)
    if numbers.shape != at.shape or not (np.isfinite(numbers) & (numbers > 0)).all():
        raise QueryError("information: a function of theta must return a positive number for each")
    return numbers


def _function_of(information: Any) -> Callable[[Floats], Floats]:
    if callable(information):
        return cast("Callable[[Floats], Floats]", information)
    if isinstance(information, str) and information == "SMD":
        return smd_information
    number = isinstance(information, Real) and not isinstance(information, bool)
    if number and np.isfinite(information) and information > 0:
        amount = float(information)
        return lambda theta: np.full(np.shape(theta), amount)
    raise QueryError(
        f"information = {information!r}: 'SMD', a positive number such as 1/sigma**2, or a "
        "function of theta"
    )


def _nodes(mixture: NormalMixture) -> tuple[Floats, Floats]:
    """Return points and weights of a rule that is fine wherever a component is narrow."""
    steps = np.arange(-REACH, REACH + STEP, STEP)
    edges = np.unique(mixture.means[:, None] + mixture.sds[:, None] * steps)
    x, w = np.polynomial.legendre.leggauss(ORDER)
    half = np.diff(edges)[:, None] / 2
    middle = (edges[1:] + edges[:-1])[:, None] / 2
    return (middle + half * x).ravel(), (half * w).ravel()
