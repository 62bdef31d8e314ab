"""The classical engine: pooling, meta-regression, dependence, bias and influence."""

from bayesma.frequentist.pooled import Pooled, pool
from bayesma.frequentist.regression import MetaRegression, meta_regression

__all__ = ["MetaRegression", "Pooled", "meta_regression", "pool"]
