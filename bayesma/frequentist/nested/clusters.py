"""Clusters: which rows go together, and the covariance a fit gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.covariance import Blocks
from bayesma.errors import SpecError, did_you_mean
from bayesma.frequentist.linear.regression import MetaRegression
from bayesma.frequentist.nested.multilevels import Multilevel
from bayesma.frequentist.nested.sums import dependent_rows
from bayesma.grouping import nested

__all__ = ["Part", "clusters_of", "parts_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Rows that depend on each other, with their marginal covariance."""

    rows: Ints
    covariance: Floats
    X: Floats
    residual: Floats

    @cached_property
    def solved(self) -> Floats:
        """Return covariance^-1 X."""
        return np.linalg.solve(self.covariance, self.X)


def clusters_of(
    fit: MetaRegression | Multilevel, cluster: str | Sequence[object]
) -> tuple[Ints, str, tuple[str, ...]]:
    """Return the cluster of each row, numbered from 0, its name, and what is to be said."""
    frame, own = fit.rows.frame, fit.rows.labels
    if isinstance(cluster, str):
        if cluster not in frame:
            known = [str(column) for column in frame]
            raise SpecError(f"cluster: no column '{cluster}'; {did_you_mean(cluster, known)}")
        name, column = cluster, frame[cluster]
    elif np.ndim(np.asarray(cluster, dtype=object)) != 1:
        raise SpecError("cluster must be the name of a column or one label for each row")
    else:
        name, column = "cluster", pd.Series(list(cluster), dtype=object)
        if len(column) != len(own):
            raise SpecError(f"cluster has {len(column)} labels for the {len(own)} rows of the fit")
    codes, labels = nested(pd.DataFrame({name: column}), [name], own)
    missing = int(column.isna().sum())
    notes = (f"rows without a {name}, each a cluster of its own: {missing}",) if missing else ()
    if len(labels[0]) < len(own):
        return codes[0], name, notes
    return codes[0], name, (*notes, f"every row is a cluster of its own by {name}")


def parts_of(fit: MetaRegression | Multilevel, codes: Ints, whole: bool) -> list[Part]:
    """Return the rows by cluster, or by what depends on each other where clusters cut that.

    Raises
    ------
    SpecError
        If clusters cut it and must be `whole`.
    """
    if isinstance(fit, Multilevel):
        V, groups, sigma2 = fit.V, fit.levels.codes, fit.variances
    else:
        V, groups, sigma2 = Blocks(fit.rows.v + fit.tau2), (), np.zeros(0)
    together = groups[0] if groups else np.arange(len(codes))
    sets = dependent_rows(V, together)
    if all((codes[rows] == codes[rows[0]]).all() for rows in sets):
        sets = dependent_rows(Blocks(V.v), codes)
    elif whole:
        cut = next(rows for rows in sets if not (codes[rows] == codes[rows[0]]).all())
        first, second = (fit.rows.labels[i] for i in (cut[0], cut[codes[cut] != codes[cut[0]]][0]))
        raise SpecError(
            f"rows {first} and {second} depend on each other in the fit and stand in different "
            "clusters: CR2 needs clusters that hold whole groups; cluster by the outermost level, "
            "or use kind='CR1'"
        )
    residual = fit.rows.y - fit.X @ fit.beta
    matrices = _marginal(V, groups, sigma2, sets)
    return [
        Part(rows, matrix, fit.X[rows], residual[rows])
        for rows, matrix in zip(sets, matrices, strict=True)
    ]


def _marginal(
    V: Blocks, groups: Sequence[Ints], sigma2: Floats, sets: Sequence[Ints]
) -> list[Floats]:
    """Return V + sum_l sigma2_l Z_l Z_l' of each set of rows, which no block of V leaves."""
    number, place = np.empty(len(V.v), dtype=np.int64), np.empty(len(V.v), dtype=np.int64)
    found = []
    for i, rows in enumerate(sets):
        number[rows], place[rows] = i, np.arange(len(rows))
        matrix = np.diag(V.v[rows])
        for code, variance in zip(groups, sigma2, strict=True):
            matrix += variance * (code[rows][:, None] == code[rows])
        found.append(matrix)
    for index, block in V.blocks:
        at = place[index]
        found[number[index[0]]][np.ix_(at, at)] += block - np.diag(np.diag(block))
    return found
