"""Numbers in sentences: effects, durations and probabilities with their intervals."""

from __future__ import annotations

import math

__all__ = [
    "alike",
    "counted",
    "days_interval",
    "duration_text",
    "interval",
    "listed",
    "number",
    "share",
]

YEAR = 365.25
LARGE = 1e6
# Durations that nobody has measured are named, not counted.
LONGEST, SHORTEST = 100 * YEAR, 1 / 86400
UNITS = ((1.0, 1.0, "d"), (1 / 24, 24.0, "h"), (1 / 1440, 1440.0, "min"), (0.0, 86400.0, "s"))
# A probability beyond these is not told apart from certainty.
EDGE = 0.01


def number(value: float) -> str:
    """Return a number with three digits."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    # Adding 0.0 leaves no negative zero.
    return f"{float(f'{value:.3g}') + 0.0:.6g}".replace("-", "−")


def interval(median: float, low: float, high: float) -> str:
    """Return a median with its interval, of as many decimals: 1.58 [0.93, 3.10]."""
    middle, *ends = alike(median, low, high)
    return f"{middle} [{', '.join(ends)}]"


def alike(*values: float) -> list[str]:
    """Return numbers with one number of decimals, three digits of the largest."""
    finite = [abs(value) for value in values if math.isfinite(value)]
    largest = max(finite, default=0.0)
    if not finite or not 0 < largest < LARGE:
        return [number(value) for value in values]
    decimals = max(2 - math.floor(math.log10(largest)), 0)
    # Adding 0.0 leaves no negative zero.
    return [
        number(v) if math.isinf(v) else f"{round(v, decimals) + 0.0:.{decimals}f}".replace("-", "−")
        for v in values
    ]


def duration_text(days: float) -> str:
    """Return a duration as people say it: 20 min, 3.2 h, 5 d, 2.1 years."""
    if days >= LONGEST:
        return "over 100 years"
    if days >= 2 * YEAR:
        return f"{number(days / YEAR)} years"
    if days == 0:
        return "0 h"
    if days < SHORTEST:
        return "under 1 s"
    _, factor, unit = next(entry for entry in UNITS if days >= entry[0])
    return f"{number(days * factor)} {unit}"


def days_interval(median: float, low: float, high: float) -> str:
    """Return a duration with its interval: 3.2 h [40 min, 1.1 d]."""
    return f"{duration_text(median)} [{duration_text(low)}, {duration_text(high)}]"


def share(probability: float) -> str:
    """Return a probability with two decimals, and its relation: "= 0.93" or "> 0.99"."""
    if probability > 1 - EDGE:
        return f"> {1 - EDGE:g}"
    return f"< {EDGE:g}" if probability < EDGE else f"= {probability:.2f}"


def counted(count: int, noun: str, many: str | None = None) -> str:
    """Return a number of things: 1 study, 12 studies."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}".replace(",", " ")


def listed(texts: list[str]) -> str:
    """Return texts as a list in words: a, b and c."""
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"
