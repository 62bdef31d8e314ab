"""The delay that fades an effect: known, unknown, and where a decay cell states its level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.coders import cell_keys
from bayesma.decay import Decay, Maths
from bayesma.errors import SpecError

__all__ = [
    "LatentDelays",
    "check_clock",
    "effect_clock",
    "latent_delays",
    "reference_delays",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def effect_clock(frame: pd.DataFrame) -> Floats:
    """Return the delay that fades the effect: 0 while exposed, shape (rows,)."""
    clock = frame["delay"].to_numpy(dtype=float)
    if "exposure" not in frame:
        return clock
    return np.where(frame["exposure"].fillna("off") == "on", 0.0, clock)


def check_clock(frame: pd.DataFrame, decay: Decay) -> None:
    """Refuse delays that count from the start of many doses, and delays that do not vary.

    Raises
    ------
    SpecError
        If a delay is no time to fade, or all delays are one.
    """
    if not decay.parameters:
        return
    clock = effect_clock(frame)
    known = np.unique(clock[np.isfinite(clock)])
    if len(known) < 2:
        alike = f"the delay {known[0]:g} d" if len(known) else "no delay"
        raise SpecError(f"decay = '{decay.name}': every row has {alike}; use decay = 'none'")
    if "delay_reference" not in frame:
        return
    wrong = (frame["delay_reference"] == "start") & (clock > 0)
    if "regimen" in frame:  # after one dose, its start is its end
        wrong &= frame["regimen"] != "single"
    if wrong.any():
        some = ", ".join(frame.loc[wrong, "row_id"].head(5))
        raise SpecError(
            f"the delay counts from the start of dosing in {int(wrong.sum())} rows ({some}): give "
            "it since the last dose or the end of the infusion, or leave it empty"
        )


def reference_delays(
    frame: pd.DataFrame, cells: tuple[str, ...], decay: Decay
) -> dict[tuple[str, ...], float]:
    """Return the lower-quartile known delay of each decay cell, in days.

    Raises
    ------
    SpecError
        If no row of a cell has a known delay.
    """
    keys = cell_keys(frame, cells)
    if not decay.parameters:
        return dict.fromkeys(keys, 0.0)
    found: dict[tuple[str, ...], list[float]] = {key: [] for key in keys}
    for key, delay in zip(keys, effect_clock(frame), strict=True):
        if np.isfinite(delay):
            found[key].append(delay)
    for key, delays in found.items():
        if not delays:
            said = " / ".join(key)
            raise SpecError(f"no row of {said} has a delay, so there is no curve for it")
    return {key: float(np.quantile(found[key], 0.25, method="lower")) for key in sorted(found)}


@dataclass(frozen=True)
class LatentDelays:
    """Delays that no study reports, as unknowns: one per study and decay cell without.

    Attributes
    ----------
    index : ndarray of int, shape (points,)
        The unknown that is a point's delay; 0 where the delay is known.
    unknown : ndarray of float, shape (points,)
        1 where the delay is unknown, else 0.
    labels : tuple of str
        Whose each unknown is.
    """

    index: Ints
    unknown: Floats
    labels: tuple[str, ...]

    def filled(self, clock: Any, delays: Any, maths: Maths) -> Any:
        """Return the clock, 0 where unknown, with the unknowns in place, shape (..., points)."""
        return clock + self.unknown * maths.take(delays, self.index)


def latent_delays(frame: pd.DataFrame, cells: tuple[str, ...]) -> LatentDelays | None:
    """Return the unknown delays of rows; None if every delay is known.

    Parameters
    ----------
    frame : pandas.DataFrame
        The points, with `row_id` and `study`.
    cells : tuple of str
        Factors by which the effect fades differently.
    """
    unknown = np.isnan(effect_clock(frame))
    if not unknown.any():
        return None
    keys = list(zip(frame["study"], cell_keys(frame, cells), strict=True))
    order = list(dict.fromkeys(key for key, gap in zip(keys, unknown, strict=True) if gap))
    place = {key: i for i, key in enumerate(order)}
    index = [place[key] if gap else 0 for key, gap in zip(keys, unknown, strict=True)]
    labels = tuple(" / ".join((study, *cell)) for study, cell in order)
    return LatentDelays(np.array(index, dtype=np.int64), unknown.astype(float), labels)
