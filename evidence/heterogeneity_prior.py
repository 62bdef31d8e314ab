"""How heterogeneous are animal reviews, and what prior of tau follows?

Run ``BAYESMA_DATA=FOLDER python evidence/heterogeneity_prior.py`` (data/nmda_social/README.md and
data/fst/README.md say how to fill the folder). It writes heterogeneity_prior.md and
heterogeneity_prior.png beside itself. Data: Gallas-Lopes et al. 2026 (CC BY 4.0), Martins et al.
2025 (MIT licence), van Velzen et al. 2021 (as printed).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from plugin import plugin
from scipy import optimize, stats
from tables import section

import bayesma as bm
from bayesma.effects import Effects
from bayesma.frequentist.nested.criterion import criterion_of
from bayesma.frequentist.nested.levels import levels_of
from bayesma.priors.literature import ANIMAL, LITERATURE

HERE = Path(__file__).parent
Floats = NDArray[np.float64]

# log tau: from a hundredth of a standard deviation, far below any sampling error here, to 20.
LOG_TAU = np.linspace(np.log(0.01), np.log(20.0), 381)
# Gauss-Legendre over the share of tau^2 that lies between studies.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
SHARES, SHARE_WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2
# A subset needs this many studies to say anything of their spread.
FEWEST = 5
# Subsets whose posteriors are shown: with many studies the prior matters little.
SMALLEST = 7
PRIORS = {
    "HN(0.5)": LITERATURE["roever_2021_half_normal_0.5"].prior,
    "HN(1)": LITERATURE["roever_2021_half_normal_1"].prior,
    "HN(2), the default": bm.priors.half_normal(2),
    "Rhodes, general": LITERATURE["rhodes_2015_general"].prior,
    "Rhodes, mental health, drug v placebo": LITERATURE[
        "rhodes_2015_mental_health_drug_placebo"
    ].prior,
    "Rhodes, pain and physical health, drug v placebo": LITERATURE[
        "rhodes_2015_physical_health_drug_placebo"
    ].prior,
    "animal_smd_2026": ANIMAL,
}


@dataclass(frozen=True)
class Subset:
    """One meta-analysis: its total tau, and the likelihood of log tau on `LOG_TAU`."""

    table: str
    name: str
    k: int
    studies: frozenset[str]
    number: int
    tau: float
    log_likelihood: Floats

    @property
    def interval(self) -> tuple[float, float]:
        """Taus whose log likelihood is within 1.92 of the highest."""
        inside = self.log_likelihood >= self.log_likelihood.max() - stats.chi2.ppf(0.95, 1) / 2
        low, high = np.exp(LOG_TAU[inside][[0, -1]])
        return (0.0 if inside[0] else float(low)), float(high)


def nested_likelihood(effects: Effects, random: str) -> Floats:
    """Return log L(tau) on the grid: the mean and the share between studies integrated out.

    L(tau) = int_0^1 L_REML(phi tau^2 between studies, (1 - phi) tau^2 within) dphi.
    """
    frame = effects.frame
    levels = levels_of(random, frame, list(frame["row_id"]))
    criterion = criterion_of(
        effects.y, np.ones((len(effects), 1)), effects.covariance, levels, restricted=True
    )
    tau2 = np.exp(2 * LOG_TAU)[:, None]
    if len(levels.names) == 1:
        return -criterion.at(tau2).deviance / 2
    sigma2 = np.stack([tau2 * SHARES, tau2 * (1 - SHARES)], axis=-1)
    given = -criterion.at(sigma2).deviance / 2
    top = given.max(axis=1, keepdims=True)
    return np.log(np.exp(given - top) @ SHARE_WEIGHTS) + top[:, 0]


def pooled_likelihood(k: int, se: float, i2: float) -> tuple[float, Floats]:
    """Return tau and log L(tau) of a printed result: k, SE and I2 (a share), at equal variances.

    With v the same in every row, SE^2 = (tau^2 + v)/k and I2 = tau^2/(tau^2 + v), so that
    tau^2 = k SE^2 I2, v = k SE^2 (1 - I2), and the k - 1 degrees of freedom about the mean give
    l(tau) = -(k - 1)/2 [log(tau^2 + v) + k SE^2/(tau^2 + v)], which is the restricted likelihood.
    """
    total = k * se**2
    at = np.exp(2 * LOG_TAU) + total * (1 - i2)
    return float(np.sqrt(total * i2)), -(k - 1) / 2 * (np.log(at) + total / at)


def subset_of(effects: Effects, rows: Floats, table: str, name: str, inner: str) -> Subset:
    """Return one subset of a table: REML by the classical engine, and the likelihood of tau."""
    index = np.flatnonzero(rows)
    frame = effects.frame.iloc[index].reset_index(drop=True)
    part = replace(effects, frame=frame, covariance=effects.covariance.take(index))
    random = f"study/{inner}" if frame[inner].nunique() > frame["study"].nunique() else "study"
    found = bm.multilevel(part, random=random)
    return Subset(
        table,
        name,
        len(part),
        frozenset(frame["study"]),
        frame["study"].nunique(),
        float(np.sqrt(found.sigma2.sum())),
        nested_likelihood(part, random),
    )


def by_level(model: str, table: str, column: str, inner: str) -> list[Subset]:
    """Return a subset for each level of a column with enough studies."""
    effects = plugin(bm.load_analysis(model)).effects()
    # As prepared: a model file may join rare levels.
    levels = effects.frame[column]
    studies = effects.frame.groupby(levels)["study"].nunique()
    kept = [level for level, count in studies.items() if count >= FEWEST and level != "other"]
    return [
        subset_of(effects, (levels == level).to_numpy(), table, str(level), inner) for level in kept
    ]


def whole(model: str, table: str, inner: str) -> Subset:
    """Return a whole table as one subset."""
    effects = plugin(bm.load_analysis(model)).effects()
    return subset_of(effects, np.ones(len(effects)), table, "all", inner)


def printed(half_width: bool = True) -> list[Subset]:
    """Return the four pooled results of van Velzen et al., which print k, SE, CI and I2.

    The printed SE has one digit; half the width of the printed interval over 1.96 has two.
    """
    table, comparisons = (
        bm.load_dataset("van_velzen_2021", table=name).frame.set_index("row_id")
        for name in ("pooled", "comparisons")
    )
    out = []
    for name in ("MA1", "MA2", "MA3", "MA4"):
        row = table.loc[name]
        se = (row["ci_high"] - row["ci_low"]) / (2 * stats.norm.ppf(0.975))
        se = float(se if half_width else row["se"])
        k = int(row["k"])
        tau, likelihood = pooled_likelihood(k, se, float(row["i2"]) / 100)
        papers = frozenset(comparisons.loc[row["members"].split(";"), "study"])
        out.append(Subset("van Velzen, pain", name, k, papers, len(papers), tau, likelihood))
    return out


def subsets() -> list[Subset]:
    """Return the subsets that the prior is fitted to."""
    return [
        *by_level("nmda_social", "NMDA, interaction", "drug", "experiment"),
        *by_level("nmda_preference", "NMDA, preference", "drug", "experiment"),
        *by_level("fst", "forced swim test", "drug_class", "control_group"),
        *printed(),
    ]


# -- the prior ---------------------------------------------------------------------------------


def population(family: str, m: float, s: float) -> Floats:
    """Return log weights of `LOG_TAU` under log tau ~ N(m, s), or t with 5 degrees of freedom."""
    shape = stats.norm(m, s) if family == "normal" else stats.t(5, m, s)
    return np.asarray(shape.logpdf(LOG_TAU) + np.log(LOG_TAU[1] - LOG_TAU[0]))


def fit_population(found: Sequence[Subset], family: str = "normal") -> tuple[float, float, float]:
    """Return m, s and the log likelihood, sum_i log int L_i(tau) p(log tau | m, s) dlog tau."""
    likelihoods = np.stack([one.log_likelihood - one.log_likelihood.max() for one in found])

    def height(at: Floats) -> float:
        weighed = likelihoods + population(family, at[0], np.exp(at[1]))
        top = weighed.max(axis=1, keepdims=True)
        return -float((np.log(np.exp(weighed - top).sum(axis=1)) + top[:, 0]).sum())

    ends = [
        optimize.minimize(
            height, [m, s], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}
        )
        for m in (-0.5, 0.5)
        for s in (-2.0, -0.5)
    ]
    best = min(ends, key=lambda end: end.fun)
    return float(best.x[0]), float(np.exp(best.x[1])), -float(best.fun)


def profile(found: Sequence[Subset]) -> pd.DataFrame:
    """Return m, s and exp(m) with 95% profile intervals, by the drop of 1.92 on a fine grid."""
    likelihoods = np.exp([one.log_likelihood - one.log_likelihood.max() for one in found])
    ms, ss = np.linspace(-0.6, 1.2, 361), np.geomspace(0.05, 1.5, 241)
    surface = np.empty((len(ms), len(ss)))
    for j, s in enumerate(ss):
        weights = np.exp(-0.5 * ((LOG_TAU - ms[:, None]) / s) ** 2) / s
        surface[:, j] = np.log(weights @ likelihoods.T).sum(axis=1)
    m, s, _ = fit_population(found)
    floor = surface.max() - stats.chi2.ppf(0.95, 1) / 2
    ends = [grid[surface.max(axis=axis) >= floor][[0, -1]] for grid, axis in ((ms, 1), (ss, 0))]
    rows = {
        "m, mean of log tau": [m, *ends[0]],
        "s, spread of log tau": [s, *ends[1]],
        "exp(m), median of tau": [np.exp(m), *np.exp(ends[0])],
    }
    table = pd.DataFrame(rows, index=["estimate", "95% low", "95% high"]).T
    return table.rename_axis("parameter")


# -- what is told ------------------------------------------------------------------------------


def taus(found: Sequence[Subset]) -> pd.DataFrame:
    """Return each subset's tau beside where every prior has it, in percent of its mass below."""
    rows = []
    for one in found:
        low, high = one.interval
        row = {
            "table": one.table,
            "subset": one.name,
            "effects": one.k,
            "studies": one.number,
            "tau (REML)": f"{one.tau:.2f}",
            "95% likelihood interval": f"{low:.2f} to {high:.2f}",
        }
        below = {
            name: f"{100 * float(p.distribution().cdf(one.tau)):.1f}" for name, p in PRIORS.items()
        }
        rows.append(row | below)
    return pd.DataFrame(rows)


