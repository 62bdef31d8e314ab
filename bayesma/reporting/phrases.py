"""Numbers in sentences: effects, durations and probabilities with their intervals."""

from __future__ import annotations

import math

from bayesma.diagnostics import days_text
from bayesma.frequentist.sentences import fixed

__all__ = [
    "chance",
    "counted",
    "days_estimate",
    "days_interval",
    "delay_text",
    "duration_text",
    "estimate",
    "listed",
    "number",
    "range_text",
    "share",
]

YEAR = 365.25
# Beyond it a number has three digits, no decimals.
LARGE = 1000.0
# Durations that nobody has measured are named, not counted.
LONGEST, SHORTEST = 100 * YEAR, 1 / 86400
UNITS = ((1.0, 1.0, "d"), (1 / 24, 24.0, "h"), (1 / 1440, 1440.0, "min"), (0.0, 86400.0, "s"))
# A probability within half of this of 0 or 1 is not told apart from certainty.
EDGE = 0.01


def number(value: float) -> str:
    """Return a number with three digits."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    # Adding 0.0 leaves no negative zero.
    return f"{float(f'{value:.3g}') + 0.0:.6g}".replace("-", "−")


def estimate(median: float, low: float, high: float, digits: int = 2) -> str:
    """Return a median with its interval: 1.58 [0.93, 3.10]."""
    middle, first, last = (_decimal(value, digits) for value in (median, low, high))
    return f"{middle} [{first}, {last}]"


def range_text(low: float, high: float, digits: int = 2) -> str:
    """Return where something lies: 0.93 to 3.10."""
    return f"{_decimal(low, digits)} to {_decimal(high, digits)}"


def _decimal(value: float, digits: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = fixed(value, digits) if abs(value) < LARGE else f"{value:.3g}"
    return text.replace("-", "−")


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


def days_estimate(median: float, low: float, high: float) -> str:
    """Return days with their interval, to two or three digits: 4.74 [0.29, 12.3]."""
    middle, first, last = (_days(value) for value in (median, low, high))
    return f"{middle} [{first}, {last}]"


def _days(value: float) -> str:
    if math.isinf(value):
        return "∞"
    if 0 < value < 0.01 or value >= LARGE:
        return f"{value:.2g}"
    return f"{value:.2f}" if value < 10 else f"{value:.3g}"


def delay_text(days: float) -> str:
    """Return a delay as people say it."""
    return "0" if days == 0 else days_text(days)


def chance(p: float) -> str:
    """Return a probability; one that draws cannot tell from 0 or 1 is bounded."""
    if math.isnan(p):
        return ""
    if p > 1 - EDGE / 2:
        return f"> {1 - EDGE:g}"
    return f"< {EDGE:g}" if p < EDGE / 2 else f"{p:.2f}"


def share(probability: float) -> str:
    """Return a probability with its relation: "= 0.93" or "> 0.99"."""
    text = chance(probability)
    return text if text.startswith((">", "<")) else f"= {text}"


def counted(count: int, noun: str, many: str | None = None) -> str:
    """Return a number of things: 1 study, 12 studies."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}".replace(",", " ")


def listed(texts: list[str]) -> str:
    """Return texts as a list in words: a, b and c."""
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"
