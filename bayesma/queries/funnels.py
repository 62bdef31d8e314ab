"""Effects against the size of their studies: what a funnel is drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayesma.errors import QueryError
from bayesma.posterior import Fit
from bayesma.predictive import population_mean
from bayesma.queries.observations import row_names
from bayesma.smallstudy import SIZES

__all__ = ["funnel_points"]


def funnel_points(fit: Fit, *, fitted: bool = True) -> pd.DataFrame:
    """Return the rows of a fit with their size, for a funnel.

    Parameters
    ----------
    fit : Fit
    fitted : bool
        Whether the posterior may be used: without it effects are as they were observed, with no
        centre.

    Returns
    -------
    pandas.DataFrame
        One row per effect that is no pooled result: row_id, study, name; y, v; n, the animals of
        both arms, NaN where unknown; `fitted`, the posterior median of the mean that the model
        has for such a row in a study of average size; `effect`, what is drawn; `size`, where.
        ``.attrs``: measure; `of`, "effect" or, where the mean goes with covariates or fades,
        "residual" (y - fitted); `predictor`, "1/sqrt(n)" where every n is known, else "se";
        `centre`, the mean that effects scatter around, NaN without `fitted`.

    Raises
    ------
    QueryError
        If every row is a pooled result.

    Notes
    -----
    1/sqrt(n) and not the standard error: that of an SMD grows with the SMD itself, so that a
    funnel is skewed without any bias (Zwetsloot et al. 2017, eLife 6:e24260).
    """
    plan, frame = fit.design, fit.design.effects.frame
    if plan.pooled.all():
        raise QueryError(
            "every row is a pooled result, which has no size of its own: a funnel needs studies"
        )
    known = set(SIZES) <= set(frame)
    n = frame[list(SIZES)].sum(axis=1, skipna=False) if known else np.nan
    table = pd.DataFrame(
        {
            "row_id": frame["row_id"].to_numpy(),
            "study": np.array(plan.groups.labels[0], dtype=str)[plan.groups.outermost],
            "name": row_names(fit),
            "y": plan.effects.y,
            "v": plan.effects.v,
            "n": np.asarray(n, dtype=float),
            "fitted": _fitted(fit) if fitted else np.nan,
        }
    )
    table = table[~plan.pooled].reset_index(drop=True)
    residual = fitted and float(np.ptp(table["fitted"])) > 0
    table["effect"] = table["y"] - table["fitted"] if residual else table["y"]
    sized = bool(table["n"].notna().all())
    table["size"] = 1 / np.sqrt(table["n"]) if sized else np.sqrt(table["v"])
    table.attrs = {
        "measure": plan.effects.measure,
        "of": "residual" if residual else "effect",
        "predictor": "1/sqrt(n)" if sized else "se",
        "centre": 0.0 if residual else float(table["fitted"].iloc[0]),
    }
    return table


def _fitted(fit: Fit) -> np.ndarray[Any, np.dtype[np.float64]]:
    draws = {str(name): array.values for name, array in fit.posterior.data_vars.items()}
    with np.errstate(over="ignore", invalid="ignore"):  # towards delay 0 draws may be infinite
        found = population_mean(fit.design, draws)
    return np.asarray(np.median(found.reshape(-1, found.shape[-1]), axis=0))
