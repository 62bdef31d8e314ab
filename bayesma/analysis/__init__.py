"""Model files: one TOML names the data, how to prepare them, and the spec."""

from bayesma.analysis.files import load_analysis, load_spec, model_table, models
from bayesma.analysis.noun import Analysis

__all__ = ["Analysis", "load_analysis", "load_spec", "model_table", "models"]
