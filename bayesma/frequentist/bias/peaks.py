"""Peaks: where the likelihood of stepwise selection is highest, and how sharp it is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bayesma.errors import SpecError
from bayesma.frequentist.bias.stepwise import Stepwise
from bayesma.frequentist.linear.leastsquares import weighted

__all__ = ["Peak", "highest"]

Floats = NDArray[np.float64]

# A weight beyond these has no estimate: the likelihood rises without end.
LARGEST = 1e6
# Weights to start from: the likelihood may have more than one peak, and the highest counts.
STARTS = (1.0, 0.3, 3.0)


@dataclass(frozen=True)
class Peak:
    """The maximum of the likelihood.

    Attributes
    ----------
    value : float
        Log likelihood.
    beta : ndarray, shape (p,)
    covariance : ndarray, shape (p, p)
        Of beta: its block of the inverse observed information.
    tau2 : float
    tau2_se : float or None
        None at tau2 = 0, where it is held.
    weights, weights_se : ndarray, shape (m - 1,)
    """

    value: float
    beta: Floats
    covariance: Floats
    tau2: float
    tau2_se: float | None
    weights: Floats
    weights_se: Floats


def highest(model: Stepwise, tau2: float) -> Peak:
    """Return the highest peak that is reached from the fit without selection.

    Parameters
    ----------
    model : Stepwise
    tau2 : float
        Of the fit without selection.

    Raises
    ------
    SpecError
        If the likelihood rises without end, or is flat at its highest.
    """
    hill = _Hill.of(model)
    plain = tau2 / hill.unit**2
    # From the fit without selection, so that the peak is not below it; and off the edge, from
    # which tau2 might not find away.
    starts = [hill.start(plain, 1.0), *(hill.start(plain + 0.1, weight) for weight in STARTS)]
    tops = [hill.climb(start) for start in starts]
    return hill.peak(hill.top(max(tops, key=hill.height)))


@dataclass(frozen=True)
class _Hill:
    """The likelihood in coordinates near 1: an orthonormal X, the data's own unit, log weights.

    A point is (coefficients, tau2, log weights).
    """

    model: Stepwise
    triangle: Floats
    unit: float

    @classmethod
    def of(cls, model: Stepwise) -> _Hill:
        """Return the likelihood of turned and scaled data."""
        basis, triangle = np.linalg.qr(model.X)
        size = np.sqrt(len(model.y))
        rest = model.y - basis @ (basis.T @ model.y)
        unit = float(np.sqrt(rest @ rest / len(rest) + np.median(model.v)))
        turned = Stepwise(model.y / unit, model.v / unit**2, basis * size, model.steps)
        return cls(turned, triangle / size, unit)

    def start(self, tau2: float, weight: float) -> Floats:
        """Return the fit without selection, with some weight for all intervals but the first."""
        beta = weighted(self.model.y, 1 / (self.model.v + tau2), self.model.X).beta
        others = len(self.model.steps.bounds) - 1
        return np.concatenate([beta, [tau2], np.full(others, np.log(weight))])

    def at(self, point: Floats) -> tuple[float, Floats, Floats]:
        """Return value, slope and curvature."""
        p = self.model.X.shape[1]
        weights = np.exp(point[p + 1 :])
        found = self.model.at(point[:p], float(point[p]), weights)
        stretch = np.concatenate([np.ones(p + 1), weights])
        slope = found.slope * stretch
        curvature = found.curvature * np.outer(stretch, stretch)
        at = np.arange(p + 1, len(point))
        curvature[at, at] += slope[at]
        return found.value, slope, curvature

    def height(self, point: Floats) -> float:
        """Return the value."""
        return self.at(point)[0]

    def climb(self, start: Floats) -> Floats:
        """Return a point near the top that is reached from another, by L-BFGS-B."""
        p, wide = self.model.X.shape[1], float(np.log(LARGEST))
        bounds: list[tuple[float | None, float | None]] = [(None, None)] * p + [(0.0, None)]
        bounds += [(-wide, wide)] * (len(start) - p - 1)

        def down(point: Floats) -> tuple[float, Floats]:
            value, slope, _ = self.at(point)
            return -value, -slope

        found = minimize(down, start, jac=True, method="L-BFGS-B", bounds=bounds)
        return np.asarray(found.x, dtype=float)

    def top(self, point: Floats) -> Floats:
        """Return the top near a point, by Newton."""
        # Each step doubles the digits: from L-BFGS-B's four or more, few are needed.
        for _ in range(50):
            point, moved = self.step(point)
            if moved < 1e-12:
                break
        return point

    def step(self, point: Floats) -> tuple[Floats, float]:
        """Return the point after a Newton step that does not go down, and how far it was."""
        p = self.model.X.shape[1]
        value, slope, curvature = self.at(point)
        free = self.free(point, slope)
        try:
            np.linalg.cholesky(-curvature[np.ix_(free, free)])
        except np.linalg.LinAlgError:
            return point, 0.0
        full = np.zeros(len(point))
        full[free] = np.linalg.solve(-curvature[np.ix_(free, free)], slope[free])
        for halving in range(30):
            new = point + full / 2**halving
            new[p] = max(new[p], 0.0)
            # Rounding of a sum of k terms hides smaller losses.
            if self.height(new) >= value - 1e-13 * (1 + abs(value)):
                return new, float(np.abs(new - point).max())
        return point, 0.0

    def free(self, point: Floats, slope: Floats) -> NDArray[np.int64]:
        """Return the coordinates that are not held: tau2 is, at 0 with the likelihood falling."""
        p = self.model.X.shape[1]
        held = point[p] == 0 and slope[p] <= 0
        return np.array([j for j in range(len(point)) if not (held and j == p)])

    def peak(self, point: Floats) -> Peak:
        """Return the top in the units of the data, with standard errors."""
        p = self.model.X.shape[1]
        weights, tau2 = np.exp(point[p + 1 :]), float(point[p])
        found = self.model.at(point[:p], tau2, weights)
        self.check(point, weights)
        free = self.free(point, found.slope)
        inverse = np.zeros((len(point), len(point)))
        inverse[np.ix_(free, free)] = np.linalg.inv(-found.curvature[np.ix_(free, free)])
        turn = np.linalg.inv(self.triangle) * self.unit
        se = np.sqrt(np.diag(inverse))
        return Peak(
            # Densities are per unit of y.
            value=found.value - len(self.model.y) * float(np.log(self.unit)),
            beta=turn @ point[:p],
            covariance=turn @ inverse[:p, :p] @ turn.T,
            tau2=tau2 * self.unit**2,
            tau2_se=float(se[p] * self.unit**2) if p in free else None,
            weights=weights,
            weights_se=se[p + 1 :],
        )

    def check(self, point: Floats, weights: Floats) -> None:
        """Refuse a point that is no peak."""
        if np.any(weights >= LARGEST * (1 - 1e-6)) or np.any(weights <= (1 + 1e-6) / LARGEST):
            raise SpecError(
                "the likelihood rises without end as a weight goes to 0 or to infinity: these "
                "effects cannot tell selection; use fewer steps, or another method"
            )
        _, slope, curvature = self.at(point)
        free = self.free(point, slope)
        down, left = -curvature[np.ix_(free, free)], slope[free]
        size = np.sqrt(np.abs(np.diag(down)))
        # Without units: how flat it is along its flattest line, and what a Newton step would
        # still gain, of which a likelihood of hundreds keeps some 1e-13.
        flattest = float(np.linalg.eigvalsh(down / np.outer(size, size)).min())
        if flattest <= 1e-10 or float(left @ np.linalg.solve(down, left)) > 1e-9:
            raise SpecError(
                "the likelihood has no sharp peak: these effects cannot tell selection from their "
                "mean and heterogeneity; use fewer steps, or another method"
            )
