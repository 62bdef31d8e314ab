"""Checks of a fit beyond its own convergence."""

from bayesma.checks.crosscheck import CrossCheck, cross_check
from bayesma.checks.loo import leave_one_study_out

__all__ = ["CrossCheck", "cross_check", "leave_one_study_out"]
