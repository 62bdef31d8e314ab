"""Checks of a fit beyond its own convergence."""

from bayesma.checks.loo import leave_one_study_out

__all__ = ["leave_one_study_out"]
