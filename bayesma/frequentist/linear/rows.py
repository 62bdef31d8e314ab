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

__all__ = ["Rows", "check_spread", "numbers_of", "rows_of"]

Floats = NDArray[np.float64]

# Fourth powers of what is within these, and their products, are numbers.
LARGEST = 1e50
# Weights of 16 digits: beyond this ratio the light rows vanish beside the heavy ones.
WIDEST = 1e15


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
        Study of each row, a row without one being a study of its own; None where no row has one.
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
        With every row whose y or v is missing, infinite or beyond squaring, or whose v is not
        positive; or if variances are more than 1e15 times apart.
    SpecError
        If lengths differ, v is missing or given twice, data is no table, or the effects
        correlate.
    """
    if isinstance(v, str):
        raise SpecError(f"v = '{v}' is text; a formula is given as formula=")
    if isinstance(effects, Effects):
        return _of_effects(effects, v, data)
    if v is None:
        raise SpecError("y needs its sampling variances; give them as v=")
    if data is not None:
        _check_frame(data)
    y, variances = numbers_of(effects, "y"), numbers_of(v, "v")
    if len(y) != len(variances):
        raise SpecError(f"y has {len(y)} rows and v {len(variances)}; each effect needs its own v")
    frame = pd.DataFrame(index=range(len(y))) if data is None else data.reset_index(drop=True)
    if len(frame) != len(y):
        raise SpecError(f"data has {len(frame)} rows and y {len(y)}; they must go together")
    labels = _labels(frame)
    _check(y, variances, labels)
    return Rows(y, variances, frame, labels, _studies(frame, labels))


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
    labels = _labels(effects.frame)
    studies = _studies(effects.frame, labels)
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


def _check_frame(data: object) -> None:
    """Refuse covariates that are no table, or in which a name stands for two columns."""
    if not isinstance(data, pd.DataFrame):
        raise SpecError(f"data must be a pandas.DataFrame, not {type(data).__name__}")
    twice = list(dict.fromkeys(map(str, data.columns[data.columns.duplicated()])))
    if twice:
        raise SpecError(f"data has two columns of one name: {', '.join(twice)}; rename one")


def numbers_of(values: ArrayLike, name: str) -> Floats:
    """Return one column of numbers; what is masked is NaN.

    Raises
    ------
    SpecError
        If it is none.
    """
    if np.iscomplexobj(values):
        raise SpecError(f"{name} must be numbers of one part, not complex")
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(float), np.nan)
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{name} must be numbers ({error})") from error
    if found.ndim != 1:
        raise SpecError(f"{name} must be one column of numbers, not of shape {found.shape}")
    return found


def _labels(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the row ids; the number from 1 of a row without one."""
    numbers = tuple(str(i) for i in range(1, len(frame) + 1))
    return _texts(frame, "row_id", numbers) or numbers


def _studies(frame: pd.DataFrame, labels: Sequence[str]) -> tuple[str, ...] | None:
    """Return the study of each row; a row without one is a study of its own."""
    return _texts(frame, "study", [f"row {label}" for label in labels])


def _texts(frame: pd.DataFrame, name: str, missing: Sequence[str]) -> tuple[str, ...] | None:
    if name not in frame:
        return None
    return tuple(
        instead if pd.isna(cell) else str(cell)
        for cell, instead in zip(frame[name], missing, strict=True)
    )


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
    check_spread(v, labels)


def check_spread(v: Floats, labels: Sequence[str]) -> None:
    """Refuse sampling variances that no arithmetic of 16 digits can weigh together.

    Raises
    ------
    DataError
        Naming the smallest and the largest.
    """
    least, most = int(np.argmin(v)), int(np.argmax(v))
    if v[most] > WIDEST * v[least]:
        raise DataError(
            f"row {labels[least]}: v = {v[least]:g}, and row {labels[most]}: v = {v[most]:g}: "
            f"variances more than {WIDEST:g} times apart cannot be weighed together; check their "
            "units, or leave one out"
        )


def _problems(y: float, v: float) -> list[str]:
    found = []
    if not np.isfinite(y):
        found.append(f"y = {y}: an effect must be a number; leave the row out")
    elif abs(y) > LARGEST:
        found.append(f"y = {y:g}: too large to be squared; choose another unit")
    if not (np.isfinite(v) and v > 0):
        found.append(f"v = {v}: a sampling variance is above 0; correct it or leave the row out")
    elif not 1 / LARGEST <= v <= LARGEST:
        found.append(f"v = {v:g}: too far from 1 to be squared; choose another unit")
    return found
