"""Numbers as the page's sentences say them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bayesma.diagnostics import days_text
from bayesma.frequentist.sentences import fixed

__all__ = ["chance", "delay_text", "duration_text", "estimate", "floored", "head"]

LARGE = 1000.0
# Effects this much smaller than the median of their table are 0 for every purpose.
NOTHING, LEAST = 1e-4, 1e-3
NO_EFFECT = ("P(", "One trial P(", "Ratio")


def estimate(median: float, low: float, high: float, digits: int = 2) -> str:
    """Return a median with its interval: "1.58 [0.93, 3.10]"."""
    middle, first, last = (_number(value, digits) for value in (median, low, high))
    return f"{middle} [{first}, {last}]"


def _number(value: float, digits: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = fixed(value, digits) if abs(value) < LARGE else f"{value:.3g}"
    return text.replace("-", "−")


def duration_text(median: float, low: float, high: float) -> str:
    """Return a duration in days with its interval, to two or three digits."""
    middle, first, last = (_days(value) for value in (median, low, high))
    return f"{middle} [{first}, {last}]"


def _days(value: float) -> str:
    if math.isinf(value):
        return "∞"
    if 0 < value < 0.01 or value >= LARGE:
        return f"{value:.2g}"
    return f"{value:.2f}" if value < 10 else f"{value:.3g}"


def chance(p: float) -> str:
    """Return a probability; one that draws cannot tell from 0 or 1 is bounded."""
    if math.isnan(p):
        return ""
    if p > 0.995:
        return "> 0.99"
    return "< 0.01" if p < 0.005 else f"{p:.2f}"


def delay_text(days: float) -> str:
    """Return a delay as people say it."""
    return "0" if days == 0 else days_text(days)


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
