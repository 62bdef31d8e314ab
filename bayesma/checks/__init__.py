"""Checks of a fit: against other studies, other engines, other data of its own, and print."""

from typing import TYPE_CHECKING

from bayesma.checks.calibration.noun import Calibration, load_calibration
from bayesma.checks.crosscheck.noun import CrossCheck, cross_check
from bayesma.checks.influences import study_influence
from bayesma.checks.powerscaling import prior_sensitivity
from bayesma.checks.reported import recompute_contrast, recompute_results

if TYPE_CHECKING:
    from bayesma.checks.calibration.runs import calibrate
    from bayesma.checks.comparison import ModelComparison, compare_models
    from bayesma.checks.loo import leave_one_row_out, leave_one_study_out

__all__ = [
    "Calibration",
    "CrossCheck",
    "ModelComparison",
    "calibrate",
    "compare_models",
    "cross_check",
    "leave_one_row_out",
    "leave_one_study_out",
    "load_calibration",
    "prior_sensitivity",
    "recompute_contrast",
    "recompute_results",
    "study_influence",
]

if not TYPE_CHECKING:
    _SAMPLING = {
        "ModelComparison": "comparison",
        "calibrate": "calibration.runs",
        "compare_models": "comparison",
        "leave_one_row_out": "loo",
        "leave_one_study_out": "loo",
    }

    def __getattr__(name):
        """Import what samples when it is first used: the other checks need no sampler."""
        if name not in _SAMPLING:
            raise AttributeError(f"module 'bayesma.checks' has no attribute '{name}'")
        from importlib import import_module

        return getattr(import_module(f"bayesma.checks.{_SAMPLING[name]}"), name)
