"""Grams: what the likelihood of elements needs of d, the mean m and the loadings c.

The inner products d' S^-1 d, d' S^-1 m, m' S^-1 m and so on. A shift of the mean along a loading
and a normal effect added to S turn them as in `marginal`. The first axis is that of the densities;
those that follow are of nodes and draws, and broadcast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bayesma.noncentral.densities import LOG_2PI, Moments, saddle

__all__ = ["Gram", "Laws", "Pull", "log_densities", "plug_in", "pull"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Laws:
    """The densities of elements.

    Attributes
    ----------
    of : ndarray of int, shape (densities,)
        Element of each density, ascending.
    df, size : ndarray, shape (densities,)
        nu and the number of rows.
    a : ndarray, shape (densities,)
        d' S^-1 d.
    constant : ndarray, shape (densities,)
        What depends on no parameter.
    """

    of: Ints
    df: Floats
    size: Floats
    a: Floats
    constant: Floats

    @cached_property
    def moments(self) -> Moments:
        """Of the densities."""
        return Moments(self.df + self.size - 1)

    @cached_property
    def starts(self) -> Ints:
        """First density of each element."""
        return np.flatnonzero(np.diff(self.of, prepend=-1))

    @property
    def mixed(self) -> bool:
        """Whether an element is a mean of several densities."""
        return len(self.starts) < len(self.of)

    def places(self, elements: Ints) -> Ints:
        """Return the densities of some elements, in their order."""
        ends = np.append(self.starts, len(self.of))
        parts = [np.arange(ends[e], ends[e + 1]) for e in elements]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def take(self, elements: Ints) -> Laws:
        """Return those of some elements, in their order."""
        places = self.places(elements)
        counts = np.diff(np.append(self.starts, len(self.of)))[elements]
        of = np.repeat(np.arange(len(elements)), counts)
        return Laws(of, self.df[places], self.size[places], self.a[places], self.constant[places])


@dataclass(frozen=True)
class Gram:
    """Inner products under S^-1.

    Attributes
    ----------
    a, m, mm, log_det : ndarray, shape (densities, ...)
        d' S^-1 d, d' S^-1 m, m' S^-1 m, and what effects have added to log|S|.
    c, mc : tuple of ndarray, shape (densities, ...)
        d' S^-1 c and m' S^-1 c by loading.
    cc : mapping of (int, int) to ndarray, shape (densities, ...)
        c_j' S^-1 c_k for j <= k.
    """

    a: Floats
    m: Floats
    mm: Floats
    log_det: Floats
    c: tuple[Floats, ...]
    mc: tuple[Floats, ...]
    cc: Mapping[tuple[int, int], Floats]

    def cross(self, j: int, k: int) -> Floats:
        """Return c_j' S^-1 c_k."""
        return self.cc[min(j, k), max(j, k)]

    def take(self, places: Ints | slice) -> Gram:
        """Return those of some densities."""
        return Gram(
            self.a[places],
            self.m[places],
            self.mm[places],
            self.log_det[places],
            tuple(x[places] for x in self.c),
            tuple(x[places] for x in self.mc),
            {key: x[places] for key, x in self.cc.items()},
        )

    def opened(self) -> Gram:
        """Return the same with a new axis after the first, for nodes."""
        return Gram(
            self.a[:, None],
            self.m[:, None],
            self.mm[:, None],
            self.log_det[:, None],
            tuple(x[:, None] for x in self.c),
            tuple(x[:, None] for x in self.mc),
            {key: x[:, None] for key, x in self.cc.items()},
        )

    def shifted(self, column: int, by: Floats) -> Gram:
        """Return those of a mean moved along a loading."""
        own = self.mc[column]
        return replace(
            self,
            m=self.m + by * self.c[column],
            mm=self.mm + by * (2 * own + by * self.cross(column, column)),
            mc=tuple(x + by * self.cross(j, column) for j, x in enumerate(self.mc)),
        )

    def values_at(self, column: int, by: Floats) -> Gram:
        """Return the same as `shifted`, for `log_densities` alone: m' S^-1 c is left as it was."""
        mm = by * self.cross(column, column)
        mm += 2 * self.mc[column]
        mm *= by
        mm += self.mm
        m = by * self.c[column]
        m += self.m
        return replace(self, m=m, mm=mm)

    def absorbed(self, column: int, tau2: Floats) -> Gram:
        """Return those under S + tau^2 c c' (Sherman & Morrison 1950)."""
        d = 1 + tau2 * self.cross(column, column)
        gain = tau2 / d
        b, p = self.c[column], self.mc[column]
        return Gram(
            self.a - gain * b * b,
            self.m - gain * b * p,
            self.mm - gain * p * p,
            self.log_det + np.log(d),
            tuple(x - gain * b * self.cross(j, column) for j, x in enumerate(self.c)),
            tuple(x - gain * p * self.cross(j, column) for j, x in enumerate(self.mc)),
            {
                (j, k): x - gain * self.cross(j, column) * self.cross(k, column)
                for (j, k), x in self.cc.items()
            },
        )