def scores(found: Sequence[Subset]) -> pd.DataFrame:
    """Return what each prior spans, and how it foresees the subsets.

    The score is sum_i log int L_i(tau) p(tau) dtau with max L_i = 1: 0 where a prior knew each
    subset's likeliest tau beforehand.
    """
    rows = {}
    middle = np.array([one.tau for one in found])
    for name, prior in PRIORS.items():
        distribution = prior.distribution()
        low, median, high = distribution.ppf([0.025, 0.5, 0.975])
        step = LOG_TAU[1] - LOG_TAU[0]
        mass = np.exp(prior.log_density(np.exp(LOG_TAU)) + LOG_TAU) * step
        score = [
            np.log(np.exp(one.log_likelihood - one.log_likelihood.max()) @ mass) for one in found
        ]
        rows[name] = {
            "median": median,
            "2.5%": low,
            "97.5%": high,
            "subsets above its median": f"{int((middle > median).sum())} of {len(found)}",
            "subsets above its 95% point": int((middle > distribution.ppf(0.95)).sum()),
            "score": float(np.sum(score)),
        }
    return pd.DataFrame(rows).T.rename_axis("prior")


def sensitivity(found: Sequence[Subset]) -> pd.DataFrame:
    """Return the prior with a table, a review or a reading left out or changed."""
    tables = list(dict.fromkeys(one.table for one in found))
    versions: dict[str, list[Subset]] = {"all subsets": list(found)}
    for table in tables:
        versions[f"without {table}"] = [one for one in found if one.table != table]
    versions["without both NMDA tables"] = [one for one in found if "NMDA" not in one.table]
    rest = [one for one in found if one.table != tables[-1]]
    versions["van Velzen with SE as printed (one digit)"] = [*rest, *printed(half_width=False)]
    versions["subsets of 10 studies or more"] = [one for one in found if one.number >= 10]
    versions["whole tables in place of their subsets"] = [
        whole("nmda_social", tables[0], "experiment"),
        whole("nmda_preference", tables[1], "experiment"),
        whole("fst", tables[2], "control_group"),
        *printed(),
    ]
    rows = {}
    for name, some in versions.items():
        for family in ("normal", "t5"):
            if family == "t5" and name != "all subsets":
                continue
            m, s, height = fit_population(some, family)
            shape = stats.norm if family == "normal" else stats.t(5)
            low, high = np.exp(m + s * shape.ppf([0.025, 0.975]))
            label = name if family == "normal" else f"{name}, log tau ~ t with 5 df"
            rows[label] = {
                "subsets": len(some),
                "m": m,
                "s": s,
                "median tau": np.exp(m),
                "2.5%": low,
                "97.5%": high,
                "log likelihood": height,
            }
    return pd.DataFrame(rows).T.astype({"subsets": int}).rename_axis("fitted to")


