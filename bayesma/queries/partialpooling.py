"""Studies beside the population: what each row found, and what the model takes it for."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from bayesma.coders import level_text
from bayesma.errors import QueryError, did_you_mean
from bayesma.posterior import Fit
from bayesma.predictive import own_effects, population_mean
from bayesma.queries.curves import averaged, decay_curve
from bayesma.queries.grids import grid
from bayesma.queries.observations import behind_rows, row_names
from bayesma.queries.summaries import centre_and_interval, check_interval, summary

__all__ = ["population_effects", "shrinkage"]

Floats = NDArray[np.float64]


def shrinkage(fit: Fit, *, seed: int, ci_prob: float = 0.95) -> pd.DataFrame:
    """Return every row's effect as observed, and its true effect as the model has it.

    theta_i = m_i + sum over levels of tau_l c_il b_l,  b | y, parameters:

    the posterior of the true effect behind row i, which lies between its own number and the mean
    of rows like it. Without study effects, as in a fit of pooled results, it is the fitted mean.

    Parameters
    ----------
    fit : Fit
    seed : int
        Study effects are drawn given y and each draw of the parameters.
    ci_prob : float
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per effect, in the order of the data: row_id; study (the outermost group); name,
        which tells rows apart; y with its interval low and high, y -+ z sqrt(v); the median `true`
        with true_low and true_high; `fitted`, the posterior median of the population mean at the
        row's covariates and delay; `pooled`, whether it is a published pooled result; the model's
        covariates, empty for a pooled row whose comparisons differ in one; and `delay` (d) where
        the effect fades. ``.attrs`` holds estimand, measure, ci_prob, and `shrinks`: whether the
        model has study effects.

    Raises
    ------
    QueryError
        If `ci_prob` is no probability.
    """
    check_interval(ci_prob, None)
    plan, draws = fit.design, _draws(fit)
    own = plan.effects.frame
    with np.errstate(over="ignore", invalid="ignore"):  # towards delay 0 draws may be infinite
        true = own_effects(plan, draws, np.random.default_rng(seed))
        fitted = np.median(population_mean(plan, draws).reshape(-1, len(own)), axis=0)
        low, middle, high = centre_and_interval(true.reshape(-1, len(own)), ci_prob)
    half = float(stats.norm.ppf((1 + ci_prob) / 2)) * np.sqrt(plan.effects.v)
    table = pd.DataFrame(
        {
            "row_id": own["row_id"].to_numpy(),
            "study": np.array(plan.groups.labels[0], dtype=str)[plan.groups.outermost],
            "name": row_names(fit),
            "y": plan.effects.y,
            "low": plan.effects.y - half,
            "high": plan.effects.y + half,
            "true": middle,
            "true_low": low,
            "true_high": high,
            "fitted": fitted,
            "pooled": plan.pooled,
        }
    )
    behind = behind_rows(fit, [name for name in plan.covariates if name not in table])
    fades = bool(plan.spec.family.parameters)
    table = table.join(behind.drop(columns=["delay_low", "delay_high"] + ["delay"] * (not fades)))
    shrinks = bool(plan.tau_names)
    table.attrs = {
        "estimand": (
            f"true effect ({plan.effects.measure}) behind each row"
            if shrinks
            else f"fitted mean effect ({plan.effects.measure}) of each row"
        ),
        "measure": plan.effects.measure,
        "ci_prob": ci_prob,
        "shrinks": shrinks,
    }
    return table


def population_effects(
    fit: Fit, by: str | None = None, *, seed: int, ci_prob: float = 0.95
) -> pd.DataFrame:
    """Return the population mean effect and a new study's, where the model states its level.

    Parameters
    ----------
    fit : Fit
    by : str, optional
        Factor of the model, a row for each of its levels; the factors by which the effect fades
        are always told apart.
    seed : int
        Of a new study's effect.
    ci_prob : float
        Probability of the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        Its levels; `delay` (d), the reference delay of the decay cell, where the effect fades;
        median, ci_low, ci_high and p_positive of the population mean; new_low and new_high, the
        prediction interval of the true effect in a new study, NaN where the model has no
        heterogeneity between studies. ``.attrs`` holds estimand, measure and ci_prob.

    Raises
    ------
    QueryError
        If `by` is not a factor of the model or `ci_prob` no probability.
    """
    check_interval(ci_prob, None)
    plan = fit.design
    names = list(dict.fromkeys([*plan.cells, *([by] if by else [])]))
    parts = [_population(fit, dict(zip(names, levels, strict=True)), seed, ci_prob)
             for levels in _combinations(fit, names)]  # fmt: skip
    table = pd.concat([part for part, _ in parts], ignore_index=True)
    table.attrs = {
        "estimand": f"population mean effect ({plan.effects.measure}){parts[0][1]}",
        "measure": plan.effects.measure,
        "ci_prob": ci_prob,
    }
    return table


def _combinations(fit: Fit, names: list[str]) -> list[tuple[str, ...]]:
    """Return the combinations of levels that the data have, in the order of the levels."""
    plan = fit.design
    coders = [c for p in plan.predictors.values() for c in p.coders.values()]
    known = {c.name: c.levels for c in coders if c.levels and c.name in plan.covariates}
    for name in names:
        if name not in known and name not in plan.cells:
            raise QueryError(
                f"'{name}' is not a factor of this model; {did_you_mean(name, sorted(known))}"
            )
    texts = {name: plan.frame[name].map(level_text) for name in names}
    seen = set(zip(*texts.values(), strict=True))
    levels = [known.get(name) or sorted(set(texts[name])) for name in names]
    return [found for found in itertools.product(*levels) if not names or found in seen]


def _population(
    fit: Fit, levels: dict[str, Any], seed: int, ci_prob: float
) -> tuple[pd.DataFrame, str]:
    """Return the row of one combination, and what its mean is averaged over."""
    plan = fit.design
    fades = bool(plan.spec.family.parameters)
    reference = plan.references[tuple(levels[name] for name in plan.cells)] if fades else None
    at = grid(fit, delay=reference, **levels)
    mean = summary(decay_curve(fit, at), ci_prob).iloc[0]
    row = levels | ({"delay": reference} if fades else {})
    row |= {name: mean[name] for name in ("median", "ci_low", "ci_high", "p_positive")}
    row |= {"new_low": np.nan, "new_high": np.nan}
    if plan.tau_names:
        new = summary(decay_curve(fit, at, study="new", seed=seed), ci_prob).iloc[0]
        row |= {"new_low": new["ci_low"], "new_high": new["ci_high"]}
    return pd.DataFrame([row]), averaged(fit, xr.Dataset(coords=at.coords))


def _draws(fit: Fit) -> dict[str, Floats]:
    return {str(name): array.values for name, array in fit.posterior.data_vars.items()}
