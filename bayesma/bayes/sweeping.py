"""sweep_rho(): the same model at one correlation after another."""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesma.analysis import Analysis, load_analysis
from bayesma.bayes.engine import fit_design
from bayesma.bayes.model import data_of
from bayesma.bayes.sampler import Compiled, Settings, compiled
from bayesma.design import Design, design
from bayesma.effects import Effects, with_rho
from bayesma.errors import SpecError
from bayesma.noncentral.rows import latent_df
from bayesma.posterior import Fit
from bayesma.spec import ModelSpec

__all__ = ["RhoSweep", "sweep_rho"]


@dataclass(frozen=True)
class RhoSweep:
    """One model fitted at several correlations of measurements of one animal.

    Attributes
    ----------
    rhos : tuple of float
    fits : tuple of Fit
        One for each.
    """

    rhos: tuple[float, ...]
    fits: tuple[Fit, ...]

    def __repr__(self) -> str:
        """Say what was fitted and whether all of it can be trusted."""
        state = "all converged" if all(fit.converged for fit in self.fits) else "NOT all converged"
        return f"<RhoSweep rho = {', '.join(f'{rho:g}' for rho in self.rhos)}; {state}>"

    @property
    def table(self) -> pd.DataFrame:
        """The summary of every parameter: index rho, parameter; columns as `Fit.summary`."""
        parts = {rho: fit.summary() for rho, fit in zip(self.rhos, self.fits, strict=True)}
        return pd.concat(parts, names=["rho", "parameter"])


def sweep_rho(
    effects: Effects | Analysis | str | Path,
    spec: ModelSpec | None = None,
    rhos: Sequence[float] = (0.0, 0.25, 0.5, 0.75),
    *,
    seed: int | None = None,
    draws: int | None = None,
    tune: int | None = None,
    chains: int | None = None,
    target_accept: float | None = None,
    progress: bool = True,
    folder: str | Path | None = None,
) -> RhoSweep:
    """Fit a model at several values of rho, which no paper prints.

    Everything else stays: who shares animals with whom, the likelihood, and the seed, so that two
    fits differ by rho and little else. A model is compiled once for all values of rho that link
    the same rows.

    Parameters
    ----------
    effects : Effects, Analysis, str or Path
        As `fit` takes them; their own rho is not used.
    spec : ModelSpec, optional
        As `fit` takes it, without a prior of rho.
    rhos : sequence of float
        Each in [0, 1).
    seed, draws, tune, chains, target_accept, progress, folder
        As `fit` takes them.

    Returns
    -------
    RhoSweep

    Raises
    ------
    SpecError
        If a rho is no correlation, nothing correlates by it, or the spec does not fit the rows.
    """
    if isinstance(effects, str | Path):
        effects = load_analysis(effects)
    usual: dict[str, Any] = {}
    if isinstance(effects, Analysis):
        spec, usual = spec or effects.spec, dict(effects.sampling)
        effects = effects.effects(folder)
    if spec is None:
        raise SpecError("sweep_rho() needs a spec: bm.sweep_rho(effects, bm.ModelSpec(...))")
    asked = {"draws": draws, "tune": tune, "chains": chains, "target_accept": target_accept}
    usual |= {name: value for name, value in asked.items() if value is not None}
    settings = Settings(
        seed=secrets.randbits(31) if seed is None else seed, progress=progress, **usual
    )
    plans = _plans(effects, spec, rhos)
    engines: dict[Hashable, Compiled] = {}
    fits = []
    for plan in plans:
        key = _structure(plan)
        if key not in engines:
            engines[key] = compiled(plan)
        engine = replace(engines[key].with_data(**data_of(plan)), design=plan)
        fits.append(fit_design(plan, settings, engine))
    return RhoSweep(tuple(float(rho) for rho in rhos), tuple(fits))


def _plans(effects: Effects, spec: ModelSpec, rhos: Sequence[float]) -> list[Design]:
    """Return a design for each rho; all are refused before any is fitted."""
    if "rho" in spec.priors:
        raise SpecError("sweep_rho: the spec has a prior of rho; drop it, or fit once with it")
    if np.ndim(rhos) != 1:
        raise SpecError(f"rhos = {rhos!r}: a sequence is needed, such as (0, 0.25, 0.5)")
    if len(rhos) < 1 or len(set(rhos)) < len(rhos):
        raise SpecError(f"rhos = {tuple(rhos)}: one value or more, each once")
    if effects.covariance.blocks and not (effects.sharing.rho or effects.sharing.labelled):
        raise SpecError(
            "sweep_rho: the sampling covariance was given, not made of who shares animals with "
            "whom; make effects with within=, shared_control= or same_animals="
        )
    told = effects.sharing

    def at(rho: float) -> Design:
        own = with_rho(effects, rho, told.within, told.shared_control, told.same_animals)
        return design(spec, own)

    found = [at(rho) for rho in rhos]
    most = found[int(np.argmax(rhos))].covariance.dense()
    if max(rhos) > 0 and np.array_equal(most, at(0.0).covariance.dense()):
        raise SpecError(
            "sweep_rho: no two rows are of the same animals, so rho changes nothing; name them "
            "by same_animals= or within= of effect_sizes"
        )
    return found


def _structure(plan: Design) -> Hashable:
    """Return what a compiled model cannot change: which rows are linked, and its latent variables.

    Outcomes, rho and the covariance itself are shared data.
    """
    white = plan.covariance.whitening()
    latents = {} if plan.exact is None else latent_df(plan.exact)
    return (
        white.diagonal,
        white.rows.tobytes(),
        white.cols.tobytes(),
        tuple((name, df.tobytes()) for name, df in latents.items()),
    )