def log_densities(laws: Laws, gram: Gram) -> Floats:
    """Return log p of each element, shape (elements, ...)."""
    df, size, constant = (_like(v, gram.m) for v in (laws.df, laws.size, laws.constant))
    x = gram.m / np.sqrt(df + gram.a)
    out = laws.moments.log(x.reshape(len(x), math.prod(x.shape[1:]))).reshape(x.shape)
    x *= x
    x -= gram.mm
    x *= 0.5
    out += x
    out += constant - 0.5 * gram.log_det - 0.5 * (df + size) * np.log1p(gram.a / df)
    return _mean(laws, out)


def _like(values: Floats, other: Floats) -> Floats:
    return values.reshape(-1, *(1,) * (other.ndim - 1))


def _mean(laws: Laws, values: Floats) -> Floats:
    """Return the log of the sum over the densities of each element."""
    if not laws.mixed:
        return values
    most = np.maximum.reduceat(values, laws.starts, axis=0)
    total = np.add.reduceat(np.exp(values - most[laws.of]), laws.starts, axis=0)
    return np.asarray(most + np.log(total))


@dataclass(frozen=True)
class Pull:
    """Slope and curvature of log p in the shifts along the loadings, roughly.

    Attributes
    ----------
    g : tuple of ndarray, shape (elements, ...)
        Slope by loading.
    h : mapping of (int, int) to ndarray, shape (elements, ...)
        Minus the second derivatives, for j <= k.
    """

    g: tuple[Floats, ...]
    h: Mapping[tuple[int, int], Floats]


def pull(laws: Laws, gram: Gram) -> Pull:
    """Return slope and curvature where the mean is, by the saddlepoint form."""
    df, size = _like(laws.df, gram.m), _like(laws.size, gram.m)
    root2 = 1 / (df + gram.a)
    root = np.sqrt(root2)
    x = gram.m * root
    n = df + size - 1
    w, s = saddle(n, x)
    bent = w / s * root2
    g = tuple(w * root * c - mc for c, mc in zip(gram.c, gram.mc, strict=True))
    h = {(j, k): cc - bent * gram.c[j] * gram.c[k] for (j, k), cc in gram.cc.items()}
    if not laws.mixed:
        return Pull(g, h)
    log_p = (n + 0.5) * np.log(w) - 0.5 * np.log(s) - 0.5 * ((n / w) ** 2 - x * x + gram.mm)
    log_p += _like(laws.constant, gram.m) - 0.5 * (df + size) * np.log1p(gram.a / df)
    return _mixed(laws, log_p, g, h)


def _mixed(
    laws: Laws, log_p: Floats, g: tuple[Floats, ...], h: Mapping[tuple[int, int], Floats]
) -> Pull:
    """Return slope and curvature of the log of a mean of densities."""
    weight = np.exp(log_p - _mean(laws, log_p)[laws.of])

    def mean(x: Floats) -> Floats:
        return np.asarray(np.add.reduceat(weight * x, laws.starts, axis=0))

    slope = tuple(mean(x) for x in g)
    bent = {}
    for (j, k), x in h.items():
        plain = mean(x)
        found = plain - mean(g[j] * g[k]) + slope[j] * slope[k]
        # Nearly concave, so that a step needs no other guard.
        bent[j, k] = np.maximum(found, 0.2 * plain) if j == k else found
    return Pull(slope, bent)


def plug_in(laws: Laws, gram: Gram) -> Pull:
    """Return slope and curvature as if d were normal, its variance that at a mean of d."""
    df, size = _like(laws.df, gram.m), _like(laws.size, gram.m)
    root2 = 1 / (df + gram.a)
    w, s = saddle(df + size - 1, gram.a * np.sqrt(root2))
    bent = w / s * root2
    kept = 1 - bent * (gram.a - gram.m)
    g = tuple(kept * c - mc for c, mc in zip(gram.c, gram.mc, strict=True))
    h = {(j, k): cc - bent * gram.c[j] * gram.c[k] for (j, k), cc in gram.cc.items()}
    if not laws.mixed:
        return Pull(g, h)
    counts = _like(np.diff(np.append(laws.starts, len(laws.of))), gram.m)

    def mean(x: Floats) -> Floats:
        return np.asarray(np.add.reduceat(x, laws.starts, axis=0) / counts)

    return Pull(tuple(mean(x) for x in g), {key: mean(x) for key, x in h.items()})
