"""The classical engine: pooling, meta-regression, dependence, bias and influence."""

from bayesma.frequentist.bias.asymmetry import Asymmetry, egger
from bayesma.frequentist.bias.filling import Filled, trim_and_fill
from bayesma.frequentist.bias.limits import PetPeese, pet_peese
from bayesma.frequentist.bias.selection import SelectionModel, selection_model
from bayesma.frequentist.deletion.accumulation import cumulative
from bayesma.frequentist.deletion.leaving import influence, leave_one_out
from bayesma.frequentist.fading.classical import ClassicalFit, classical_fit
from bayesma.frequentist.linear.pooled import Pooled, pool
from bayesma.frequentist.linear.regression import MetaRegression, meta_regression
from bayesma.frequentist.linear.subgrouping import Subgroups, between_groups, subgroups
from bayesma.frequentist.nested.multilevels import Multilevel, multilevel
from bayesma.frequentist.nested.sandwich import Robust, robust
from bayesma.frequentist.nested.sensitivity import rho_sensitivity
from bayesma.frequentist.nested.variances import sigma2_ci

__all__ = [
    "Asymmetry",
    "ClassicalFit",
    "Filled",
    "MetaRegression",
    "Multilevel",
    "PetPeese",
    "Pooled",
    "Robust",
    "SelectionModel",
    "Subgroups",
    "between_groups",
    "classical_fit",
    "cumulative",
    "egger",
    "influence",
    "leave_one_out",
    "meta_regression",
    "multilevel",
    "pet_peese",
    "pool",
    "rho_sensitivity",
    "robust",
    "selection_model",
    "sigma2_ci",
    "subgroups",
    "trim_and_fill",
]
