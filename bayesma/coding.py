"""Formula and rows to a design matrix: the same code for fitting and for querying.

A factor is coded by indicator columns whose coefficients sum to zero. They are driven by
orthonormal contrasts, so that every level has the same prior and permuting levels leaves the
posterior unchanged. The intercept is then the average over the levels.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.errors import SpecError, UnseenLevelError, did_you_mean
from bayesma.formulas import Formula

__all__ = ["AVERAGE", "Coder", "Predictor", "code", "level_text"]

Floats = NDArray[np.float64]

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
        return _factor_name(self.expression)

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
        return _evaluate(self.expression, self.source, frame)


@dataclass(frozen=True)
class Predictor:
    """The linear predictor of one parameter.

    coefficients = average_basis @ averages + contrast_basis @ contrasts.

    Attributes
    ----------
    terms : tuple of str
        Coefficient labels, e.g. ``Intercept``, ``regimen[single]``.
    average_basis : ndarray, shape (terms, averages)
        One column for an intercept; one per level for cell means (``0 + regimen``).
    contrast_basis : ndarray, shape (terms, contrasts)
        Orthonormal contrasts, scaled so that a contrast's prior is N(0, 1) times the prior's
        sigma, and any two levels differ by that sigma.
    products : tuple of tuple of Coder
        The coders each term multiplies; the empty tuple is the intercept.
    """

    terms: tuple[str, ...]
    average_basis: Floats
    contrast_basis: Floats
    products: tuple[tuple[Coder, ...], ...]

    def matrix(self, frame: pd.DataFrame) -> Floats:
        """Return the design matrix, shape (rows, terms).

        Raises
        ------
        UnseenLevelError
            If a row holds a level that the training rows do not.
        """
        parts = [_product([coder.columns(frame) for coder in p], len(frame)) for p in self.products]
        return np.hstack(parts) if parts else np.zeros((len(frame), 0))

    @property
    def coders(self) -> Mapping[str, Coder]:
        """The coders by expression."""
        return {coder.expression: coder for product in self.products for coder in product}


def code(formula: Formula, frame: pd.DataFrame, parameter: str) -> Predictor:
    """Return the predictor that a formula and the training rows define.

    Parameters
    ----------
    formula : Formula
        Its common terms are coded.
    frame : pandas.DataFrame
        Training rows without missing cells in the formula's columns.
    parameter : str
        Named in messages.

    Raises
    ------
    SpecError
        If a column is unknown, a factor has one level, or an expression cannot be evaluated.
    """
    for name in sorted(formula.variables - set(frame)):
        known = [str(column) for column in frame]
        raise SpecError(
            f"{parameter} = '{formula.text}': no column '{name}'; {did_you_mean(name, known)}"
        )
    coders = {e: _coder(e, frame, formula, parameter) for term in formula.terms for e in term}
    present = {frozenset(term) for term in formula.terms}
    blocks = [_Block.intercept()] if formula.intercept else []
    for term in formula.terms:
        if blocks:  # something spans the intercept already
            present.add(frozenset())
        blocks.append(_Block.of(term, coders, present))
    return Predictor(
        tuple(label for block in blocks for label in block.labels),
        _diagonal([block.average for block in blocks]),
        _diagonal([block.contrast for block in blocks]),
        tuple(block.coders for block in blocks),
    )


@dataclass(frozen=True)
class _Block:
    """One term: its labels, its two bases and its coders."""

    labels: tuple[str, ...]
    average: Floats
    contrast: Floats
    coders: tuple[Coder, ...]

    @classmethod
    def intercept(cls) -> _Block:
        """Return the block of the intercept."""
        return cls(("Intercept",), np.ones((1, 1)), np.zeros((1, 0)), ())

    @classmethod
    def of(
        cls, term: tuple[str, ...], coders: Mapping[str, Coder], present: set[frozenset[str]]
    ) -> _Block:
        """Return the block of a term.

        A factor is reduced to contrasts where the term without it is in the formula too
        (marginality); otherwise all its levels are free.
        """
        parts = tuple(coders[e] for e in term)
        margins = [frozenset(term) - {e} for e in term]
        free = [bool(c.levels) and m not in present for c, m in zip(parts, margins, strict=True)]
        means = all(free) and frozenset() not in present
        bases = [
            _every_level(coder, means) if is_free else _contrasts(coder)
            for coder, is_free in zip(parts, free, strict=True)
        ]
        basis = bases[0]
        for other in bases[1:]:
            basis = np.asarray(np.kron(basis, other), dtype=float)
        labels = tuple(
            ":".join(cells) for cells in itertools.product(*(_labels(coder) for coder in parts))
        )
        nothing = np.zeros((len(labels), 0))
        average, contrast = (basis, nothing) if means else (nothing, basis)
        return cls(labels, average, contrast, parts)


def _every_level(coder: Coder, means: bool) -> Floats:
    """Return the identity: one coefficient per level, as a mean or as a deviation."""
    return np.eye(len(coder.levels)) / (1 if means else np.sqrt(2))


def _contrasts(coder: Coder) -> Floats:
    """Return contrasts with unit-variance prior differences, shape (columns, contrasts)."""
    if not coder.levels:
        return np.array([[1 / coder.scale]])
    k = len(coder.levels)
    # Helmert columns: orthonormal and orthogonal to 1. Divided by sqrt 2, two levels differ by
    # a variable of variance 1.
    helmert = np.zeros((k, k - 1))
    for j in range(1, k):
        helmert[:j, j - 1] = 1
        helmert[j, j - 1] = -j
        helmert[:, j - 1] /= np.sqrt(j * (j + 1))
    return np.asarray(helmert / np.sqrt(2))


def _labels(coder: Coder) -> list[str]:
    if not coder.levels:
        return [coder.expression]
    return [f"{_factor_name(coder.expression)}[{level}]" for level in coder.levels]


def _product(parts: list[Floats], rows: int) -> Floats:
    """Return the row-wise Kronecker product; a column of ones for none."""
    out = np.ones((rows, 1))
    for part in parts:
        out = np.einsum("ri,rj->rij", out, part).reshape(rows, -1)
    return out


def _diagonal(blocks: list[Floats]) -> Floats:
    """Return the block-diagonal matrix."""
    out = np.zeros((sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)))
    row = col = 0
    for block in blocks:
        out[row : row + block.shape[0], col : col + block.shape[1]] = block
        row, col = row + block.shape[0], col + block.shape[1]
    return out


def _factor_name(expression: str) -> str:
    return expression[2:-1] if expression.startswith("C(") else expression


def level_text(cell: Any) -> str:
    """Return a cell as the text of a level: 10.0 and "10" are one level."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _coder(expression: str, frame: pd.DataFrame, formula: Formula, parameter: str) -> Coder:
    name = _factor_name(expression)
    if name in frame and (name != expression or not pd.api.types.is_numeric_dtype(frame[name])):
        return _factor(expression, frame[name], parameter)
    centred = formula.intercept
    if expression in frame:
        values, source = frame[expression].to_numpy(dtype=float), None
    else:
        source = frame[sorted(formula.variables & set(frame))]
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
            f"{parameter}: factor {_factor_name(expression)} is missing in "
            f"{int(cells.isna().sum())} rows; fill it in or leave the rows out"
        )
    texts = [level_text(cell) for cell in cells]
    levels = tuple(sorted(set(texts)))
    if len(levels) < 2:
        raise SpecError(
            f"{parameter}: factor {_factor_name(expression)} has one level "
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
