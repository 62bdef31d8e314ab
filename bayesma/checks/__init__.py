"""Checks of a fit beyond its own convergence."""

from typing import TYPE_CHECKING

from bayesma.checks.crosscheck.noun import CrossCheck, cross_check
from bayesma.checks.powerscaling import prior_sensitivity
from bayesma.checks.reported import recompute_contrast, recompute_results

if TYPE_CHECKING:
    from bayesma.checks.loo import leave_one_study_out

__all__ = [
    "CrossCheck",
    "cross_check",
    "leave_one_study_out",
    "prior_sensitivity",
    "recompute_contrast",
    "recompute_results",
]

if not TYPE_CHECKING:

    def __getattr__(name):
        """Import what samples when it is first used: the other checks need no sampler."""
        if name != "leave_one_study_out":
            raise AttributeError(f"module 'bayesma.checks' has no attribute '{name}'")
        from bayesma.checks.loo import leave_one_study_out

        return leave_one_study_out
