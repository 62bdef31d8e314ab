"""Subgroups: a pooled effect for each level of a factor, and the test between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bayesma.coders import level_text
from bayesma.effects import Effects
from bayesma.errors import SpecError, did_you_mean
from bayesma.frequentist.linear.heterogeneity import COMMON
from bayesma.frequentist.linear.inference import critical, joint_test
from bayesma.frequentist.linear.pooled import PREDICTIONS, Pooled, pooled_from
from bayesma.frequentist.linear.regression import MetaRegression, linear_model
from bayesma.frequentist.linear.rows import Rows, numbers_of, rows_of

__all__ = ["Between", "Subgroups", "between_groups", "subgroups"]

Floats = NDArray[np.float64]

SHARES = ("common", "separate")
COLUMNS = (
    *("k", "estimate", "se", "ci_low", "ci_high", "statistic", "df", "p", "tau2"),
    *("i2", "q", "q_df", "q_p", "prediction_low", "prediction_high"),
)


@dataclass(frozen=True)
class Between:
    """The test that all groups have one effect.

    Attributes
    ----------
    statistic : float
        chi2, or F where there are two degrees of freedom.
    df : tuple of int
        (groups - 1,) or (groups - 1, k - groups).
    p : float
    """

    statistic: float
    df: tuple[int, ...]
    p: float


@dataclass(frozen=True)
class Subgroups:
    """Pooled effects by group.

    Attributes
    ----------
    by : str
        The factor.
    table : pandas.DataFrame
        Index: level. Columns k, estimate, se, ci_low, ci_high, statistic, df (NaN for z), p; tau2;
        i2 in percent; q, q_df, q_p: Cochran's Q within the group; prediction_low,
        prediction_high. What a group of one row or a common effect does not have is NaN.
    between : Between
    tau2 : float or None
        The tau2 that all groups share; None where each has its own.
    total : Pooled
        All rows of the groups together.
    groups : tuple of str, length k
        Level of each row of `rows`.
    weights : ndarray, shape (k,)
        Share of each row in the weights 1/(v + tau2) of all groups, percent.
    rows : Rows
    method, ci_kind : str
    ci_prob : float
    notes : tuple of str
    """

    by: str
    table: pd.DataFrame = field(repr=False)
    between: Between
    tau2: float | None
    total: Pooled
    groups: tuple[str, ...] = field(repr=False)
    weights: Floats = field(repr=False)
    rows: Rows = field(repr=False)
    method: str
    ci_kind: str
    ci_prob: float
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say what differs between the groups."""
        parts = ", ".join(
            f"{level} {row.estimate:.4g} (k = {row.k:.0f})"
            for level, row in zip(self.table.index, self.table.itertuples(), strict=True)
        )
        return f"<Subgroups by {self.by}: {parts}; between groups p = {self.between.p:.4g}>"


def subgroups(
    effects: Effects | ArrayLike,
    by: str | Sequence[object],
    *,
    v: ArrayLike | None = None,
    data: pd.DataFrame | None = None,
    tau2: str = "common",
    method: str = "REML",
    ci: str = "knapp-hartung",
    ci_prob: float = 0.95,
    prediction: str = "as-ci",
) -> Subgroups:
    """Return a pooled effect for each group, and the test between groups.

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with variances and covariates, or y alone.
    by : str or sequence of k cells
        The factor: a column, or the group of each row. Rows without one are left out and counted.
    v, data : array_like and pandas.DataFrame, optional
        Sampling variances and covariates of a bare y.
    tau2 : {"common", "separate"}
        "common": one mixed-effects model, y ~ N(b[group], v + tau2). Its tau2 by "DL" is
        (sum Q_g - sum df_g) / sum C_g with C = sum w - sum w^2 / sum w: the tau2 pooled within
        groups of Borenstein et al. 2009, Introduction to Meta-Analysis, chapter 19. The groups are
        compared by the Wald test of their differences, chi2, or F with k - groups degrees of
        freedom for "t" and "knapp-hartung".
        "separate": each group by itself, as `pool` does it; Q = sum w (m - sum w m / sum w)^2 with
        w = 1 / se^2 on groups - 1 degrees of freedom (Borenstein et al. 2009, chapter 19).
    method, ci, ci_prob, prediction
        As `pool` takes them. Riley's prediction interval has k - groups - 1 degrees of freedom
        where tau2 is common.

    Returns
    -------
    Subgroups
        With a common tau2, the i2 of a group is (Q - df) / Q of its own Q (Higgins et al. 2003,
        BMJ 327:557): how much its own rows scatter, where tau2 belongs to all groups.

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        If a name is unknown, there are fewer than two groups, or too few rows in them.
    """
    if tau2 not in SHARES:
        raise SpecError(f"tau2 = '{tau2}' is unknown; {did_you_mean(tau2, SHARES)}")
    if prediction not in PREDICTIONS:
        raise SpecError(
            f"prediction = '{prediction}' is unknown; {did_you_mean(prediction, PREDICTIONS)}"
        )
    rows, name, cells = _grouped(rows_of(effects, v, data=data), by)
    levels = _levels(cells, name)
    groups = np.array([level_text(cell) for cell in cells])
    parts = [np.flatnonzero(groups == level) for level in levels]
    # Refused here where it can be, so that every group with the fault is named.
    _check_sizes(tau2, name, levels, parts)
    settings = method, ci, ci_prob
    total = pooled_from(linear_model(rows, np.ones((len(rows), 1)), ("Intercept",), *settings))
    make = _common if tau2 == "common" else _separate
    table, between, shared, notes = make(rows, parts, levels, settings, prediction)
    spread = table["tau2"].to_dict()
    w = 1 / (rows.v + np.array([spread[group] for group in groups]))
    return Subgroups(
        by=name,
        table=table,
        between=between,
        tau2=shared,
        total=total,
        groups=tuple(groups.tolist()),
        weights=100 * w / w.sum(),
        rows=rows,
        method=total.method,
        ci_kind=total.ci_kind,
        ci_prob=ci_prob,
        notes=tuple(dict.fromkeys((*rows.notes, *notes))),
    )


