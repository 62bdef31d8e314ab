"""Answers: the draws of every quantity that a fit reports, parameters and what is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesma.checks.crosscheck.quantities import SCALES, place, quantities, record_of
from bayesma.diagnostics import cell_frames, reported
from bayesma.posterior import Fit
from bayesma.queries.fading import time_to_loss
from bayesma.queries.grids import combinations_of, grid

__all__ = ["Answer", "answers_of", "settled"]

Floats = NDArray[np.float64]

LOSS = 0.7
# Of the cross-check's quantities; taus and slopes are among the parameters already.
KINDS = ("mean", "decay")


@dataclass(frozen=True)
class Answer:
    """One reported quantity: its name, what it holds for, unit, and draws (chain, draw)."""

    quantity: str
    where: str
    unit: str
    draws: Floats

    @property
    def title(self) -> str:
        """The name, and what it holds for."""
        return ", ".join(text for text in (self.quantity, self.where) if text)


def answers_of(fit: Fit, at: xr.Dataset | None) -> Iterator[Answer]:
    """Yield the draws of every reported quantity; durations as their logarithms."""
    plan = fit.design
    for name, array in reported(fit.posterior, plan).data_vars.items():
        unit = str(array.attrs.get("units", ""))
        if array.ndim == 2:
            yield Answer(str(name), "", unit, array.values)
            continue
        for i, label in enumerate(array[array.dims[-1]].values):
            yield Answer(f"{name}[{label}]", "", unit, array.values[..., i])
    draws = {str(name): array.values for name, array in fit.posterior.data_vars.items()}
    for one in quantities(fit, at):
        if one.kind in KINDS or one.name == "I2":
            yield Answer(one.name, one.where, one.unit, one.scaled(draws))
    yield from _losses(fit)


def _losses(fit: Fit) -> Iterator[Answer]:
    """Yield the time until most of the peak is lost, by decay cell, as log2 of days."""
    plan = fit.design
    if not plan.spec.family.parameters:
        return
    for key in cell_frames(plan):
        at = grid(fit, **dict(zip(plan.cells, key, strict=True)))
        found = time_to_loss(fit, at, LOSS)
        where = place(record_of(combinations_of(at)[list(plan.cells)], 0)) if plan.cells else ""
        with np.errstate(all="ignore"):
            logs = SCALES["log2"][0](found.values[..., 0])
        yield Answer(f"time to {LOSS:.0%} loss", where, "d", np.asarray(logs))


def settled(answers: Iterable[Answer]) -> tuple[list[Answer], list[str]]:
    """Return the answers that vary, every draw finite, and what was done to them."""
    kept, notes = [], []
    for answer in answers:
        finite = answer.draws[np.isfinite(answer.draws)]
        if not len(finite) or np.ptp(finite) == 0:
            notes.append(f"{answer.title}: left out, it is the same in every finite draw")
            continue
        if share := 1 - finite.size / answer.draws.size:
            notes.append(
                f"{answer.title}: {share:.1%} of draws are not finite and stand at the outermost "
                "finite one"
            )
        filled = np.nan_to_num(
            answer.draws, nan=float(np.median(finite)), posinf=finite.max(), neginf=finite.min()
        )
        kept.append(replace(answer, draws=filled))
    return kept, notes
