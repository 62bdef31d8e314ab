"""Spec to PyMC model to Fit. The only room that imports PyMC or nutpie."""

from bayesma.bayes.engine import fit
from bayesma.bayes.model import build

__all__ = ["build", "fit"]
