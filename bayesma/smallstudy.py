"""Small-study effects: whether the effect goes with the size of the study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.errors import SpecError

__all__ = ["SIZES", "SmallStudy", "small_study_term"]

Floats = NDArray[np.float64]
SIZES = ("n_treated", "n_control")


@dataclass(frozen=True)
class SmallStudy:
    """1/sqrt(n) of each row, in standard units.

    Attributes
    ----------
    values : ndarray, shape (rows,)
        (1/sqrt(n) - centre) / scale, n the animals of both arms.
    centre, scale : float
        Mean and standard deviation of 1/sqrt(n) over the rows.
    """

    values: Floats
    centre: float
    scale: float


def small_study_term(frame: pd.DataFrame) -> SmallStudy:
    """Return the term of rows that all have their group sizes.

    1/sqrt(n) and not the standard error: that of an SMD grows with the SMD itself, so that a
    funnel is skewed without any bias (Zwetsloot et al. 2017, eLife 6:e24260).

    Raises
    ------
    SpecError
        If all rows have as many animals.
    """
    size = 1 / np.sqrt(frame[list(SIZES)].sum(axis=1).to_numpy(dtype=float))
    if np.ptp(size) == 0:
        raise SpecError(
            f"small_study: every row has {1 / size[0] ** 2:g} animals, so an effect of size "
            "cannot be seen; use small_study = 'none'"
        )
    centre, scale = float(size.mean()), float(size.std())
    return SmallStudy((size - centre) / scale, centre, scale)
