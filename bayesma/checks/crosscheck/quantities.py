"""Quantities: what a cross-check compares, each as one function of a model's parameters.

The same function runs on posterior draws, on prior draws and on a classical maximum, so that the
three answers are to one question.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.clock import effect_clock
from bayesma.decay import persistent_share
from bayesma.design import Design, Points
from bayesma.diagnostics import cell_frames, days_text
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean, linear
from bayesma.posterior import Fit
from bayesma.predictive import mean_at_rows
from bayesma.queries.grids import combinations_of, grid, points_of

__all__ = ["SCALES", "Quantity", "alone", "at_points", "place", "quantities", "record_of"]

Floats = NDArray[np.float64]
Draws = Mapping[str, Floats]

MATHS = NumPyMaths()
# Beyond this many levels, each is held against the first one only.
MOST_PAIRS = 4

# Scales on which differences are taken, with the way back. A half-life has no mean to speak of.
SCALES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "identity": (lambda x: x, lambda x: x),
    "log2": (np.log2, np.exp2),
}


@dataclass(frozen=True)
class Quantity:
    """One quantity of a model.

    Attributes
    ----------
    name : str
        `mean`, `difference`, `half-life`, `persistent share`, `tau (study)`, `new study`, `I2`,
        `row` ...
    where : str
        Covariates and delay that it holds for, in words.
    unit : str
    kind : {"mean", "decay", "spread", "slope", "new", "row"}
    of : callable
        Draws of the parameters, each (..., terms) or (...), to values of shape (...).
    scale : str
        In `SCALES`: where differences and standard errors are taken.
    parameter : str
        The name of the spec's or the posterior's parameter behind it, where it is one of them.
    points : Points or None
        Of a mean, with `weights`: which combination of them it is.
    weights : tuple of float
    cell : mapping of str to str
        The levels that it holds for, where the effect fades differently by them.
    """

    name: str
    where: str
    unit: str
    kind: str
    of: Callable[[Draws], Floats] = field(repr=False)
    scale: str = "identity"
    parameter: str = ""
    points: Points | None = field(default=None, repr=False)
    weights: tuple[float, ...] = (1.0,)
    cell: Mapping[str, str] = field(default_factory=dict)

    def scaled(self, draws: Draws) -> Floats:
        """Return the quantity on its scale."""
        with np.errstate(all="ignore"):  # prior draws may be anything; what is infinite is so
            return np.asarray(SCALES[self.scale][0](self.of(draws)), dtype=float)


def alone(plan: Design) -> bool:
    """Return whether the mean is one number."""
    spec = plan.spec
    return not plan.covariates and not spec.family.parameters and plan.pooling is None


def quantities(fit: Fit, at: xr.Dataset | None = None) -> tuple[Quantity, ...]:
    """Return what a fit can be asked, in the order of a table.

    Parameters
    ----------
    fit : Fit
    at : xarray.Dataset, optional
        From `grid`: the points of the curve; else the quartiles of the delays of each regimen.
    """
    plan = fit.design
    frame = points_of(at) if at is not None else _usual_points(fit)
    found = [*at_points(plan, frame), *_differences(fit, frame), *_decays(fit)]
    found += _spreads(plan)
    if alone(plan) and not plan.kappa_names and plan.tau_names:
        found.append(_new_study(plan))
        if plan.spec.population == "normal":
            found.append(_inconsistency(plan))
    return (*found, *_rows(plan))


def place(record: Mapping[str, Any]) -> str:
    """Return covariates and a delay in words: ``regimen = single, 0.5 d``."""
    words = [
        f"{name} = {value if isinstance(value, str) else f'{value:g}'}"
        for name, value in record.items()
        if name != "delay" and value != "(average)"
    ]
    if "delay" in record:
        words.append(days_text(record["delay"]))
    return ", ".join(words)


def record_of(frame: pd.DataFrame, i: int) -> dict[str, Any]:
    """Return one row of a frame by column."""
    return {str(name): value for name, value in frame.iloc[i].items()}


def at_points(plan: Design, frame: pd.DataFrame) -> Iterator[Quantity]:
    """Yield the population mean at each row of covariates."""
    for i in range(len(frame)):
        yield _combination(plan, "mean", place(record_of(frame, i)), frame.iloc[[i]], (1.0,))


def _combination(
    plan: Design, name: str, where: str, frame: pd.DataFrame, weights: tuple[float, ...]
) -> Quantity:
    """Return a weighted sum of the population means at rows of covariates."""
    points, decay = plan.at(frame.reset_index(drop=True)), plan.spec.family

    def of(draws: Draws) -> Floats:
        held = {parameter: draws[VARIABLES[parameter]] for parameter in plan.spec.predictors}
        with np.errstate(all="ignore"):
            return np.asarray(effect_mean(held, points, decay, MATHS) @ np.array(weights))

    return Quantity(name, where, plan.effects.measure, "mean", of, points=points, weights=weights)


def _factors(plan: Design) -> tuple[str, ...]:
    """Return the factors whose levels are shown one by one."""
    coders = [c for p in plan.spec.predictors for c in plan.predictors[p].coders.values()]
    known = {c.name for c in coders if c.levels}
    return plan.cells or (("regimen",) if "regimen" in known else ())


def _usual_points(fit: Fit) -> pd.DataFrame:
    """Return each level with the quartiles of its delays, or each level alone."""
    plan, names = fit.design, _factors(fit.design)
    if not plan.spec.family.parameters:
        levels = {name: sorted(set(plan.frame[name].astype(str))) for name in names}
        return points_of(grid(fit, **levels))
    frames = []
    for key, rows in cell_frames(plan).items():
        clock = effect_clock(rows)
        # "lower" keeps to delays that were measured.
        quartiles = np.nanquantile(clock, [0.25, 0.5, 0.75], method="lower")
        delays = np.unique([plan.references[key], *quartiles])
        frames.append(points_of(grid(fit, delay=delays, **dict(zip(plan.cells, key, strict=True)))))
    return pd.concat(frames, ignore_index=True)


def _differences(fit: Fit, frame: pd.DataFrame) -> Iterator[Quantity]:
    """Yield the differences between levels of the factor that tells the curves apart."""
    plan, names = fit.design, _factors(fit.design)
    if len(names) != 1 or (name := names[0]) not in frame:
        return
    levels = list(dict.fromkeys(frame[name].astype(str)))
    pairs = list(itertools.combinations(levels, 2))
    if len(levels) > MOST_PAIRS:
        pairs = [(levels[0], level) for level in levels[1:]]
    for first, second in pairs:
        asked: dict[str, Any] = {}
        if plan.spec.family.parameters:
            if (delay := _common_delay(plan, (first,), (second,))) is None:
                continue
            asked["delay"] = delay
        both = points_of(grid(fit, **asked, **{name: [first, second]}))
        when = f", {days_text(asked['delay'])}" if asked else ""
        where = f"{second} - {first}{when}"
        yield _combination(plan, "difference", where, both, (-1.0, 1.0))


def _common_delay(plan: Design, first: tuple[str], second: tuple[str]) -> float | None:
    """Return the middle of the delays that both cells reach; None where there is none."""
    cells = cell_frames(plan)
    if first not in cells or second not in cells:
        # The decay is not by this factor: all delays are common.
        return float(np.nanquantile(effect_clock(plan.frame), 0.5, method="lower"))
    clocks = [effect_clock(cells[key]) for key in (first, second)]
    low = max(float(np.nanmin(clock)) for clock in clocks)
    high = min(float(np.nanmax(clock)) for clock in clocks)
    both = np.concatenate(clocks)
    inside = both[(both >= low) & (both <= high)]
    return float(np.quantile(inside, 0.5, method="lower")) if len(inside) else None


def _decays(fit: Fit) -> Iterator[Quantity]:
    """Yield half-lives and what else says how an effect fades, by decay cell."""
    plan = fit.design
    if not plan.spec.family.parameters:
        return
    levels = {name: sorted(set(plan.frame[name].astype(str))) for name in plan.cells}
    covariates, known = combinations_of(grid(fit, **levels)), set(plan.references)
    keys = [tuple(str(row[name]) for name in plan.cells) for _, row in covariates.iterrows()]
    rows = covariates[[key in known for key in keys]].reset_index(drop=True)
    for parameter in plan.spec.family.parameters:
        matrix = plan.predictors[parameter].matrix(rows)
        same = (matrix == matrix[0]).all()
        for i in range(1 if same else len(rows)):
            cell = {} if same else {name: str(rows[name].iloc[i]) for name in plan.cells}
            yield _decay(parameter, matrix[[i]], cell)


def _decay(parameter: str, matrix: Floats, cell: Mapping[str, str]) -> Quantity:
    variable = VARIABLES[parameter]

    def predictor(draws: Draws) -> Floats:
        return np.asarray(linear(draws[variable], matrix))[..., 0]

    forms: dict[str, tuple[str, str, Callable[[Draws], Floats], str]] = {
        "half_life": ("half-life", "d", lambda d: np.exp2(predictor(d)), "log2"),
        "persistent": (
            "persistent share",
            "share",
            lambda d: np.asarray(persistent_share(predictor(d), MATHS)),
            "identity",
        ),
        "shape": ("Weibull shape", "number", lambda d: np.exp(predictor(d)), "log2"),
    }
    name, unit, of, scale = forms[parameter]
    return Quantity(name, place(cell), unit, "decay", of, scale, parameter, cell=cell)


def _spreads(plan: Design) -> Iterator[Quantity]:
    measure = plan.effects.measure
    where = "average" if plan.varying_tau else ""
    for level, variable in zip(plan.groups.names, plan.tau_names, strict=False):

        def squared(draws: Draws, variable: str = variable) -> Floats:
            return np.asarray(draws[variable]) ** 2

        one = _single(variable)
        yield Quantity(f"tau ({level})", where, measure, "spread", one, parameter=variable)
        yield Quantity(
            f"tau2 ({level})", where, f"{measure}2", "spread", squared, parameter=variable
        )
    for level, variable in zip(plan.groups.names, plan.kappa_names, strict=False):
        yield Quantity(
            f"kappa ({level})", "", "ratio", "spread", _single(variable), parameter=variable
        )
    if plan.small_study is not None:
        where = "per SD of 1/sqrt(n)"
        slope = _single("small_study")
        yield Quantity("small-study slope", where, measure, "slope", slope, parameter="small_study")


def _single(variable: str) -> Callable[[Draws], Floats]:
    """Return the function that takes one number of the model from draws."""

    def of(draws: Draws) -> Floats:
        return np.asarray(draws[variable])

    return of


def _new_study(plan: Design) -> Quantity:
    """The true effect in one experiment of a new study; its spread is added where it is asked."""
    (mean,) = at_points(plan, pd.DataFrame([{}]))
    return Quantity("new study", "", plan.effects.measure, "new", mean.of)


def _inconsistency(plan: Design) -> Quantity:
    typical = _typical_variance(plan)

    def of(draws: Draws) -> Floats:
        total = sum(np.asarray(draws[name]) ** 2 for name in plan.tau_names)
        return np.asarray(100 * total / (total + typical))

    return Quantity("I2", "", "percent", "spread", of, parameter="tau")


def _typical_variance(plan: Design) -> float:
    """Return s2 = (k - p) / tr P, P = W - W X (X'W X)^-1 X'W, W = V^-1.

    Higgins & Thompson 2002, Statistics in Medicine 21:1539, eq. 9; with V for W^-1 Jackson, White
    & Riley 2012, Statistics in Medicine 31:3805.
    """
    W = np.linalg.inv(plan.effects.covariance.dense())
    ones = W.sum(axis=1)
    trace = np.trace(W) - ones @ ones / ones.sum()
    return float((len(W) - 1) / trace)


def _rows(plan: Design) -> Iterator[Quantity]:
    """Yield the mean of each pooled row over its members, which the row's own y can be held to."""
    if plan.pooling is None:
        return
    names: Sequence[str] = list(plan.effects.frame["row_id"].astype(str))
    for i in np.flatnonzero(plan.pooled).tolist():

        def of(draws: Draws, i: int = i) -> Floats:
            return np.asarray(mean_at_rows(plan, draws)[..., i])

        yield Quantity("row", names[i], plan.effects.measure, "row", of, parameter=str(i))
