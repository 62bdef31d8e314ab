"""The classical engine: pooling, meta-regression, dependence, bias and influence."""

from bayesma.frequentist.accumulation import cumulative
from bayesma.frequentist.asymmetry import Asymmetry, egger
from bayesma.frequentist.classical import ClassicalFit, classical_fit
from bayesma.frequentist.deletion import influence, leave_one_out
from bayesma.frequentist.filling import Filled, trim_and_fill
from bayesma.frequentist.limits import PetPeese, pet_peese
from bayesma.frequentist.nested import Multilevel, multilevel
from bayesma.frequentist.pooled import Pooled, pool
from bayesma.frequentist.profile import sigma2_ci
from bayesma.frequentist.regression import MetaRegression, meta_regression
from bayesma.frequentist.sandwich import Robust, robust
from bayesma.frequentist.selection import SelectionModel, selection_model
from bayesma.frequentist.sensitivity import rho_sensitivity
from bayesma.frequentist.subgrouping import Subgroups, between_groups, subgroups

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
