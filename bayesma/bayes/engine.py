"""fit(): spec and effects to a Fit."""

from __future__ import annotations

import hashlib
import json
import secrets
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesma.analysis import Analysis, load_analysis
from bayesma.bayes.sampler import Compiled, Settings, sample
from bayesma.design import Design, design, uneven_of
from bayesma.effects import Effects
from bayesma.errors import ConvergenceWarning, SpecError, SpreadWarning
from bayesma.mean import VARIABLES
from bayesma.posterior import Fit, table_data
from bayesma.predictive import group_log_likelihoods, log_likelihoods, prior_draws, replicates
from bayesma.spec import ModelSpec

__all__ = ["fit", "fit_design"]

Floats = NDArray[np.float64]
PRIOR_DRAWS = 1000
# An exact likelihood of a draw is an integral by study: of 4,000 draws every fourth is enough to
# leave a study out by.
LIKELIHOOD_DRAWS = 1000
PACKAGES = ("bayesma", "pymc", "pytensor", "nutpie", "arviz-stats", "numpy", "scipy", "xarray")


def fit(
    effects: Effects | Analysis | str | Path,
    spec: ModelSpec | None = None,
    *,
    seed: int | None = None,
    draws: int | None = None,
    tune: int | None = None,
    chains: int | None = None,
    sampler: str = "nutpie",
    target_accept: float | None = None,
    progress: bool = True,
    folder: str | Path | None = None,
) -> Fit:
    """Sample the posterior of a model.

    Parameters
    ----------
    effects : Effects, Analysis, str or Path
        Effects with a spec; or a model file (or a shipped model's name), which holds both.
    spec : ModelSpec, optional
        What to fit; it overrides the model file's.
    seed : int, optional
        The same seed gives the same draws. Without one, one is drawn and recorded.
    draws, tune, chains : int, optional
        Kept draws and warm-up per chain, and chains: 1000, 1000 and 4, or as the model file
        says. Every chain starts elsewhere.
    sampler : {"nutpie", "pymc"}
        NUTS implementation.
    target_accept : float, optional
        0.99 below 100 rows, else 0.9.
    progress : bool
        Whether to show a progress bar.
    folder : str or Path, optional
        Where prepared datasets of one's own are, for a model file; else BAYESMA_DATA.

    Returns
    -------
    Fit

    Raises
    ------
    SpecError
        If the spec does not fit the rows.

    Warns
    -----
    ConvergenceWarning
        If the chains have not converged; `Fit.problems` says how.
    SpreadWarning
        If unbalanced arms of unequal SDs shift pooled SMDs by 2% or more.
    """
    if isinstance(effects, str | Path):
        effects = load_analysis(effects)
    usual: dict[str, Any] = {}
    source: Analysis | None = None
    if isinstance(effects, Analysis):
        # What was printed for the file's model says nothing of another.
        source = effects if spec in (None, effects.spec) else None
        spec, usual = spec or effects.spec, dict(effects.sampling)
        effects = effects.effects(folder)
    if spec is None:
        raise SpecError("fit() needs a spec: bm.fit(effects, bm.ModelSpec(...), seed=1)")
    asked = {"draws": draws, "tune": tune, "chains": chains, "target_accept": target_accept}
    usual |= {name: value for name, value in asked.items() if value is not None}
    settings = Settings(
        seed=secrets.randbits(31) if seed is None else seed,
        sampler=sampler,
        progress=progress,
        **usual,
    )
    plan = design(spec, effects)
    uneven = uneven_of(plan.effects)  # of the rows used, as `Fit.problems` has it
    if uneven is not None and uneven.matters:
        warnings.warn(uneven.sentence, SpreadWarning, stacklevel=2)
    return fit_design(plan, settings, source=source)


def fit_design(
    plan: Design,
    settings: Settings,
    engine: Compiled | None = None,
    source: Analysis | None = None,
) -> Fit:
    """Return the fit of a design, on an engine already compiled where there is one."""
    draws = sample(engine or plan, settings)
    found = Fit(_tree(plan, draws, settings, source), plan)
    if not found.converged:
        warnings.warn("; ".join(found.problems), ConvergenceWarning, stacklevel=3)
    return found


