"""Pooled rows: published results as weighted means over their comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.effects import Effects, split_members
from bayesma.errors import SpecError

__all__ = ["Pooling", "gaps_among_members", "is_pooled", "point_frame", "weigh_members"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pooling:
    """How comparisons average to rows: weight 1 / (floor + slope m^2).

    Attributes
    ----------
    row : ndarray of int, shape (points,)
        The row a point belongs to.
    floor, slope : ndarray, shape (points,)
        tau_G^2 + 1/n_tilde and 1/(2N) of Hedges g; equal weights are floor 1 and slope 0.
    """

    row: Ints
    floor: Floats
    slope: Floats


def is_pooled(effects: Effects) -> NDArray[np.bool_]:
    """Return which rows stand for comparisons, shape (rows,)."""
    if effects.members is None:
        return np.zeros(len(effects), dtype=bool)
    return effects.frame["members"].notna().to_numpy()


def gaps_among_members(effects: Effects, blank: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which pooled rows have one of the blank comparisons, shape (rows,)."""
    assert effects.members is not None
    gaps = set(effects.members.index[blank])
    cells = effects.frame["members"]
    return np.array([not pd.isna(c) and bool(gaps & set(split_members(c))) for c in cells])


def point_frame(effects: Effects, pooled: NDArray[np.bool_]) -> tuple[pd.DataFrame, Ints]:
    """Return the frame of points and the row each belongs to."""
    if not pooled.any():
        return effects.frame, np.arange(len(effects))
    assert effects.members is not None
    names, row = [], []
    for i, cell in enumerate(effects.frame["members"]):
        for name in split_members(cell) if pooled[i] else []:
            names.append(name)
            row.append(i)
    _refuse_overlap(names, row, effects)
    members = effects.members.loc[names].reset_index()
    plain = effects.frame[~pooled]
    frame = pd.concat([members, plain], ignore_index=True) if len(plain) else members
    return frame, np.array([*row, *np.flatnonzero(~pooled)], dtype=np.int64)


def _refuse_overlap(names: Sequence[str], row: Sequence[int], effects: Effects) -> None:
    labels = list(effects.frame["row_id"])
    holder: dict[str, int] = {}
    shared: dict[tuple[str, str], int] = {}
    for name, i in zip(names, row, strict=True):
        first = holder.setdefault(name, i)
        if first != i:
            pair = (labels[first], labels[i])
            shared[pair] = shared.get(pair, 0) + 1
    if shared:
        pairs = "; ".join(f"{a} and {b} share {n}" for (a, b), n in shared.items())
        raise SpecError(f"pooled rows count comparisons twice: {pairs}; fit a partition of them")


def _equal(row: Ints) -> Pooling:
    return Pooling(row, np.ones(len(row)), np.zeros(len(row)))


def weigh_members(
    weights: str,
    effects: Effects,
    frame: pd.DataFrame,
    row: Ints,
    pooled: NDArray[np.bool_],
) -> tuple[Pooling | None, list[str]]:
    """Return the weights of comparisons in their pooled rows (Hedges & Vevea 1998 form).

    w_i = 1 / (tau_G^2 + 1/n_t + 1/n_c + m_i^2 / (2 (n_t + n_c))), with tau_G^2 = I2 k se_G^2,
    which is exact where the k sampling variances are equal. Other measures than SMD weigh
    equally: the mean and the group sizes do not give their variance.
    """
    if not pooled.any():
        return None, []
    if weights == "precision" and effects.measure != "SMD":
        told = "members of pooled rows are weighted equally: precision weights are those of SMD"
        return _equal(row), [f"{told}, not of {effects.measure}"]
    sizes = [n for n in ("n_treated", "n_control") if n in frame]
    known = len(sizes) == 2 and "i2" in effects.frame and weights == "precision"
    if known:
        gaps = frame.loc[pooled[row], sizes].isna().any().any()
        known = not gaps and bool(effects.frame.loc[pooled, "i2"].notna().all())
    if not known:
        note = (
            []
            if weights == "equal"
            else [
                "members of pooled rows are weighted equally: precision weights need their "
                "n_treated and n_control, and I2 of the pooled row"
            ]
        )
        return _equal(row), note
    k = np.bincount(row, minlength=len(effects))
    tau2 = np.nan_to_num(effects.frame["i2"].to_numpy(dtype=float)) / 100 * k * effects.v
    n_t, n_c = (frame[name].fillna(1.0).to_numpy(dtype=float) for name in sizes)
    return Pooling(row, tau2[row] + 1 / n_t + 1 / n_c, 1 / (2 * (n_t + n_c))), []
