"""Surfaces: minus a log likelihood over coordinates, many points at a time.

Given the decay, the mean is linear in the coefficients beta of the peak and of the small-study
term: m = Z beta, Z = diag(share(t) / share(t_ref)) X. Where Sigma does not depend on beta, its
maximum is generalised least squares, A beta = Z' Sigma^-1 y with A = Z' Sigma^-1 Z, and beta is
profiled out (variable projection, Golub & Pereyra 1973, SIAM Journal on Numerical Analysis
10:413):

    -log L   = (n log 2 pi + log|Sigma| + r' Sigma^-1 r) / 2,             r = y - Z beta,
    -log L_R = -log L + (log|A| - log|X'X| - p log 2 pi) / 2,

the second with the level beta integrated out under a flat prior, given the decay and the variances
(Harville 1974, Biometrika 61:383, for the linear model; log|X'X|, with X that of no decay, does not
depend on any parameter). Sigma is that of `marginal`: the same rank-one updates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from bayesma import marginal
from bayesma.design import Design, Points
from bayesma.frequentist.fading.coordinates import Coordinates, Edges, coordinates, edges_of
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean, linear, row_mean
from bayesma.pooling import Pooling
from bayesma.predictive import group_log_likelihoods

__all__ = ["Joint", "Profiled", "Surface", "linear_design", "why_not_linear"]

Floats = NDArray[np.float64]

MATHS = NumPyMaths()
# What a surface gives where it cannot be computed: higher than any likelihood, and finite.
NOWHERE = 1e12
# Columns scaled to length 1 whose Cholesky factor falls below this are collinear to 12 digits.
COLLINEAR = 1e-6
# One-sided differences do to come near a maximum: Newton steps finish.
ROUGH = 1e-6


class Surface(Protocol):
    """Minus a log likelihood.

    Attributes
    ----------
    plan : Design
    joint : Coordinates
        Of all parameters.
    skipped : int
        How many of them, the first ones, the surface has no need of.
    restricted : bool
    edges : tuple of Edges
    """

    plan: Design
    joint: Coordinates
    skipped: int
    restricted: bool
    edges: tuple[Edges, ...]

    def value(self, x: Floats) -> Floats:
        """Return minus the log likelihood, shape (points,), of coordinates (points, size)."""

    def full(self, x: Floats) -> Floats:
        """Return all parameters' coordinates, shape (points, joint.size)."""

    def slope(self, x: Floats) -> tuple[float, Floats]:
        """Return minus the log likelihood and roughly its gradient, never restricted."""

    def rise(self, full: Floats) -> Floats:
        """Return the rise past the edges of all parameters, shape (points,)."""


def why_not_linear(plan: Design) -> str:
    """Return why the variances depend on the level, so that it cannot be profiled; or nothing."""
    if plan.exact is not None:
        return "likelihood = 'exact' leaves no generalised least squares"
    if plan.kappa_names:
        return "heterogeneity = 'proportional' makes the variances depend on the level"
    if plan.spec.population == "student":
        return "population = 'student' leaves no generalised least squares"
    if plan.pooling is not None and (plan.pooling.slope > 0).any():
        return "pooled_weights = 'precision' makes the weights of members depend on the level"
    return ""


def linear_design(plan: Design) -> Design:
    """Return the design with what depends on the level left out, for a place to start."""
    pooling = plan.pooling
    if pooling is not None:
        pooling = replace(pooling, slope=np.zeros_like(pooling.slope))
    spec = replace(plan.spec, heterogeneity="constant", population="normal", likelihood="normal")
    return replace(plan, spec=spec, pooling=pooling, exact=None)


