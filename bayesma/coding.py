"""Formula and rows to a design matrix: the same code for fitting and for querying.

A factor is coded by indicator columns whose coefficients sum to zero. They are driven by
orthonormal contrasts, so that every level has the same prior and permuting levels leaves the
posterior unchanged. The intercept is then the average over the levels.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.coders import Centred, Coder, coder_of, factor_name
from bayesma.errors import SpecError, did_you_mean
from bayesma.formulas import Formula

__all__ = ["Predictor", "code"]

Floats = NDArray[np.float64]
AnyCoder = Coder | Centred


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
    products: tuple[tuple[AnyCoder, ...], ...]

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
    def coders(self) -> Mapping[str, AnyCoder]:
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
    coders = {e: coder_of(e, frame, formula, parameter) for term in formula.terms for e in term}
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
    coders: tuple[AnyCoder, ...]

    @classmethod
    def intercept(cls) -> _Block:
        """Return the block of the intercept."""
        return cls(("Intercept",), np.ones((1, 1)), np.zeros((1, 0)), ())

    @classmethod
    def of(
        cls, term: tuple[str, ...], coders: Mapping[str, AnyCoder], present: set[frozenset[str]]
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


def _every_level(coder: AnyCoder, means: bool) -> Floats:
    """Return the identity: one coefficient per level, as a mean or as a deviation."""
    return np.eye(len(coder.levels)) / (1 if means else np.sqrt(2))


def _contrasts(coder: AnyCoder) -> Floats:
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


def _labels(coder: AnyCoder) -> list[str]:
    if not coder.levels:
        return [coder.expression]
    return [f"{factor_name(coder.expression)}[{level}]" for level in coder.levels]


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
