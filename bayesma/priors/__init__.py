"""Priors as frozen records. They know no sampler: the engine translates them.

Each record draws from itself and states its log density, both through SciPy, so that prior
predictive draws and sensitivity analyses need no PyMC. Some have a name and a source: priors of
heterogeneity from the literature.
"""

from bayesma.priors.families import (
    REGISTRY,
    Beta,
    Gamma,
    HalfCauchy,
    HalfNormal,
    LogNormal,
    LogStudentT,
    Normal,
    Prior,
    StudentT,
    Uniform,
    beta,
    gamma,
    half_cauchy,
    half_normal,
    log_normal,
    log_student_t,
    normal,
    student_t,
    uniform,
)
from bayesma.priors.literature import Named, heterogeneity_priors, named
from bayesma.priors.reading import NAMED, from_dict

__all__ = [
    "NAMED",
    "REGISTRY",
    "Beta",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "LogNormal",
    "LogStudentT",
    "Named",
    "Normal",
    "Prior",
    "StudentT",
    "Uniform",
    "from_dict",
    "beta",
    "gamma",
    "half_cauchy",
    "half_normal",
    "heterogeneity_priors",
    "log_normal",
    "log_student_t",
    "named",
    "normal",
    "student_t",
    "uniform",
]
