"""The cross-check: Bayesian beside classical beside published."""

from bayesma.checks.crosscheck.noun import CrossCheck, cross_check

__all__ = ["CrossCheck", "cross_check"]
