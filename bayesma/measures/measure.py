"""What an effect measure is: an effect, its variances, and where it is not defined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesma.measures.arms import Arms

__all__ = ["Gap", "Measure"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Gap:
    """Rows for which a measure, or its variance, is not defined.

    Attributes
    ----------
    where : ndarray of bool
        The rows.
    column, problem, remedy : str
        As a `Fault` takes them.
    """

    where: Bools
    column: str
    problem: str
    remedy: str


# Formula of an effect: arms and whether to correct for small samples. Formula of a variance: the
# arms, the effect in the direction it is reported in, and whether that was corrected.
Effect = Callable[[Arms, bool], Floats]
Variance = Callable[[Arms, Floats, bool], Floats]


def _defined(arms: Arms, variance: str) -> list[Gap]:
    return []


@dataclass(frozen=True)
class Measure:
    """An effect measure.

    Attributes
    ----------
    name, label : str
        metafor's name; what an axis says.
    units : str
        Of the effect.
    equation : str
    effect : callable
        Arms and `correct` to the effect; its sign is treated minus control, except for NMD.
    variances : mapping of str to callable
        By metafor's name.
    default : str
        The variance where none is named.
    gaps : callable
        Arms and variance to the rows that have no such effect.
    remark : str
        What the reader of an effect must know of it; empty where nothing.
    """

    name: str
    label: str
    units: str
    equation: str
    effect: Effect
    variances: Mapping[str, Variance]
    default: str = "LS"
    gaps: Callable[[Arms, str], list[Gap]] = _defined
    remark: str = ""

    def __call__(
        self,
        arms: Arms,
        variance: str | None = None,
        correct: bool = True,
        direction: ArrayLike = 1.0,
    ) -> tuple[Floats, Floats]:
        """Return effects and sampling variances.

        Parameters
        ----------
        arms : Arms
        variance : str, optional
            The measure's default where absent. AV and AVHO average over all the rows given here,
            so a row's variance depends on the others.
        correct : bool
            Whether to correct the effect for small samples; MD and NMD need no correction.
        direction : array_like
            -1 turns the sign. It is turned before AV averages effects over rows, which would
            otherwise cancel.

        Returns
        -------
        y, v : ndarray
            Not finite in rows that `gaps` names.
        """
        with np.errstate(all="ignore"):
            y = self.effect(arms, correct) * np.asarray(direction, dtype=float)
            return y, self.variances[variance or self.default](arms, y, correct)
