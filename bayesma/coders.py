"""Coders: one column or call of a formula to numbers, the same for training rows and new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.errors import SpecError, UnseenLevelError, did_you_mean
from bayesma.formulas import Formula, parse

__all__ = [
    "AVERAGE",
    "Centred",
    "Coder",
    "cell_keys",
    "cell_text",
    "coder_of",
    "factor_name",
    "level_text",
]

Floats = NDArray[np.float64]
CENTRED = "centred("

# The level that a grid gives a covariate it was not asked about.
AVERAGE = "(average)"


@dataclass(frozen=True)
class Coder:
    """One factor or numeric expression, with what coding it again needs.

    Attributes
    ----------
    expression : str
        Column or call.
    levels : tuple of str
        Levels in order; empty for a numeric expression.
    weights : ndarray, shape (levels,)
        Share of the training rows at each level, which codes `AVERAGE`.
    centre, scale : float
        Mean and standard deviation of a numeric expression over the training rows.
    source : pandas.DataFrame
        Training columns of a call, so that stateful transforms repeat themselves.
    """

    expression: str
    levels: tuple[str, ...] = ()
    weights: Floats | None = None
    centre: float = 0.0
    scale: float = 1.0
    source: pd.DataFrame | None = None

    @property
    def name(self) -> str:
        """The column of a factor, without ``C()``."""
        return factor_name(self.expression)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that a number is made of; empty for a factor."""
        if self.levels:
            return ()
        return (self.expression,) if self.source is None else tuple(map(str, self.source))

    def columns(self, frame: pd.DataFrame) -> Floats:
        """Return the coded columns, shape (rows, levels) or (rows, 1)."""
        if not self.levels:
            return (self._numeric(frame) - self.centre)[:, None]
        return np.array([self._indicator(self.name, cell) for cell in frame[self.name]]).reshape(
            len(frame), len(self.levels)
        )

    def _indicator(self, name: str, cell: Any) -> Floats:
        text = level_text(cell)
        if text == AVERAGE and self.weights is not None:
            return self.weights
        if text not in self.levels:
            raise UnseenLevelError(
                f"{name} = '{text}' is not in the data; {did_you_mean(text, self.levels)}"
            )
        return np.asarray(np.array(self.levels) == text, dtype=float)

    def _numeric(self, frame: pd.DataFrame) -> Floats:
        if self.source is None:
            return frame[self.expression].to_numpy(dtype=float)
        values = _evaluate(self.expression, self.source, frame)
        if not np.isfinite(values).all():
            raise SpecError(f"{self.expression} is not finite at every number asked about")
        return values


@dataclass(frozen=True)
class Centred:
    """A number relative to its mean in the cell of its row: ``centred(log(dose), drug, route)``.

    Its coefficient compares doses of one drug by one route, and never one drug with another.

    Attributes
    ----------
    expression : str
        The whole call.
    inner : Coder
        What is centred.
    cells : tuple of str
        Columns that make the cells.
    means : mapping of tuple of str to float
        Mean of the inner expression in each cell of the training rows.
    scale : float
        Standard deviation within cells.
    """

    expression: str
    inner: Coder
    cells: tuple[str, ...]
    means: Mapping[tuple[str, ...], float]
    scale: float
    levels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The whole call: it is no column."""
        return self.expression

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns of what is centred."""
        return self.inner.numbers

    def cell_levels(self, name: str) -> tuple[str, ...]:
        """Return the training rows' levels of a column that makes cells; empty if it does not."""
        if name not in self.cells:
            return ()
        at = self.cells.index(name)
        return tuple(sorted({key[at] for key in self.means}))

    def columns(self, frame: pd.DataFrame) -> Floats:
        """Return the centred numbers, shape (rows, 1); 0 where the number is not asked about.

        Raises
        ------
        UnseenLevelError
            If no training row is in the cell of a row.
        SpecError
            If a number is given without its cell.
        """
        unasked = frame[list(self.numbers)].astype(object).to_numpy() == AVERAGE
        asked = ~unasked.all(axis=1)
        if (unasked.any(axis=1) & asked).any():
            raise SpecError(f"{self.expression}: name all of {', '.join(self.numbers)}, or none")
        out = np.zeros((len(frame), 1))
        if asked.any():
            rows = frame[asked].astype(dict.fromkeys(self.numbers, float))
            out[asked, 0] = self.inner.columns(rows)[:, 0] - self._means(rows)
        return out

    def _means(self, rows: pd.DataFrame) -> Floats:
        found = []
        for key in cell_keys(rows, self.cells):
            if AVERAGE in key:
                raise SpecError(
                    f"{self.expression}: a number is compared within its cell; name "
                    f"{' and '.join(self.cells)} with {' and '.join(self.numbers)}"
                )
            if key not in self.means:
                raise UnseenLevelError(
                    f"{self.expression}: no row of the data has {cell_text(self.cells, key)}"
                )
            found.append(self.means[key])
        return np.array(found)


