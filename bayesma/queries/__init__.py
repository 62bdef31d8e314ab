"""Questions to a fit: Fit + grid -> labelled draws. Imports no sampler."""

from bayesma.queries.areas import auc
from bayesma.queries.comparisons import compare_regimens
from bayesma.queries.contrasts import contrast
from bayesma.queries.curves import decay_curve
from bayesma.queries.evidence import evidence_map
from bayesma.queries.expectations import prior_predictive
from bayesma.queries.fading import half_life, time_to_loss
from bayesma.queries.funnels import funnel_points
from bayesma.queries.grids import days, grid, hours
from bayesma.queries.observations import study_points
from bayesma.queries.partialpooling import population_effects, shrinkage
from bayesma.queries.quality import quality_columns, quality_scores, risk_of_bias
from bayesma.queries.studies import small_study_effect, study_effects, study_weights, unknown_delays
from bayesma.queries.summaries import summary

__all__ = [
    "auc",
    "compare_regimens",
    "contrast",
    "days",
    "decay_curve",
    "evidence_map",
    "funnel_points",
    "grid",
    "half_life",
    "hours",
    "population_effects",
    "prior_predictive",
    "quality_columns",
    "quality_scores",
    "risk_of_bias",
    "shrinkage",
    "small_study_effect",
    "study_effects",
    "study_points",
    "study_weights",
    "summary",
    "time_to_loss",
    "unknown_delays",
]
