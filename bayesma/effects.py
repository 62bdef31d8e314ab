"""Arm summaries, published effects and pooled results to y and v.

The core functions take arrays; `effect_sizes` wraps them for tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from bayesma.covariance import Blocks, compound_symmetry
from bayesma.errors import Fault, SpecError, TableError, did_you_mean, nearest
from bayesma.readers import read_table
from bayesma.schema import ARMS
from bayesma.table import StudyTable, require_outcomes

__all__ = [
    "MEASURES",
    "Effects",
    "effect_sizes",
    "hedges_correction",
    "hedges_g",
    "split_members",
]

Floats = NDArray[np.float64]
# Half width of a 95% interval in standard errors.
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Effects:
    """Effects with their sampling variances, ready for a model.

    Attributes
    ----------
    frame : pandas.DataFrame
        The table's columns with `y` and `v` filled in; one row per effect.
    measure : str
        "SMD".
    variance : str
        Variance formula, as metafor names it ("LS").
    covariance : Blocks
        Sampling covariance.
    members : pandas.DataFrame or None
        Covariates of the comparisons that pooled rows stand for, indexed by row id.
    notes : tuple of str
        What was computed, flipped, rebuilt or left out, with counts.
    source : str
        Where the rows came from.
    """

    frame: pd.DataFrame
    measure: str
    variance: str
    covariance: Blocks
    members: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    source: str = "DataFrame"

    def __len__(self) -> int:
        """Return the number of effects."""
        return len(self.frame)

    def __repr__(self) -> str:
        """Say what is there."""
        studies = self.frame["study"].nunique()
        return f"<Effects {self.measure}: {len(self)} effects, {studies} studies>"

    @property
    def y(self) -> Floats:
        """Effects, shape (n,)."""
        return self.frame["y"].to_numpy(dtype=float)

    @property
    def v(self) -> Floats:
        """Sampling variances, shape (n,)."""
        return self.frame["v"].to_numpy(dtype=float)

    @property
    def V(self) -> Floats | None:
        """Full sampling covariance, shape (n, n); None where the effects are independent."""
        return self.covariance.dense() if self.covariance.blocks else None


def hedges_correction(df: ArrayLike) -> Floats:
    """Return J, the exact small-sample factor of Hedges g.

    J(m) = Gamma(m / 2) / (sqrt(m / 2) Gamma((m - 1) / 2)) (Hedges 1981, J. Educ. Stat. 6:107,
    eq. 6e).

    Parameters
    ----------
    df : array_like
        Degrees of freedom of the pooled SD, n_treated + n_control - 2.

    Returns
    -------
    ndarray
        Same shape, between 0 and 1.
    """
    half = np.asarray(df, dtype=float) / 2
    return np.asarray(np.exp(gammaln(half) - 0.5 * np.log(half) - gammaln(half - 0.5)))


def hedges_g(
    mean_treated: ArrayLike,
    sd_treated: ArrayLike,
    n_treated: ArrayLike,
    mean_control: ArrayLike,
    sd_control: ArrayLike,
    n_control: ArrayLike,
) -> tuple[Floats, Floats]:
    """Return Hedges g (treated minus control) and its large-sample variance.

    g = J(m) (mean_t - mean_c) / s_pooled with m = n_t + n_c - 2 (Hedges 1981, eq. 6e);
    v = 1/n_t + 1/n_c + g^2 / (2 (n_t + n_c)) (Hedges & Olkin 1985, p. 86; metafor's "LS").

    Parameters
    ----------
    mean_treated, sd_treated, n_treated, mean_control, sd_control, n_control : array_like
        Arm summaries, one shape.

    Returns
    -------
    g, v : ndarray
        Effects in pooled standard deviations, and their sampling variances.
    """
    m1, s1, n1, m2, s2, n2 = (
        np.asarray(a, dtype=float)
        for a in (mean_treated, sd_treated, n_treated, mean_control, sd_control, n_control)
    )
    df = n1 + n2 - 2
    pooled = np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / df)
    g = hedges_correction(df) * (m1 - m2) / pooled
    return g, 1 / n1 + 1 / n2 + g**2 / (2 * (n1 + n2))


MEASURES = {("SMD", "LS"): hedges_g}


def effect_sizes(
    data: StudyTable | pd.DataFrame,
    measure: str = "SMD",
    variance: str = "LS",
    columns: Mapping[str, str] | None = None,
    members: StudyTable | pd.DataFrame | None = None,
    rho: float = 0.0,
    within: str = "experiment",
) -> Effects:
    """Return the effect and sampling variance of every row.

    A row that carries `y` keeps it, sign included, with `v`, or `se`, or the 95% interval as its
    spread; a row of arm summaries is computed, and flipped where its `direction` is -1.

    Parameters
    ----------
    data : StudyTable or pandas.DataFrame
        A frame is checked first, as `read_table` does.
    measure : str
        "SMD": standardised mean difference, Hedges g with the exact correction.
    variance : str
        "LS": large-sample variance, metafor's name.
    columns : mapping, optional
        Canonical column name to the frame's own.
    members : StudyTable or pandas.DataFrame, optional
        The comparisons that pooled rows stand for (column `members`).
    rho : float
        Sampling correlation of effects that share a cluster.
    within : str
        The cluster column; used when `rho` > 0. Its labels are read within their study; a row
        without one stands alone.

    Returns
    -------
    Effects

    Raises
    ------
    TableError
        With every fault of the table.
    SpecError
        If the measure, its variance or the cluster column is unknown, or `members` and the
        column `members` come without each other.
    """
    if (measure, variance) not in MEASURES:
        known = [f"{m} with variance {v}" for m, v in MEASURES]
        raise SpecError(
            f"no effect measure {measure} with variance {variance}; known: {', '.join(known)}"
        )
    table = read_table(data, columns) if isinstance(data, pd.DataFrame) else data
    require_outcomes(table)
    frame, notes = table.frame.copy(), list(table.notes)
    _fill_from_arms(frame, notes, measure, variance)
    _fill_variance(frame, notes)
    return Effects(
        frame,
        measure,
        variance,
        _covariance(frame, rho, within, notes),
        _member_frame(table, members),
        tuple(notes),
        table.source,
    )


def _fill_from_arms(frame: pd.DataFrame, notes: list[str], measure: str, variance: str) -> None:
    if not set(ARMS) <= set(frame):
        return
    given = frame["y"].notna() if "y" in frame else pd.Series(False, index=frame.index)
    both = given & frame[list(ARMS)].notna().all(axis=1)
    if both.any():
        notes.append(f"effects taken as given although the row holds arms too: {_count(both)}")
    arms = frame.loc[~given, list(ARMS)]
    y, v = MEASURES[measure, variance](*(arms[name].to_numpy() for name in ARMS))
    if "direction" in frame:
        direction = frame.loc[~given, "direction"]
        y = np.where(direction == -1, -y, y)
        if (direction == -1).any():
            notes.append(
                f"effects with their sign flipped (direction -1): {_count(direction == -1)}"
            )
        if direction.isna().any():
            notes.append(f"effects without a direction, read as 1: {_count(direction.isna())}")
    frame.loc[~given, "y"] = y
    frame.loc[~given, "v"] = v


def _count(where: pd.Series[bool]) -> str:
    return f"{int(where.sum())} of {len(where)}"


def _fill_variance(frame: pd.DataFrame, notes: list[str]) -> None:
    """Fill v where a row gives se or an interval; prefer v, then se, then the interval.

    A pooled row is printed rounded, so there the finer of se and interval is taken.
    """
    v = frame["v"] if "v" in frame else pd.Series(np.nan, index=frame.index)
    se = frame["se"] if "se" in frame else pd.Series(np.nan, index=frame.index)
    from_ci = pd.Series(np.nan, index=frame.index)
    if {"ci_low", "ci_high"} <= set(frame):
        from_ci = (frame["ci_high"] - frame["ci_low"]) / (2 * Z95)
    if "members" in frame:
        finer = frame["members"].notna() & _interval_is_finer(frame, se, from_ci)
        se = se.mask(finer, from_ci)
        if finer.any():
            names = ", ".join(frame.loc[finer, "row_id"])
            notes.append(f"standard errors rebuilt from the finer printed interval: {names}")
    apart = v.notna() & se.notna() & ~np.isclose(v, se**2, rtol=0.05)
    if apart.any():
        notes.append(f"v taken where it disagrees with se: {_count(apart)}")
    frame["v"] = v.fillna(se**2).fillna(from_ci**2)


def _interval_is_finer(
    frame: pd.DataFrame, se: pd.Series[float], from_ci: pd.Series[float]
) -> pd.Series[bool]:
    """Return where rounding blurs the interval's width less than it blurs se."""
    blur_se = se.map(_rounding) / 2
    if from_ci.isna().all():
        return pd.Series(False, index=frame.index)
    ends = frame["ci_low"].map(_rounding) + frame["ci_high"].map(_rounding)
    return from_ci.notna() & se.notna() & (ends / 2 / (2 * Z95) < blur_se)


def _rounding(number: float) -> float:
    """Return the unit in which a number is written: 0.1 for 1.6, 0.01 for 0.28.

    A zero at the end is lost when the cell is read, so 0.80 counts as 0.8 and is thought coarser
    than it is.
    """
    if not np.isfinite(number):
        return float("nan")
    if float(number).is_integer():
        return 1.0
    exponent = Decimal(repr(float(number))).as_tuple().exponent
    return float(10.0 ** int(exponent))


def _covariance(frame: pd.DataFrame, rho: float, within: str, notes: list[str]) -> Blocks:
    v = frame["v"].to_numpy(dtype=float)
    if not rho:
        return Blocks(v)
    if within not in frame:
        raise SpecError(
            f"no column '{within}' to correlate within; {did_you_mean(within, list(frame))}"
        )
    blocks = compound_symmetry(v, _clusters(frame, within), rho)
    rows = sum(len(index) for index, _ in blocks.blocks)
    notes.append(
        f"effects that correlate (rho = {rho:g}) with others of their {within}: "
        f"{rows} of {len(v)}, in {len(blocks.blocks)} clusters"
    )
    return blocks


def _clusters(frame: pd.DataFrame, within: str) -> list[str]:
    """Return a label per row that no other study uses, and no other row where there is none."""
    cells = frame[["study", within]].itertuples(index=False)
    return [
        repr((i,)) if pd.isna(label) else repr((study, label))
        for i, (study, label) in enumerate(cells)
    ]


def _member_frame(
    table: StudyTable, members: StudyTable | pd.DataFrame | None
) -> pd.DataFrame | None:
    """Return the comparisons the pooled rows name, or one error for all that are not there."""
    if "members" not in table.frame or table.frame["members"].isna().all():
        if members is not None:
            raise SpecError("members= is given, but no row names any in a column 'members'")
        return None
    if members is None:
        raise SpecError("pooled rows need members=: the table of comparisons they stand for")
    if isinstance(members, pd.DataFrame):
        members = read_table(members, outcomes=False)
    known = members.frame.set_index("row_id")
    cells = table.frame["members"]
    listed = {i: split_members(cell) for i, cell in enumerate(cells) if not pd.isna(cell)}
    header = table.names.get("members", "members")
    faults = [
        Fault(problem, remedy, table.rows[i], header, value)
        for i, names in listed.items()
        for problem, remedy, value in _member_faults(names, list(known.index))
    ]
    if faults:
        raise TableError(table.source, faults)
    return known.loc[list(dict.fromkeys(name for names in listed.values() for name in names))]


def _member_faults(names: list[str], known: list[str]) -> list[tuple[str, str, str | None]]:
    """Return (problem, remedy, value) for what is wrong with the members of one row."""
    if not names:
        return [("names no comparison", "name some, or leave the cell empty", None)]
    faults: list[tuple[str, str, str | None]] = []
    for name, count in Counter(names).items():
        if name not in known:
            near = nearest(name, known)
            remedy = "correct it" if near is None else f"did you mean '{near}'?"
            faults.append(("is not the row_id of a comparison", remedy, name))
        elif count > 1:
            faults.append(("is named more than once", "name it once", name))
    return faults


def split_members(text: str) -> list[str]:
    """Return the row ids in a `members` cell."""
    return [name.strip() for name in text.split(";") if name.strip()]