def posteriors(found: Sequence[Subset]) -> pd.DataFrame:
    """Return the posterior of tau of the smallest subsets under each prior: median and 95%.

    p(tau | y) is proportional to L(tau) p(tau), the mean integrated out under a flat prior. The
    animal prior is the one fitted without the subset.
    """
    rows = []
    for one in sorted(found, key=lambda one: one.number)[:SMALLEST]:
        m, s, _ = fit_population([other for other in found if other is not one])
        row = {"table": one.table, "subset": one.name, "studies": one.number}
        row["tau (REML)"] = f"{one.tau:.2f}"
        for name, prior in PRIORS.items():
            held = bm.priors.log_normal(m, s) if prior is ANIMAL else prior
            weight = np.exp(
                one.log_likelihood
                - one.log_likelihood.max()
                + held.log_density(np.exp(LOG_TAU))
                + LOG_TAU
            )
            below = np.cumsum(weight) / weight.sum()
            low, middle, high = np.exp(np.interp([0.025, 0.5, 0.975], below, LOG_TAU))
            row[name] = f"{middle:.2f} [{low:.2f}, {high:.2f}]"
        rows.append(row)
    return pd.DataFrame(rows)


def overlap(found: Sequence[Subset]) -> str:
    """Say how many studies stand in more than one subset."""
    told = []
    for title, tables in {
        "NMDA": ("NMDA, interaction", "NMDA, preference"),
        "Forced swim test": ("forced swim test",),
    }.items():
        mine = [one for one in found if one.table in tables]
        everyone = frozenset().union(*(one.studies for one in mine))
        twice = [study for study in everyone if sum(study in one.studies for one in mine) > 1]
        told.append(
            f"{title}: {len(twice)} of {len(everyone)} studies stand in two subsets or more"
        )
    both = [
        frozenset().union(*(one.studies for one in found if one.table == table))
        for table in ("NMDA, interaction", "NMDA, preference")
    ]
    told.append(f"{len(both[0] & both[1])} studies are in both NMDA tables")
    mine = [one for one in found if "Velzen" in one.table]
    pairs = [
        f"{len(one.studies & other.studies)} in {one.name} and {other.name}"
        for one, other in itertools.combinations(mine, 2)
        if one.studies & other.studies
    ]
    told.append(f"van Velzen, papers with animals in two results: {', '.join(pairs)}")
    return "; ".join(told) + ". The likelihood counts subsets as if they were independent."


