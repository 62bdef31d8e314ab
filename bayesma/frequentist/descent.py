"""Descent to a minimum of a smooth function that takes many points at a time.

Derivatives are central differences, all points of one in one call. First a quasi-Newton descent
from several starts, then Newton steps with the Hessian's eigenvalues made positive (Nocedal &
Wright 2006, Numerical Optimization, section 3.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

__all__ = ["Minimum", "descend", "gradient", "hessian", "lowest"]

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]
Slope = Callable[[Floats], tuple[float, Floats]]

# Rounding of a value of 1000 is 1e-13: over this step 1e-10 in a gradient of order 4 in the step,
# and 1e-7 in a Hessian.
STEP = 1e-3
# Half the square of a step in standard errors. The step is still taken, and the next would be
# its square: parameters are exact to about 1e-7 standard errors.
DECREMENT = 1e-9
# Shorter steps, tried at once where Newton's is too long.
SHARES = np.array([0.5, 0.25, 0.1, 0.03, 0.01, 1e-3])
LONGEST = 3.0


@dataclass(frozen=True)
class Minimum:
    """Where a descent ended.

    Attributes
    ----------
    x : ndarray, shape (size,)
    value : float
    decrement : float
        g' H^-1 g / 2: how much lower a Newton step would promise to get.
    """

    x: Floats
    value: float
    decrement: float


def gradient(f: Function, x: Floats, step: float = STEP) -> Floats:
    """Return the gradient by differences of order 4, shape (size,)."""
    n = len(x)
    if n == 0:
        return np.zeros(0)
    unit = step * np.eye(n)
    values = f(np.concatenate([x + unit, x - unit, x + 2 * unit, x - 2 * unit])).reshape(4, n)
    return np.asarray((8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * step))


def hessian(f: Function, x: Floats) -> Floats:
    """Return the Hessian by central differences, shape (size, size)."""
    return _curvature(f, x)[1]


def _curvature(f: Function, x: Floats) -> tuple[Floats, Floats]:
    """Return gradient and Hessian by central differences of order 2."""
    n = len(x)
    unit = STEP * np.eye(n)
    i, j = np.triu_indices(n, 1)
    both = unit[i] + unit[j]
    values = f(np.concatenate([x[None], x + unit, x - unit, x + both, x - both]))
    centre, up, down = values[0], values[1 : n + 1], values[n + 1 : 2 * n + 1]
    pairs = values[2 * n + 1 :].reshape(2, -1)
    out = np.diag((up + down - 2 * centre) / STEP**2)
    cross = pairs.sum(axis=0) + 2 * centre - (up + down)[i] - (up + down)[j]
    out[i, j] = out[j, i] = cross / (2 * STEP**2)
    return (up - down) / (2 * STEP), out


def descend(
    f: Function, x: Floats, axes: Floats | None = None, *, exact: bool = True, limit: int = 40
) -> Minimum:
    """Return the minimum that Newton steps find from x.

    Parameters
    ----------
    f : callable
    x : ndarray, shape (size,)
    axes : ndarray, shape (size, free), optional
        The directions to move in; all by default.
    exact : bool
        Whether x matters: gradients of order 4. Of order 2 they are exact to 1e-6, and the value,
        which goes with their square, to 1e-12.
    limit : int
        Steps at most.
    """
    axes = np.eye(len(x)) if axes is None else axes
    value, left = float(f(x[None])[0]), 0.0
    for _ in range(limit if axes.shape[1] else 0):
        step, left = _newton_step(f, x, axes, exact)
        moved = axes @ step
        whole = float(f((x + moved)[None])[0])
        # This near, values differ by rounding, and the slope knows better.
        if left < DECREMENT and whole < value + DECREMENT:
            return Minimum(x + moved, whole, left)
        if whole < value - 0.1 * left:
            x, value = x + moved, whole
            continue
        tried = x + SHARES[:, None] * moved
        values = f(tried)
        best = int(np.argmin(values))
        if values[best] >= min(value, whole):
            return Minimum(x + moved, whole, left) if whole < value else Minimum(x, value, left)
        x, value = tried[best], float(values[best])
    return Minimum(x, value, left)


def _newton_step(f: Function, x: Floats, free: Floats, exact: bool) -> tuple[Floats, float]:
    """Return the step from x along the free axes, and the decrement that it promises."""

    def near(u: Floats) -> Floats:
        return f(x + u @ free.T)

    here = np.zeros(free.shape[1])
    slope, square = _curvature(near, here)
    slope = gradient(near, here) if exact else slope
    roots, axes = np.linalg.eigh(square)
    roots = np.maximum(np.abs(roots), 1e-7 * max(1.0, float(np.abs(roots).max())))
    along = axes.T @ slope / roots
    step = -axes @ along
    longest = float(np.abs(step).max())
    return step * min(1.0, LONGEST / max(longest, LONGEST)), 0.5 * float(along**2 @ roots)


def lowest(f: Function, slope: Slope, starts: Floats, kept: int) -> list[Floats]:
    """Return where quasi-Newton descents from the best starts end, shape (size,) each.

    Parameters
    ----------
    f : callable
        Values (points,) of points (points, size).
    slope : callable
        Value and gradient at a point (size,).
    starts : ndarray, shape (starts, size)
    kept : int
        How many starts are followed.
    """
    values = np.concatenate([f(some) for some in np.array_split(starts, -(-len(starts) // 64))])
    best = starts[np.argsort(values, kind="stable")[:kept]]
    if starts.shape[1] == 0:
        return [starts[0]]
    options = {"maxiter": 200}
    ends = [minimize(slope, x, jac=True, method="L-BFGS-B", options=options) for x in best]
    return [np.asarray(end.x, dtype=float) for end in sorted(ends, key=lambda end: float(end.fun))]
