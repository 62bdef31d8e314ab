"""Levels: nested groups of rows, each level with a variance of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.errors import SpecError, did_you_mean
from bayesma.grouping import nested

__all__ = ["Levels", "check_levels", "containment", "levels_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Levels:
    """Nested groups of rows.

    Attributes
    ----------
    names : tuple of str
        ``("study", "study/experiment")``, outermost first.
    codes : tuple of ndarray of int, shape (k,)
        Group of each row, per level.
    labels : tuple of tuple of str
        Labels of the groups, per level.
    """

    names: tuple[str, ...]
    codes: tuple[Ints, ...] = field(repr=False)
    labels: tuple[tuple[str, ...], ...] = field(repr=False)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of groups, per level."""
        return tuple(len(labels) for labels in self.labels)


def levels_of(random: str, frame: pd.DataFrame, own: Sequence[str]) -> Levels:
    """Return the levels that a text such as "study/experiment" asks for.

    Parameters
    ----------
    random : str
        Columns from the outside in: ``"study/experiment"``, ``"~ 1 | study/experiment"`` or
        ``"(1 | study/experiment)"``.
    frame : pandas.DataFrame
    own : sequence of str
        Name of each row; a row without a label is a group of its own.

    Raises
    ------
    SpecError
        If it cannot be read, or names an unknown column.
    """
    columns = _columns(random)
    unknown = [name for name in columns if name not in frame]
    if unknown:
        known = [str(column) for column in frame]
        raise SpecError(
            f"random = '{random}': no column '{unknown[0]}'; {did_you_mean(unknown[0], known)}"
        )
    codes, labels = nested(frame, columns, own)
    names = tuple("/".join(columns[: depth + 1]) for depth in range(len(columns)))
    return Levels(names, tuple(codes), labels)


def _columns(random: str) -> list[str]:
    text = str(random).strip().removeprefix("~").strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    effect, bar, path = text.rpartition("|")
    columns = [name.strip() for name in path.split("/")]
    sound = all(columns) and len(set(columns)) == len(columns)
    if (bar and effect.strip() != "1") or not sound or not set("|()+").isdisjoint(path):
        raise SpecError(
            f"random = '{random}': only nested groups are known, such as 'study/experiment' or "
            "'(1 | study/experiment)', each column once"
        )
    return columns


def check_levels(levels: Levels, basis: Floats, restricted: bool) -> None:
    """Refuse levels whose variances the rows cannot tell.

    Parameters
    ----------
    levels : Levels
    basis : ndarray, shape (k, p)
        Orthonormal columns that span X.
    restricted : bool
        Whether the coefficients are integrated out, and take with them what they span.

    Raises
    ------
    SpecError
        If a level has one group, the groups of two levels are the same, or the coefficients
        take up all that differs between groups.
    """
    for name, labels in zip(levels.names, levels.labels, strict=True):
        if len(labels) < 2:
            raise SpecError(
                f"one {name} only ('{labels[0]}'): the variance between groups cannot be seen; "
                "leave the level out"
            )
    for outer, inner, many, more in zip(
        levels.names, levels.names[1:], levels.counts, levels.counts[1:], strict=False
    ):
        if many == more:
            raise SpecError(
                f"every {outer} is one {inner}: their two variances cannot be told apart; "
                f"use random = '{outer}'"
            )
    for name, codes in zip(levels.names, levels.codes, strict=True):
        if restricted and _left(codes, basis) < 1e-9 * len(codes):
            raise SpecError(
                f"the coefficients take up all that differs between the groups of {name}: its "
                "variance cannot be seen; leave terms out, or the level"
            )


def _left(codes: Ints, basis: Floats) -> float:
    """Return the sum of squares of the groups' indicators outside the span of X, tr(Z'MZ)."""
    sums = np.stack([np.bincount(codes, column) for column in basis.T])
    return float(len(codes) - (sums**2).sum())


def containment(levels: Levels, X: Floats) -> Floats:
    """Return the containment degrees of freedom of each coefficient, shape (p,).

    The fewest groups among the levels whose groups each hold one value of the coefficient's
    column, or k if there is no such level, minus p; at least 1 (the rule of SAS's containment
    method, Littell et al. 2006, as metafor counts).
    """
    k, p = X.shape
    found = np.full(p, k)
    for codes, count in zip(levels.codes, levels.counts, strict=True):
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(count))
        high = np.maximum.reduceat(X[order], starts)
        constant = (high == np.minimum.reduceat(X[order], starts)).all(axis=0)
        found[constant] = np.minimum(found[constant], count)
    return np.asarray(np.maximum(found - p, 1), dtype=float)
