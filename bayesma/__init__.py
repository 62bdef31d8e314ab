"""Bayesian meta-analysis of drug effects that fade.

``import bayesma as bm`` is light: a name is imported from its room when it is first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayesma import priors
    from bayesma.analysis import Analysis, Published, load_analysis, load_spec
    from bayesma.bayes import RhoSweep, build, fit, sweep_rho
    from bayesma.catalogue import datasets, load_dataset
    from bayesma.checks import (
        Calibration,
        CrossCheck,
        ModelComparison,
        calibrate,
        compare_models,
        cross_check,
        leave_one_row_out,
        leave_one_study_out,
        load_calibration,
        prior_sensitivity,
        recompute_contrast,
        recompute_results,
    )
    from bayesma.covariance import compound_symmetry
    from bayesma.effects import Effects, effect_sizes
    from bayesma.errorbars import suspect_sem
    from bayesma.errors import (
        BayesmaError,
        ConvergenceWarning,
        DataError,
        ExtrapolationWarning,
        QueryError,
        RatioWarning,
        SpecError,
        SpreadWarning,
        SuspectDataWarning,
        TableError,
        UnseenLevelError,
    )
    from bayesma.frequentist import (
        Asymmetry,
        ClassicalFit,
        Filled,
        MetaRegression,
        Multilevel,
        PetPeese,
        Pooled,
        Robust,
        SelectionModel,
        Subgroups,
        between_groups,
        classical_fit,
        cumulative,
        egger,
        influence,
        leave_one_out,
        meta_regression,
        multilevel,
        pet_peese,
        pool,
        rho_sensitivity,
        robust,
        selection_model,
        sigma2_ci,
        subgroups,
        trim_and_fill,
    )
    from bayesma.plots import (
        plot_calibration,
        plot_crosscheck,
        plot_decay,
        plot_forest,
        plot_prior_predictive,
    )
    from bayesma.posterior import Fit, load_fit
    from bayesma.priors import heterogeneity_priors
    from bayesma.queries import (
        auc,
        compare_regimens,
        contrast,
        days,
        decay_curve,
        grid,
        half_life,
        hours,
        prior_predictive,
        small_study_effect,
        study_effects,
        study_points,
        study_weights,
        summary,
        time_to_loss,
        unknown_delays,
    )
    from bayesma.readers import read_syrf, read_table
    from bayesma.spec import ModelSpec
    from bayesma.table import StudyTable

    __version__: str

__all__ = [
    # data
    "StudyTable",
    "read_syrf",
    "read_table",
    "suspect_sem",
    "datasets",
    "load_dataset",
    # effects
    "Effects",
    "effect_sizes",
    "compound_symmetry",
    # models
    "ModelSpec",
    "Analysis",
    "Published",
    "load_analysis",
    "load_spec",
    "priors",
    "heterogeneity_priors",
    # fits
    "Fit",
    "build",
    "fit",
    "load_fit",
    "RhoSweep",
    "sweep_rho",
    # the classical engine
    "Asymmetry",
    "ClassicalFit",
    "Filled",
    "MetaRegression",
    "Multilevel",
    "PetPeese",
    "Pooled",
    "Robust",
    "SelectionModel",
    "Subgroups",
    "between_groups",
    "classical_fit",
    "cumulative",
    "egger",
    "influence",
    "leave_one_out",
    "meta_regression",
    "multilevel",
    "pet_peese",
    "pool",
    "rho_sensitivity",
    "robust",
    "selection_model",
    "sigma2_ci",
    "subgroups",
    "trim_and_fill",
    # the cross-check
    "CrossCheck",
    "cross_check",
    "prior_sensitivity",
    "recompute_contrast",
    "recompute_results",
    # calibration
    "Calibration",
    "calibrate",
    "load_calibration",
    # model choice
    "ModelComparison",
    "compare_models",
    "leave_one_row_out",
    "leave_one_study_out",
    # questions
    "auc",
    "compare_regimens",
    "contrast",
    "days",
    "decay_curve",
    "grid",
    "half_life",
    "hours",
    "prior_predictive",
    "small_study_effect",
    "study_effects",
    "study_points",
    "study_weights",
    "summary",
    "time_to_loss",
    "unknown_delays",
    "plot_calibration",
    "plot_crosscheck",
    "plot_decay",
    "plot_forest",
    "plot_prior_predictive",
    # what can go wrong
    "BayesmaError",
    "ConvergenceWarning",
    "DataError",
    "ExtrapolationWarning",
    "QueryError",
    "RatioWarning",
    "SpecError",
    "SpreadWarning",
    "SuspectDataWarning",
    "TableError",
    "UnseenLevelError",
    "__version__",
]

if not TYPE_CHECKING:
    _NAMES_BY_ROOM = {
        "analysis": ("Analysis", "Published", "load_analysis", "load_spec"),
        "bayes": ("RhoSweep", "build", "fit", "sweep_rho"),
        "catalogue": ("datasets", "load_dataset"),
        "checks": (
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
        ),
        "covariance": ("compound_symmetry",),
        "effects": ("Effects", "effect_sizes"),
        "errorbars": ("suspect_sem",),
        "errors": (
            "BayesmaError",
            "ConvergenceWarning",
            "DataError",
            "ExtrapolationWarning",
            "QueryError",
            "RatioWarning",
            "SpecError",
            "SpreadWarning",
            "SuspectDataWarning",
            "TableError",
            "UnseenLevelError",
        ),
        "frequentist": (
            "Asymmetry",
            "ClassicalFit",
            "Filled",
            "MetaRegression",
            "Multilevel",
            "PetPeese",
            "Pooled",
            "Robust",
            "SelectionModel",
            "Subgroups",
            "between_groups",
            "classical_fit",
            "cumulative",
            "egger",
            "influence",
            "leave_one_out",
            "meta_regression",
            "multilevel",
            "pet_peese",
            "pool",
            "rho_sensitivity",
            "robust",
            "selection_model",
            "sigma2_ci",
            "subgroups",
            "trim_and_fill",
        ),
        "plots": (
            "plot_calibration",
            "plot_crosscheck",
            "plot_decay",
            "plot_forest",
            "plot_prior_predictive",
        ),
        "posterior": ("Fit", "load_fit"),
        "priors": ("heterogeneity_priors",),
        "queries": (
            "auc",
            "compare_regimens",
            "contrast",
            "days",
            "decay_curve",
            "grid",
            "half_life",
            "hours",
            "prior_predictive",
            "small_study_effect",
            "study_effects",
            "study_points",
            "study_weights",
            "summary",
            "time_to_loss",
            "unknown_delays",
        ),
        "readers": ("read_syrf", "read_table"),
        "spec": ("ModelSpec",),
        "table": ("StudyTable",),
    }
    _ROOMS = {name: room for room, names in _NAMES_BY_ROOM.items() for name in names}

    def __getattr__(name):
        """Import a public name from its room (PEP 562)."""
        from importlib import import_module, metadata

        if name == "__version__":
            return metadata.version("bayesma")
        if name == "priors":
            return import_module("bayesma.priors")
        if name not in _ROOMS:
            raise AttributeError(f"module 'bayesma' has no attribute '{name}'")
        return getattr(import_module(f"bayesma.{_ROOMS[name]}"), name)

    def __dir__():
        """Return the public names."""
        return sorted(__all__)
