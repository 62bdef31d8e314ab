"""What a forest shows: rows with their intervals, pooled effects, and the words around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.effects import SEPARATOR, told_apart
from bayesma.errors import SpecError, did_you_mean
from bayesma.frequentist.linear.inference import critical
from bayesma.frequentist.linear.pooled import Pooled
from bayesma.frequentist.linear.rows import Rows
from bayesma.frequentist.linear.subgrouping import Subgroups
from bayesma.frequentist.nested.multilevels import Multilevel
from bayesma.frequentist.nested.sums import dependent_rows
from bayesma.frequentist.sentences import (
    decimals_of,
    heterogeneity,
    levels_text,
    number,
    p_text,
)

__all__ = [
    "Block",
    "Diamond",
    "Forest",
    "between_words",
    "forest_of",
    "limits_around",
    "limits_of",
    "shortened",
]

Floats = NDArray[np.float64]

# Above FEW rows, effects more than FENCE interquartile ranges beyond the quartiles (Tukey's "far
# out"), and this share of the ends of intervals on either side, do not set the axis.
FEW, FENCE, TAIL = 20, 3.0, 0.025
# Intervals reach this far beyond what must be seen at most, in widths of it.
REACH = 1.5


@dataclass(frozen=True)
class Diamond:
    """A pooled effect.

    Attributes
    ----------
    label : str
    estimate, low, high : float
    prediction : tuple of float or None
    words : str
        Its heterogeneity.
    """

    label: str
    estimate: float
    low: float
    high: float
    prediction: tuple[float, float] | None
    words: str


@dataclass(frozen=True)
class Block:
    """Rows that belong together, and what they come to.

    Attributes
    ----------
    title : str
        Empty where there is one block only.
    rows : pandas.DataFrame
        Columns label, y, low, high and weight (percent of all rows).
    pooled : Diamond or None
    """

    title: str
    rows: pd.DataFrame
    pooled: Diamond | None


@dataclass(frozen=True)
class Forest:
    """A forest as data, for the terminal and for pictures alike.

    Attributes
    ----------
    blocks : tuple of Block
    total : Diamond
    test : str
        The test between groups; empty where there are none.
    measure : str
        Empty where it is not known.
    sides : tuple of str
        What an effect left and right of no effect means.
    ci_prob : float
    decimals : int
        Of effects.
    """

    blocks: tuple[Block, ...]
    total: Diamond
    test: str
    measure: str
    sides: tuple[str, str]
    ci_prob: float
    decimals: int

    @property
    def rows(self) -> pd.DataFrame:
        """The rows of all blocks."""
        return pd.concat([block.rows for block in self.blocks], ignore_index=True)

    @property
    def diamonds(self) -> tuple[Diamond, ...]:
        """The pooled effects of all blocks, and of all rows."""
        return (*(b.pooled for b in self.blocks if b.pooled is not None), self.total)


def forest_of(
    result: Pooled | Subgroups | Multilevel,
    labels: str | None = None,
    favours: Sequence[str] | None = None,
) -> Forest:
    """Return what a forest of a result shows.

    Parameters
    ----------
    result : Pooled, Subgroups or Multilevel
        A multilevel one of an intercept alone. Its rows' weights are those in the estimate,
        c S^-1 1 / 1'S^-1 1, and may be below 0 where effects correlate.
    labels : str, optional
        Column that names the rows; `label` where absent and in the table, else the study.
    favours : sequence of two str, optional
        What an effect below and above 0 means. Where absent: "favours control" and "favours
        treatment" if every effect was computed from arms whose better direction is known; else
        what the sign says.

    Raises
    ------
    SpecError
        If the column is unknown, `favours` are not two, or a multilevel model has terms.
    """
    if isinstance(result, Subgroups):
        return _of_subgroups(result, labels, favours)
    if isinstance(result, Multilevel):
        if result.terms != ("Intercept",):
            raise SpecError(f"a forest is of one mean; this model has {', '.join(result.terms)}")
        rows, weights, total = result.rows, _nested_weights(result), _nested_total(result)
        se = float(result.inference.se[0])
    elif isinstance(result, Pooled):
        rows, weights, total, se = result.model.rows, result.weights, _total(result), result.se
    else:
        raise SpecError(
            f"a forest is of a pooled effect or of subgroups, not of {type(result).__name__}"
        )
    return Forest(
        (Block("", _table(rows, weights, result.ci_prob, labels), None),),
        total,
        "",
        rows.measure,
        sides_of(rows, favours),
        result.ci_prob,
        decimals_of(se),
    )


def limits_of(forest: Forest) -> tuple[float, float]:
    """Return the ends of the axis: all pooled effects, no effect, and the bulk of the rows."""
    must = [0.0]
    for diamond in forest.diamonds:
        must += [diamond.low, diamond.high, *(diamond.prediction or ())]
    rows = forest.rows
    return limits_around(must, rows["y"].to_numpy(), rows[["low", "high"]].to_numpy())


def limits_around(must: Sequence[float], y: Floats, ends: Floats) -> tuple[float, float]:
    """Return the ends of an axis that shows what it must, and the bulk of rows.

    Parameters
    ----------
    must : sequence of float
    y : ndarray, shape (rows,)
    ends : ndarray, shape (rows, 2)
        Of their intervals.
    """
    tail = 0.0
    if len(y) > FEW:
        tail = TAIL
        lower, upper = np.quantile(y, [0.25, 0.75])
        seen = (y >= lower - FENCE * (upper - lower)) & (y <= upper + FENCE * (upper - lower))
        y, ends = y[seen], ends[seen]
    low, high = min(*must, float(y.min())), max(*must, float(y.max()))
    reach = REACH * (high - low)
    lowest, highest = np.quantile(ends[:, 0], tail), np.quantile(ends[:, 1], 1 - tail)
    low = min(low, max(float(lowest), low - reach))
    high = max(high, min(float(highest), high + reach))
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def shortened(label: str, length: int) -> str:
    """Return a label of a length at most; of the id that tells rows apart nothing is lost."""
    if len(label) <= length:
        return label
    name, dot, row = label.rpartition(SEPARATOR)
    room = length - len(dot + row) - 1
    return f"{label[: length - 1]}…" if room < 1 else f"{name[:room]}…{dot}{row}"


# -- pieces ------------------------------------------------------------------------------------


def _of_subgroups(result: Subgroups, labels: str | None, favours: Sequence[str] | None) -> Forest:
    rows, decimals = result.rows, decimals_of(result.total.se)
    table = _table(rows, result.weights, result.ci_prob, labels)
    groups = np.array(result.groups)
    blocks = []
    for level, row in result.table.iterrows():
        ends = float(row["prediction_low"]), float(row["prediction_high"])
        words = heterogeneity(
            row["tau2"] if result.tau2 is None else None,
            None if np.isnan(row["i2"]) else row["i2"],
            row["q"],
            int(row["q_df"]),
            row["q_p"],
        )
        pooled = Diamond(
            f"{level} (k = {row['k']:.0f})",
            float(row["estimate"]),
            float(row["ci_low"]),
            float(row["ci_high"]),
            None if np.isnan(ends[0]) else ends,
            words,
        )
        own = table[groups == level].reset_index(drop=True)
        blocks.append(Block(f"{result.by}: {level}", own, pooled))
    return Forest(
        tuple(blocks),
        _total(result.total),
        between_words(result),
        rows.measure,
        sides_of(rows, favours),
        result.ci_prob,
        decimals,
    )


def _total(result: Pooled) -> Diamond:
    words = heterogeneity(
        None if result.prediction is None else result.tau2,
        result.i2,
        result.q,
        result.q_df,
        result.q_p,
    )
    label = f"All rows (k = {result.k})"
    return Diamond(label, result.estimate, *result.ci, result.prediction, words)


def _nested_total(result: Multilevel) -> Diamond:
    words = f"{levels_text(result)}, Q({result.qe_df}) = {result.qe:.2f}, {p_text(result.qe_p)}"
    low, high = (float(end) for end in result.inference.ci[0])
    label = f"All rows (k = {result.k})"
    return Diamond(label, float(result.beta[0]), low, high, result.prediction, words)


def _nested_weights(result: Multilevel) -> Floats:
    """Return the weight of each row in the estimate, percent."""
    weights = np.zeros(result.k)
    for index in dependent_rows(result.V, result.levels.codes[0]):
        within = result.V.take(index).dense()
        for sigma2, codes in zip(result.variances, result.levels.codes, strict=True):
            within = within + sigma2 * (codes[index][:, None] == codes[index])
        weights[index] = np.linalg.solve(within, np.ones(len(index)))
    return 100 * weights / weights.sum()


def between_words(result: Subgroups) -> str:
    """Return the test between groups as a sentence."""
    df = result.between.df
    statistic = f"Q({df[0]})" if len(df) == 1 else f"F({df[0]}, {df[1]})"
    tau2 = "a tau2 each" if result.tau2 is None else f"one tau2, {number(result.tau2)}"
    return (
        f"Between groups by {result.by} ({tau2}): {statistic} = "
        f"{result.between.statistic:.2f}, {p_text(result.between.p)}"
    )


def _table(rows: Rows, weights: Floats, ci_prob: float, labels: str | None) -> pd.DataFrame:
    half = float(critical(None, ci_prob)) * np.sqrt(rows.v)
    return pd.DataFrame(
        {
            "label": _labels(rows, labels),
            "y": rows.y,
            "low": rows.y - half,
            "high": rows.y + half,
            "weight": weights,
        }
    )


def _labels(rows: Rows, column: str | None) -> list[str]:
    """Return a name for each row; a name that several rows have is followed by the row's id."""
    if column is not None and column not in rows.frame:
        known = [str(name) for name in rows.frame]
        raise SpecError(f"labels = '{column}': no such column; {did_you_mean(column, known)}")
    column = column or ("label" if "label" in rows.frame else None)
    if column is None:
        names = list(rows.studies or rows.labels)
    else:
        cells = rows.frame[column]
        names = list(cells.astype(str).where(cells.notna(), pd.Series(rows.labels)))
    return told_apart(names, rows.labels)


def sides_of(rows: Rows, favours: Sequence[str] | None) -> tuple[str, str]:
    """Return what effects below and above 0 mean."""
    if favours is not None:
        if isinstance(favours, str) or len(favours) != 2:
            raise SpecError(f"favours = {favours!r}: two texts, for effects below and above 0")
        return favours[0], favours[1]
    frame = rows.frame
    arms = "mean_treated" in frame and bool(frame["mean_treated"].notna().all())
    if not arms:
        return "effect below 0", "effect above 0"
    if _better_known(frame, rows.measure):
        return "favours control", "favours treatment"
    if rows.measure == "NMD":
        return "higher with treatment", "lower with treatment"
    return "lower with treatment", "higher with treatment"


def _better_known(frame: pd.DataFrame, measure: str) -> bool:
    known = pd.Series(False, index=frame.index)
    if "direction" in frame:
        known |= frame["direction"].notna()
    if measure == "NMD" and "mean_sham" in frame:
        known |= frame["mean_sham"].notna()
    return bool(known.all())
