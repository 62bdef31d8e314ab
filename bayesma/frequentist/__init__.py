"""The classical engine: pooling, meta-regression, dependence, bias and influence."""

from bayesma.frequentist.classical import ClassicalFit, classical_fit
from bayesma.frequentist.nested import Multilevel, multilevel
from bayesma.frequentist.pooled import Pooled, pool
from bayesma.frequentist.profile import sigma2_ci
from bayesma.frequentist.regression import MetaRegression, meta_regression
from bayesma.frequentist.sandwich import Robust, robust
from bayesma.frequentist.sensitivity import rho_sensitivity

__all__ = [
    "ClassicalFit",
    "MetaRegression",
    "Multilevel",
    "Pooled",
    "Robust",
    "classical_fit",
    "meta_regression",
    "multilevel",
    "pool",
    "rho_sensitivity",
    "robust",
    "sigma2_ci",
]
