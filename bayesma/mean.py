"""THE mean. One formula, run by the sampler and by every query.

m(t) = level x share(t) / share(t_ref), where level is the effect at the reference delay of the
point's decay cell; peak = level / share(t_ref).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesma.decay import Decay, Maths
from bayesma.design import Points
from bayesma.pooling import Pooling

__all__ = ["VARIABLES", "effect_mean", "linear", "row_mean", "spread"]

# Parameter of the spec to the posterior variable that holds its coefficients.
VARIABLES: dict[str, str] = {
    "peak": "level",
    "half_life": "log2_half_life",
    "persistent": "logit_persistent",
    "shape": "log_shape",
    "tau": "log_tau_ratio",
}


def linear(coefficients: Any, matrix: Any) -> Any:
    """Return the linear predictor, shape (..., points), of coefficients (..., terms)."""
    return coefficients @ matrix.T


def effect_mean(coefficients: Mapping[str, Any], points: Points, decay: Decay, maths: Maths) -> Any:
    """Return the mean effect at points.

    Parameters
    ----------
    coefficients : mapping of str to array, shape (..., terms)
        By parameter (`peak`, `half_life`, `persistent`, `shape`).
    points : Points
    decay : Decay
    maths : Maths
        NumPy for draws, PyTensor for the sampler.

    Returns
    -------
    array, shape (..., points)
        In the units of the effect measure.
    """
    at = {name: linear(coefficients[name], points.matrices[name]) for name in points.matrices}
    now = decay.log2_share(points.clock, at, maths)
    reference = decay.log2_share(points.reference, at, maths)
    return at["peak"] * maths.exp2(now - reference)


def row_mean(mean: Any, pooling: Pooling | None, rows: int, maths: Maths) -> Any:
    """Return the mean of each row: a point's own, or the weighted mean of its members.

    Parameters
    ----------
    mean : array, shape (..., points)
    pooling : Pooling or None
    rows : int
    maths : Maths

    Returns
    -------
    array, shape (..., rows)
    """
    if pooling is None:
        return mean
    weight = 1 / (pooling.floor + pooling.slope * mean**2)
    total = maths.segment_sum(weight * mean, pooling.row, rows)
    return total / maths.segment_sum(weight, pooling.row, rows)


def spread(tau: Any, kappa: Any, mean: Any) -> Any:
    """Return sqrt(tau^2 + kappa^2 m^2): how far effects of mean m lie apart.

    Parameters
    ----------
    tau, kappa, mean : array
        Shapes that broadcast.
    """
    return (tau**2 + (kappa * mean) ** 2) ** 0.5
