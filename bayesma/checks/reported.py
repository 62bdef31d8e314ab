"""Reported results recomputed: what printed digits leave possible, by interval arithmetic.

A printed 0.3 may be any number from 0.25 to 0.35. With effect g, standard error s and a normal
interval g -+ z s, every printed number bounds a combination of g and s; together they leave a
polygon. Where it is empty the numbers contradict each other, whatever the rounding. The P values
that its corners give are all that these data can have had: |g| / s has its extremes there, being
linear-fractional.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from bayesma.errors import DataError, SpecError

__all__ = ["recompute_contrast", "recompute_results"]

Floats = NDArray[np.float64]

NUMBERS = ("y", "se", "ci_low", "ci_high")
# Bounds are crossed by no more than the rounding of the crossing itself.
SLACK = 1e-9
P_TEXT = re.compile(r"^(?P<sign>[<>=]?)\s*(?P<number>\d*\.?\d+)$")


@dataclass(frozen=True)
class _Result:
    """What one printed result leaves possible.

    Attributes
    ----------
    printed : mapping of str to float
        NaN where it is not printed.
    half : mapping of str to float
        Half a unit of the last digit.
    z : float
        Quantile of its interval.
    """

    printed: Mapping[str, float]
    half: Mapping[str, float]
    z: float

    def corners(self, names: tuple[str, ...] = NUMBERS) -> Floats:
        """Return the corners (g, s) of the polygon, shape (corners, 2); none where it is empty."""
        sides = {
            "y": (1.0, 0.0),
            "se": (0.0, 1.0),
            "ci_low": (1.0, -self.z),
            "ci_high": (1, self.z),
        }
        kept = [name for name in names if not np.isnan(self.printed[name])]
        rows = np.array([*(sides[name] for name in kept), (0.0, 1.0)])
        low = np.array([*(self.printed[n] - self.half[n] for n in kept), 0.0])
        high = np.array([*(self.printed[n] + self.half[n] for n in kept), np.inf])
        found = []
        ends = [(i, end) for i in range(len(rows)) for end in (low[i], high[i]) if np.isfinite(end)]
        for (i, one), (j, other) in itertools.combinations(ends, 2):
            pair = rows[[i, j]]
            if abs(np.linalg.det(pair)) < SLACK:
                continue
            at = np.linalg.solve(pair, [one, other])
            if (rows @ at >= low - SLACK).all() and (rows @ at <= high + SLACK).all():
                found.append(at)
        return np.array(found).reshape(-1, 2)

    def possible(self) -> Floats:
        """Return the corners of all printed numbers; of effect and SE alone if these clash."""
        found = self.corners()
        if len(found):
            return found
        pair = self.corners(("y", "se"))
        return pair if len(pair) else self.corners(("y", "ci_low", "ci_high"))


def recompute_results(printed: pd.DataFrame, ci_prob: float = 0.95) -> pd.DataFrame:
    """Recompute intervals and P values from printed effects and standard errors.

    z = g / s, ``P = 2 Phi(-|z|)``, CI = g -+ z s (Altman & Bland 2011, BMJ 343:d2304), with every
    printed number taken as anything that rounds to it.

    Parameters
    ----------
    printed : pandas.DataFrame
        Columns y, se, ci_low, ci_high (se, or the interval, may be empty), as text where trailing
        zeros count, and as far as printed row_id and p_as_printed, such as "0.007" or "<0.01".
    ci_prob : float
        Probability of the printed intervals.

    Returns
    -------
    pandas.DataFrame
        A row a result: row_id, y, se, ci_low, ci_high as numbers; se_from_ci; ci_low_again and
        ci_high_again (y -+ z se); ci_verdict; z; p; p_least and p_most, the P values that the
        printed digits leave possible; p_as_printed; p_verdict. Verdicts: `holds` (some numbers
        that round to those printed fit each other), `impossible`, or empty.

    Raises
    ------
    DataError
        With every cell that is no number, and every row without se and without an interval.
    SpecError
        If a column is missing or `ci_prob` is no probability.
    """
    results, z = _read(printed, ci_prob)
    rows = []
    for i, result in enumerate(results):
        y, se, low, high = (result.printed[name] for name in NUMBERS)
        used = se if not np.isnan(se) else (high - low) / (2 * z)
        text = _text(printed, i, "p_as_printed")
        p_least, p_most = _p_range(result.possible())
        rows.append(
            {
                "row_id": _text(printed, i, "row_id") or str(i + 1),
                **result.printed,
                "se_from_ci": (high - low) / (2 * z),
                "ci_low_again": y - z * used,
                "ci_high_again": y + z * used,
                "ci_verdict": _ci_verdict(result),
                "z": y / used if used > 0 else np.inf,
                "p": float(2 * stats.norm.sf(abs(y) / used)) if used > 0 else 0.0,
                "p_least": p_least,
                "p_most": p_most,
                "p_as_printed": text,
                "p_verdict": _p_verdict(text, p_least, p_most),
            }
        )
    return pd.DataFrame(rows)


def recompute_contrast(
    printed: pd.DataFrame, p_as_printed: str = "", ci_prob: float = 0.95
) -> dict[str, Any]:
    """Recompute the test between groups from their printed effects and standard errors.

    Q = sum w (g - gbar)^2 with w = 1 / s^2 and gbar = sum w g / sum w, chi2 with m - 1 degrees of
    freedom (Borenstein et al. 2009, Introduction to Meta-Analysis, ch. 19); for two groups the
    square of (g1 - g2) / sqrt(s1^2 + s2^2).

    Parameters
    ----------
    printed : pandas.DataFrame
        Two or more groups, as `recompute_results` takes them.
    p_as_printed : str
    ci_prob : float

    Returns
    -------
    dict
        q, df, p; p_least and p_most, which the printed digits leave possible; p_as_printed and
        p_verdict.

    Raises
    ------
    DataError, SpecError
        As `recompute_results`; SpecError also for fewer than two groups.
    """
    results, z = _read(printed, ci_prob)
    if len(results) < 2:
        raise SpecError(f"{len(results)} group: a test between groups needs two")
    g = np.array([r.printed["y"] for r in results])
    width = np.array([r.printed["ci_high"] - r.printed["ci_low"] for r in results])
    se = np.array([r.printed["se"] for r in results])
    se = np.where(np.isnan(se), width / (2 * z), se)
    boxes = [np.array([c.min(axis=0), c.max(axis=0)]) for c in (r.possible() for r in results)]
    ends, least, most = (
        np.array([box[:, 0] for box in boxes]),
        np.array([box[0, 1] for box in boxes]),
        np.array([box[1, 1] for box in boxes]),
    )
    df = len(g) - 1
    # Q is convex in g and falls with every s: it is largest at a corner, and smallest for the g
    # of each group that lie nearest to a common value.
    largest = max(_q(np.array(corner), least) for corner in itertools.product(*ends))
    smallest = _nearest(ends, most)
    p_least, p_most = (float(stats.chi2.sf(q, df)) for q in (largest, smallest))
    q = _q(g, se)
    return {
        "q": q,
        "df": df,
        "p": float(stats.chi2.sf(q, df)),
        "p_least": p_least,
        "p_most": p_most,
        "p_as_printed": p_as_printed,
        "p_verdict": _p_verdict(p_as_printed, p_least, p_most),
    }


def _q(g: Floats, se: Floats) -> float:
    w = 1 / np.maximum(se, 1e-12) ** 2
    return float((w * (g - (w * g).sum() / w.sum()) ** 2).sum())


def _nearest(ends: Floats, se: Floats) -> float:
    """Return the least Q of effects within their ends, shape (groups, 2)."""

    def at(centre: float) -> float:
        off = np.maximum(0, ends[:, 0] - centre) + np.maximum(0, centre - ends[:, 1])
        return float(((off / se) ** 2).sum())

    inside = optimize.minimize_scalar(at, bounds=(ends.min(), ends.max()), method="bounded")
    # A common value of overlapping ranges is one of their ends, and there Q is exactly 0.
    return min(float(inside.fun), *(at(float(end)) for end in ends.ravel()))


def _read(printed: pd.DataFrame, ci_prob: float) -> tuple[list[_Result], float]:
    if not 0 < ci_prob < 1:
        raise SpecError(f"ci_prob = {ci_prob}: a probability between 0 and 1")
    if "y" not in printed or not ("se" in printed or {"ci_low", "ci_high"} <= set(printed)):
        raise SpecError("printed results need the column y, and se or ci_low and ci_high")
    z = float(stats.norm.ppf((1 + ci_prob) / 2))
    faults: list[str] = []
    found = []
    for i in range(len(printed)):
        label = _text(printed, i, "row_id") or str(i + 1)
        numbers, halves = {}, {}
        for name in NUMBERS:
            text = _text(printed, i, name)
            numbers[name], halves[name] = _number(text, f"row {label}: {name}", faults)
        lacking = np.isnan(numbers["se"]) and np.isnan(numbers["ci_high"] - numbers["ci_low"])
        if np.isnan(numbers["y"]) or lacking:
            faults.append(f"row {label}: needs y, and se or both ends of its interval")
        elif numbers["se"] < 0:
            faults.append(f"row {label}: se = {numbers['se']:g} is below 0")
        found.append(_Result(numbers, halves, z))
    if faults:
        raise DataError("\n".join(dict.fromkeys(faults)))
    return found, z


def _text(printed: pd.DataFrame, i: int, name: str) -> str:
    if name not in printed or pd.isna(printed[name].iloc[i]):
        return ""
    return str(printed[name].iloc[i]).strip()


def _number(text: str, subject: str, faults: list[str]) -> tuple[float, float]:
    """Return a printed number and half a unit of its last digit."""
    if not text:
        return float("nan"), 0.0
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        faults.append(f"{subject} = '{text}' is not a number")
    return value, 0.5 * 10.0 ** -_decimals(text)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _p_range(corners: Floats) -> tuple[float, float]:
    """Return the least and the largest P over a polygon; a sign that may turn allows P = 1."""
    if not len(corners):
        return float("nan"), float("nan")
    with np.errstate(divide="ignore"):
        z = np.divide(corners[:, 0], corners[:, 1])
    least = 0.0 if z.min() <= 0 <= z.max() else float(np.abs(z).min())
    return float(2 * stats.norm.sf(np.abs(z).max())), float(2 * stats.norm.sf(least))


def _ci_verdict(result: _Result) -> str:
    if any(np.isnan(result.printed[name]) for name in NUMBERS):
        return ""
    return "holds" if len(result.corners()) else "impossible"


def _p_verdict(text: str, least: float, most: float) -> str:
    """Return whether a printed P is among the possible ones; empty where it cannot be read."""
    found = P_TEXT.match(text)
    if not found:
        return ""
    value, half = float(found["number"]), 0.5 * 10.0 ** -_decimals(found["number"])
    low, high = value - half, value + half
    if found["sign"] == "<":
        low, high = 0.0, value
    elif found["sign"] == ">":
        low, high = value, 1.0
    return "holds" if least <= high and most >= low else "impossible"