def _tree(
    plan: Design,
    draws: xr.DataTree,
    settings: Settings,
    source: Analysis | None = None,
) -> xr.DataTree:
    """Return the ArviZ groups of a marginal model."""
    rng = np.random.default_rng(settings.seed)
    posterior = draws["posterior"].dataset
    values = {str(name): array.values for name, array in posterior.data_vars.items()}
    prior = prior_draws(plan, PRIOR_DRAWS, rng)
    constant, record = table_data(plan)
    groups = {
        "posterior": _labelled(posterior, plan),
        "sample_stats": draws["sample_stats"].dataset,
        "log_likelihood": _log_likelihood(plan, values, _step(plan, posterior)),
        "posterior_predictive": _dataset(plan, {"y": (replicates(plan, values, rng), "row")}),
        "prior": _prior(plan, prior),
        "prior_predictive": _dataset(plan, {"y": (replicates(plan, prior, rng)[None], "row")}),
        "observed_data": xr.Dataset(
            {"y": ("row", plan.y)}, {"row": plan.effects.frame["row_id"].to_numpy(str)}
        ),
        "constant_data": constant,
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {
        "spec": json.dumps(plan.spec.to_dict()),
        "effects": json.dumps(record),
        "provenance": json.dumps(_provenance(plan, settings, source)),
        "published": json.dumps(
            [result.to_dict() for result in source.published] if source else []
        ),
    }
    return tree


def _log_likelihood(plan: Design, values: Mapping[str, Floats], step: int) -> xr.Dataset:
    """Return the marginal log likelihood of one draw in `step`, by outermost group and by row.

    Where animals are measured again a row costs ten times what a group does: `leave_one_row_out`
    computes it when it is asked for.
    """
    few, unit = {name: array[:, ::step] for name, array in values.items()}, plan.unit
    if plan.exact is not None and len(plan.exact.visits.df):
        return _dataset(plan, {f"by_{unit}": (group_log_likelihoods(plan, few), unit)}, step)
    by_group, by_row = log_likelihoods(plan, few)
    return _dataset(plan, {f"by_{unit}": (by_group, unit), "by_row": (by_row, "row")}, step)


def _step(plan: Design, posterior: xr.Dataset) -> int:
    """Return how many draws pass for one whose likelihood is kept."""
    if plan.exact is None:
        return 1
    draws = posterior.sizes["draw"]
    return max(1, draws * posterior.sizes["chain"] // LIKELIHOOD_DRAWS)


def _dataset(
    plan: Design, variables: Mapping[str, tuple[Floats, str]], step: int = 1
) -> xr.Dataset:
    labels = {
        "row": plan.effects.frame["row_id"].to_numpy(dtype=str),
        plan.unit: np.array(plan.groups.labels[0], dtype=str),
    }
    arrays = {
        name: xr.DataArray(values, dims=("chain", "draw", dim), coords={dim: labels[dim]})
        for name, (values, dim) in variables.items()
    }
    dataset = xr.Dataset(arrays)
    return dataset.assign_coords(
        chain=np.arange(dataset.sizes["chain"]), draw=step * np.arange(dataset.sizes["draw"])
    )


def _prior(plan: Design, prior: Mapping[str, Floats]) -> xr.Dataset:
    labels = {
        VARIABLES[name]: (f"{VARIABLES[name]}_term", predictor.terms)
        for name, predictor in plan.predictors.items()
    } | plan.vectors
    arrays = {}
    for name, values in prior.items():
        dim, texts = labels.get(name, ("", ()))
        coords = {dim: np.array(texts, dtype=str)} if dim else {}
        arrays[name] = xr.DataArray(values[None], dims=("chain", "draw", *coords), coords=coords)
    size = len(next(iter(prior.values())))
    return xr.Dataset(arrays).assign_coords(chain=[0], draw=np.arange(size))


def _labelled(posterior: xr.Dataset, plan: Design) -> xr.Dataset:
    """Return the posterior with its units said."""
    measure = plan.effects.measure
    about = {
        "level": f"{measure} at the reference delay of each decay cell",
        "log2_half_life": "log2 of days",
        "logit_persistent": "logit of the share of the peak that does not fade",
        "log_shape": "log of the Weibull shape",
        "log_tau_ratio": "log of tau relative to its average",
        "nu": "degrees of freedom of the Student-t study effects",
        "latent_delay": "days",
        "rho": f"correlation of sampling errors within {plan.effects.sharing.within}",
        "small_study": f"{measure} per standard deviation of 1/sqrt(n)",
    } | {name: _tau_text(plan, name) for name in plan.tau_names}
    about |= dict.fromkeys(
        ("q_own", "q_cohort", "q_visit"), "sample variance over that of the animals"
    )
    about |= dict.fromkeys(
        plan.kappa_names, "standard deviation of group effects over the mean effect, far from 0"
    )
    for name, text in about.items():
        if name in posterior:
            posterior[name].attrs["units"] = text
    return posterior


def _tau_text(plan: Design, name: str) -> str:
    where = " where the mean effect is 0" if plan.kappa_names else ""
    student = plan.spec.population == "student" and name == plan.tau_names[0]
    what = "scale" if student else "standard deviation"
    return f"{what} of group effects{where}, {plan.effects.measure}"


def _provenance(plan: Design, settings: Settings, source: Analysis | None) -> dict[str, Any]:
    members, blocks = plan.effects.members, plan.effects.covariance.blocks
    parts = [plan.effects.frame.to_csv(index=False), "" if members is None else members.to_csv()]
    parts += [f"{index.tolist()}{matrix.tolist()}" for index, matrix in blocks]
    return {
        "model": {"name": source.name, "title": source.title} if source else None,
        "seed": settings.seed,
        "draws": settings.draws,
        "tune": settings.tune,
        "chains": settings.chains,
        "sampler": settings.sampler,
        "target_accept": settings.acceptance(len(plan.effects)),
        "data_sha256": hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        "versions": {name: version(name) for name in PACKAGES},
    }
