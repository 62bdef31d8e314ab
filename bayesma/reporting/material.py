"""What the sections of a report draw on: the fit, and the questions they share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.checks import CrossCheck, cross_check
from bayesma.clock import effect_clock
from bayesma.coders import level_text
from bayesma.errors import ExtrapolationWarning
from bayesma.posterior import Fit
from bayesma.queries import decay_curve, grid

if TYPE_CHECKING:
    from bayesma.translation import Translation

__all__ = ["LINES", "Material"]

# Delays that people say, in days; tables name those inside the data.
SAID = (1 / 24, 0.25, 1.0, 3.0, 7.0, 14.0, 28.0, 84.0, 182.0)
# Lines that one picture can tell apart, as `plot_decay` has colours and markers.
LINES = 7
MOST = 6
STEPS = 120
# Rows of an exact likelihood whose classical twin takes no longer than the rest of a report.
EXACT_ROWS = 150


@dataclass(frozen=True)
class Material:
    """A fit, what was asked beside it, and answers that several sections need, computed once.

    Attributes
    ----------
    fit : Fit
    seed : int
        Of every random number in the report.
    beside : mapping of str to Fit
        Other models of the same question, whose answers stand beside the fit's.
    translation : Translation or None
    question : str or None
        The reviewer's own words.
    command : str or None
        What was typed to make the report.
    given_check : CrossCheck or None
        From `cross_check`, where it is at hand already.
    """

    fit: Fit
    seed: int = 0
    beside: Mapping[str, Fit] = field(default_factory=dict)
    translation: Translation | None = None
    question: str | None = None
    command: str | None = None
    given_check: CrossCheck | None = None

    @property
    def converged(self) -> bool:
        """Whether the fit's answers may be read."""
        return self.fit.converged

    @property
    def measure(self) -> str:
        """Short name of the effect measure."""
        return self.fit.design.effects.measure

    @property
    def fades(self) -> bool:
        """Whether the model has a decay."""
        return bool(self.fit.spec.family.parameters)

    @cached_property
    def factors(self) -> dict[str, tuple[str, ...]]:
        """Levels of every factor of the model, by name."""
        plan = self.fit.design
        coders = [c for p in plan.predictors.values() for c in p.coders.values() if c.levels]
        return {c.name: tuple(c.levels) for c in coders if c.name in plan.covariates}

    @cached_property
    def lead(self) -> str | None:
        """The factor by which answers are told apart: regimen, or what the effect fades by."""
        cells = [name for name in self.fit.design.cells if name in self.factors]
        few = [name for name, levels in self.factors.items() if 1 < len(levels) <= LINES]
        for name in ("regimen", *cells, *few):
            if name in self.factors and 1 < len(self.factors[name]) <= LINES:
                return name
        return None

    @cached_property
    def at(self) -> dict[str, list[str]]:
        """Levels of the lead, and of whatever else the effect fades by, for `grid`."""
        names = dict.fromkeys(self.fit.design.cells) | ({self.lead: None} if self.lead else {})
        return {name: list(self.factors[name]) for name in names if name in self.factors}

    @cached_property
    def clock(self) -> pd.Series[float]:
        """Known delays of the rows (or of the comparisons behind them), in days."""
        frame = self.fit.design.frame
        if "delay" not in frame:
            return pd.Series(dtype=float)
        return pd.Series(np.asarray(effect_clock(frame), dtype=float)).dropna()

    @cached_property
    def delays(self) -> list[float]:
        """Up to six round delays inside those of the data, from the first to the last, in days."""
        if not self.fades or self.clock.empty:
            return []
        low, high = self.clock.min(), self.clock.max()
        inside = [delay for delay in SAID if low <= delay <= high]
        if len(inside) > MOST:
            inside = [inside[i] for i in np.linspace(0, len(inside) - 1, MOST).round().astype(int)]
        return inside or [float(self.clock.median())]

    @cached_property
    def curve(self) -> xr.DataArray | None:
        """The population mean effect by lead over the delays of the data; None without decay."""
        if not self.fades or self.clock.empty:
            return None
        seen = self.clock[self.clock > 0]
        first, last = float(seen.min()), float(self.clock.max())
        delays = [0.0, *np.geomspace(min(first / 2, last / 50), last, STEPS)]
        return self.quietly(lambda: decay_curve(self.fit, grid(self.fit, delay=delays, **self.at)))

    @cached_property
    def check(self) -> CrossCheck | None:
        """Bayesian beside classical beside published; None where that takes minutes.

        The twin of an exact likelihood is looked for by integrals over every study effect, and
        again for each end of each interval.
        """
        if self.given_check is not None:
            return self.given_check
        return self.quietly(lambda: cross_check(self.fit)) if self.checked else None

    @property
    def checked(self) -> bool:
        """Whether a cross-check stands in the report."""
        few = self.fit.design.exact is None or len(self.fit.design.effects) <= EXACT_ROWS
        return few or self.given_check is not None

    @staticmethod
    def quietly[T](ask: Callable[[], T]) -> T:
        """Ask without warnings of extrapolation: the report marks what lies beyond the data."""
        # Towards delay 0 the effect of a very short half-life may be more than a float holds.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", ExtrapolationWarning)
            return ask()

    def levels_text(self) -> str:
        """Return the lead's levels as words."""
        return ", ".join(level_text(level) for level in self.at.get(self.lead or "", []))
