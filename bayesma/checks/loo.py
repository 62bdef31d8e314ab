"""Leave one study out, on the marginal likelihood, with exact refits where needed.

ArviZ does the arithmetic. Group effects are integrated out of the likelihood, so that leaving
a study out leaves its effect out too; on the conditional likelihood the estimate fails and
prefers the wrong model.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from bayesma.bayes.sampler import Settings, compiled, sample
from bayesma.diagnostics import convergence_problems
from bayesma.errors import QueryError
from bayesma.posterior import Fit
from bayesma.predictive import group_log_likelihoods

__all__ = ["leave_one_study_out"]

FEWEST = 10
SETTINGS = ("seed", "draws", "tune", "chains", "target_accept")


def leave_one_study_out(fit: Fit, refit: bool = True, progress: bool = False) -> Any:
    """Return the expected log predictive density of one new study.

    Parameters
    ----------
    fit : Fit
    refit : bool
        Whether studies with an unreliable Pareto k are left out by sampling again without them
        (one compile, then a refit each); their k is then 0.
    progress : bool
        Whether the refits show their progress.

    Returns
    -------
    arviz_stats.ELPDData
        Pointwise by study, for `arviz_stats.compare` among fits of the same rows.

    Raises
    ------
    QueryError
        If rows are pooled results (they are no draws from one population), or there are fewer
        than 10 studies.
    """
    import arviz_stats

    plan = fit.design
    if plan.pooling is not None:
        raise QueryError("leave-one-out needs studies; these rows are pooled results")
    name = f"by_{plan.unit}"
    if len(plan.groups.labels[0]) < FEWEST:
        raise QueryError(
            f"{len(plan.groups.labels[0])} {plan.unit} groups: leave-one-out needs "
            f"at least {FEWEST}"
        )
    with warnings.catch_warnings():
        # ArviZ warns of the very studies that are refitted below; `warning` stays in the result.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto")
        found = arviz_stats.loo(fit.tree, var_name=name, pointwise=True)
    bad = np.flatnonzero(found.pareto_k.values > found.good_k)
    if refit and len(bad):
        engine = compiled(plan)
        exact = [_without(fit, int(i), engine, progress) for i in bad]
        found = _replaced(found, bad, exact)
    return found


def _without(fit: Fit, group: int, engine: Any, progress: bool) -> float:
    """Return log p(y of a group | the other groups) by sampling without it; NaN if in vain."""
    plan = fit.design
    include = np.ones(len(plan.groups.labels[0]))
    include[group] = 0
    # nutpie whatever the fit's sampler: only compiled code leaves a group out.
    settings = Settings(**{key: fit.provenance[key] for key in SETTINGS}, progress=progress)
    tree = sample(engine.with_data(include=include), settings)
    if convergence_problems(tree, plan):
        return float("nan")
    draws = tree["posterior"].dataset
    by_group = group_log_likelihoods(plan, {str(n): a.values for n, a in draws.data_vars.items()})
    densities = by_group[..., group].ravel()
    return float(logsumexp(densities) - np.log(densities.size))


def _replaced(found: Any, bad: Any, exact: list[float]) -> Any:
    """Return the result with exact values in place of unreliable ones."""
    elpd_i: xr.DataArray = found.elpd_i.copy()
    pareto_k: xr.DataArray = found.pareto_k.copy()
    for i, value in zip(bad, exact, strict=True):
        if np.isfinite(value):  # a refit that did not converge leaves the estimate and its k
            elpd_i[i], pareto_k[i] = value, 0.0
    change = float(elpd_i.sum() - found.elpd_i.sum())
    return replace(
        found,
        elpd=found.elpd + change,
        p=found.p - change,
        se=float(np.sqrt(elpd_i.size * elpd_i.var())),
        elpd_i=elpd_i,
        pareto_k=pareto_k,
        warning=bool((pareto_k > found.good_k).any()),
    )
