"""Model files: one TOML names the data, how to prepare them, and the spec."""

from bayesma.analysis.files import load_analysis, load_spec, model_table, models
from bayesma.analysis.noun import Analysis
from bayesma.analysis.published import Published, published_from

__all__ = [
    "Analysis",
    "Published",
    "load_analysis",
    "load_spec",
    "model_table",
    "models",
    "published_from",
]
