"""The restricted likelihood of the variances of a design without decay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesma.design import Design
from bayesma.frequentist.nested.criterion import Criterion, criterion_of
from bayesma.frequentist.nested.levels import levels_of

__all__ = ["criterion_of_design", "level_basis", "standard_errors"]

Floats = NDArray[np.float64]

# Step of a numerical derivative, as a share of the variance: its square is far below what an
# error of an error is read to.
STEP = 1e-4


def level_basis(plan: Design) -> Floats:
    """Return the basis of the level's coefficients, shape (terms, free)."""
    peak = plan.predictors["peak"]
    return np.hstack([peak.average_basis, peak.contrast_basis])


def criterion_of_design(plan: Design) -> Criterion:
    """Return the restricted likelihood of the variances; no decay, no pooled rows."""
    frame = plan.effects.frame
    levels = levels_of("/".join(plan.groups.names), frame, list(frame["row_id"].astype(str)))
    X = plan.points.matrices["peak"] @ level_basis(plan)
    return criterion_of(plan.effects.y, X, plan.effects.covariance, levels, True)


def standard_errors(criterion: Criterion, variances: Floats) -> Floats:
    """Return standard errors of the variances, from the observed information J / 2.

    J is the derivative of the deviance's slope. A variance at 0 has none.
    """
    out, free = np.full(len(variances), np.nan), np.flatnonzero(variances > 0)
    if not len(free):
        return out
    steps = STEP * np.diag(variances)[free]
    slopes = [criterion.at(variances + s).slope - criterion.at(variances - s).slope for s in steps]
    rises = np.array(slopes)[:, free] / (2 * STEP * variances[free][:, None])
    found = np.diag(np.linalg.inv((rises + rises.T) / 4))
    out[free] = np.sqrt(np.where(found > 0, found, np.nan))
    return out
