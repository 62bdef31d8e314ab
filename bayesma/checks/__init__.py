"""Checks of a fit beyond its own convergence."""

from typing import TYPE_CHECKING

from bayesma.checks.calibration.noun import Calibration, load_calibration
from bayesma.checks.crosscheck.noun import CrossCheck, cross_check
from bayesma.checks.reported import recompute_contrast, recompute_results

if TYPE_CHECKING:
    from bayesma.checks.calibration.runs import calibrate
    from bayesma.checks.loo import leave_one_study_out

__all__ = [
    "Calibration",
    "CrossCheck",
    "calibrate",
    "cross_check",
    "leave_one_study_out",
    "load_calibration",
    "recompute_contrast",
    "recompute_results",
]

if not TYPE_CHECKING:
    _SAMPLING = {
        "calibrate": "bayesma.checks.calibration.runs",
        "leave_one_study_out": "bayesma.checks.loo",
    }

    def __getattr__(name):
        """Import what samples when it is first used: the other checks need no sampler."""
        from importlib import import_module

        if name not in _SAMPLING:
            raise AttributeError(f"module 'bayesma.checks' has no attribute '{name}'")
        return getattr(import_module(_SAMPLING[name]), name)
