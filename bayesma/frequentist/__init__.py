"""The classical engine: pooling, meta-regression, dependence, bias and influence."""

from bayesma.frequentist.classical import ClassicalFit, classical_fit
from bayesma.frequentist.pooled import Pooled, pool
from bayesma.frequentist.regression import MetaRegression, meta_regression

__all__ = [
    "ClassicalFit",
    "MetaRegression",
    "Pooled",
    "classical_fit",
    "meta_regression",
    "pool",
]
