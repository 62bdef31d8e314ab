"""Translation: what animals say of people, with everything it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import xarray as xr

from bayesma.errors import QueryError
from bayesma.queries import summary
from bayesma.translation.pathway.assumptions import Assumptions
from bayesma.translation.pathway.prediction import Prediction

__all__ = ["Translation", "check_translation"]


@dataclass(frozen=True)
class Translation:
    """A prediction for people (or another species), as labelled draws.

    Attributes
    ----------
    to : str
        Species.
    effect : xarray.DataArray
        Mean effect in people at every point; dims chain, draw, point.
    trial : xarray.DataArray
        True effect in one new trial: the mean effect and that trial's own deviation.
    half_life : xarray.DataArray or None
        Days, at each combination of covariates, if the effect translates; None where no model
        has a decay.
    assumptions : Assumptions
    positions : pandas.DataFrame or None
        Where each human number lies in what was predicted for it without human evidence; None
        where there are none.
    updated : bool
        Whether human evidence has updated the draws.
    notes : tuple of str
        What it starts from, what is mostly assumed, what was left out.
    prediction : Prediction
        The function of innovations that the draws come from; without human evidence.
    forms : mapping of str to float
        Decay forms by name, with their weights.
    seed : int
    """

    to: str
    effect: xr.DataArray
    trial: xr.DataArray
    half_life: xr.DataArray | None
    assumptions: Assumptions
    positions: pd.DataFrame | None
    updated: bool
    notes: tuple[str, ...]
    prediction: Prediction
    forms: Mapping[str, float]
    seed: int

    def summary(self, ci_prob: float = 0.95) -> pd.DataFrame:
        """Return the effect in people and in one new trial, one row per point.

        Parameters
        ----------
        ci_prob : float
            Probability of the equal-tailed intervals.

        Returns
        -------
        pandas.DataFrame
            Covariates, `delay` (d); `mean`, `sd`, `median`, `ci_low`, `ci_high`, `p_positive` of
            the mean effect; `trial_low`, `trial_high`, `trial_p_positive` of the true effect in
            one new trial.
        """
        table = summary(self.effect, ci_prob)
        trial = summary(self.trial, ci_prob)
        return table.assign(
            trial_low=trial["ci_low"],
            trial_high=trial["ci_high"],
            trial_p_positive=trial["p_positive"],
        )

    def __str__(self) -> str:
        """Return the tables, the assumptions with their sources and the notes."""
        parts = [str(self.effect.attrs["estimand"]), _text(self.summary())]
        if self.half_life is not None:
            parts += [str(self.half_life.attrs["estimand"]), _text(summary(self.half_life))]
        if self.positions is not None:
            parts += ["Human evidence in what was predicted for it", _text(self.positions)]
        parts += ["Assumptions", str(self.assumptions), "Notes", *self.notes]
        return "\n".join(parts)


def check_translation(found: Any, what: str) -> None:
    """Refuse what is no translation."""
    if not isinstance(found, Translation):
        kind = type(found).__name__
        raise QueryError(f"{what} is of a translation, not of a {kind}: bm.translate(fit, ...)")


def _text(table: pd.DataFrame) -> str:
    return table.drop(columns="beyond_data", errors="ignore").round(3).to_string(index=False)
