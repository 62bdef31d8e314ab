"""Contrasts: one level of a covariate against another, everything else alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.coders import AVERAGE, Centred
from bayesma.errors import QueryError, RatioWarning, did_you_mean
from bayesma.posterior import Fit
from bayesma.queries.areas import area_at, span_dataset, span_of, span_words
from bayesma.queries.curves import effect_at, labelled
from bayesma.queries.fading import half_life_at, half_life_words
from bayesma.queries.grids import (
    combinations_of,
    grid,
    point_dataset,
    points_of,
    warn_outside,
)

__all__ = ["UNSTABLE", "contrast", "other_sign", "ratio_of", "warn_unstable"]

Floats = NDArray[np.float64]
Of = Literal["effect", "half_life", "auc"]
Scale = Literal["difference", "ratio"]

# A 95% interval of a denominator reaches across 0 where its rarer sign is likelier than this.
UNSTABLE = 0.025
# Nobody reports that one effect is a thousand times another: the other is 0 by then.
NEGLIGIBLE = 1e-3


def contrast(
    fit: Fit,
    at: xr.Dataset,
    *,
    of: Of = "effect",
    scale: Scale = "difference",
    start: Any = None,
    stop: Any = None,
    **pair: Any,
) -> xr.DataArray:
    """Return the difference or the ratio between two levels of one covariate.

    Parameters
    ----------
    fit : Fit
    at : xarray.Dataset
        From `grid`; its other covariates and delays are held alike on both sides.
    of : {"effect", "half_life", "auc"}
        What is compared: the population mean effect at each delay of the grid; or, for each
        combination of its covariates, the half-life or the area under the curve from `start`
        to `stop`.
    scale : {"difference", "ratio"}
        First minus second, or first divided by second.
    start, stop : float or str, optional
        The span of an area, as `auc` takes it.
    **pair
        One covariate (or `delay`) and its two levels: ``regimen=("repeated", "single")`` is
        repeated against single. Any covariate of the model: drug, species, route, dose. (One
        called `of`, `scale`, `start` or `stop` must be renamed.)

    Returns
    -------
    xarray.DataArray
        Dims chain, draw, point: one point for every combination of the rest. A ratio has no
        units, and its mean need not exist: summarise it by median and interval. That of effects
        or areas has a coordinate `p_other_sign`: the probability that its denominator has the
        rarer of its two signs, or is less than a thousandth of the numerator. Where that is not
        small the ratio is no size of anything.

    Raises
    ------
    QueryError
        If not exactly one covariate with two levels is given, it is not in the model, or what is
        compared is not known or does not depend on it.
    UnseenLevelError
        If a level is not in the data.

    Warns
    -----
    ExtrapolationWarning
        Where a side's delay lies outside those of the data.
    RatioWarning
        Where the denominator of a ratio may be 0.
    """
    if scale not in ("difference", "ratio"):
        raise QueryError(f"scale = '{scale}'; {did_you_mean(scale, ('difference', 'ratio'))}")
    name, levels = _checked(pair)
    _refuse_cells_alone(fit, at, name)
    compared = _compared(fit, of, start, stop)
    if name == "delay" and of != "effect":
        raise QueryError(f"of = '{of}' does not depend on the delay of a grid")
    frame = points_of(at) if of == "effect" else combinations_of(at)
    rest = frame.drop(columns=[name], errors="ignore").drop_duplicates(ignore_index=True)
    sides = [_side(fit, rest, name, level, compared) for level in levels]
    where = sides[0].drop_vars([name, "beyond_data"], errors="ignore")
    flags = [side["beyond_data"].values for side in sides if "beyond_data" in side.coords]
    if flags:
        where = where.assign_coords(beyond_data=("point", flags[0] | flags[1]))
    warn_outside(fit.design, where, "points lie" if of == "effect" else "spans reach")
    top, base = (compared.values(points_of(side)) for side in sides)
    if scale == "difference":
        words = f"difference in {compared.words}, {name} {levels[0]} minus {levels[1]}"
        out = labelled(fit, top - base, where, "contrast", words)
        out.attrs |= {"kind": compared.kind, "units": compared.units}
    else:
        if of != "half_life":  # which is positive
            where = where.assign_coords(p_other_sign=("point", other_sign(top, base)))
            warn_unstable(where["p_other_sign"].values)
        words = f"ratio of {compared.plural}, {name} {levels[0]} to {levels[1]}"
        out = labelled(fit, ratio_of(top, base), where, "contrast", words)
        out.attrs |= {"kind": "ratio", "units": "1"}
    sign = "-" if scale == "difference" else "/"
    out.attrs["contrast"] = f"{name}: {levels[0]} {sign} {levels[1]}"
    return out


def _checked(pair: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
    """Return the covariate of a contrast and its two levels."""
    if len(pair) != 1:
        raise QueryError("contrast one covariate at a time: regimen=('repeated', 'single')")
    ((name, levels),) = pair.items()
    if not isinstance(levels, tuple | list) or len(levels) != 2:
        raise QueryError(f"{name} = {levels!r}: a contrast has two levels, e.g. ('a', 'b')")
    return name, levels


def _refuse_cells_alone(fit: Fit, at: xr.Dataset, name: str) -> None:
    """Refuse to contrast what says within which cell a number is compared, and nothing else."""
    coders = [c for p in fit.design.predictors.values() for c in p.coders.values()]
    if any(name in (c.name, *c.numbers) for c in coders):
        return
    for coder in coders:
        asked = isinstance(coder, Centred) and name in coder.cells
        if asked and not any((at[n].values != AVERAGE).any() for n in coder.numbers if n in at):
            raise QueryError(
                f"{name} says only within which cell {coder.expression} compares, so by itself it "
                f"makes no difference: add {name} to the formula, or name {coder.numbers[0]}"
            )


@dataclass(frozen=True)
class _Compared:
    """What a contrast compares: how to compute it, label its points and call it."""

    values: Callable[[pd.DataFrame], Floats]
    points: Callable[[pd.DataFrame], xr.Dataset]
    words: str
    plural: str
    units: str
    kind: str


def _compared(fit: Fit, of: str, start: Any, stop: Any) -> _Compared:
    measure = fit.design.effects.measure
    known = ("effect", "half_life", "auc")
    if of not in known:
        raise QueryError(f"of = '{of}'; {did_you_mean(of, known)}")
    if of == "auc":
        if start is None or stop is None:
            raise QueryError("of = 'auc' needs its span: start=0, stop=7 (days)")
        span = span_of(start, stop)
        words = span_words(fit, span)
        return _Compared(
            lambda frame: area_at(fit, frame, span),
            lambda frame: span_dataset(fit, frame, span),
            words,
            words.replace("area", "areas", 1).replace("effect", "effects", 1),
            f"{measure} x d",
            "area",
        )
    if start is not None or stop is not None:
        raise QueryError(f"of = '{of}' has no span: start and stop belong to of = 'auc'")
    if of == "half_life":
        words = half_life_words(fit)
        return _Compared(
            lambda frame: half_life_at(fit, frame),
            lambda frame: point_dataset(fit.design, frame),
            words,
            words.replace("half-life", "half-lives", 1),
            "d",
            "difference of durations",
        )
    return _Compared(
        lambda frame: effect_at(fit, frame),
        lambda frame: point_dataset(fit.design, frame),
        f"population mean effect ({measure})",
        f"population mean effects ({measure})",
        measure,
        "effect",
    )


def ratio_of(top: Floats, base: Floats) -> Floats:
    """Return top / base; infinite or no number where the base is 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(top / base)


