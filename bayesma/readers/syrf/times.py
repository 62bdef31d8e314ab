"""Times that cannot be minutes, although the header says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayesma.units import DAYS_PER_UNIT

__all__ = ["header_unit", "not_minutes", "time_signals"]

# As minutes, a day or more should stand somewhere in a review of effects that last.
MINUTES_OF_A_DAY = 1440
# Nobody tests an animal within a minute of its injection.
SHORTEST = 1.0
# Not 120 or 240: people do test two and four hours after an injection.
WHOLE_DAYS_IN_HOURS = (24, 48, 72, 96, 144, 168, 192, 216, 264, 288, 312, 336, 504, 672)


def header_unit(header: str) -> str:
    """Return the unit that the header of the time column names; minutes unless another."""
    low = header.lower()
    return next((unit for unit in ("hour", "day", "week") if unit in low), "min")


def time_signals(times: Sequence[float], unit: str) -> list[str]:
    """Return why times, read as minutes, look as if they were hours or days.

    Parameters
    ----------
    times : sequence of float
        As written, missing ones left out.
    unit : str
        The unit they are read by.

    Returns
    -------
    list of str
        One clause per signal; empty for units other than minutes.
    """
    if not len(times) or DAYS_PER_UNIT[unit] != DAYS_PER_UNIT["min"]:
        return []
    values = np.round(np.asarray(times, dtype=float), 6)  # as written: days and back leave dust
    found = []
    short = values[(values > 0) & (values < SHORTEST)]
    if len(short):
        found.append(
            f"{len(short)} of {len(values)} would be under a minute ({_shown(short)} min), sooner "
            "than any test follows an injection"
        )
    broken = values[values != np.round(values)]
    if len(broken):
        found.append(f"SyRF defines whole minutes, but {len(broken)} are fractions")
    days = values[np.isin(values, WHOLE_DAYS_IN_HOURS)]
    if len(days):
        found.append(f"{len(days)} are whole days if they are hours ({_shown(days)})")
    if values.max() < MINUTES_OF_A_DAY:
        found.append(f"the longest, {values.max():g}, would be {values.max() / 60:.3g} h")
    return found


def not_minutes(times: Sequence[float], unit: str) -> bool:
    """Return whether times are to be doubted: a fraction, or several whole days and no long time.

    A single 24 gives two signals, that it is a day in hours and that it is short in minutes, but
    these are one fact.

    Parameters
    ----------
    times : sequence of float
        As written, missing ones left out.
    unit : str
        The unit they are read by.
    """
    if not len(times) or DAYS_PER_UNIT[unit] != DAYS_PER_UNIT["min"]:
        return False
    values = np.unique(np.round(np.asarray(times, dtype=float), 6))
    if (values != np.round(values)).any():
        return True
    days = np.isin(values, WHOLE_DAYS_IN_HOURS)
    return bool(days.sum() > 1 and values.max() < MINUTES_OF_A_DAY)


def _shown(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in np.unique(values))
