"""What does each likelihood make of small groups and large effects? Bias and coverage, simulated.

Run ``python evidence/small_samples.py [--replicates 4000] [--seed 1]``. It takes about ten minutes
and writes small_samples.md beside itself.

Data are the arms of 5 to 9 normal animals (`bayesma.simulation`). The model is y ~ one mean + (1 |
study) under the default priors. With one effect a study, no sampler is needed: the posterior is an
integral over the mean and tau, on a grid; the exact likelihood of a row is a noncentral t.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tables import section

import bayesma as bm
from bayesma.effects import Effects
from bayesma.measures import Arms, arms_of, measure_of
from bayesma.noncentral.densities import log_noncentral_t
from bayesma.noncentral.rows import standardised
from bayesma.simulation import Truth, layout, simulate_table

HERE = Path(__file__).parent
Floats = NDArray[np.float64]

PRIORS = bm.ModelSpec(peak="1 + (1 | study)", decay="none").resolved("SMD").priors
LEVEL, TAU = PRIORS["peak"], PRIORS["tau"]
PROB = 0.95
# Mean, tau and number of studies: repeated dosing, a single dose, no effect (van Velzen 2021).
CELLS = {
    "5.1, 1.9, k 9": (5.1, 1.9, 9),
    "1.6, 1.1, k 19": (1.6, 1.1, 19),
    "0, 0.5, k 7": (0.0, 0.5, 7),
}
# Nodes of tau (Gauss-Legendre in u, tau = c u / (1 - u)) and points of the mean, on a grid of
# STANDARD errors either side. Twice as many of either move no figure of the page.
NODES, POINTS, STANDARD = 48, 321, 12.0
CHUNK = 25


@dataclass(frozen=True)
class Rows:
    """Rows of many meta-analyses, each array of shape (replicates, k)."""

    d: Floats
    df: Floats
    inverse: Floats
    y: Floats
    v: Floats

    def take(self, some: slice) -> Rows:
        """Return some of the meta-analyses."""
        return Rows(*(getattr(self, name)[some] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Posterior:
    """Posterior and profile of each meta-analysis.

    Attributes
    ----------
    mean, ml : ndarray, shape (replicates,)
        Posterior mean of the population mean; its maximum likelihood estimate.
    ci, profile, tau_ci : ndarray, shape (replicates, 2)
        Equal-tailed interval; profile-likelihood interval; equal-tailed interval of tau.
    """

    mean: Floats
    ml: Floats
    ci: Floats
    profile: Floats
    tau_ci: Floats


def drawn(mean: Floats, tau: Floats, k: int, seed: int) -> Effects:
    """Return the effects of many meta-analyses, k studies each, as one table.

    Means and taus may differ by meta-analysis; study effects are drawn here.
    """
    rng = np.random.default_rng(seed)
    theta = np.repeat(mean, k) + np.repeat(tau, k) * rng.standard_normal(len(mean) * k)
    rows = layout(len(theta), 1, {"all": (0.0,)})
    table = simulate_table(Truth({"all": 0.0}, decay="none", tau=0.0), rows, seed=seed + 1)
    # A treated mean lifted by theta standard deviations (2 in the simulated outcome).
    lifted = table.frame.assign(mean_treated=table.frame["mean_treated"] + 2.0 * theta)
    return bm.effect_sizes(lifted)


def rows_of(effects: Effects, k: int, variance: str) -> Rows:
    """Return rows by meta-analysis; AV averages within each, as its user would have it."""
    exact = standardised(effects)
    shape = (len(effects) // k, k)
    v = effects.v.reshape(shape)
    if variance != "LS":
        formula = measure_of("SMD")[0].variances[variance]
        arms = effects.frame[["n_treated", "n_control"]].to_numpy(dtype=float).reshape(*shape, 2)
        each = zip(arms, effects.y.reshape(shape), strict=True)
        v = np.array([formula(_sizes(n), y, True) for n, y in each])
    return Rows(
        exact.d.reshape(shape),
        exact.df.reshape(shape),
        exact.covariance.v.reshape(shape),
        effects.y.reshape(shape),
        v,
    )


def _sizes(n: Floats) -> Arms:
    return arms_of(0.0, 1.0, n[:, 0], 0.0, 1.0, n[:, 1])


def log_normal(rows: Rows, mean: Floats, tau: Floats) -> Floats:
    """Return the plug-in log likelihood, shape (replicates, nodes, points)."""
    out: Floats = np.zeros((len(mean), tau.shape[1], mean.shape[1]))
    for i in range(rows.y.shape[1]):
        total = rows.v[:, i, None, None] + tau[..., None] ** 2
        gap = rows.y[:, i, None, None] - mean[:, None, :]
        out -= 0.5 * (np.log(2 * np.pi * total) + gap**2 / total)
    return out


def log_exact(rows: Rows, mean: Floats, tau: Floats) -> Floats:
    """Return the exact log likelihood of d, shape (replicates, nodes, points)."""
    out: Floats = np.zeros((len(mean), tau.shape[1], mean.shape[1]))
    for i in range(rows.y.shape[1]):
        total = rows.inverse[:, i, None, None] + tau[..., None] ** 2
        d, df = rows.d[:, i, None, None], rows.df[:, i, None, None]
        out += log_noncentral_t(d, df, mean[:, None, :], total)
    return out


LogLikelihood = Callable[[Rows, Floats, Floats], Floats]


def posterior(rows: Rows, log_likelihood: LogLikelihood) -> Posterior:
    """Return the posterior of every meta-analysis, a few at a time."""
    parts = [
        _posterior(rows.take(slice(start, start + CHUNK)), log_likelihood)
        for start in range(0, len(rows.y), CHUNK)
    ]
    names = Posterior.__dataclass_fields__
    return Posterior(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def _posterior(rows: Rows, log_likelihood: LogLikelihood) -> Posterior:
    k = rows.y.shape[1]
    spread = np.sqrt((rows.y.var(axis=1, ddof=1) + rows.inverse.mean(axis=1)) / k)
    grid = np.linspace(-STANDARD, STANDARD, POINTS)
    mean = rows.y.mean(axis=1)[:, None] * 1.05 + spread[:, None] * grid
    u, weight = np.polynomial.legendre.leggauss(NODES)
    u = (u + 1) / 2
    c = np.sqrt(rows.inverse.mean(axis=1))[:, None]
    tau = c * u / (1 - u)
    logs = log_likelihood(rows, mean, tau)
    profile = logs.max(axis=1)
    jacobian = np.log(weight) - 2 * np.log(1 - u) + np.log(c)
    joint = logs + (TAU.log_density(tau) + jacobian)[..., None] + LEVEL.log_density(mean)[:, None]
    density = np.exp(joint - joint.max(axis=(1, 2), keepdims=True))
    of_mean, of_tau = density.sum(axis=1), density.sum(axis=2)
    of_mean /= of_mean.sum(axis=1, keepdims=True)
    ml, ends = _profiled(mean, profile)
    order = np.argsort(tau, axis=1)
    return Posterior(
        (of_mean * mean).sum(axis=1),
        ml,
        _interval(mean, of_mean),
        ends,
        _interval(np.take_along_axis(tau, order, 1), np.take_along_axis(of_tau, order, 1)),
    )


def _interval(at: Floats, mass: Floats) -> Floats:
    """Return the equal-tailed interval from masses at points, shape (replicates, 2)."""
    cumulated = np.cumsum(mass, axis=1)
    # A point's mass lies half to either side of it.
    cumulated = (cumulated - 0.5 * mass) / cumulated[:, -1:]
    tails = (0.5 - PROB / 2, 0.5 + PROB / 2)
    return np.array([np.interp(tails, own, x) for own, x in zip(cumulated, at, strict=True)])


def _profiled(mean: Floats, profile: Floats) -> tuple[Floats, Floats]:
    """Return the maximum of a profile and the interval where it falls by chi2_1(.95) / 2."""
    ml, ends = np.empty(len(mean)), np.empty((len(mean), 2))
    for i, (x, value) in enumerate(zip(mean, profile, strict=True)):
        top = int(np.argmax(value))
        ml[i] = x[top]
        left, right = value[: top + 1] - value[top], value[top:] - value[top]
        fall = -1.9207294103470605
        ends[i] = np.interp(fall, left, x[: top + 1]), np.interp(-fall, -right, x[top:])
    return ml, ends


METHODS: dict[str, tuple[str, LogLikelihood]] = {
    "normal, LS": ("LS", log_normal),
    "normal, UB": ("UB", log_normal),
    "normal, AV": ("AV", log_normal),
    "exact": ("LS", log_exact),
}


def score(found: Posterior, mean: Floats, tau: Floats) -> dict[str, float]:
    """Return bias, in percent where there is a mean, and coverage of every interval."""
    n = len(mean)

    def holds(ci: Floats, truth: Floats) -> float:
        return float(((ci[:, 0] <= truth) & (truth <= ci[:, 1])).mean())

    bias = float((found.mean - mean).mean())
    return {
        "bias": bias,
        "bias, %": 100 * bias / mean.mean() if mean.mean() > 1 else float("nan"),
        "its MC error": float((found.mean - mean).std() / np.sqrt(n)),
        "bias of ML": float((found.ml - mean).mean()),
        "coverage": holds(found.ci, mean),
        "width": float(np.diff(found.ci, axis=1).mean()),
        "coverage of ML profile": holds(found.profile, mean),
        "coverage of tau": holds(found.tau_ci, tau),
    }


def fixed(cell: tuple[float, float, int], replicates: int, seed: int) -> pd.DataFrame:
    """Return the scores of every method at one truth."""
    truth, tau, k = cell
    means, taus = np.full(replicates, truth), np.full(replicates, tau)
    return _scores(drawn(means, taus, k, seed), means, taus, k)


def averaged(replicates: int, seed: int, k: int = 9) -> pd.DataFrame:
    """Return the scores at truths drawn from the prior: coverage is nominal if all is right."""
    rng = np.random.default_rng(seed)
    means, taus = LEVEL.draw(rng, (replicates,)), TAU.draw(rng, (replicates,))
    found = _scores(drawn(means, taus, k, seed + 1), means, taus, k)
    return found[["coverage", "width", "coverage of tau"]]


def _scores(effects: Effects, means: Floats, taus: Floats, k: int) -> pd.DataFrame:
    found = {
        name: score(posterior(rows_of(effects, k, variance), log_likelihood), means, taus)
        for name, (variance, log_likelihood) in METHODS.items()
    }
    return pd.DataFrame(found).T.rename_axis("likelihood")


def main() -> None:
    """Write small_samples.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    error = np.sqrt(PROB * (1 - PROB) / asked.replicates)
    out = (
        "# Small groups, large effects: bias and coverage by likelihood\n\n"
        f"Made by `python evidence/small_samples.py --replicates {asked.replicates} --seed "
        f"{asked.seed}`. Simulated arms of 5 to 9 normal animals; one mean, normal study effects, "
        "default priors. *Bias* is that of the posterior mean, which the prior of the mean, "
        "N(0, 5), draws towards 0 by itself (at the first truth by 1 to 2%); *bias of ML* has no "
        "prior. Coverage is of 95% intervals, equal-tailed and profile likelihood; "
        f"its Monte Carlo error is {error:.3f} at .95.\n"
    )
    for i, (name, cell) in enumerate(CELLS.items()):
        found = fixed(cell, asked.replicates, asked.seed + 10 * i)
        out += section(f"True mean, tau and studies: {name}", found)
    out += section("Truths drawn from the prior, k 9", averaged(asked.replicates, asked.seed + 100))
    (HERE / "small_samples.md").write_text(out, encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
