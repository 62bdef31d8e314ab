"""What a fit cannot be trusted with, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.clock import effect_clock
from bayesma.coders import cell_keys
from bayesma.design import Design, undeclared_of, uneven_of
from bayesma.mean import VARIABLES, linear

__all__ = [
    "UNINFORMED",
    "cell_frames",
    "convergence_problems",
    "data_problems",
    "days_text",
    "identification_problems",
    "judged",
    "quantity_problems",
    "reported",
    "scalars",
    "summary_table",
]

R_HAT = 1.01
ESS = 400
# A half-life outside the delays of its own rows with more than this probability is unseen.
UNSEEN = 0.2
# Delays this far apart (as a ratio) are separate places.
CLUSTER_RATIO = 4.0
# Share of the prior's standard deviation above which the data have hardly spoken.
UNINFORMED = 0.8
# A form of decay beyond its half-life takes delays at three places.
FORMS = {"persistent": "persistent share", "shape": "Weibull shape"}


def reported(posterior: xr.Dataset, plan: Design) -> xr.Dataset:
    """Return the variables that answers are made of, without the sampler's own coordinates."""
    names = [VARIABLES[name] for name in plan.spec.predictors] + list(plan.scalars)
    if not plan.varying_tau:
        return posterior[names]
    # Relative to its average, whose own term is 0 in every draw.
    ratio = VARIABLES["tau"]
    return posterior[[*names, ratio]].drop_sel({f"{ratio}_term": "Intercept"})


def summary_table(posterior: xr.Dataset, ci_prob: float) -> pd.DataFrame:
    """Return mean, sd, equal-tailed interval, ESS and R-hat of every scalar in a dataset.

    Returns
    -------
    pandas.DataFrame
        Index: label such as ``level[Intercept]``; columns mean, sd, ci_low, ci_high, ess_bulk,
        ess_tail, r_hat.
    """
    import arviz_stats

    tail = (1 - ci_prob) / 2
    columns = {
        "mean": posterior.mean(("chain", "draw")),
        "sd": posterior.std(("chain", "draw"), ddof=1),
        "ci_low": posterior.quantile(tail, ("chain", "draw")),
        "ci_high": posterior.quantile(1 - tail, ("chain", "draw")),
    }
    # A chain that never moved has an R-hat of NaN, which is reported.
    with np.errstate(divide="ignore", invalid="ignore"):
        columns["ess_bulk"] = arviz_stats.ess(posterior, method="bulk")
        columns["ess_tail"] = arviz_stats.ess(posterior, method="tail")
        columns["r_hat"] = arviz_stats.rhat(posterior)
    return pd.DataFrame({name: _flat(dataset) for name, dataset in columns.items()})


def _flat(dataset: xr.Dataset) -> pd.Series[float]:
    return pd.Series({label: float(array) for label, array in scalars(dataset).items()})


