"""Nested groups of rows: who shares an effect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.covariance import Blocks
from bayesma.effects import Effects
from bayesma.errors import SpecError

__all__ = ["Groups", "check_blocks", "grouped", "nested"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Nested groups of rows.

    Attributes
    ----------
    names : tuple of str
        Columns with a group effect, outermost first; empty if there is none.
    labels : tuple of tuple of str
        Labels of the groups, per level, outermost first. The first level always exists: it is
        the unit of cross-validation, with or without an effect.
    parent : tuple of ndarray of int
        For each level but the outermost, innermost first: the group above each group.
    innermost : ndarray of int, shape (rows,)
        Innermost group of each row.
    """

    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    parent: tuple[Ints, ...]
    innermost: Ints

    @property
    def outermost(self) -> Ints:
        """Outermost group of each row, shape (rows,)."""
        index = self.innermost
        for parent in self.parent:
            index = parent[index]
        return index


def grouped(names: tuple[str, ...], effects: Effects, pooled: NDArray[np.bool_]) -> Groups:
    """Return the groups of rows by nested columns, or by study where no column has an effect.

    Raises
    ------
    SpecError
        If group effects are asked for and fewer than two groups could show them.
    """
    if names and pooled.all():
        raise SpecError(
            f"every row is a pooled result, whose standard error already holds the "
            f"heterogeneity: drop (1 | {'/'.join(names)})"
        )
    columns = names or ("study",)
    codes, labels = nested(effects.frame, columns, effects.frame["row_id"])
    if names and len(np.unique(codes[0][~pooled])) < 2:
        raise SpecError(
            f"one {columns[0]} only ('{labels[0][0]}'): the heterogeneity between "
            f"groups cannot be seen; drop (1 | {'/'.join(columns)})"
        )
    parents = []
    for inner, outer in zip(codes[:0:-1], codes[-2::-1], strict=True):
        parent = np.zeros(inner.max() + 1, dtype=np.int64)
        parent[inner] = outer
        parents.append(parent)
    return Groups(names, labels, tuple(parents), codes[-1])


def nested(
    frame: pd.DataFrame, columns: Sequence[str], own: Iterable[object]
) -> tuple[list[Ints], tuple[tuple[str, ...], ...]]:
    """Return the group of each row per level, outermost first, and the labels of the groups.

    Labels are read within the group above; a row without one is a group of its own.

    Parameters
    ----------
    frame : pandas.DataFrame
    columns : sequence of str
        Outermost first.
    own : iterable
        Name of each row.
    """
    paths = _paths(frame, columns, list(own))
    labels, codes = [], []
    for depth in range(1, len(columns) + 1):
        index = {path: i for i, path in enumerate(dict.fromkeys(p[:depth] for p in paths))}
        codes.append(np.array([index[path[:depth]] for path in paths], dtype=np.int64))
        labels.append(tuple("/".join(text for _, text in path) for path in index))
    return codes, tuple(labels)


def _paths(
    frame: pd.DataFrame, columns: Sequence[str], own: Sequence[object]
) -> list[tuple[tuple[str, str], ...]]:
    """Return each row's groups, outermost first; a row without a label is a group of its own.

    The first half of each step tells a row's own group from one that is called the same.
    """
    steps = [
        [
            ("row", str(row)) if pd.isna(cell) else ("label", str(cell))
            for cell, row in zip(frame[name], own, strict=True)
        ]
        for name in columns
    ]
    return list(zip(*steps, strict=True))


def check_blocks(covariance: Blocks, groups: Groups) -> None:
    """Refuse a sampling covariance between rows of different innermost groups."""
    for index, _ in covariance.blocks:
        if len(np.unique(groups.innermost[index])) > 1:
            raise SpecError(
                "the sampling covariance links rows of different groups; correlate "
                f"within {groups.names[-1] if groups.names else 'study'}"
            )
