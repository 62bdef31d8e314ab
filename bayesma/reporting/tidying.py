"""Tables as the page shows them: heads for people, and no effect of 1e-122."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["floored", "head"]

# Effects this much smaller than the median of their table are 0 for every purpose.
NOTHING, LEAST = 1e-4, 1e-3
NO_EFFECT = ("P(", "One trial P(", "Ratio")


def floored(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of effects in which what has faded to nothing is 0, not 1e-122."""
    out = frame.copy()
    floats = [name for name in out if pd.api.types.is_float_dtype(out[name])]
    # Days, probabilities and ratios are no effects.
    names = [n for n in floats if "(d)" not in str(n) and not str(n).startswith(NO_EFFECT)]
    values = np.abs(out[names].to_numpy(dtype=float))
    finite = values[np.isfinite(values)]
    least = min(NOTHING * float(np.median(finite)), LEAST) if len(finite) else 0.0
    for name in names:
        out[name] = out[name].where(~(out[name].abs() < least), 0.0)
    return out


def head(name: str) -> str:
    """Return the name of a column as the head of a table's."""
    return name.replace("_", " ").capitalize()
