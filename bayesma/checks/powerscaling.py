"""Power-scaling: how far an answer moves when the prior, or the likelihood, speaks louder.

    p_alpha(psi | y)  proportional to  p(psi)^alpha p(y | psi)   or   p(psi) p(y | psi)^alpha

Kallioinen, Paananen, Buerkner & Vehtari 2024, Statistics and Computing 34:57. ArviZ does the
arithmetic: draws are weighed by importance, and the distance between the scaled and the unscaled
posterior is the cumulative Jensen-Shannon one, per doubling of alpha.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.checks.crosscheck.quantities import SCALES, place, quantities, record_of
from bayesma.checks.priordensities import HYPERPARAMETERS_ONLY, log_priors
from bayesma.design import Design
from bayesma.diagnostics import cell_frames, reported
from bayesma.errors import QueryError
from bayesma.posterior import Fit, where_likelihood_is_kept
from bayesma.predictive import group_log_likelihoods
from bayesma.queries.fading import time_to_loss
from bayesma.queries.grids import combinations_of, grid

__all__ = ["MEANINGS", "QUIET", "prior_sensitivity"]

Floats = NDArray[np.float64]

# Kallioinen et al. 2024, section 4.1; ArviZ's own.
THRESHOLD = 0.05
CONFLICT, STRONG, NEITHER = "prior-data conflict", "strong prior / weak likelihood", "-"
QUIET = "no reported quantity is sensitive to the priors"
MEANINGS = {
    CONFLICT: "both move it: prior and data may disagree, or the prior is informative",
    STRONG: "the data say little, and the prior decides",
}
LOSS = 0.7
# Of the cross-check's quantities; taus and slopes are among the parameters already.
KINDS = ("mean", "decay")


@dataclass(frozen=True)
class _Answer:
    """One reported quantity: its name, what it holds for, unit, and draws (chain, draw)."""

    quantity: str
    where: str
    unit: str
    draws: Floats

    @property
    def title(self) -> str:
        """The name, and what it holds for."""
        return ", ".join(text for text in (self.quantity, self.where) if text)


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
    answers, notes = _settled(_answers(fit, at))
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


# -- quantities --------------------------------------------------------------------------------


def _answers(fit: Fit, at: xr.Dataset | None) -> Iterator[_Answer]:
    """Yield the draws of every reported quantity; durations as their logarithms."""
    plan = fit.design
    for name, array in reported(fit.posterior, plan).data_vars.items():
        unit = str(array.attrs.get("units", ""))
        if array.ndim == 2:
            yield _Answer(str(name), "", unit, array.values)
            continue
        for i, label in enumerate(array[array.dims[-1]].values):
            yield _Answer(f"{name}[{label}]", "", unit, array.values[..., i])
    draws = {str(name): array.values for name, array in fit.posterior.data_vars.items()}
    for one in quantities(fit, at):
        if one.kind in KINDS or one.name == "I2":
            yield _Answer(one.name, one.where, one.unit, one.scaled(draws))
    yield from _losses(fit)


def _losses(fit: Fit) -> Iterator[_Answer]:
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
        yield _Answer(f"time to {LOSS:.0%} loss", where, "d", np.asarray(logs))


def _settled(answers: Iterable[_Answer]) -> tuple[list[_Answer], list[str]]:
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


# -- ArviZ's arithmetic ------------------------------------------------------------------------


def _scalable(fit: Fit, answers: Sequence[_Answer]) -> tuple[xr.DataTree, list[str]]:
    """Return the groups that ArviZ scales, and the names of the priors."""
    plan, dims = fit.design, ("chain", "draw")
    draws = {str(name): array.values for name, array in fit.posterior.data_vars.items()}
    priors = log_priors(plan, draws)
    shape = answers[0].draws.shape
    coords = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    values = np.stack([a.draws for a in answers], axis=-1)
    groups = {
        "posterior": xr.Dataset({"answer": ((*dims, "one"), values)}, coords),
        "log_prior": xr.Dataset({name: (dims, array) for name, array in priors.items()}, coords),
        "log_likelihood": xr.Dataset({"y": (dims, _log_likelihood(fit, plan, draws))}, coords),
    }
    return xr.DataTree.from_dict(groups), list(priors)


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
