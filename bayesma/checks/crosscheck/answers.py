"""Answers: what the classical twin of a fit says of its quantities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bayesma.checks.crosscheck.quantities import Quantity

__all__ = ["BOUNDARY", "NOTHING", "Answer", "Answers", "Twin"]

Floats = NDArray[np.float64]

NAN = float("nan")
BOUNDARY = "boundary"


@dataclass(frozen=True)
class Answer:
    """A classical estimate.

    Attributes
    ----------
    estimate : float
        NaN where there is none.
    se : float
        On the quantity's scale; NaN where there is none.
    low, high : float
        Confidence interval; NaN where there is none.
    trouble : str
        What keeps the estimate from being one: `BOUNDARY`, or a likelihood that is flat.
    """

    estimate: float
    se: float = NAN
    low: float = NAN
    high: float = NAN
    trouble: str = ""


NOTHING = Answer(NAN)
# By name and place of the quantity.
Answers = dict[tuple[str, str], Answer]


@dataclass(frozen=True)
class Twin:
    """The classical fit of the same model.

    Attributes
    ----------
    method : str
        In words.
    answers : mapping of (str, str) to Answer
        By name and place of the quantity.
    variances : ndarray or None
        tau2 by level, outermost first, where they are estimated.
    refused : str
        Why there is none; else empty.
    notes : tuple of str
    """

    method: str
    answers: Mapping[tuple[str, str], Answer] = field(repr=False)
    variances: Floats | None = None
    refused: str = ""
    notes: tuple[str, ...] = ()

    def answer(self, quantity: Quantity) -> Answer:
        """Return the answer to a quantity; one without numbers where there is none."""
        return self.answers.get((quantity.name, quantity.where), NOTHING)