def picture(found: Sequence[Subset]) -> Figure:
    """Draw each subset's tau with its interval, and each prior's median and 95% range below."""
    figure = Figure(figsize=(8.2, 7.4), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.37, 0.08, 0.6, 0.89))
    colours = dict(
        zip(
            dict.fromkeys(one.table for one in found),
            ("#0072B2", "#56B4E9", "#D55E00", "#009E73"),
            strict=True,
        )
    )
    labels = []
    for place, one in enumerate(found):
        low, high = one.interval
        axes.plot([max(low, 0.02), high], [place, place], color=colours[one.table], linewidth=1.6)
        axes.plot(one.tau, place, "o", color=colours[one.table], markersize=6)
        if low <= 0.02:
            axes.plot(0.02, place, "<", color=colours[one.table], markersize=6, clip_on=False)
        labels.append(f"{one.table}: {one.name} ({one.number})")
    for row, (name, prior) in enumerate(PRIORS.items(), len(found) + 1):
        low, median, high = prior.distribution().ppf([0.025, 0.5, 0.975])
        axes.plot([max(low, 0.02), min(high, 12)], [row, row], color="0.55", linewidth=5, alpha=0.6)
        axes.plot(median, row, "|", color="black", markersize=12, markeredgewidth=2)
        for cut, at, shape in ((low < 0.02, 0.02, "<"), (high > 12, 12, ">")):
            if cut:
                axes.plot(at, row, shape, color="0.55", markersize=6, clip_on=False)
        labels.append(name)
    ticks = [*range(len(found)), *range(len(found) + 1, len(found) + 1 + len(PRIORS))]
    axes.set_yticks(ticks, labels, fontsize=8.5)
    axes.set_ylim(len(found) + len(PRIORS) + 0.7, -0.7)
    axes.set_xscale("log")
    axes.set_xlim(0.02, 12)
    axes.set_xticks([0.02, 0.1, 0.3, 1, 3, 10], ["0.02", "0.1", "0.3", "1", "3", "10"])
    axes.set_xlabel("tau (SMD): dots REML with likelihood intervals; bars the 95% range of priors")
    axes.axhline(len(found), color="0.8", linewidth=0.8)
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


