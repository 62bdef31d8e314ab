"""The classical engine: pooling, meta-regression, dependence, bias and influence."""

from bayesma.frequentist.classical import ClassicalFit, classical_fit

__all__ = ["ClassicalFit", "classical_fit"]
