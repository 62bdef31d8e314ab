"""tau2, the variance of true effects, by each estimator in use, with its standard error.

With w = 1/(v + tau2), P the projection of `leastsquares` and Q = y'P y:

====== ===================================================================================
HE     (Q - tr P V) / (k - p) at w = 1 (Hedges & Olkin 1985, eq. 9.9; Cochran 1954)
DL     (Q - (k - p)) / tr P at w = 1/v (DerSimonian & Laird 1986, eq. 8)
HS     (Q - k) / sum w at w = 1/v (Hunter & Schmidt 2004; Viechtbauer 2005, eq. 9)
SJ     t0 Q / (k - p) at w = 1/(v + t0), t0 = sum (y - mean)^2 / k (Sidik & Jonkman 2005)
PM, EB the root of Q(tau2) = k - p (Paule & Mandel 1982; Morris 1983, the same equation)
ML     the maximum of the likelihood (Hardy & Thompson 1996)
REML   the maximum of the restricted likelihood (Raudenbush 2009, eq. 16.17)
====== ===================================================================================

Estimates below 0 are 0. Standard errors are those of Viechtbauer 2005 (Journal of Educational and
Behavioral Statistics 30:261), which treat an estimate at 0 like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from bayesma.errors import SpecError, did_you_mean
from bayesma.frequentist.linear.leastsquares import Weighted, solved, weighted

__all__ = ["COMMON", "METHODS", "Tau2", "log_likelihood", "method_of", "q_root", "tau2_of"]

Floats = NDArray[np.float64]

COMMON = "common"
# Names of the model in which all studies share one effect.
ALIASES = {"EE": COMMON, "FE": COMMON, "CE": COMMON}
SEVERAL = (
    "the likelihood has more than one maximum over tau2; the highest is given, and a search from "
    "one start may end at another"
)
LOG_2PI = float(np.log(2 * np.pi))
# Where the likelihoods are first looked at, relative to the scale of the data: they may have
# more than one maximum, and the highest counts.
SCAN = np.concatenate([[0.0], np.geomspace(1e-6, 1e4, 41)])
# Roots to the last digits that a double carries.
TIGHT = {"xtol": 1e-300, "rtol": 8.9e-16, "maxiter": 500}


@dataclass(frozen=True)
class Tau2:
    """An estimate of tau2.

    Attributes
    ----------
    value : float
        In squared units of the effect.
    se : float or None
        None where nothing was estimated.
    notes : tuple of str
        What a reader must know of the estimate.
    """

    value: float
    se: float | None
    notes: tuple[str, ...] = ()


def method_of(name: str) -> str:
    """Return the canonical name of an estimator.

    Raises
    ------
    SpecError
        If it is unknown.
    """
    found = ALIASES.get(str(name), str(name))
    if found not in METHODS:
        raise SpecError(f"method = '{name}' is unknown; {did_you_mean(name, list(METHODS))}")
    return found


def tau2_of(y: Floats, v: Floats, X: Floats, method: str) -> Tau2:
    """Return tau2 by one of `METHODS`.

    Parameters
    ----------
    y, v : ndarray, shape (k,)
    X : ndarray, shape (k, p)
        Of full rank, k > p.
    method : str
        As `method_of` returns it.
    """
    return METHODS[method](y, v, X)


def log_likelihood(tau2: float, y: Floats, v: Floats, X: Floats, restricted: bool) -> float:
    """Return the log likelihood at tau2, the coefficients at their best or integrated out.

    ML: -1/2 [k log 2 pi + sum log(v + tau2) + Q]. REML: -1/2 [(k - p) log 2 pi
    + sum log(v + tau2) + Q + log det X'W X - log det X'X] (Harville 1974; metafor's constant).
    """
    fit = weighted(y, 1 / (v + tau2), X)
    base = -0.5 * (np.log(v + tau2).sum() + fit.q)
    if not restricted:
        return float(base - 0.5 * len(y) * LOG_2PI)
    constant = np.linalg.slogdet(X.T @ X)[1] - (len(y) - X.shape[1]) * LOG_2PI
    return float(base + 0.5 * (constant - fit.log_det))


def q_root(target: float, y: Floats, v: Floats, X: Floats) -> float:
    """Return the tau2 >= 0 at which Q(tau2) falls to `target` > 0; 0 where it starts below.

    Q falls and is convex, with slope - y'P P y: Newton's steps from 0 rise to the root.
    """
    surface, tau2 = _Surface.of(y, v, X), 0.0
    # Each step at least doubles the way to a root far out: 200 reach the largest double.
    for _ in range(200):
        w, r, _inner = surface.at(tau2)
        excess = float(w @ r**2) - target
        # Q itself is not known better than this.
        if excess <= 1e-15 * target:
            break
        tau2 += excess / float((w * r) @ (w * r))
    return tau2


@dataclass(frozen=True)
class _Surface:
    """The same rows, turned so that one tau2 after another is cheap to try.

    Attributes
    ----------
    y : ndarray, shape (k,)
        Without its projection on X, which changes neither Q nor a trace.
    v : ndarray, shape (k,)
    X : ndarray, shape (k, p)
        An orthonormal basis of the columns.
    """

    y: Floats
    v: Floats
    X: Floats

    @classmethod
    def of(cls, y: Floats, v: Floats, X: Floats) -> _Surface:
        """Return the rows turned."""
        basis = np.linalg.qr(X)[0]
        rest = y - basis @ (basis.T @ y)
        return cls(rest - basis @ (basis.T @ rest), v, basis)

    @property
    def scale(self) -> float:
        """A size that tau2 may have: it sets where searches begin, never where they end."""
        return float(self.y @ self.y / len(self.y) + np.median(self.v))

    def at(self, tau2: float) -> tuple[Floats, Floats, Floats]:
        """Return the weights, the residuals and X'W X."""
        w = 1 / (self.v + tau2)
        weighed = self.X.T * w
        inner = weighed @ self.X
        return w, self.y - self.X @ solved(inner, weighed @ self.y), inner

    def score(self, tau2: float, restricted: bool) -> float:
        """Return twice the slope of the log likelihood, y'P P y - tr P, or - sum w for ML."""
        w, r, inner = self.at(tau2)
        slope = float((w * r) @ (w * r) - w.sum())
        if restricted:
            slope += float(np.trace(solved(inner, (self.X.T * w**2) @ self.X)))
        return slope

    def log_likelihoods(self, tau2: Floats, restricted: bool) -> Floats:
        """Return the log likelihood up to a constant at many tau2, shape (len(tau2),)."""
        k, p = self.X.shape
        w = 1 / (self.v + tau2[:, None])
        outer = (self.X[:, :, None] * self.X[:, None, :]).reshape(k, p * p)
        inner = (w @ outer).reshape(-1, p, p)
        b = (w * self.y) @ self.X
        explained = (b * np.linalg.solve(inner, b[..., None])[..., 0]).sum(axis=1)
        found = 0.5 * (np.log(w).sum(axis=1) - w @ self.y**2 + explained)
        return np.asarray(found - 0.5 * np.linalg.slogdet(inner)[1] if restricted else found)


def _common(y: Floats, v: Floats, X: Floats) -> Tau2:
    return Tau2(0.0, None)


def _hedges(y: Floats, v: Floats, X: Floats) -> Tau2:
    df = len(y) - X.shape[1]
    fit = weighted(y, np.ones(len(y)), X)
    trace = fit.trace(v)
    tau2 = max(0.0, (fit.q - trace) / df)
    variance = 2 * fit.trace2(v, v) + 4 * tau2 * trace + 2 * tau2**2 * df
    return Tau2(tau2, float(np.sqrt(variance) / df))


def _moment_variance(fit: Weighted, tau2: float, df: int) -> float:
    """Return the variance of Q at weights 1/v: 2 df + 4 tau2 tr P + 2 tau2^2 tr P P."""
    return 2 * df + 4 * tau2 * fit.trace() + 2 * tau2**2 * fit.trace2()


def _dersimonian_laird(y: Floats, v: Floats, X: Floats) -> Tau2:
    df = len(y) - X.shape[1]
    fit = weighted(y, 1 / v, X)
    tau2 = max(0.0, (fit.q - df) / fit.trace())
    return Tau2(tau2, float(np.sqrt(_moment_variance(fit, tau2, df)) / fit.trace()))


def _hunter_schmidt(y: Floats, v: Floats, X: Floats) -> Tau2:
    df = len(y) - X.shape[1]
    fit = weighted(y, 1 / v, X)
    tau2 = max(0.0, (fit.q - len(y)) / fit.w.sum())
    return Tau2(tau2, float(np.sqrt(_moment_variance(fit, tau2, df)) / fit.w.sum()))


def _sidik_jonkman(y: Floats, v: Floats, X: Floats) -> Tau2:
    df, start = len(y) - X.shape[1], float(y.var())
    if start == 0:
        return Tau2(0.0, 0.0)
    fit = weighted(y, 1 / (v + start), X)
    tau2 = start * fit.q / df
    variance = 2 * fit.trace2(v, v) + 4 * tau2 * fit.trace2(v) + 2 * tau2**2 * fit.trace2()
    return Tau2(tau2, float(start / df * np.sqrt(variance)))


def _paule_mandel(y: Floats, v: Floats, X: Floats) -> Tau2:
    k, df = len(y), len(y) - X.shape[1]
    tau2 = q_root(float(df), y, v, X)
    total = float((1 / (v + tau2)).sum())
    return Tau2(tau2, float(np.sqrt(2 * k**2 / df) / total))


def _maximum(y: Floats, v: Floats, X: Floats, restricted: bool) -> tuple[float, tuple[str, ...]]:
    """Return the tau2 >= 0 with the highest likelihood, a root of the score or 0; and notes."""
    surface = _Surface.of(y, v, X)

    def score(tau2: float) -> float:
        return surface.score(tau2, restricted)

    grid = SCAN * surface.scale
    heights = surface.log_likelihoods(grid, restricted)
    best = int(np.argmax(heights))
    notes = (SEVERAL,) if _maxima(heights) > 1 else ()
    if best == 0 and score(0.0) <= 0:
        return 0.0, notes
    low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)])
    while score(high) > 0:
        low, high = high, 4 * high
    return float(brentq(score, low, high, **TIGHT)) if score(low) > 0 else low, notes


