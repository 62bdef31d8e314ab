"""Pictures: query output -> matplotlib figures. The only room that imports a plotting library."""

from bayesma.plots.assurance import plot_assurance
from bayesma.plots.budget import plot_budget
from bayesma.plots.calibration import plot_calibration
from bayesma.plots.crosscheck import plot_crosscheck
from bayesma.plots.decay_curves import plot_decay
from bayesma.plots.expectations import plot_prior_predictive
from bayesma.plots.forest import plot_forest
from bayesma.plots.influence import plot_influence
from bayesma.plots.sensitivity import plot_sensitivity
from bayesma.plots.translation import plot_translation

__all__ = [
    "plot_assurance",
    "plot_budget",
    "plot_calibration",
    "plot_crosscheck",
    "plot_decay",
    "plot_forest",
    "plot_influence",
    "plot_prior_predictive",
    "plot_sensitivity",
    "plot_translation",
]