def scalars(dataset: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return every scalar of a dataset by the label that a summary gives it.

    Variables may have the dims chain and draw, and one more, whose coordinates name its scalars.
    """
    found: dict[str, xr.DataArray] = {}
    for name, array in dataset.data_vars.items():
        dims = [str(dim) for dim in array.dims if dim not in ("chain", "draw")]
        if not dims:
            found[str(name)] = array
            continue
        for i, label in enumerate(array[dims[0]].values):
            found[f"{name}[{label}]"] = array.isel({dims[0]: i}, drop=True)
    return found


def judged(posterior: xr.Dataset, plan: Design) -> xr.Dataset:
    """Return the variables whose chains must agree: those of answers, and unknown delays."""
    found = reported(posterior, plan)
    return found.assign({name: posterior[name] for name in plan.vectors})


def quantity_problems(table: pd.DataFrame) -> pd.Series[str]:
    """Return what is wrong with each quantity of a summary table in words; "" where nothing is.

    R-hat above 1.01, or fewer than 400 effective draws in the bulk or in the tails (Vehtari,
    Gelman, Simpson, Carpenter & Buerkner 2021, Bayesian Analysis 16:667, sections 4 and 5).

    Parameters
    ----------
    table : pandas.DataFrame
        Columns r_hat, ess_bulk, ess_tail.
    """
    said = [_said(*row) for row in table[["r_hat", "ess_bulk", "ess_tail"]].itertuples(index=False)]
    return pd.Series(said, index=table.index, dtype="str")


def _said(r_hat: float, bulk: float, tail: float) -> str:
    if np.isnan(r_hat):
        return "the chains did not move"
    wrong = [] if r_hat <= R_HAT else [f"chains disagree (R-hat above {R_HAT:g})"]
    wrong += [
        f"too few effective draws in the {where} ({ess:.0f} of {ESS} needed)"
        for where, ess in (("bulk", bulk), ("tails", tail))
        if not ess >= ESS
    ]
    return "; ".join(wrong)


def convergence_problems(tree: xr.DataTree, plan: Design) -> list[str]:
    """Return a sentence for each sign that the chains have not converged."""
    table = summary_table(judged(tree["posterior"].dataset, plan), 0.95)
    found = []
    divergent = int(tree["sample_stats"]["diverging"].sum())
    if divergent:
        found.append(
            f"{divergent} divergent transitions: parts of the posterior were not reached; "
            "raise target_accept, or simplify the model"
        )
    # The negation also catches NaN: a chain that never moved.
    stuck = table.index[~(table["r_hat"] <= R_HAT)]
    if len(stuck):
        worst = table.loc[stuck, "r_hat"].max()
        found.append(
            f"chains disagree (R-hat up to {worst:.3f}) on {_some(stuck)}; draw more, "
            "or look for a second mode"
        )
    least = table[["ess_bulk", "ess_tail"]].min(axis=1)
    thin = table.index[~(least >= ESS)]
    if len(thin):
        found.append(
            f"too few effective draws (down to {least[thin].min():.0f}, {ESS} needed) "
            f"for {_some(thin)}; draw more"
        )
    return found


def _some(labels: pd.Index[Any]) -> str:
    shown = ", ".join(labels[:4])
    return shown if len(labels) <= 4 else f"{shown} and {len(labels) - 4} more"


def data_problems(plan: Design) -> list[str]:
    """Return a sentence for each thing in the arms that makes answers other than they seem."""
    uneven = uneven_of(plan.effects)
    found = [undeclared_of(plan.spec, plan.effects)]
    found += [uneven.sentence] if uneven is not None and uneven.matters else []
    return [sentence for sentence in found if sentence]


def identification_problems(tree: xr.DataTree, plan: Design) -> list[str]:
    """Return a sentence for each thing that these data cannot tell."""
    found = _half_life_problems(tree, plan) if plan.spec.family.parameters else []
    groups = plan.groups
    if groups.names:
        k = len(np.unique(groups.outermost[~plan.pooled]))
        if k < 5:
            found.append(f"tau rests on {k} groups of '{groups.names[0]}': its prior decides it")
        inner = [len(labels) for labels in groups.labels]
        if len(inner) > 1 and inner[0] == inner[1]:
            found.append(
                f"every {groups.names[0]} has one {groups.names[1]}: their effects "
                "cannot be told apart"
            )
    found += _heterogeneity_problems(tree["posterior"].dataset, plan)
    if plan.pooling is not None and not groups.names:
        found.append(
            "heterogeneity (tau) is not identified by pooled results: what a new study "
            "would find cannot be said"
        )
    return found


def _heterogeneity_problems(posterior: xr.Dataset, plan: Design) -> list[str]:
    """Return a sentence for what is said of heterogeneity beyond tau by the prior alone."""
    found = []
    if plan.kappa_names and not plan.covariates and not plan.spec.family.parameters:
        found.append("the mean is the same in every row: tau and kappa cannot be told apart")
    for name, key in plan.scalars.items():
        if key == "tau":
            continue
        prior = float(plan.spec.priors[key].distribution().std())
        kept = float(posterior[name].std()) / prior
        if kept > UNINFORMED:
            found.append(
                f"{name} follows its prior: its posterior standard deviation is {kept:.0%} of the "
                "prior's"
            )
    return found


def cell_frames(plan: Design) -> dict[tuple[str, ...], pd.DataFrame]:
    """Return the points of each decay cell."""
    rows: dict[tuple[str, ...], list[int]] = {}
    for i, key in enumerate(cell_keys(plan.frame, plan.cells)):
        rows.setdefault(key, []).append(i)
    return {key: plan.frame.iloc[rows[key]] for key in sorted(rows)}


def _half_life_problems(tree: xr.DataTree, plan: Design) -> list[str]:
    posterior = tree["posterior"].dataset
    found = []
    for key, rows in cell_frames(plan).items():
        clock = effect_clock(rows)
        clock = clock[np.isfinite(clock)]
        seen = clock[clock > 0]
        subject = f"after {' / '.join(key)}" if key else "over all rows"
        if len(np.unique(clock)) < 2:
            found.append(
                f"all delays {subject} are {clock.min():g} d: the half-life there is the prior's"
            )
            continue
        days = np.exp2(_predictor(posterior, plan, "half_life", rows))
        outside = float(((days < seen.min()) | (days > seen.max())).mean())
        if outside > UNSEEN:
            found.append(
                f"the half-life {subject} is not identified: with probability {outside:.2f} it "
                f"lies outside the delays seen there ({days_text(seen.min())} to "
                f"{days_text(seen.max())})"
            )
        for parameter in plan.spec.family.parameters:
            if parameter in FORMS:
                found += _form_problem(posterior, plan, parameter, rows, subject)
    return found


def _predictor(posterior: xr.Dataset, plan: Design, parameter: str, rows: pd.DataFrame) -> Any:
    """Return the draws of a linear predictor at the covariates' means over some rows."""
    matrix = plan.predictors[parameter].matrix(rows).mean(axis=0, keepdims=True)
    return linear(posterior[VARIABLES[parameter]].values, matrix)


def _form_problem(
    posterior: xr.Dataset, plan: Design, parameter: str, rows: pd.DataFrame, subject: str
) -> list[str]:
    """Return a sentence where delays or draws show that the data do not inform the form."""
    places, form = _separated(effect_clock(rows)), FORMS[parameter]
    if places < 3:
        return [
            f"delays {subject} lie at {places} separate places; a {form} needs three, "
            "so there it follows its prior"
        ]
    prior = _prior_sd(plan, parameter, rows)
    kept = float(_predictor(posterior, plan, parameter, rows).std()) / prior
    if kept <= UNINFORMED:
        return []
    return [
        f"the {form} {subject} follows its prior: its posterior standard deviation "
        f"is {kept:.0%} of the prior's"
    ]


def _separated(clock: Any) -> int:
    """Return how many delays lie at least CLUSTER_RATIO apart; 0 d is a place of its own."""
    places, last = int((clock == 0).any()), 0.0
    for delay in np.unique(clock[clock > 0]):
        if delay >= CLUSTER_RATIO * last:
            places, last = places + 1, float(delay)
    return places


def _prior_sd(plan: Design, parameter: str, rows: pd.DataFrame) -> float:
    predictor, priors = plan.predictors[parameter], plan.spec.priors
    row = predictor.matrix(rows).mean(axis=0)
    sds = [float(priors[key].distribution().std()) for key in (parameter, f"{parameter}_contrast")]
    parts = [row @ predictor.average_basis * sds[0], row @ predictor.contrast_basis * sds[1]]
    return float(np.sqrt(sum((part**2).sum() for part in parts)))


def days_text(delay: float) -> str:
    """Return a delay in days as people say it."""
    if delay >= 1:
        return f"{delay:.3g} d"
    return f"{delay * 24:.3g} h" if delay >= 1 / 24 else f"{delay * 1440:.3g} min"
