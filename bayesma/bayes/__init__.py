"""Spec to PyMC model to Fit. The only room that imports PyMC or nutpie."""

from bayesma.bayes.engine import fit
from bayesma.bayes.model import build
from bayesma.bayes.sweeping import RhoSweep, sweep_rho

__all__ = ["RhoSweep", "build", "fit", "sweep_rho"]