def _maxima(heights: Floats) -> int:
    """Return how many points of a scan are higher than their neighbours, beyond rounding."""
    rises = np.diff(heights)
    # Where the scan is flat, nothing rises: sums of k terms are rounded at 1e-13.
    signs = np.sign(rises[np.abs(rises) > 1e-9])
    turns = np.count_nonzero((signs[:-1] > 0) & (signs[1:] < 0))
    return int(turns) + int(len(signs) > 0 and signs[0] < 0)


def _ml(y: Floats, v: Floats, X: Floats) -> Tau2:
    tau2, notes = _maximum(y, v, X, restricted=False)
    return Tau2(tau2, float(np.sqrt(2 / (1 / (v + tau2) ** 2).sum())), notes)


def _reml(y: Floats, v: Floats, X: Floats) -> Tau2:
    tau2, notes = _maximum(y, v, X, restricted=True)
    return Tau2(tau2, float(np.sqrt(2 / weighted(y, 1 / (v + tau2), X).trace2())), notes)


METHODS: dict[str, Callable[[Floats, Floats, Floats], Tau2]] = {
    COMMON: _common,
    "DL": _dersimonian_laird,
    "HE": _hedges,
    "HS": _hunter_schmidt,
    "SJ": _sidik_jonkman,
    "ML": _ml,
    "REML": _reml,
    "EB": _paule_mandel,
    "PM": _paule_mandel,
}
