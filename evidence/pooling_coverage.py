"""How often do intervals hold the truth? Coverage of classical and Bayesian pooling, simulated.

Run ``python evidence/pooling_coverage.py [--replicates 2000] [--seed 1]``. It takes about ten
minutes and writes pooling_coverage.md beside itself. tests/test_frequentist_coverage.py holds a
small grid of it to thresholds.

Data come from `bayesma.simulation`, tau2 and classical intervals from `bm.pool`. The posterior is
the shipped model's, default priors included, but no sampler draws it: with one effect a study the
mean is normal given tau, and what is left is one integral over tau.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

import bayesma as bm
from bayesma.priors import HalfNormal, Normal, Prior
from bayesma.simulation import Truth, layout, simulate_table

HERE = Path(__file__).parent
Floats = NDArray[np.float64]

# 1.5 standard deviations: what animal studies of a drug that works report.
MEAN = 1.5
STUDIES, TAU2 = (4, 8, 19), (0.0, 0.3, 1.2)
DATA = {
    "effects": "normal y, v known",
    "arms": "Hedges g of 5 to 9 animals per arm, v computed from g",
}
# The shipped model's, for the measure that is simulated.
PRIORS = bm.ModelSpec(peak="1 + (1 | study)", decay="none").resolved("SMD").priors
PROB = 0.95


@dataclass(frozen=True)
class Cell:
    """One way data come about."""

    data: str
    k: int
    tau2: float

    def draw(self, replicates: int, seed: int) -> tuple[Floats, Floats]:
        """Return y and v, each of shape (replicates, k).

        Studies are independent, so that one simulated table is cut into as many meta-analyses.
        """
        truth = Truth(peak={"all": MEAN}, decay="none", tau=float(np.sqrt(self.tau2)))
        rows = layout(replicates * self.k, 1, {"all": (0.0,)})
        effects = bm.effect_sizes(simulate_table(truth, rows, seed=seed, outcomes=self.data))
        shape = (replicates, self.k)
        return effects.y.reshape(shape), effects.v.reshape(shape)


@dataclass(frozen=True)
class Answers:
    """What a method says of each replicate; arrays of shape (replicates,) or (replicates, 2)."""

    estimate: Floats
    ci: Floats
    prediction: Floats
    tau2_ci: Floats | None = None


# ---- methods -------------------------------------------------------------------------------------


def classical(method: str, ci: str) -> Callable[[Floats, Floats], Answers]:
    """Return what bm.pool says, one replicate after another."""

    def answer(y: Floats, v: Floats) -> Answers:
        found = [
            bm.pool(*row, method=method, ci=ci, ci_prob=PROB) for row in zip(y, v, strict=True)
        ]
        return Answers(
            np.array([f.estimate for f in found]),
            np.array([f.ci for f in found]),
            np.array([f.prediction for f in found]),
            np.array([f.tau2_ci for f in found]),
        )

    return answer


@dataclass(frozen=True)
class Posterior:
    """The posterior of the normal-normal model, as a mixture over nodes of tau.

    Attributes
    ----------
    tau : ndarray, shape (nodes,)
    weight : ndarray, shape (replicates, nodes)
        Posterior probability of each node.
    mean, var : ndarray, shape (replicates, nodes)
        Of mu given tau and y.
    """

    tau: Floats
    weight: Floats
    mean: Floats
    var: Floats

    def moments(self) -> tuple[Floats, Floats]:
        """Return the mean and the standard deviation of mu, each of shape (replicates,)."""
        centre = (self.weight * self.mean).sum(axis=1)
        spread = self.var + (self.mean - centre[:, None]) ** 2
        return centre, np.sqrt((self.weight * spread).sum(axis=1))

    def quantile(self, prob: float, new_study: bool = False) -> Floats:
        """Return a quantile of mu, or of the true effect of a new study; shape (replicates,)."""
        sd = np.sqrt(self.var + (self.tau**2 if new_study else 0.0))
        # Between the quantiles of its parts lies that of a mixture.
        parts = self.mean + ndtri(prob) * sd
        low, high = parts.min(axis=1), parts.max(axis=1)
        # Halved until the bracket is below rounding: 60 times, whatever its width.
        for _ in range(60):
            middle = (low + high) / 2
            below = (self.weight * ndtr((middle[:, None] - self.mean) / sd)).sum(axis=1) < prob
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2

    def interval(self, new_study: bool = False) -> Floats:
        """Return the equal-tailed interval, shape (replicates, 2)."""
        tails = (0.5 - PROB / 2, 0.5 + PROB / 2)
        return np.stack([self.quantile(tail, new_study) for tail in tails], axis=1)


def log_marginal(
    y: Floats, v: Floats, tau: Floats, level: Normal | None
) -> tuple[Floats, Floats, Floats]:
    """Return log p(y | tau) and the mean and variance of mu given tau; shape (replicates, nodes).

    mu ~ N(m, s^2) is integrated out (Gelman et al. 2013, Bayesian Data Analysis, eq. 5.18-5.21,
    with a proper prior of mu): it is one more study, with weight 1/s^2. Without `level` it is
    flat, with density 1.
    """
    total = v[:, None, :] + tau[:, None] ** 2
    w = 1 / total
    prior_w = 0.0 if level is None else 1 / level.sigma**2
    centre = 0.0 if level is None else level.mu
    var = 1 / (w.sum(axis=-1) + prior_w)
    mean = var * ((w * y[:, None, :]).sum(axis=-1) + prior_w * centre)
    around = (w * (y[:, None, :] - mean[..., None]) ** 2).sum(axis=-1)
    logs = -0.5 * (np.log(2 * np.pi * total).sum(axis=-1) + around) + 0.5 * np.log(2 * np.pi * var)
    if level is not None:
        logs = logs + level.log_density(mean)
    return logs, mean, var


def posterior(y: Floats, v: Floats, level: Normal | None, tau: Prior, nodes: int = 80) -> Posterior:
    """Return the posterior by Gauss-Legendre quadrature over u, tau = c u / (1 - u).

    c is the median size of what there is to see. The integrand is smooth in u and 0 at the far
    end, so that the rule converges faster than any power: 80 nodes and 500 agree to 1e-13.
    """
    u, weight = np.polynomial.legendre.leggauss(nodes)
    u = (u + 1) / 2
    c = float(np.sqrt(np.median(v)))
    at = c * u / (1 - u)
    logs, mean, var = log_marginal(y, v, at, level)
    logs = logs + tau.log_density(at) + np.log(weight) - 2 * np.log(1 - u)
    p = np.exp(logs - logs.max(axis=1, keepdims=True))
    return Posterior(at, p / p.sum(axis=1, keepdims=True), mean, var)


def bayesian(y: Floats, v: Floats) -> Answers:
    """Return what the model says under the default priors of the spec."""
    level, tau = PRIORS["peak"], PRIORS["tau"]
    assert isinstance(level, Normal)
    assert isinstance(tau, HalfNormal)
    found = posterior(y, v, level, tau)
    return Answers(found.moments()[0], found.interval(), found.interval(new_study=True))


METHODS: dict[str, Callable[[Floats, Floats], Answers]] = {
    "DL, z": classical("DL", "z"),
    "REML, z": classical("REML", "z"),
    "REML, Knapp-Hartung": classical("REML", "knapp-hartung"),
    "REML, Knapp-Hartung ad hoc": classical("REML", "knapp-hartung-adhoc"),
    "Bayesian": bayesian,
}


# ---- scores --------------------------------------------------------------------------------------


def holds(ci: Floats, truth: float) -> Floats:
    """Return 1 where an interval holds the truth, else 0."""
    return ((ci[:, 0] <= truth) & (truth <= ci[:, 1])).astype(float)


def new_study_held(interval: Floats, tau2: float) -> Floats:
    """Return the probability that the true effect of a new study, N(MEAN, tau2), is inside."""
    if tau2 == 0:
        return holds(interval, MEAN)
    low, high = (ndtr((interval[:, i] - MEAN) / np.sqrt(tau2)) for i in (0, 1))
    return np.asarray(high - low)


def with_error(values: Floats) -> tuple[float, float]:
    """Return a mean and its Monte Carlo standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def scored(cell: Cell, answers: Answers) -> dict[str, float]:
    """Return coverage, width and bias of one method in one cell, with Monte Carlo errors."""
    found: dict[str, float] = {}
    for name, values in {
        "coverage": holds(answers.ci, MEAN),
        "width": answers.ci[:, 1] - answers.ci[:, 0],
        "bias": answers.estimate - MEAN,
        "new_study": new_study_held(answers.prediction, cell.tau2),
    }.items():
        found[name], found[f"{name}_error"] = with_error(values)
    if answers.tau2_ci is not None:
        found["tau2"], found["tau2_error"] = with_error(holds(answers.tau2_ci, cell.tau2))
    return found


