"""Rows: effects with variances, checked, whether they came as Effects or as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesma.effects import Effects, split_members
from bayesma.errors import DataError, SpecError

__all__ = ["Rows", "rows_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Independent effects with known sampling variances.

    Attributes
    ----------
    y, v : ndarray, shape (k,)
        Effects and sampling variances; finite, v > 0.
    frame : pandas.DataFrame
        Covariates, k rows; no column where bare arrays were given.
    labels : tuple of str
        Row ids, or numbers from 1.
    studies : tuple of str or None
        Study of each row; None where it is not known.
    notes : tuple of str
        What a reader should know of the rows.
    measure : str
        Effect measure; empty where it is not known.
    """

    y: Floats
    v: Floats
    frame: pd.DataFrame = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    studies: tuple[str, ...] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    measure: str = ""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y)

    def take(self, index: Sequence[int] | NDArray[np.int64]) -> Rows:
        """Return some rows, in the order asked for."""
        at = np.asarray(index, dtype=np.int64)
        studies = None if self.studies is None else tuple(self.studies[i] for i in at)
        return Rows(
            self.y[at],
            self.v[at],
            self.frame.iloc[at].reset_index(drop=True),
            tuple(self.labels[i] for i in at),
            studies,
            self.notes,
            self.measure,
        )


def rows_of(
    effects: Effects | ArrayLike,
    v: ArrayLike | None = None,
    *,
    data: pd.DataFrame | None = None,
) -> Rows:
    """Return checked rows.

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances, or y alone.
    v : array_like, shape (k,), optional
        Sampling variances of y; not given with `Effects`, which hold their own.
    data : pandas.DataFrame, optional
        Covariates of y, k rows in the same order; not given with `Effects`.

    Raises
    ------
    DataError
        With every row whose y or v is missing, infinite, or whose v is not positive.
    SpecError
        If lengths differ, v is missing or given twice, or the effects correlate.
    """
    if isinstance(effects, Effects):
        return _of_effects(effects, v, data)
    if v is None:
        raise SpecError("y needs its sampling variances: pool(y, v)")
    y, variances = _vector(effects, "y"), _vector(v, "v")
    if len(y) != len(variances):
        raise SpecError(f"y has {len(y)} rows and v {len(variances)}; each effect needs its own v")
    frame = pd.DataFrame(index=range(len(y))) if data is None else data.reset_index(drop=True)
    if len(frame) != len(y):
        raise SpecError(f"data has {len(frame)} rows and y {len(y)}; they must go together")
    labels = _texts(frame, "row_id") or _numbers(len(y))
    _check(y, variances, labels)
    return Rows(y, variances, frame, labels, _texts(frame, "study") or None)


def _of_effects(effects: Effects, v: ArrayLike | None, data: pd.DataFrame | None) -> Rows:
    given = [name for name, value in (("v", v), ("data", data)) if value is not None]
    if given:
        raise SpecError(f"effects hold their own variances and covariates; drop {given[0]}=")
    if effects.covariance.blocks:
        correlated = sum(len(index) for index, _ in effects.covariance.blocks)
        raise SpecError(
            f"{correlated} of {len(effects)} effects have a sampling correlation, which this "
            "method takes to be 0: bm.multilevel(effects) uses it, and effects made with rho=0 "
            "have none"
        )
    y, variances = effects.y, effects.v
    labels = _texts(effects.frame, "row_id") or _numbers(len(y))
    studies = _texts(effects.frame, "study")
    _check(y, variances, labels)
    frame = effects.frame.reset_index(drop=True)
    notes = (*_dependence(studies), *_shared_members(frame))
    return Rows(y, variances, frame, labels, studies, notes, effects.measure)


def _dependence(studies: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return a note where studies give several rows, which pooling takes as independent."""
    several = len(set(studies or ()))
    if studies is None or several == len(studies):
        return ()
    return (
        f"{len(studies)} rows of {several} studies are taken as independent; bm.multilevel and "
        "bm.robust allow for rows of one study that go together",
    )


def _shared_members(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a note where published pooled rows stand for the same comparisons."""
    if "members" not in frame:
        return ()
    named = Counter(name for cell in frame["members"].dropna() for name in split_members(cell))
    shared = sum(count > 1 for count in named.values())
    if not shared:
        return ()
    return (
        f"{shared} of {len(named)} comparisons stand behind more than one row, and count again "
        "with each: pool rows that share none",
    )


def _vector(values: ArrayLike, name: str) -> Floats:
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{name} must be numbers ({error})") from error
    if found.ndim != 1:
        raise SpecError(f"{name} must be one column of numbers, not of shape {found.shape}")
    return found


def _texts(frame: pd.DataFrame, name: str) -> tuple[str, ...] | None:
    return tuple(frame[name].astype(str)) if name in frame else None


def _numbers(k: int) -> tuple[str, ...]:
    return tuple(str(i) for i in range(1, k + 1))


def _check(y: Floats, v: Floats, labels: Sequence[str]) -> None:
    """Refuse no rows at all, and every row that cannot be pooled, in one message."""
    if not len(y):
        raise DataError("no effects: there is nothing to pool")
    faults = [
        f"row {label}: {problem}"
        for i, label in enumerate(labels)
        for problem in _problems(float(y[i]), float(v[i]))
    ]
    if faults:
        raise DataError("\n".join(faults))


def _problems(y: float, v: float) -> list[str]:
    found = []
    if not np.isfinite(y):
        found.append(f"y = {y}: an effect must be a number; leave the row out")
    if not (np.isfinite(v) and v > 0):
        found.append(f"v = {v}: a sampling variance is above 0; correct it or leave the row out")
    return found
