"""How a multilevel answer moves with the sampling correlation that was assumed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayesma.effects import Effects, with_rho
from bayesma.errors import SpecError
from bayesma.frequentist.nested.multilevels import multilevel

__all__ = ["rho_sensitivity"]


def rho_sensitivity(
    effects: Effects,
    rhos: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8),
    formula: str = "~ 1",
    *,
    within: str = "experiment",
    shared_control: str | None = None,
    same_animals: str | None = None,
    random: str = "study/experiment",
    method: str = "REML",
    df: str = "containment",
    ci_prob: float = 0.95,
) -> pd.DataFrame:
    """Return the multilevel fit at each sampling correlation.

    Parameters
    ----------
    effects : Effects
        Their own sampling covariance is not used.
    rhos : sequence of float
        Correlations, in [0, 1).
    within, shared_control, same_animals : str, optional
        What a correlation is between, as in `effect_sizes`: all effects of a cluster `within`,
        or repeated measurements of the animals that effects share.
    formula, random, method, df, ci_prob
        As `multilevel` takes them.

    Returns
    -------
    pandas.DataFrame
        Index: rho, term; columns as in the fit's table, and ``sigma2[level]`` for each level.

    Raises
    ------
    SpecError
        If a correlation is none, a column is unknown, or a fit is refused.
    """
    if not isinstance(effects, Effects):
        raise SpecError("rho_sensitivity needs Effects: they say which rows share a cluster")
    if np.ndim(rhos) != 1:
        raise SpecError(f"rhos = {rhos}: give a sequence of correlations, such as (0, 0.5, 0.8)")
    if not len(rhos):
        raise SpecError("rhos is empty: give at least one correlation, such as (0, 0.5, 0.8)")
    tables = {}
    for rho in rhos:
        own = with_rho(effects, rho, within, shared_control, same_animals)
        fit = multilevel(own, formula, random=random, method=method, df=df, ci_prob=ci_prob)
        spread = {f"sigma2[{name}]": value for name, value in fit.sigma2.items()}
        tables[float(rho)] = fit.table.assign(**spread)
    return pd.concat(tables, names=["rho"])