def seed_of(cell: Cell, seed: int) -> int:
    """Return a seed of the cell's own, whichever cells are run beside it."""
    entropy = [seed, cell.k, round(1000 * cell.tau2), list(DATA).index(cell.data)]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def run(cell: Cell, replicates: int, seed: int, methods: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return a row of scores per method, all on the same replicates."""
    y, v = cell.draw(replicates, seed_of(cell, seed))
    rows = {name: scored(cell, METHODS[name](y, v)) for name in methods or METHODS}
    return pd.DataFrame.from_dict(rows, orient="index")


# ---- the page ------------------------------------------------------------------------------------


def cells() -> list[Cell]:
    """Return the grid."""
    return [Cell(*way) for way in product(DATA, STUDIES, TAU2)]


def wide(scores: dict[Cell, pd.DataFrame], data: str, column: str, digits: int) -> pd.DataFrame:
    """Return a table of one score: a row per k and tau2, a column per method."""
    rows = []
    for cell, table in scores.items():
        if cell.data == data:
            numbers = {name: f"{table.loc[name, column]:.{digits}f}" for name in table.index}
            rows.append({"k": str(cell.k), "tau2": f"{cell.tau2:g}", **numbers})
    return pd.DataFrame(rows)


def largest_error(scores: dict[Cell, pd.DataFrame], column: str) -> float:
    """Return the largest Monte Carlo standard error of a score."""
    return max(float(table[f"{column}_error"].max()) for table in scores.values())


def span(
    scores: dict[Cell, pd.DataFrame],
    method: str,
    data: str,
    column: str = "coverage",
    k: tuple[int, ...] = STUDIES,
    tau2: tuple[float, ...] = (0.3, 1.2),
) -> str:
    """Return the least and the largest of a score over cells, as text."""
    found = [
        float(table.loc[method, column])
        for cell, table in scores.items()
        if (cell.data, cell.k in k, cell.tau2 in tau2) == (data, True, True)
    ]
    low, high = f"{min(found):.3f}", f"{max(found):.3f}"
    return low if low == high else f"{low} to {high}"


def story(scores: dict[Cell, pd.DataFrame]) -> str:
    """Return what the numbers say, in the numbers."""

    def on(method: str, *rest: object, **among: object) -> str:
        return span(scores, method, *rest, **among)  # type: ignore[arg-type]

    z, kh, bayes = "REML, z", "REML, Knapp-Hartung", "Bayesian"
    adhoc = "REML, Knapp-Hartung ad hoc"
    none, nineteen = {"tau2": (0.0,)}, {"k": (19,), "tau2": TAU2}
    return f"""
- Where v is known and studies differ, z holds the mean in {on(z, "effects", k=(4,))} of cases at
  4 studies and {on(z, "effects", k=(19,))} at 19; whether tau2 is REML's or DL's does not matter.
  Knapp-Hartung holds it in {on(kh, "effects")} and the posterior in {on(bayes, "effects")}.
- Where studies do not differ, the ad hoc factor and the posterior, whose prior knows no tau of 0,
  are cautious: {on(adhoc, "effects", **none)} and {on(bayes, "effects", **none)}.
- Prediction intervals that take tau2 as known hold a new study's effect too seldom:
  {on(z, "effects", "new_study")} with z, {on(kh, "effects", "new_study")} with Knapp-Hartung. The
  posterior, which does not, has {on(bayes, "effects", "new_study")}.
- From small arms every method is low, by {on(z, "arms", "bias", tau2=TAU2)} with z and
  {on(bayes, "arms", "bias", tau2=TAU2)} with the posterior: a large g has a large v, so little
  weight. More studies do not help: the interval shrinks and the bias does not. At 19 studies
  coverage is {on(z, "arms", **nineteen)} with z, {on(kh, "arms", **nineteen)} with
  Knapp-Hartung and {on(bayes, "arms", **nineteen)} with the posterior.
- At tau2 = 0 a Q-profile interval can miss on one side only: nominal is 0.975 there.
"""


def page(scores: dict[Cell, pd.DataFrame], replicates: int, seed: int) -> str:
    """Return the page in Markdown."""
    from tables import section  # beside this script

    titles = {
        "coverage": ("Coverage of the 95% interval of the mean", 3),
        "width": ("Mean width of that interval", 2),
        "bias": ("Bias of the estimate", 3),
        "new_study": ("Coverage of the 95% prediction interval of a new study's true effect", 3),
    }
    parts = [HEAD.format(replicates=replicates, seed=seed, mean=MEAN), story(scores)]
    for column, (title, digits) in titles.items():
        for data, name in DATA.items():
            table = wide(scores, data, column, digits)
            parts.append(section(f"{title}: {name}", table, index=False))
        error = largest_error(scores, column)
        parts.append(f"\nMonte Carlo standard errors: at most {error:.3f}.\n")
    parts.append(
        section("Coverage of the 95% Q-profile interval of tau2", of_tau2(scores), index=False)
    )
    parts.append(f"\nMonte Carlo standard errors: at most {largest_error(scores, 'tau2'):.3f}.\n")
    return "".join(parts)


def of_tau2(scores: dict[Cell, pd.DataFrame]) -> pd.DataFrame:
    """Return coverage of the Q-profile interval: the same whatever the method."""
    rows = []
    for k, tau2 in product(STUDIES, TAU2):
        by_data = {
            name: f"{scores[Cell(data, k, tau2)].loc['REML, z', 'tau2']:.3f}"
            for data, name in DATA.items()
        }
        rows.append({"k": str(k), "tau2": f"{tau2:g}", **by_data})
    return pd.DataFrame(rows)


HEAD = """# Coverage: made by evidence/pooling_coverage.py

{replicates} meta-analyses a cell, seed {seed}; true mean {mean}. All methods answer on the same
data. tau2 and the classical intervals are `bm.pool`'s. The posterior is that of the model
`1 + (1 | study)` under its default priors (level N(0, 5), tau half-normal 2), by quadrature over
tau: no sampler. Its estimate is the posterior mean. Prediction intervals are normal for z and t
with k - 1 degrees of freedom for Knapp-Hartung; their coverage is exact given the interval.
"""


def main() -> None:
    """Simulate, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    scores = {}
    for cell in cells():
        scores[cell] = run(cell, asked.replicates, asked.seed)
        print(cell, scores[cell].round(3).to_string(), sep="\n", flush=True)
    text = page(scores, asked.replicates, asked.seed)
    (HERE / "pooling_coverage.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
