"""Power-scaling: how far an answer moves when the prior, or the likelihood, speaks louder.

    p_alpha(psi | y)  proportional to  p(psi)^alpha p(y | psi)   or   p(psi) p(y | psi)^alpha

Kallioinen, Paananen, Buerkner & Vehtari 2024, Statistics and Computing 34:57. ArviZ does the
arithmetic: draws are weighed by importance, and the distance between the scaled and the unscaled
posterior is the cumulative Jensen-Shannon one, per doubling of alpha.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.checks.answers import Answer, answers_of, settled
from bayesma.checks.priordensities import HYPERPARAMETERS_ONLY, log_priors
from bayesma.design import Design
from bayesma.errors import QueryError
from bayesma.posterior import Fit, where_likelihood_is_kept
from bayesma.predictive import group_log_likelihoods

__all__ = ["MEANINGS", "QUIET", "prior_sensitivity"]

Floats = NDArray[np.float64]

# Kallioinen et al. 2024, section 4.1; ArviZ's own.
THRESHOLD = 0.05
# Of the spread of log densities: by this much ties are broken.
TIE = 1e-9
CONFLICT, STRONG, NEITHER = "prior-data conflict", "strong prior / weak likelihood", "-"
QUIET = "no reported quantity is sensitive to the priors"
MEANINGS = {
    CONFLICT: "both move it: prior and data may disagree, or the prior is informative",
    STRONG: "the data say little, and the prior decides",
}


def prior_sensitivity(
    fit: Fit,
    by: str | None = None,
    *,
    at: xr.Dataset | None = None,
    threshold: float = THRESHOLD,
) -> pd.DataFrame:
    """Return how much every reported quantity owes to the priors and to the likelihood.

    A sensitivity is the change of a quantity's posterior, as the cumulative Jensen-Shannon
    distance, per doubling of the power of the priors (or of the likelihood). Scaled are the
    priors of coefficients and standard deviations; effects of studies are integrated out of the
    likelihood. Priors of unknown delays, one for each study, are not among "all priors": like
    study effects they grow with the data.

    Parameters
    ----------
    fit : Fit
    by : {"prior"}, optional
        Whether to scale each prior of the spec by itself too, in a column ``prior: NAME``.
    at : xarray.Dataset, optional
        From `grid`: the points of curves; else the quartiles of the delays of each decay cell
        and its reference delay.
    threshold : float
        From which a sensitivity counts.

    Returns
    -------
    pandas.DataFrame
        One row per quantity: `quantity` and `where`, `unit`, `prior`, `likelihood` and `verdict`:
        "prior-data conflict" (both count), "strong prior / weak likelihood" (the prior's alone)
        or "-". Quantities: the parameters of `Fit.summary`; means at the points, differences
        between levels, half-lives (on log2), persistent shares, the time until 70% is lost (on
        log2), taus and I2. ``.attrs["sentences"]`` names what counts; ``.attrs["notes"]`` what is
        infinite in some draws, which then stand at the outermost finite one, and what was left
        out because it is the same in every draw.

    Raises
    ------
    QueryError
        If `by` is unknown or `threshold` is no positive number.
    """
    if by not in (None, "prior"):
        raise QueryError(f"by = '{by}'; known: 'prior', or none")
    if not threshold > 0:
        raise QueryError(f"threshold = {threshold}: a positive number")
    fit = where_likelihood_is_kept(fit)
    answers, notes = settled(answers_of(fit, at))
    tree, names = _scalable(fit, answers)
    joint = [name for name in names if name not in HYPERPARAMETERS_ONLY]
    table = pd.DataFrame(
        {
            "quantity": [a.quantity for a in answers],
            "where": [a.where for a in answers],
            "unit": [a.unit for a in answers],
            "prior": _sensitivity(tree, "prior", joint),
            "likelihood": _sensitivity(tree, "likelihood", None),
        }
    )
    table["verdict"] = [
        _verdict(row["prior"], row["likelihood"], threshold) for _, row in table.iterrows()
    ]
    if by == "prior":
        for name in names:
            table[f"prior: {name}"] = _sensitivity(tree, "prior", [name])
    table.attrs = {
        "estimand": "sensitivity of each answer to power-scaling the priors and the likelihood, "
        f"as cumulative Jensen-Shannon distance per doubling; it counts from {threshold:g}",
        "sentences": _sentences(table, names if by else []),
        "notes": notes,
    }
    return table


def _verdict(prior: float, likelihood: float, threshold: float) -> str:
    if not prior >= threshold:
        return NEITHER
    return CONFLICT if likelihood >= threshold else STRONG


# -- ArviZ's arithmetic ------------------------------------------------------------------------


def _scalable(fit: Fit, answers: Sequence[Answer]) -> tuple[xr.DataTree, list[str]]:
    """Return the groups that ArviZ scales, and the names of the priors."""
    plan, dims = fit.design, ("chain", "draw")
    draws = {str(name): array.values for name, array in fit.posterior.data_vars.items()}
    priors = {name: _untied(array) for name, array in log_priors(plan, draws).items()}
    shape = answers[0].draws.shape
    coords = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    values = np.stack([a.draws for a in answers], axis=-1)
    groups = {
        "posterior": xr.Dataset({"answer": ((*dims, "one"), values)}, coords),
        "log_prior": xr.Dataset({name: (dims, array) for name, array in priors.items()}, coords),
        "log_likelihood": xr.Dataset(
            {"y": (dims, _untied(_log_likelihood(fit, plan, draws)))}, coords
        ),
    }
    return xr.DataTree.from_dict(groups), list(priors)


def _untied(values: Floats) -> Floats:
    """Return log densities of which no two are the same, where they vary at all.

    ArviZ smooths the largest weights and refuses a tail of equal ones, which draws on a grid
    have. They are moved by up to a billionth of their spread.
    """
    spread = np.ptp(values)
    if not spread > 0 or len(np.unique(values)) == values.size:
        return values
    order = np.random.default_rng(0).permutation(values.size).reshape(values.shape)
    return np.asarray(values + TIE * spread * order / values.size)


def _log_likelihood(fit: Fit, plan: Design, draws: dict[str, Floats]) -> Floats:
    """Return the log likelihood of all rows, study effects integrated out, shape (chain, draw)."""
    if "log_likelihood" in fit.tree:
        stored = fit.tree["log_likelihood"].dataset[f"by_{plan.unit}"]
        return np.asarray(stored.transpose("chain", "draw", ...).values.sum(axis=-1))
    return np.asarray(group_log_likelihoods(plan, draws).sum(axis=-1))


def _sensitivity(tree: xr.DataTree, group: str, names: list[str] | None) -> Floats:
    """Return ArviZ's sensitivity of each answer; 0 where what is scaled is flat."""
    from arviz_stats import psense

    scaled = tree["log_prior" if group == "prior" else "log_likelihood"].dataset
    total = sum(scaled[name] for name in (names if names is not None else ["y"]))
    if not np.ptp(np.asarray(total)) > 0:
        return np.zeros(tree["posterior"].dataset.sizes["one"])
    found = psense(tree, group=group, group_var_names=names)
    return np.asarray(found["answer"].values, dtype=float)


# -- words -------------------------------------------------------------------------------------


def _sentences(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Return a sentence for each quantity that the priors move, the most moved first."""
    moved = table[table["verdict"] != NEITHER].sort_values("prior", ascending=False)
    if moved.empty:
        return [QUIET]
    found = []
    for _, row in moved.iterrows():
        what = ", ".join(text for text in (row["quantity"], row["where"]) if text)
        said = f"{what}: prior {row['prior']:.2f}, likelihood {row['likelihood']:.2f}"
        said += f"; {MEANINGS[row['verdict']]}"
        if names:
            most = max(names, key=lambda name: row[f"prior: {name}"])
            said += f" (most of it the prior of {most})"
        found.append(said)
    return found