INTRODUCTION = """# How heterogeneous are animal reviews?

`evidence/heterogeneity_prior.py` makes this page. tau is the standard deviation of the true effect
of a new experiment of a new study, in SMD: the root of the sum of the variances of both levels,
around one mean per subset, so that what a model's covariates explain is still in it. A subset is
one drug (NMDA antagonists) or one drug class (forced swim test) with at least five studies, and
each of the four pooled results of van Velzen et al. 2021, whose tau follows from the printed k,
interval and I2 if its rows have like sampling variances. Sampling variances are plug-in (the normal
likelihood), as the reviews took them. An interval holds the taus whose restricted log likelihood,
the split between the levels integrated out, is within 1.92 of the highest; an end of 0.00 means
that it is not told from none.

![taus and priors](heterogeneity_prior.png)
"""


def main() -> None:
    """Write the page and the picture."""
    found = subsets()
    spans, fitted = scores(found), profile(found)
    animal = stats.norm(*fitted["estimate"].iloc[:2])
    low, high = np.exp(animal.ppf([0.025, 0.975]))
    above = spans.loc["Rhodes, general", "subsets above its median"]
    default = PRIORS["HN(2), the default"].distribution()
    parts = [
        INTRODUCTION,
        section(
            "Each subset's tau, and the percent of each prior's mass below it", taus(found), False
        ),
        section("The priors", spans),
        f"\n{above} subsets lie above the median of Rhodes et al.'s general prior, which is of "
        "people; its tail is heavy enough to reach them, at a price of "
        f"{spans.loc['animal_smd_2026', 'score'] - spans.loc['Rhodes, general', 'score']:.1f} in "
        "log score against the prior fitted here (which has seen them). The default, "
        f"HalfNormal(2), has {100 * default.cdf(low):.0f}% of its mass below {low:.2f} and "
        f"{100 * default.sf(high):.0f}% above {high:.2f}, the ends of the fitted prior.\n",
        section("The animal prior: log tau ~ N(m, s), by maximum likelihood", fitted),
        f"\nShipped as `animal_smd_2026` = {ANIMAL}: median {np.exp(ANIMAL.mu):.2f}, 95% "
        f"{low:.2f} to {high:.2f}. That range is the plug-in one: it does not widen for what 16 "
        "subsets of three reviews leave unknown of m and s.\n",
        section("With a table left out, and other readings", sensitivity(found)),
        f"\n{overlap(found)}\n",
        section(
            "What the choice does to a small review: posterior median and 95% of tau",
            posteriors(found),
            False,
        ),
        "\nHere `animal_smd_2026` is fitted without the subset in question.\n",
    ]
    (HERE / "heterogeneity_prior.md").write_text("".join(parts), encoding="utf-8")
    picture(found).savefig(HERE / "heterogeneity_prior.png", dpi=130)


if __name__ == "__main__":
    main()
