"""The classical engine: pooling, meta-regression, dependence, bias and influence."""

from bayesma.frequentist.pooled import Pooled, pool
from bayesma.frequentist.regression import MetaRegression, meta_regression
from bayesma.frequentist.subgrouping import Between, Subgroups, between_groups, subgroups

__all__ = [
    "Between",
    "MetaRegression",
    "Pooled",
    "Subgroups",
    "between_groups",
    "meta_regression",
    "pool",
    "subgroups",
]
