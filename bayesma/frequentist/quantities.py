"""Quantities: half-lives, shares, times and spreads, with profile-likelihood intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.coders import AVERAGE, Centred
from bayesma.design import Design
from bayesma.frequentist.optimum import Optimum
from bayesma.frequentist.profiles import endpoint, interval_of, profile_of
from bayesma.frequentist.targets import Along, Loss, Target
from bayesma.mean import VARIABLES

__all__ = ["quantity_table"]

Floats = NDArray[np.float64]
# A scale without bounds to the scale that is reported.
NATURAL: dict[str, Callable[[Any], Any]] = {
    "half_life": np.exp2,
    "time_to_loss": np.exp2,
    "shape": np.exp,
    "nu": np.exp,
    "persistent": lambda x: 1 / (1 + np.exp(-x)),
}


def quantity_table(fit: Optimum, loss: float, only: Sequence[str] = ()) -> pd.DataFrame:
    """Return one row per quantity and decay cell; see `ClassicalFit.quantities`."""
    cells = fit.plan.cells
    rows = [
        _row(fit, quantity, cell, target)
        for quantity, cell, target in (*_fading(fit, loss), *_spreads(fit))
        if not only or quantity in only
    ]
    columns = ["quantity", *cells, "estimate", "ci_low", "ci_high", "interval", "note"]
    return pd.DataFrame(rows, columns=columns).fillna(dict.fromkeys(cells, ""))


def _fading(fit: Optimum, loss: float) -> Iterator[tuple[str, dict[str, str], Target]]:
    """Yield the quantities of the decay, by cell where they differ."""
    plan = fit.plan
    if not plan.spec.family.parameters:
        return
    keys = list(plan.references)
    frame = _cell_frame(plan, keys)
    rows = {name: _predictor_rows(fit, name, frame) for name in plan.spec.family.parameters}
    for name, own in rows.items():
        factors = {c.name for c in plan.predictors[name].coders.values() if c.levels}
        seen: set[tuple[str, ...]] = set()
        for row, key in zip(own, keys, strict=True):
            cell = {c: v for c, v in zip(plan.cells, key, strict=True) if c in factors}
            if tuple(cell.values()) not in seen:
                yield name, cell, Along(row, *_bounds(fit, name, row))
            seen.add(tuple(cell.values()))
    for i, key in enumerate(keys):
        mine = {name: own[i] for name, own in rows.items()}
        low, high = _bounds(fit, "half_life", mine["half_life"])
        target = Loss(fit.surface, mine, 1 - loss, low - 8, high)
        yield "time_to_loss", dict(zip(plan.cells, key, strict=True)), target


def _cell_frame(plan: Design, keys: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    """Return a row per decay cell, numbers at their mean over the points."""
    frame = pd.DataFrame(list(keys), columns=list(plan.cells), index=range(len(keys)))
    names = {n for name in plan.spec.family.parameters for n in plan.spec.formula(name).variables}
    coders = [c for p in plan.predictors.values() for c in p.coders.values()]
    centred = {n for c in coders if isinstance(c, Centred) for n in c.numbers}
    for name in sorted(names - set(plan.cells)):
        own = plan.frame[name]
        plain = pd.api.types.is_numeric_dtype(own) and name not in centred
        frame[name] = float(own.mean()) if plain else AVERAGE
    return frame


def _predictor_rows(fit: Optimum, parameter: str, frame: pd.DataFrame) -> Floats:
    """Return the linear predictor at rows of covariates as rows over the coordinates."""
    part = fit.surface.joint.part(VARIABLES[parameter])
    out = np.zeros((len(frame), len(fit.top.x)))
    out[:, fit.place(part.name)] = fit.plan.predictors[parameter].matrix(frame) @ part.basis
    return out


def _bounds(fit: Optimum, parameter: str, row: Floats) -> tuple[float, float]:
    """Return the edges of a predictor: its own kind's, or the widest."""
    edges = fit.edges(parameter)
    own = np.abs(edges.matrix - row[fit.place(VARIABLES[parameter])]).max(axis=1) < 1e-9
    low, high = (edges.low, edges.high) if not own.any() else (edges.low[own], edges.high[own])
    return float(low.min()), float(high.max())


def _spreads(fit: Optimum) -> Iterator[tuple[str, dict[str, str], Target]]:
    for part in fit.surface.joint.parts:
        if part.kind in ("spread", "log"):
            row = np.zeros(len(fit.top.x))
            row[fit.place(part.name)] = 1.0
            low, high = (0.0, np.inf) if part.kind == "spread" else (-1.0, 9.0)
            yield part.name, {}, Along(row, low, high)


def _row(fit: Optimum, quantity: str, cell: dict[str, str], target: Target) -> dict[str, Any]:
    if isinstance(target, Loss) and "persistent" in target.rows:
        ends = _loss_interval(fit, target)
    else:
        ends = interval_of(fit, target)
    c = float(target.at(fit.top.x[None])[0])
    if quantity in NATURAL and not target.low + 1e-6 < c < target.high - 1e-6:  # rounding
        c = float(np.copysign(np.inf, c - target.low - 1e-6))
    if quantity in NATURAL:
        low, middle, high = (float(NATURAL[quantity](np.float64(v))) for v in (ends[0], c, ends[1]))
    else:
        unit = float(fit.surface.joint.part(quantity).basis[0, 0])
        low, middle, high = (max(0.0, v) * unit for v in (ends[0], c, ends[1]))
    found = {"estimate": middle, "ci_low": low, "ci_high": high, "interval": "profile"}
    note = _note(ends, middle)
    return {"quantity": quantity, **cell, **found, "note": note}


def _note(ends: tuple[float, float], estimate: float) -> str:
    below, above = ends[0] == -np.inf and estimate != 0, ends[1] == np.inf
    if below and above:
        return "not identified: no value is ruled out"
    sides = [side for side, is_open in (("below", below), ("above", above)) if is_open]
    return "".join(f"not identified from {side}" for side in sides)


def _loss_interval(fit: Optimum, target: Loss) -> tuple[float, float]:
    """Return the interval of a time to loss that may never come: where enough persists."""
    critical, share = fit.z**2, target.share
    row = target.rows["persistent"]
    never = Along(row, *_bounds(fit, "persistent", row))
    logit = float(np.log(share) - np.log1p(-share))
    at = float(never.at(fit.top.x[None])[0])
    persists = profile_of(fit, never, at, fit.top.x)
    # Just below the share the loss is late, and the likelihood that of its never coming.
    border = logit - 0.02
    apart = persists.deviance(border)
    if at < logit:
        low, high = interval_of(fit, target)
        return low, np.inf if apart <= critical else high
    if apart > critical:
        return np.inf, np.inf
    x = persists.known[border]
    c = float(target.at(x[None])[0])
    return endpoint(profile_of(fit, target, c, x), c, -1.0, critical), np.inf
