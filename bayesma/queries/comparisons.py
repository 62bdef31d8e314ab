"""Regimens side by side: the table that answers a review's question."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.coders import AVERAGE, level_text
from bayesma.errors import QueryError, did_you_mean
from bayesma.posterior import Fit
from bayesma.queries.contrasts import UNSTABLE, other_sign, ratio_of
from bayesma.queries.curves import averaged, effect_at
from bayesma.queries.grids import grid, point_dataset, points_of, warn_outside
from bayesma.queries.studies import small_study_sentence
from bayesma.queries.summaries import centre_and_interval, check_interval, share_of

__all__ = ["compare_regimens", "readable"]

Floats = NDArray[np.float64]

DELAYS = (1.0, 7.0, 14.0, 28.0)
# A regimen is held against one dose where there is one.
USUAL = "single"
HEADS = {"p_greater": "P(> 0)", "p_rope": "P(in ROPE)"}
LARGE = 1000.0


def compare_regimens(
    fit: Fit,
    delay: Any = None,
    reference: str | None = None,
    covariate: str = "regimen",
    *,
    ci_prob: float = 0.95,
    rope: tuple[float, float] | None = None,
    digits: int | None = None,
    **at: Any,
) -> pd.DataFrame:
    """Return one table of regimens over delays: effects, and how they differ from a reference.

    Parameters
    ----------
    fit : Fit
    delay : float, str or sequence, optional
        Days, or texts such as "30 min"; 1, 7, 14 and 28 d where absent. A model without decay
        has one row per level and needs none.
    reference : str, optional
        The level that the others are held against: "single" where there is one, else the level
        with the most rows.
    covariate : str
        The factor to compare by; any of the model's: drug, species, route.
    ci_prob : float
        Probability of the equal-tailed intervals.
    rope : tuple of float, optional
        Region of practical equivalence of the difference; adds `p_rope`.
    digits : int, optional
        Decimals of a table to read and to paste: texts, "1.23 [0.85, 1.64]". Numbers, unrounded,
        where absent.
    **at
        Levels or numbers of other covariates, as `grid` takes them; and, by the name of
        `covariate`, the levels to compare, all of them where absent.

    Returns
    -------
    pandas.DataFrame
        For each delay (and combination of `at`) one row per level, the reference first. Columns:
        the covariates that are not averaged over and `delay` (d); the population mean `effect`
        (median) with `effect_low` and `effect_high`; its `difference` from the reference at the
        same delay and its `ratio` to it, likewise; `p_greater` = P(difference > 0); with `rope`
        also `p_rope`; `p_other_sign`, the probability that the ratio's denominator has the rarer
        of its two signs or is negligible: where it is above 0.025 the ratio is no size of
        anything; `beyond_data`, whether a side lies outside the delays of the data. The
        reference's own rows hold no comparison. With `digits` a median and its interval are one
        cell, a delay beyond the data has a star, and a ratio whose denominator may be 0 is not
        shown. ``.attrs`` holds `estimand`, `reference`, `ci_prob` and `measure`. `to_csv` and,
        with the package tabulate, `to_markdown` take it as it is.

    Raises
    ------
    QueryError
        If a covariate is not in the model or the probabilities make no interval.
    UnseenLevelError
        If a level is not in the data.

    Warns
    -----
    ExtrapolationWarning
        Where delays lie outside those of the data.
    """
    check_interval(ci_prob, rope)
    levels = _levels(fit, covariate, at.pop(covariate, None))
    reference = _reference(fit, covariate, levels) if reference is None else level_text(reference)
    levels = [reference, *(level for level in levels if level != reference)]
    if delay is None and fit.spec.family.parameters:
        delay = DELAYS
    frame = _ordered(points_of(grid(fit, delay=delay, **{**at, covariate: levels})), covariate)
    other = (frame[covariate].map(level_text) != reference).to_numpy()
    # As the grid writes it: a level may be a number.
    beside = frame.assign(**{covariate: frame.loc[~other, covariate].iloc[0]})
    mine, base = (point_dataset(fit.design, side) for side in (frame, beside))
    if "beyond_data" in mine.coords:
        mine = mine.assign_coords(beyond_data=mine["beyond_data"] | base["beyond_data"])
    warn_outside(fit.design, mine)
    drawn, against = (
        effect_at(fit, points_of(side)).reshape(-1, len(frame)) for side in (mine, base)
    )
    table = _compared(frame, drawn, against, other, ci_prob, rope)
    if "beyond_data" in mine.coords:
        table["beyond_data"] = mine["beyond_data"].values
    table = table.drop(columns=[name for name in frame if (frame[name] == AVERAGE).all()])
    measure = fit.design.effects.measure
    table.attrs = {
        "estimand": f"population mean effect ({measure}){averaged(fit, mine)}, and how it differs "
        f"from that at {covariate} {reference}; an association across studies, from the model "
        f"peak = {fit.spec.peak}, decay = {fit.spec.decay}",
        "reference": reference,
        "measure": measure,
        "ci_prob": ci_prob,
    }
    if fit.design.small_study is not None:
        table.attrs["small_study"] = small_study_sentence(fit)
    return table if digits is None else readable(table, digits)


def _levels(fit: Fit, covariate: str, asked: Any) -> list[str]:
    """Return the levels to compare."""
    coders = [c for p in fit.design.predictors.values() for c in p.coders.values() if c.levels]
    known = {coder.name: coder.levels for coder in coders if coder.name in fit.design.covariates}
    if covariate not in known:
        raise QueryError(
            f"'{covariate}' is not a factor of this model; {did_you_mean(covariate, sorted(known))}"
        )
    if asked is None:
        return list(known[covariate])
    return [level_text(level) for level in ([asked] if isinstance(asked, str) else asked)]


def _reference(fit: Fit, covariate: str, levels: list[str]) -> str:
    if USUAL in levels:
        return USUAL
    cells = fit.design.frame[covariate].map(level_text)
    counts = [int((cells == level).sum()) for level in levels]
    return levels[int(np.argmax(counts))]


def _ordered(frame: pd.DataFrame, covariate: str) -> pd.DataFrame:
    """Return the points by covariates, by delay, and only then by what is compared."""
    delay = ["delay"] if "delay" in frame else []
    rest = [str(name) for name in frame if name not in (covariate, "delay")]
    keys = [pd.factorize(frame[name])[0] for name in (covariate, *delay, *rest[::-1])]
    return frame[[*rest, *delay, covariate]].iloc[np.lexsort(keys)].reset_index(drop=True)


def _compared(
    frame: pd.DataFrame,
    mine: Floats,
    base: Floats,
    other: NDArray[np.bool_],
    ci_prob: float,
    rope: tuple[float, float] | None,
) -> pd.DataFrame:
    """Return the rows with what draws of shape (draws, rows) say of them."""
    table = frame.copy()
    with np.errstate(invalid="ignore"):  # infinity less infinity is no number
        difference = mine - base
    for name, draws, rows in (
        ("effect", mine, np.ones_like(other)),
        ("difference", difference, other),
        ("ratio", ratio_of(mine, base), other),
    ):
        low, middle, high = centre_and_interval(draws, ci_prob)
        for column, values in ((name, middle), (f"{name}_low", low), (f"{name}_high", high)):
            table[column] = np.where(rows, values, np.nan)
    shares = {"p_greater": share_of(difference > 0, difference)}
    if rope is not None:
        inside = (difference >= rope[0]) & (difference <= rope[1])
        shares["p_rope"] = share_of(inside, difference)
    shares["p_other_sign"] = other_sign(mine, base)
    return table.assign(**{name: np.where(other, share, np.nan) for name, share in shares.items()})


def readable(table: pd.DataFrame, digits: int) -> pd.DataFrame:
    """Return a comparison to read: each median with its interval in one cell of text."""
    labels = list(table)[: list(table).index("effect")]
    out = table[labels].copy()
    out.attrs = dict(table.attrs)
    if "beyond_data" in table:
        stars = np.where(table["beyond_data"], "*", "")
        out["delay"] = [f"{d:g}{star}" for d, star in zip(table["delay"], stars, strict=True)]
        if table["beyond_data"].any():
            out.attrs["note"] = "* a side lies outside the delays of the data"
    out = out.rename(columns={"delay": "delay (d)"})
    is_reference = table["p_other_sign"].isna()
    for name, of_reference in (("effect", None), ("difference", "reference"), ("ratio", "")):
        parts = [table[f"{name}{end}"] for end in ("", "_low", "_high")]
        cells = [
            "{} [{}, {}]".format(*(_number(value, digits) for value in row))
            for row in zip(*parts, strict=True)
        ]
        out[name] = cells if of_reference is None else np.where(is_reference, of_reference, cells)
    out.loc[table["p_other_sign"] > UNSTABLE, "ratio"] = "denominator may be 0"
    for name, head in HEADS.items():
        if name in table:
            out[head] = ["" if np.isnan(share) else f"{share:.3f}" for share in table[name]]
    return out


def _number(value: float, digits: int) -> str:
    """Return a number with so many decimals; a large one with three digits."""
    # Adding 0.0 leaves no negative zero.
    small = f"{round(value, digits) + 0.0:.{digits}f}"
    return small if abs(value) < LARGE else f"{value:.3g}"