def cell_keys(frame: pd.DataFrame, cells: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the levels of some columns row by row; the empty tuple where there is no column."""
    if not cells:
        return [()] * len(frame)
    return list(zip(*(frame[name].map(level_text) for name in cells), strict=True))


def cell_text(cells: Sequence[str], key: Sequence[str]) -> str:
    """Return a cell in words: drug 'a', route 'oral'."""
    return ", ".join(f"{name} '{level}'" for name, level in zip(cells, key, strict=True))


def _centred(expression: str, frame: pd.DataFrame, parameter: str) -> Centred:
    inner, *cells = _arguments(expression)
    subject = f"{parameter}: {expression}"
    if not cells:
        raise SpecError(f"{subject}: within what? write centred(log(dose), drug, route)")
    for name in cells:
        if name not in frame:
            known = [str(column) for column in frame]
            raise SpecError(f"{subject}: no column '{name}'; {did_you_mean(name, known)}")
        if frame[name].isna().any():
            gaps = int(frame[name].isna().sum())
            raise SpecError(f"{subject}: {name} is missing in {gaps} rows; leave them out")
    coder = coder_of(inner, frame, parse(inner, parameter), parameter)
    if isinstance(coder, Centred) or coder.levels:
        raise SpecError(f"{subject}: only a number can be centred")
    _check_dose_units(subject, frame, tuple(cells), inner)
    values, keys = coder.columns(frame)[:, 0], cell_keys(frame, cells)
    members: dict[tuple[str, ...], list[float]] = {}
    for key, value in zip(keys, values, strict=True):
        members.setdefault(key, []).append(value)
    means = {key: float(np.mean(found)) for key, found in members.items()}
    within = values - np.array([means[key] for key in keys])
    if np.abs(within).max() < 1e-9 * (1 + np.abs(values).max()):  # rounding of a mean
        raise SpecError(f"{subject}: does not vary within any {' x '.join(cells)}; drop it")
    return Centred(expression, coder, tuple(cells), means, float(within.std()))


def _check_dose_units(
    subject: str, frame: pd.DataFrame, cells: tuple[str, ...], inner: str
) -> None:
    """Refuse to compare milligrams with milligrams per kilogram."""
    if "dose_unit" not in frame or "dose_unit" in cells or "dose" not in parse(inner).variables:
        return
    units = frame["dose_unit"].fillna("(none)").groupby([frame[name] for name in cells]).unique()
    mixed = [(key, sorted(found)) for key, found in units.items() if len(found) > 1]
    if mixed:
        said = "; ".join(
            f"{' / '.join(map(str, key if isinstance(key, tuple) else (key,)))}: {', '.join(found)}"
            for key, found in mixed
        )
        raise SpecError(
            f"{subject}: doses of one cell are in different units ({said}); convert them, leave "
            "rows out, or add dose_unit to the cells"
        )


def _arguments(call: str) -> list[str]:
    """Return the arguments of a call: parts between commas outside inner parentheses."""
    depth, parts = 0, [""]
    for character in call.partition("(")[2].removesuffix(")"):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def factor_name(expression: str) -> str:
    """Return the column of a factor, without ``C()``."""
    return expression[2:-1] if expression.startswith("C(") else expression


def level_text(cell: Any) -> str:
    """Return a cell as the text of a level: 10.0 and "10" are one level."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def coder_of(
    expression: str, frame: pd.DataFrame, formula: Formula, parameter: str
) -> Coder | Centred:
    """Return the coder of one expression over the training rows.

    Raises
    ------
    SpecError
        If a factor has one level or gaps, or an expression cannot be evaluated or does not vary.
    """
    if expression.startswith(CENTRED):
        return _centred(expression, frame, parameter)
    name = factor_name(expression)
    if name in frame and (name != expression or not pd.api.types.is_numeric_dtype(frame[name])):
        return _factor(expression, frame[name], parameter)
    centred = formula.intercept
    if expression in frame:
        values, source = frame[expression].to_numpy(dtype=float), None
    else:
        source = frame[sorted(parse(expression, parameter).variables & set(frame))]
        values = _evaluate(expression, source, source)
    if not np.isfinite(values).all():
        raise SpecError(
            f"{parameter}: {expression} is not finite in {int((~np.isfinite(values)).sum())} "
            "rows; leave them out or transform otherwise"
        )
    spread = float(values.std())
    if np.ptp(values) == 0:  # the spread of equal values is not always exactly 0
        raise SpecError(
            f"{parameter}: {expression} has one value ({values[0]:g}) in these rows; "
            "drop it from the formula"
        )
    return Coder(
        expression, centre=float(values.mean()) if centred else 0.0, scale=spread, source=source
    )


def _factor(expression: str, cells: pd.Series[Any], parameter: str) -> Coder:
    if cells.isna().any():
        raise SpecError(
            f"{parameter}: factor {factor_name(expression)} is missing in "
            f"{int(cells.isna().sum())} rows; fill it in or leave the rows out"
        )
    texts = [level_text(cell) for cell in cells]
    levels = tuple(sorted(set(texts)))
    if len(levels) < 2:
        raise SpecError(
            f"{parameter}: factor {factor_name(expression)} has one level "
            f"('{levels[0]}') in these rows; drop it from the formula"
        )
    counts = np.array([texts.count(level) for level in levels], dtype=float)
    return Coder(expression, levels, counts / counts.sum())


def _evaluate(expression: str, training: pd.DataFrame, frame: pd.DataFrame) -> Floats:
    """Return a numeric call evaluated on new rows, with the state of the training rows."""
    from formulae import design_matrices

    functions = {"log": np.log, "log2": np.log2, "log10": np.log10, "exp": np.exp, "sqrt": np.sqrt}
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            common = design_matrices(
                f"0 + {expression}", training, na_action="error", extra_namespace=functions
            ).common
            columns = np.asarray(common.evaluate_new_data(frame))
    except (KeyError, NameError, TypeError, ValueError) as error:
        raise SpecError(f"'{expression}' cannot be evaluated ({error})") from error
    if columns.ndim != 2 or columns.shape[1] != 1:
        raise SpecError(f"'{expression}' gives {columns.shape[-1]} columns; use one, or C(column)")
    return columns[:, 0].astype(float)
