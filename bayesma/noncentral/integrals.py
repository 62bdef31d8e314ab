"""Stand-in, to be replaced: group effects in closed form, variance ratios by plain Monte Carlo."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesma import marginal
from bayesma.maths import NumPyMaths
from bayesma.noncentral.rows import draw_latents, variance_ratios

__all__ = ["group_log_likelihoods", "log_likelihoods"]

MATHS = NumPyMaths()


def log_likelihoods(
    exact: Any, mean: Any, scales: Any, taus: Any, groups: Any, nu: Any = None
) -> Any:
    counts = np.bincount(groups.outermost, minlength=len(groups.labels[0]))
    rng = np.random.default_rng(0)
    q = variance_ratios(draw_latents(exact, (64,), rng), exact, MATHS)
    whitening = exact.covariance.whitening()
    total = without = np.asarray(-np.inf)
    for ratio in q:
        half = np.sqrt(ratio[exact.of])
        jac = np.log(half) + exact.log_jacobian
        residual = exact.d * half - mean
        found = marginal.levels(residual, scales, taus, whitening, groups, MATHS)
        given = marginal.group_log_likelihood(found, counts, MATHS)
        given = given + MATHS.segment_sum(jac, groups.outermost, len(counts))
        (rows,) = marginal.row_log_likelihoods(
            residual, scales, found, found[-1:], whitening, groups, MATHS
        )
        total = np.logaddexp(total, given)
        without = np.logaddexp(without, given[..., groups.outermost] - rows - jac)
    return total - np.log(len(q)), total[..., groups.outermost] - without


def group_log_likelihoods(
    exact: Any, mean: Any, scales: Any, taus: Any, groups: Any, nu: Any = None
) -> Any:
    return log_likelihoods(exact, mean, scales, taus, groups, nu)[0]