class _Gathering(NumPyMaths):
    """NumPy's functions, which remember the segments that they sum over."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], tuple[NDArray[np.int64], Any]] = {}

    def segment_sum(self, x: ArrayLike, index: NDArray[np.int64], n: int) -> Floats:  # type: ignore[override]
        """Return sums over the last axis by segment, shape (..., n)."""
        values = np.asarray(x, dtype=float)
        if (id(index), n) not in self.kept:
            entries: Any = (np.ones(len(index)), (index, np.arange(len(index))))
            # The index is kept beside, so that its id stays its own.
            self.kept[id(index), n] = (index, sparse.csr_array(entries, shape=(n, len(index))))
        gather = self.kept[id(index), n][1]
        flat = values.reshape(-1, values.shape[-1])
        return np.asarray((gather @ flat.T).T).reshape(*values.shape[:-1], n)


class _Edged:
    """A surface that rises gently past the edges, where the likelihood is flat."""

    def __init__(self, plan: Design, joint: Coordinates) -> None:
        self.plan, self.joint = plan, joint
        self.edges = edges_of(plan)

    def rise(self, full: Floats) -> Floats:
        """Return the rise past the edges, shape (points,)."""
        out = np.zeros(full.shape[:-1])
        for edges in self.edges:
            own = full[..., self.joint.part(VARIABLES[edges.parameter]).place]
            out = out + 0.5 * (edges.excess(own) ** 2).sum(axis=-1)
        for part in self.joint.parts:
            if part.kind == "log":
                own = full[..., part.place][..., 0]
                out = out + 0.5 * (np.maximum(0, own - 9.0) + np.maximum(0, -1.0 - own)) ** 2
            elif part.kind == "ratio":
                out = out + 0.5 * (np.maximum(0, np.abs(full[..., part.place]) - 12) ** 2).sum(-1)
        return np.asarray(out)


class Joint(_Edged):
    """Minus the log likelihood over all parameters."""

    skipped = 0
    restricted = False

    def __init__(self, plan: Design, held: tuple[str, ...] = ()) -> None:
        super().__init__(plan, coordinates(plan, held))

    def value(self, x: Floats) -> Floats:
        """Return minus the log likelihood, shape (points,)."""
        draws = self.joint.draws(x)
        if "nu" in draws:  # the mixture divides by tau
            draws["tau"] = np.maximum(draws["tau"], 1e-8)
        with np.errstate(all="ignore"):
            value = -group_log_likelihoods(self.plan, draws).sum(axis=-1)
        return np.where(np.isfinite(value), value, NOWHERE)

    def slope(self, x: Floats) -> tuple[float, Floats]:
        """Return minus the log likelihood and roughly its gradient."""
        values = self.value(np.concatenate([x[None], x + ROUGH * np.eye(len(x))]))
        return float(values[0]), (values[1:] - values[0]) / ROUGH

    def full(self, x: Floats) -> Floats:
        """Return the coordinates as they are."""
        return x


class Profiled(_Edged):
    """Minus the log likelihood with the linear coefficients at their maximum, or integrated out."""

    def __init__(self, plan: Design, restricted: bool, held: tuple[str, ...] = ()) -> None:
        super().__init__(plan, coordinates(plan, held))
        self.restricted, self.skipped = restricted, self.joint.linear
        self.maths = _Gathering()
        self.whitening = plan.effects.covariance.whitening()
        self.enters = (~plan.pooled).astype(float)
        self.ratios = plan.tau_matrix if plan.varying_tau else None
        level = self.joint.part(VARIABLES["peak"])
        self.basis = plan.points.matrices["peak"] @ level.basis
        self.size = (
            None
            if plan.small_study is None
            else plan.small_study.values * self.joint.part("small_study").basis[0, 0]
        )
        self.decay_points = replace(
            plan.points, matrices={**plan.points.matrices, "peak": np.ones((len(self.basis), 1))}
        )
        flat = self.rows(np.ones((1, len(self.basis))))[0]
        self.log_det_flat = float(np.linalg.slogdet(flat @ flat.T)[1])

    def ratio(self, draws: dict[str, Floats], points: Points) -> Floats:
        """Return share(t) / share(t_ref) at points whose peak is 1, shape (..., points)."""
        names = self.plan.spec.family.parameters
        coefficients = {name: draws[VARIABLES[name]] for name in names}
        some = next(iter(draws.values()))
        coefficients["peak"] = np.ones((some.shape[0], 1))
        matrices = {name: points.matrices[name] for name in ("peak", *names)}
        found = effect_mean(
            coefficients, replace(points, matrices=matrices), self.plan.spec.family, MATHS
        )
        return np.asarray(found)

    def rows(self, ratio: Floats) -> Floats:
        """Return Z' of each point of the surface, shape (..., coefficients, rows)."""
        columns = ratio[..., None, :] * self.basis.T
        columns = row_mean_of_columns(columns, self.plan.pooling, len(self.plan.effects))
        if self.size is None:
            return columns
        own = np.broadcast_to(self.size, (*columns.shape[:-2], 1, columns.shape[-1]))
        return np.concatenate([columns, own], axis=-2)

    def given(self, x: Floats, beta: Floats) -> Floats:
        """Return minus the log likelihood with the linear coefficients given, shape (points,).

        At the maximum over beta its slope is that of the profile (the envelope theorem), for one
        column of residuals instead of one for each coefficient.
        """
        draws = self.drawn(x)
        m = (self.rows(self.ratio(draws, self.decay_points)) * beta[:, None]).sum(axis=-2)
        found = self.levels(draws, (self.plan.effects.y - m)[:, None, :])
        counts = np.bincount(self.plan.groups.outermost)
        by_group = marginal.group_log_likelihood(found, counts, self.maths)
        return np.asarray(-by_group.sum(axis=(-1, -2)))

    def slope(self, x: Floats) -> tuple[float, Floats]:
        """Return minus the log likelihood and roughly its gradient, never restricted."""
        beta, _, _, value = self.solved(x[None])
        with np.errstate(all="ignore"):
            near = self.given(np.concatenate([x[None], x + ROUGH * np.eye(len(x))]), beta[0])
        rough = (near[1:] - near[0]) / ROUGH
        return float(value[0]), np.where(np.isfinite(rough), rough, 0.0)

    def drawn(self, x: Floats) -> dict[str, Floats]:
        """Return the parameters that are not linear, as draws."""
        return self.joint.draws(np.concatenate([np.zeros((len(x), self.skipped)), x], axis=-1))

    def levels(self, draws: dict[str, Floats], columns: Floats) -> list[marginal.Level]:
        """Return the inner products of columns, shape (points, columns, rows)."""
        scale, taus = self.enters, [np.zeros((1, 1, 1))]
        if self.ratios is not None:
            log_ratio = linear(draws[VARIABLES["tau"]], self.ratios)
            scale = (self.enters * np.exp(log_ratio))[:, None, :]
        if self.plan.tau_names:
            taus = [draws[name][:, None, None] for name in self.plan.tau_names[::-1]]
        groups = self.plan.groups
        return marginal.levels(columns, [scale], taus, self.whitening, groups, self.maths)

    def products(self, x: Floats) -> tuple[Floats, Floats]:
        """Return (y, Z)' Sigma^-1 (y, Z), shape (..., 1 + p, 1 + p), and log|Sigma|, shape (...).

        Parameters
        ----------
        x : ndarray, shape (points, size)
        """
        draws = self.drawn(x)
        columns = self.rows(self.ratio(draws, self.decay_points))
        y = np.broadcast_to(self.plan.effects.y, (len(x), 1, columns.shape[-1]))
        both = np.concatenate([y, columns], axis=-2)
        found = self.levels(draws, both)
        inner = self.crossed(both, found)
        log_det = (found[-1].log_det + np.log(found[-1].d)).sum(axis=-1)
        return inner, np.broadcast_to(np.ravel(log_det), len(x))

    def weighted(self, full: Floats, columns: Floats) -> Floats:
        """Return D' Sigma^-1 D of columns D', shape (columns, rows), at all parameters."""
        found = self.levels(self.joint.draws(full[None]), columns[None])
        return np.asarray(self.crossed(columns[None], found)[0])

    def crossed(self, columns: Floats, found: list[marginal.Level]) -> Floats:
        """Return C' Sigma^-1 C of columns C' and their inner products by level."""
        white = np.asarray(marginal.whiten(columns, self.whitening, self.maths))
        inner = white @ white.swapaxes(-1, -2)
        for level in found:
            inner = inner - (level.b * (level.tau2 / level.d)) @ level.b.swapaxes(-1, -2)
        return np.asarray(inner)

    def solved(self, x: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return beta (points, p), its covariance A^-1, log|A| and minus the log likelihood."""
        with np.errstate(all="ignore"):
            inner, log_det = self.products(x)
            bad = ~np.isfinite(inner).all(axis=(-1, -2)) | ~np.isfinite(log_det)
            inner = np.where(bad[:, None, None], np.eye(inner.shape[-1]), inner)
        square, right = inner[:, 1:, 1:], inner[:, 1:, 0]
        unit = np.sqrt(np.maximum(np.einsum("bii->bi", square), 1e-300))
        factor, singular = _cholesky(square / unit[:, :, None] / unit[:, None, :])
        inverse = np.linalg.inv(factor)
        half = np.einsum("bij,bj->bi", inverse, right / unit)
        beta = np.einsum("bji,bj->bi", inverse, half) / unit
        covariance = inverse.swapaxes(-1, -2) @ inverse / unit[:, :, None] / unit[:, None, :]
        log_a = 2 * (np.log(np.einsum("bii->bi", factor)) + np.log(unit)).sum(axis=-1)
        n = len(self.plan.effects)
        quadratic = inner[:, 0, 0] - (half**2).sum(axis=-1)
        value = 0.5 * (n * marginal.LOG_2PI + log_det + quadratic)
        value = np.where(bad | singular | (quadratic < 0), NOWHERE, value)
        return beta, covariance, log_a, value

    def value(self, x: Floats) -> Floats:
        """Return minus the (restricted) log likelihood, shape (points,)."""
        beta, _, log_a, value = self.solved(x)
        if not self.restricted:
            return value
        p = beta.shape[-1]
        return np.asarray(value + 0.5 * (log_a - self.log_det_flat - p * marginal.LOG_2PI))

    def full(self, x: Floats) -> Floats:
        """Return the coordinates with those of beta in front."""
        return np.concatenate([self.solved(x)[0], x], axis=-1)


def row_mean_of_columns(columns: Floats, pooling: Pooling | None, rows: int) -> Floats:
    """Return each row's mean of every column, by weights that depend on no mean."""
    if pooling is None:
        return columns
    weight = 1 / pooling.floor
    fixed = Pooling(pooling.row, pooling.floor, np.zeros_like(weight))
    return np.asarray(row_mean(columns, fixed, rows, MATHS))


def _cholesky(square: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return Cholesky factors, and which matrices have none that can be trusted."""
    eye = np.eye(square.shape[-1])
    try:
        factor = np.linalg.cholesky(square)
        singular = np.zeros(len(square), dtype=bool)
    except np.linalg.LinAlgError:
        singular = np.linalg.eigvalsh(square)[:, 0] < COLLINEAR**2
        factor = np.linalg.cholesky(np.where(singular[:, None, None], eye, square))
    low = np.einsum("bii->bi", factor).min(axis=-1) < COLLINEAR
    return np.where(low[:, None, None], eye, factor), singular | low
