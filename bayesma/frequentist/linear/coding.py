"""Formula and rows to a design matrix with treatment contrasts, as R codes factors."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.coders import Centred, Coder, coder_of, factor_name
from bayesma.errors import SpecError, did_you_mean
from bayesma.formulas import Formula

__all__ = ["complete", "treatment_matrix"]

Floats = NDArray[np.float64]


def complete(formula: Formula, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return the rows in which no column of the formula is missing.

    Raises
    ------
    SpecError
        If a column is unknown, or no row is complete.
    """
    for name in sorted(formula.variables - set(frame)):
        known = [str(column) for column in frame]
        raise SpecError(f"'{formula.text}': no column '{name}'; {did_you_mean(name, known)}")
    keep = np.asarray(frame[sorted(formula.variables)].notna().all(axis=1), dtype=bool)
    if not keep.any():
        raise SpecError(f"no row has all of: {', '.join(sorted(formula.variables))}")
    return keep


def treatment_matrix(formula: Formula, frame: pd.DataFrame) -> tuple[Floats, tuple[str, ...]]:
    """Return the design matrix and the names of its terms.

    The first level of a factor, in sorted order, is its reference, wherever the term without
    that factor is in the formula too; otherwise each level has a column of its own.

    Parameters
    ----------
    formula : Formula
        Without group effects.
    frame : pandas.DataFrame
        Complete rows.

    Returns
    -------
    X : ndarray, shape (rows, terms)
    terms : tuple of str
        ``Intercept``, ``species[rat]``, ``dose``, ``species[rat]:dose``.
    """
    coders = {e: coder_of(e, frame, formula, "formula") for term in formula.terms for e in term}
    present: set[frozenset[str]] = {frozenset()} if formula.intercept else set()
    present |= {frozenset(term) for term in formula.terms}
    blocks = [np.ones((len(frame), 1))] if formula.intercept else []
    names = ["Intercept"] if formula.intercept else []
    for term in formula.terms:
        parts = [_columns(coders[e], frame, reduced=frozenset(term) - {e} in present) for e in term]
        block = parts[0][0]
        for columns, _ in parts[1:]:
            block = np.einsum("ri,rj->rij", block, columns).reshape(len(frame), -1)
        blocks.append(block)
        names += [":".join(cells) for cells in itertools.product(*(labels for _, labels in parts))]
        # Once a term has all its levels, it spans the intercept.
        present.add(frozenset())
    return np.hstack(blocks), tuple(names)


def _columns(
    coder: Coder | Centred, frame: pd.DataFrame, reduced: bool
) -> tuple[Floats, list[str]]:
    """Return the columns of one factor or number, and their names."""
    columns = coder.columns(frame)
    if isinstance(coder, Centred):
        return columns, [coder.expression]
    if not coder.levels:
        return columns + coder.centre, [coder.expression]
    first = 1 if reduced else 0
    name = factor_name(coder.expression)
    return columns[:, first:], [f"{name}[{level}]" for level in coder.levels[first:]]
