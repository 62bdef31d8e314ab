"""The quantities whose ranks are taken, and the statistics of one replicate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesma.design import Design
from bayesma.mean import VARIABLES
from bayesma.predictive import group_log_likelihoods

__all__ = [
    "LOG_LIKELIHOOD",
    "PROBS",
    "Quantity",
    "convergence_of",
    "quantities_of",
    "statistics_of",
    "summed_log_likelihood",
    "thinned",
    "values_of",
]

Floats = NDArray[np.float64]
Draws = Mapping[str, Floats]

LOG_LIKELIHOOD = "log_likelihood"
# Of the central intervals whose coverage is counted.
PROBS = (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class Quantity:
    """One number of a model.

    Attributes
    ----------
    variable : str
        Posterior name.
    place : int or None
        Which term of it; None for a single number.
    term : str
        The term's label, or nothing.
    """

    variable: str
    place: int | None = None
    term: str = ""

    @property
    def label(self) -> str:
        """As in a fit's summary: ``level[Intercept]``, ``tau``."""
        return self.variable if self.place is None else f"{self.variable}[{self.term}]"


def quantities_of(plan: Design) -> tuple[Quantity, ...]:
    """Return the parameters that a fit reports, then the log likelihood."""
    found = []
    for name in (*plan.spec.predictors, *(["tau"] if plan.varying_tau else [])):
        terms = plan.predictors[name].terms
        # Relative to its average, tau's own intercept is 0 in every draw.
        found += [
            Quantity(VARIABLES[name], place, str(term))
            for place, term in enumerate(terms)
            if name != "tau" or term != "Intercept"
        ]
    return (*found, *(Quantity(name) for name in plan.scalars), Quantity(LOG_LIKELIHOOD))


def values_of(quantities: Sequence[Quantity], draws: Draws) -> Floats:
    """Return the quantities of draws, shape (..., quantities)."""
    return np.stack(
        [
            np.asarray(draws[q.variable] if q.place is None else draws[q.variable][..., q.place])
            for q in quantities
        ],
        axis=-1,
    )


def summed_log_likelihood(plan: Design, draws: Draws) -> Floats:
    """Return log p(y | parameters), group effects integrated out, shape (...)."""
    # A draw far out in the tail may have a mean that no float holds: its likelihood is 0.
    with np.errstate(all="ignore"):
        total = group_log_likelihoods(plan, draws).sum(axis=-1)
    return np.asarray(np.where(np.isnan(total), -np.inf, total))


def thinned(draws: Draws, size: int) -> dict[str, Floats]:
    """Return about `size` draws, evenly spaced within each chain, shape (size, ...)."""
    chains, length = next(iter(draws.values())).shape[:2]
    step = max(length * chains // size, 1)
    kept = {name: values[:, step - 1 :: step] for name, values in draws.items()}
    return {name: v.reshape(-1, *v.shape[2:]) for name, v in kept.items()}


def statistics_of(
    truth: Floats, near_independent: Floats, draws: Floats, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the ranks and summaries of one replicate.

    rank = #(draws below the truth), among L near independent draws: uniform on 0 ... L where data
    and posterior belong together (Talts et al. 2018, arXiv:1804.06788, theorem 1). Draws equal to
    the truth are broken at random (Modrak et al. 2023, Bayesian Analysis, eq. 4), and
    pit = (rank + u) / (L + 1), u ~ U(0, 1), is then uniform on the unit interval.

    Parameters
    ----------
    truth : ndarray, shape (quantities,)
    near_independent : ndarray, shape (L, quantities)
    draws : ndarray, shape (all draws, parameters)
        Of the first quantities, for means, standard deviations and intervals; those of the others
        are taken from the near independent ones.
    rng : numpy.random.Generator
    """
    below = (near_independent < truth).sum(axis=0)
    equal = (near_independent == truth).sum(axis=0)
    rank = below + rng.integers(0, equal, endpoint=True)
    pit = (rank + rng.uniform(size=len(truth))) / (len(near_independent) + 1)
    summaries = [_summary(draws), _summary(near_independent[:, draws.shape[1] :])]
    mean, sd, low, high = (np.concatenate(parts, axis=-1) for parts in zip(*summaries, strict=True))
    return {
        "truth": truth.tolist(),
        "mean": mean.tolist(),
        "sd": sd.tolist(),
        "rank": rank.tolist(),
        "pit": pit.tolist(),
        "ranked": len(near_independent),
        "low": low.tolist(),
        "high": high.tolist(),
    }


def _summary(draws: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return mean and SD, shape (quantities,), and interval ends, shape (probs, quantities)."""
    tails = np.array([(0.5 - p / 2, 0.5 + p / 2) for p in PROBS])
    ends = np.quantile(draws, tails.ravel(), axis=0).reshape(*tails.shape, -1)
    return draws.mean(axis=0), draws.std(axis=0, ddof=1), ends[:, 0], ends[:, 1]


def convergence_of(values: Floats) -> tuple[float, float]:
    """Return the largest R-hat and the least bulk or tail ESS; shape (chain, draw, quantities).

    NaN where a chain never moved.
    """
    import arviz_stats

    array = xr.Dataset({"q": (("chain", "draw", "quantity"), values)})
    with np.errstate(all="ignore"):
        ess = [arviz_stats.ess(array, method=kind)["q"].values for kind in ("bulk", "tail")]
        r_hat = arviz_stats.rhat(array)["q"].values
    return float(np.max(r_hat)), float(np.min(ess))
