"""The classical engine: pooling, meta-regression, dependence, bias and influence."""

from bayesma.frequentist.accumulation import cumulative
from bayesma.frequentist.asymmetry import Asymmetry, egger
from bayesma.frequentist.deletion import influence, leave_one_out
from bayesma.frequentist.filling import Filled, trim_and_fill
from bayesma.frequentist.limits import PetPeese, pet_peese
from bayesma.frequentist.pooled import Pooled, pool
from bayesma.frequentist.regression import MetaRegression, meta_regression
from bayesma.frequentist.selection import SelectionModel, selection_model

__all__ = [
    "Asymmetry",
    "Filled",
    "MetaRegression",
    "PetPeese",
    "Pooled",
    "SelectionModel",
    "cumulative",
    "egger",
    "influence",
    "leave_one_out",
    "meta_regression",
    "pet_peese",
    "pool",
    "selection_model",
    "trim_and_fill",
]