def other_sign(top: Floats, base: Floats) -> Floats:
    """Return the probability of the rarer sign of each denominator; a negligible one has both."""
    draws, against = base.reshape(-1, base.shape[-1]), top.reshape(-1, top.shape[-1])
    nothing = np.abs(draws) <= NEGLIGIBLE * np.abs(against)
    below, above = ((nothing | side).mean(axis=0) for side in (draws < 0, draws > 0))
    return np.asarray(np.minimum(below, above))


def warn_unstable(probability: Floats) -> None:
    """Warn where denominators may be 0, once and with the numbers."""
    unstable = probability > UNSTABLE
    if not unstable.any():
        return
    warnings.warn(
        f"{int(unstable.sum())} of {len(probability)} ratios have a denominator that may be 0 (it "
        "has the other sign, or is negligible, with probability up to "
        f"{probability.max():.2f}): such a ratio is no size of anything; ask for the difference",
        RatioWarning,
        stacklevel=3,
    )


def _side(fit: Fit, rest: pd.DataFrame, name: str, level: Any, compared: _Compared) -> xr.Dataset:
    """Return the rest of the grid at one level of the covariate."""
    axis = grid(fit, **{**_cell(fit, rest), name: level})
    frame = rest.copy() if len(rest.columns) else pd.DataFrame(index=[0])
    frame[name] = axis[name].values[0]
    return compared.points(frame)


def _cell(fit: Fit, rest: pd.DataFrame) -> dict[str, Any]:
    """Return one level of each decay cell's covariate, which a grid must name."""
    return {cell: rest[cell].iloc[0] for cell in fit.design.cells if cell in rest}
