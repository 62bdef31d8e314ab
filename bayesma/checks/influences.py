"""Influences: how each study moves the answer, by importance weights instead of refits.

    E[f | y without study s]  =  sum_d w_sd f(d) / sum_d w_sd,    w_sd = 1 / p(y_s | draw d)

Gelfand, Dey & Chang 1992, in Bayesian Statistics 4, p. 147; the largest weights are smoothed by
a generalised Pareto distribution (Vehtari, Simpson, Gelman, Yao & Gabry 2024, Journal of Machine
Learning Research 25(72)), whose shape k says whether they can be trusted. p(y_s | draw) is the
marginal likelihood of the study: leaving it out leaves its own effect out too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.checks.answers import Answer, settled
from bayesma.checks.crosscheck.quantities import Quantity, at_points, quantities
from bayesma.checks.loo import left_out, unreliable
from bayesma.clock import effect_clock
from bayesma.design import Design
from bayesma.diagnostics import cell_frames
from bayesma.errors import QueryError
from bayesma.posterior import Fit, where_likelihood_is_kept
from bayesma.queries.grids import grid, points_of

__all__ = ["OK", "UNRELIABLE", "study_influence"]

Floats = NDArray[np.float64]

OK, UNRELIABLE = "ok", "unreliable"


def study_influence(fit: Fit, at: xr.Dataset | None = None) -> pd.DataFrame:
    """Return how leaving each study out moves the population mean, without refits.

    ``E[f | y_-s] = sum_d w_sd f_d``, the weights w_sd proportional to 1 / p(y_s | draw d) and
    Pareto smoothed (Vehtari, Simpson, Gelman, Yao & Gabry 2024, Journal of Machine Learning
    Research 25(72)).

    Parameters
    ----------
    fit : Fit
    at : xarray.Dataset, optional
        From `grid`: the points of the mean. Else, each decay cell at the median delay of its
        rows; without decay, each regimen, or the one mean.

    Returns
    -------
    pandas.DataFrame
        One row per study (outermost group) and point, studies in the order of the data:
        `study`; `rows`, its number of rows; `elpd`, log p(its rows | the other studies);
        `pareto_k` and `verdict`, "ok" or "unreliable" (k above ``.attrs["good_k"]``, or no
        number: `without` may then be far off, mostly too small a change); `where`, the point in
        words; `unit`; `answer` and `sd`, the posterior mean and standard deviation with all
        studies; `without`, the posterior mean without the study; `change` = without - answer;
        `change_sd` = change / sd; `mcse`, Monte Carlo standard error of `change`, of use where
        the verdict is "ok". ``.attrs``: estimand, elpd, se, p_loo, good_k, n (studies), n_bad,
        draws, and notes of draws that are not finite.

    Raises
    ------
    QueryError
        If rows are pooled results, there are fewer than 10 studies, or no point has a mean that
        varies over the draws.
    """
    found, _ = left_out(fit, "study", refit=False, progress=False)
    fit = where_likelihood_is_kept(fit)
    answers, notes = settled(_means(fit, at))
    if not answers:
        raise QueryError("; ".join(("no mean varies over the draws", *notes)))
    frame = pd.concat([_moved(found, fit.design, answer) for answer in answers])
    # Studies in the order of the data, the points of each together.
    frame = frame.sort_index(kind="stable").reset_index(drop=True)
    frame.attrs = {
        "estimand": "posterior mean of the population mean without each study "
        f"({fit.design.effects.measure}), by Pareto-smoothed importance weights",
        "elpd": float(found.elpd),
        "se": float(found.se),
        "p_loo": float(found.p),
        "good_k": float(found.good_k),
        "n": int(found.pareto_k.size),
        "n_bad": int(unreliable(found).sum()),
        "draws": int(answers[0].draws.size),
        "notes": notes,
    }
    return frame


def _means(fit: Fit, at: xr.Dataset | None) -> list[Answer]:
    """Return the draws of the mean at each point."""
    draws = {str(name): array.values for name, array in fit.posterior.data_vars.items()}
    return [Answer(q.name, q.where, q.unit, q.scaled(draws)) for q in _points(fit, at)]


def _points(fit: Fit, at: xr.Dataset | None) -> list[Quantity]:
    plan = fit.design
    if at is not None:
        return list(at_points(plan, points_of(at)))
    if not plan.spec.family.parameters:
        return [one for one in quantities(fit) if one.name == "mean"]
    frames = []
    for key, rows in cell_frames(plan).items():
        # "lower" keeps to a delay that was measured.
        delay = float(np.nanquantile(effect_clock(rows), 0.5, method="lower"))
        cell = {name: [level] for name, level in zip(plan.cells, key, strict=True)}
        frames.append(points_of(grid(fit, delay=[delay], **cell)))
    return list(at_points(plan, pd.concat(frames, ignore_index=True)))


def _moved(found: Any, plan: Design, answer: Answer) -> pd.DataFrame:
    """Return one answer without each study, a row a study."""
    study = next(dim for dim in found.log_weights.dims if dim not in ("chain", "draw"))
    logs = found.log_weights.transpose(study, "chain", "draw").values
    weights = np.exp(logs.reshape(len(logs), -1))
    weights = weights / weights.sum(axis=1, keepdims=True)
    x = answer.draws.ravel()
    mean, sd = float(x.mean()), float(x.std(ddof=1))
    without = weights @ x
    return pd.DataFrame(
        {
            "study": list(plan.groups.labels[0]),
            "rows": np.bincount(plan.groups.outermost, minlength=len(logs)),
            "elpd": found.elpd_i.values,
            "pareto_k": found.pareto_k.values,
            "verdict": np.where(unreliable(found), UNRELIABLE, OK),
            "where": answer.where,
            "unit": answer.unit,
            "answer": mean,
            "sd": sd,
            "without": without,
            "change": without - mean,
            "change_sd": (without - mean) / sd,
            "mcse": _error(weights, x, without) * _per_draw(answer.draws),
        }
    )


def _error(weights: Floats, x: Floats, without: Floats) -> Floats:
    """Return the standard error of the change from independent draws, shape (studies,).

    Both means are of the same draws, so that the error is that of their difference: the delta
    method for a ratio, sum_d (w_d (x_d - m_w) - (x_d - m) / D)^2 (Owen 2013, Monte Carlo theory,
    methods and examples, eq. 9.8).
    """
    each = weights * (x - without[:, None]) - (x - x.mean()) / x.size
    return np.asarray(np.sqrt((each**2).sum(axis=1)))


def _per_draw(draws: Floats) -> float:
    """Return by how much dependence between draws widens a standard error, 1 where there is none.

    sqrt(draws / effective sample size of the mean).
    """
    import arviz_stats

    size = float(arviz_stats.ess(draws, method="mean"))
    return float(np.sqrt(draws.size / size)) if size > 0 else float("nan")