def between_groups(estimates: ArrayLike, ses: ArrayLike) -> tuple[float, int, float]:
    """Return Q, its degrees of freedom and P for pooled effects of groups, as papers print them.

    Q = sum w (m - sum w m / sum w)^2 with w = 1 / se^2 (Borenstein et al. 2009, chapter 19).

    Parameters
    ----------
    estimates, ses : array_like, shape (groups,)
        Pooled effects of independent groups and their standard errors.

    Raises
    ------
    SpecError
        If lengths differ, there are fewer than two groups, or a number cannot be used.
    """
    m, se = numbers_of(estimates, "estimates"), numbers_of(ses, "ses")
    if m.shape != se.shape:
        raise SpecError(f"estimates and ses must be of one length, not {m.shape} and {se.shape}")
    if len(m) < 2:
        raise SpecError(f"{len(m)} group: a test between groups needs two")
    wrong = [
        f"group {i + 1}: estimate {a:g}, standard error {b:g}: both must be numbers, and a "
        "standard error is above 0"
        for i, (a, b) in enumerate(zip(m, se, strict=True))
        if not (np.isfinite(a) and np.isfinite(b) and b > 0)
    ]
    if wrong:
        raise SpecError("\n".join(wrong))
    w = 1 / se**2
    q = float((w * (m - (w @ m) / w.sum()) ** 2).sum())
    return q, len(m) - 1, float(special.chdtrc(len(m) - 1, q))


# -- groups ------------------------------------------------------------------------------------


def _grouped(rows: Rows, by: str | Sequence[object]) -> tuple[Rows, str, list[object]]:
    """Return the rows that have a group, the factor's name, and the group of each."""
    if isinstance(by, str):
        if by not in rows.frame:
            known = [str(column) for column in rows.frame]
            raise SpecError(f"by = '{by}': no such column; {did_you_mean(by, known)}")
        name, cells = by, rows.frame[by]
    elif np.ndim(np.asarray(by, dtype=object)) != 1:
        raise SpecError("by must be the name of a column or one group for each row")
    else:
        name, cells = "group", pd.Series(list(by))
    if len(cells) != len(rows):
        raise SpecError(f"by has {len(cells)} groups and y {len(rows)} rows; each row needs one")
    there = np.flatnonzero(cells.notna())
    if not len(there):
        raise SpecError(f"by = '{name}': no row has one")
    kept = rows.take(there)
    if len(there) < len(rows):
        note = f"{len(rows) - len(there)} of {len(rows)} rows left out: no {name}"
        kept = replace(kept, notes=(*rows.notes, note))
    return kept, name, cells.iloc[there].tolist()


def _levels(cells: Sequence[object], name: str) -> tuple[str, ...]:
    """Return the levels: numbers by size, the rest by name."""
    numbers = all(isinstance(cell, int | float | np.number) for cell in cells)
    found: list[object] = sorted(set(cells) if numbers else {level_text(cell) for cell in cells})  # type: ignore[type-var]
    levels = tuple(dict.fromkeys(level_text(cell) for cell in found))
    if len(levels) < 2:
        raise SpecError(
            f"by = '{name}': all rows are '{levels[0]}', so there is nothing to compare; bm.pool "
            "pools them"
        )
    return levels


