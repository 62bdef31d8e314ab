"""Leave one study, or one row, out on the marginal likelihood; exact refits where needed.

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
from numpy.typing import NDArray

from bayesma.design import Design
from bayesma.errors import QueryError
from bayesma.posterior import Fit, where_likelihood_is_kept
from bayesma.predictive import log_likelihoods

__all__ = ["FEWEST", "leave_one_row_out", "leave_one_study_out", "left_out", "unreliable"]

FEWEST = 10


def leave_one_study_out(fit: Fit, refit: bool = True, progress: bool = False) -> Any:
    """Return the expected log predictive density of one new study.

    ``elpd = sum_s log p(y_s | y_-s)``, with p(y_s | parameters) the marginal density of all rows of
    study s (Vehtari, Gelman & Gabry 2017, Statistics and Computing 27:1413, eq. 4).

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
        Pointwise by study (the outermost group), for `arviz_stats.compare`; `compare_models`
        checks first that fits can be compared.

    Raises
    ------
    QueryError
        If rows are pooled results (they are no draws from one population), or there are fewer
        than 10 studies.
    """
    return left_out(fit, "study", refit, progress)[0]


def leave_one_row_out(fit: Fit, refit: bool = True, progress: bool = False) -> Any:
    """Return the expected log predictive density of one more row of the studies at hand.

    ``elpd = sum_i log p(y_i | y_-i)``, with p(y_i | the other rows of its study, parameters): group
    effects are integrated out, and rows that covary inform each other.

    Parameters
    ----------
    fit : Fit
    refit : bool
        Whether rows with an unreliable Pareto k are left out by sampling again without them (one
        compile, then a refit each); their k is then 0.
    progress : bool
        Whether the refits show their progress.

    Returns
    -------
    arviz_stats.ELPDData
        Pointwise by row.

    Raises
    ------
    QueryError
        If rows are pooled results, or there are fewer than 10.
    """
    return left_out(fit, "row", refit, progress)[0]


def left_out(fit: Fit, by: str, refit: bool, progress: bool) -> tuple[Any, NDArray[np.int64]]:
    """Return the ArviZ result by "study" or "row", and the units left out by sampling again."""
    import arviz_stats

    plan = fit.design
    unit = "row" if by == "row" else plan.unit
    _check(plan, unit)
    with warnings.catch_warnings():
        # ArviZ warns of the very units that are refitted below; `warning` stays in the result.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto")
        kept = where_likelihood_is_kept(fit)
        tree = _with_rows(kept) if by == "row" else kept.tree
        found = arviz_stats.loo(tree, var_name=f"by_{unit}", pointwise=True)
    bad = np.flatnonzero(unreliable(found))
    if not refit or not len(bad):
        return found, bad[:0]
    # The sampler is imported where it is needed: an estimate alone does without it.
    from bayesma.checks.refits import densities_without

    exact = densities_without(fit, by, bad, progress)
    # A refit that did not converge leaves the estimate and its k.
    known = np.isfinite(exact)
    return _replaced(found, bad[known], exact[known]), bad[known]


def _with_rows(fit: Fit) -> xr.DataTree:
    """Return a fit's tree with the log likelihood by row, which some fits do not keep."""
    held = fit.tree["log_likelihood"].dataset
    if "by_row" in held:
        return fit.tree
    draws = {str(n): a.values for n, a in fit.posterior.data_vars.items()}
    labels = fit.design.effects.frame["row_id"].to_numpy(dtype=str)
    by_row = (("chain", "draw", "row"), log_likelihoods(fit.design, draws)[1])
    groups = {name: node.dataset for name, node in fit.tree.children.items()}
    groups["log_likelihood"] = held.assign(by_row=by_row).assign_coords(row=labels)
    return xr.DataTree.from_dict(groups)


def unreliable(found: Any) -> NDArray[np.bool_]:
    """Return which units' Pareto k is above the threshold, or no number; shape (units,)."""
    return np.asarray(~(found.pareto_k.values <= found.good_k))


def _check(plan: Design, unit: str) -> None:
    if plan.pooling is not None:
        needed = "rows that are draws from one population" if unit == "row" else "studies"
        raise QueryError(f"leave-one-out needs {needed}; these rows are pooled results")
    if unit == "row":
        n, what = len(plan.effects), "rows"
    else:
        n, what = len(plan.groups.labels[0]), f"{unit} groups"
    if n < FEWEST:
        raise QueryError(f"{n} {what}: leave-one-out needs at least {FEWEST}")


def _replaced(found: Any, units: NDArray[np.int64], exact: NDArray[np.float64]) -> Any:
    """Return the result with exact values in place of unreliable ones."""
    elpd_i: xr.DataArray = found.elpd_i.copy()
    pareto_k: xr.DataArray = found.pareto_k.copy()
    elpd_i[units], pareto_k[units] = exact, 0.0
    change = float(elpd_i.sum() - found.elpd_i.sum())
    result = replace(
        found,
        elpd=found.elpd + change,
        p=found.p - change,
        se=float(np.sqrt(elpd_i.size * elpd_i.var())),
        elpd_i=elpd_i,
        pareto_k=pareto_k,
    )
    return replace(result, warning=bool(unreliable(result).any()))
