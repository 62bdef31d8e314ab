"""Pictures: query output -> matplotlib figures. The only room that imports a plotting library."""

from bayesma.plots.assurance import plot_assurance
from bayesma.plots.budget import plot_budget
from bayesma.plots.calibration import plot_calibration
from bayesma.plots.contrast import plot_contrast
from bayesma.plots.crosscheck import plot_crosscheck
from bayesma.plots.decay_curves import plot_decay
from bayesma.plots.energy import plot_energy
from bayesma.plots.evidence_map import plot_evidence_map
from bayesma.plots.expectations import plot_prior_predictive
from bayesma.plots.forest import plot_forest
from bayesma.plots.funnel import plot_funnel
from bayesma.plots.influence import plot_influence
from bayesma.plots.ranks import plot_ranks
from bayesma.plots.replicated_rows import plot_replicated_rows
from bayesma.plots.replicates import plot_replicates
from bayesma.plots.risk_of_bias import plot_risk_of_bias
from bayesma.plots.sensitivity import plot_sensitivity
from bayesma.plots.shrinkage import plot_shrinkage
from bayesma.plots.translation import plot_translation

__all__ = [
    "plot_assurance",
    "plot_budget",
    "plot_calibration",
    "plot_contrast",
    "plot_crosscheck",
    "plot_decay",
    "plot_energy",
    "plot_evidence_map",
    "plot_forest",
    "plot_funnel",
    "plot_influence",
    "plot_prior_predictive",
    "plot_ranks",
    "plot_replicated_rows",
    "plot_replicates",
    "plot_risk_of_bias",
    "plot_sensitivity",
    "plot_shrinkage",
    "plot_translation",
]