def _check_sizes(
    tau2: str, name: str, levels: Sequence[str], parts: Sequence[NDArray[np.int64]]
) -> None:
    single = [level for level, part in zip(levels, parts, strict=True) if len(part) == 1]
    if len(single) == len(levels):
        raise SpecError(
            f"by = '{name}': every group has one row, which says nothing of its scatter; choose a "
            "factor with fewer levels"
        )
    if single and tau2 == "separate":
        raise SpecError(
            f"tau2='separate' needs two rows or more in each group; one row: {', '.join(single)}. "
            "Use tau2='common', or leave them out"
        )


# -- the two ways ------------------------------------------------------------------------------

Settings = tuple[str, str, float]
Made = tuple[pd.DataFrame, Between, float | None, tuple[str, ...]]


def _common(
    rows: Rows,
    parts: Sequence[NDArray[np.int64]],
    levels: Sequence[str],
    settings: Settings,
    prediction: str,
) -> Made:
    """Pool all groups in one model with one tau2."""
    X = np.zeros((len(rows), len(parts)))
    for j, part in enumerate(parts):
        X[part, j] = 1.0
    model = linear_model(rows, X, tuple(levels), *settings)
    table = model.table.rename_axis("level")
    table.insert(0, "k", [len(part) for part in parts])
    table["tau2"] = model.tau2
    within = [_within(rows.y[part], rows.v[part]) for part in parts]
    for j, column in enumerate(("i2", "q", "q_df", "q_p")):
        table[column] = [found[j] for found in within]
    half = _reach(model, prediction)
    table["prediction_low"] = table["estimate"] - half
    table["prediction_high"] = table["estimate"] + half
    # Differences from the first group: the Wald test is the same for any other choice.
    across = np.hstack([-np.ones((len(parts) - 1, 1)), np.eye(len(parts) - 1)])
    df = None if model.ci_kind == "z" else float(model.qe_df)
    statistic, p = joint_test(across @ model.beta, across @ model.covariance @ across.T, df)
    dfs = (len(parts) - 1,) if df is None else (len(parts) - 1, int(df))
    return table[list(COLUMNS)], Between(statistic, dfs, p), model.tau2, model.notes


def _within(y: Floats, v: Floats) -> tuple[float, float, int, float]:
    """Return I2 in percent, Q, its degrees of freedom and P of one group by itself."""
    w, df = 1 / v, len(y) - 1
    if not df:
        return np.nan, 0.0, 0, np.nan
    q = float((w * (y - (w @ y) / w.sum()) ** 2).sum())
    i2 = max(0.0, 100 * (q - df) / q) if q > 0 else 0.0
    return i2, q, df, float(special.chdtrc(df, q))


def _reach(model: MetaRegression, prediction: str) -> Floats:
    """Return half the prediction interval of each group; see `pool`."""
    if model.method == COMMON:
        return np.full(len(model.terms), np.nan)
    df = None if model.ci_kind == "z" else float(model.qe_df)
    if prediction == "riley":
        df = float(model.qe_df - 1)
        if df < 1:
            raise SpecError(
                f"prediction='riley' has k - groups - 1 = {df:g} degrees of freedom; use 'as-ci'"
            )
    variance = np.diag(model.covariance) + model.tau2
    return np.asarray(critical(df, model.ci_prob) * np.sqrt(variance))


def _separate(
    rows: Rows,
    parts: Sequence[NDArray[np.int64]],
    levels: Sequence[str],
    settings: Settings,
    prediction: str,
) -> Made:
    """Pool each group by itself."""
    found, faults = [], []
    for level, part in zip(levels, parts, strict=True):
        try:
            one = linear_model(rows.take(part), np.ones((len(part), 1)), ("Intercept",), *settings)
            found.append(pooled_from(one, prediction))
        except SpecError as error:
            faults.append(f"group '{level}': {error}")
    if faults:
        raise SpecError("\n".join(faults))
    table = pd.DataFrame([_cells(one) for one in found], columns=list(COLUMNS))
    table.index = pd.Index(levels, name="level")
    q, df, p = between_groups(table["estimate"], table["se"])
    known = set(rows.notes)
    notes = tuple(
        f"group '{level}': {note}"
        for level, one in zip(levels, found, strict=True)
        for note in one.notes
        if note not in known
    )
    return table, Between(q, (df,), p), None, notes


def _cells(one: Pooled) -> list[float]:
    low, high = one.prediction or (np.nan, np.nan)
    df = np.nan if one.df is None else one.df
    return [
        *(one.k, one.estimate, one.se, *one.ci, one.statistic, df, one.p, one.tau2, one.i2),
        *(one.q, one.q_df, one.q_p, low, high),
    ]
