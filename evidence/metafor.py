"""The classical engine against metafor, on random tables that neither has seen.

Run ``python evidence/metafor.py [--sets N] [--seed S]``; it needs R with metafor and jsonlite
(Debian: r-cran-metafor, r-cran-jsonlite), and writes metafor.md beside itself. Tables run from 2
rows to 40, variances over many orders of magnitude, heterogeneity from none to far above them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tables import section

import bayesma as bm
from bayesma.errors import BayesmaError

HERE = Path(__file__).parent
# Below these sizes a number is rounding around 0, such as a tau2 that metafor leaves at 1e-12.
SMALL, SMALL_P = 1e-3, 1e-12
# A tau2 further from metafor's than its own stopping rules allow (1e-5 for several variances) is
# another maximum, or a fault.
APART = 1e-4
PREDICTORS = {"sei": "se", "vi": "v", "ninv": "1/n", "sqrtninv": "1/sqrt(n)"}


@dataclass
class Tally:
    """What was compared, by feature."""

    numbers: dict[str, int] = field(default_factory=dict)
    worst: dict[str, tuple[float, str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def add(self, feature: str, where: str, ours: Any, theirs: Any) -> None:
        """Count numbers and keep the largest relative difference."""
        a, b = np.ravel(np.array(ours, dtype=float)), np.ravel(np.array(theirs, dtype=float))
        if a.shape != b.shape or (np.isnan(a) != np.isnan(b)).any():
            self.told.append(f"{where}: {ours} here, {theirs} in metafor")
            return
        known = ~np.isnan(a)
        if not known.any():
            return
        floor = SMALL_P if where.endswith(("p", "_p")) else SMALL
        apart = np.abs(a - b)[known] / np.maximum(np.abs(b)[known], floor)
        self.numbers[feature] = self.numbers.get(feature, 0) + int(known.sum())
        if apart.max() > self.worst.get(feature, (-1.0, ""))[0]:
            at = int(apart.argmax())
            values = f"{a[known][at]:.10g} here, {b[known][at]:.10g} there"
            self.worst[feature] = (float(apart.max()), f"{where}: {values}")

    def table(self) -> pd.DataFrame:
        """Return a row a feature."""
        rows = [
            {
                "feature": name,
                "numbers compared": str(count),
                "largest relative difference": f"{self.worst[name][0]:.1e}",
                "where": self.worst[name][1],
            }
            for name, count in self.numbers.items()
        ]
        return pd.DataFrame(rows)


def random_tables(sets: int, seed: int) -> pd.DataFrame:
    """Return random effects by set: independent ones, then nested ones."""
    rng = np.random.default_rng(seed)
    flat = [_flat(rng, f"flat {i}") for i in range(sets)]
    return pd.concat(flat + [_nested(rng, f"nested {i}") for i in range(max(1, sets // 8))])


def _flat(rng: np.random.Generator, name: str) -> pd.DataFrame:
    k = int(rng.choice([2, 3, 4, 5, 8, 12, 20, 40]))
    v = np.exp(rng.normal(-1, rng.choice([0.2, 1.0, 2.5]), k))
    tau2 = rng.choice([0.0, 0.0, 0.1, 0.5, 2.0, 20.0])
    y = rng.normal(rng.choice([0.0, 0.5, 5.0]), np.sqrt(v + tau2))
    return pd.DataFrame(
        {
            "set": name,
            "y": y,
            "v": v,
            "n": rng.integers(4, 60, k),
            "x": rng.normal(size=k),
            "group": rng.permutation(np.resize(["a", "b", "c"], k)),
            "study": np.arange(k),
            "experiment": 1,
        }
    )


def _nested(rng: np.random.Generator, name: str) -> pd.DataFrame:
    studies = int(rng.choice([6, 15, 40]))
    rows = pd.DataFrame(
        [
            (study, experiment)
            for study in range(studies)
            for experiment in range(rng.integers(1, 4))
            for _ in range(rng.integers(1, 4))
        ],
        columns=["study", "experiment"],
    )
    k, code = len(rows), rows.groupby(["study", "experiment"]).ngroup().to_numpy()
    sigma = rng.choice([0.0, 0.5, 1.5], 2)
    v = np.exp(rng.normal(-1, 0.7, k))
    truth = 1 + sigma[0] * rng.normal(size=studies)[rows["study"]]
    truth = truth + sigma[1] * rng.normal(size=code.max() + 1)[code]
    return rows.assign(
        set=name, y=rng.normal(truth, np.sqrt(v)), v=v, n=20, x=rng.normal(size=k), group="a"
    )


def metafors(rows: pd.DataFrame) -> dict[str, Any]:
    """Return metafor's answers by set and feature."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.csv", Path(folder) / "out.json"
        rows.to_csv(source, index=False, float_format="%.17g")
        subprocess.run(["Rscript", HERE / "metafor.R", source, target], check=True)
        found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
        return found


def ours(rows: pd.DataFrame, feature: str) -> Iterator[tuple[str, Any]]:
    """Yield the numbers of a feature by metafor's names for them."""
    kind, *options = feature.split(" ")
    y, v = rows["y"], rows["v"]
    if kind == "pool":
        yield from _pooled(bm.pool(y, v, method=options[0], ci=options[1]))
    elif kind == "regression":
        found = bm.meta_regression(
            y, "~ x + group", v=v, data=rows, method=options[0], ci=options[1]
        )
        yield from _regression(found)
    elif kind == "interval":
        yield "tau2", bm.pool(y, v).tau2_ci
    elif kind == "egger":
        yield from _egger(rows, *options)
    elif kind == "trim":
        filled = bm.trim_and_fill(y, v, estimator=options[0], side=options[1], ci="z")
        yield "k0", filled.k0
        yield "se_k0", filled.k0_se
        yield "estimate", filled.pooled.estimate
        yield "se", filled.pooled.se
        yield "tau2", filled.pooled.tau2
    elif kind == "leave_one_out":
        yield from bm.leave_one_out(y, v, ci="z").items()
    elif kind == "influence":
        table = bm.influence(y, v, ci="z")
        yield from table.rename(columns={"cook_d": "cook", "dfbeta[Intercept]": "dfbetas"}).items()
    elif kind == "cumulative":
        yield from bm.cumulative(y, v, ci="z").items()
    else:
        yield from _nested_numbers(rows, kind, options)


def _table(found: Any) -> Iterator[tuple[str, Any]]:
    for name in ("estimate", "se", "statistic", "p", "ci_low", "ci_high"):
        yield name, found.table[name]


def _pooled(found: bm.Pooled) -> Iterator[tuple[str, Any]]:
    yield from _table(found.model)
    for name in ("tau2", "tau2_se", "i2", "h2", "q", "q_p", "prediction"):
        yield name, getattr(found, name)
    yield "log_likelihood", found.model.log_likelihood


def _regression(found: bm.MetaRegression) -> Iterator[tuple[str, Any]]:
    yield from _table(found)
    for name in ("tau2", "tau2_se", "i2", "h2", "qm", "qm_p", "log_likelihood"):
        yield name, getattr(found, name)
    yield "q", found.qe
    yield "q_p", found.qe_p


def _egger(rows: pd.DataFrame, predictor: str, model: str) -> Iterator[tuple[str, Any]]:
    found = bm.egger(
        rows["y"],
        rows["v"],
        n=rows["n"],
        predictor=PREDICTORS[predictor],
        model="lm" if model == "lm" else "mixed",
    )
    yield "statistic", found.statistic
    yield "p", found.p
    yield "limit", found.limit
    yield "ci", found.limit_ci


def _nested_numbers(rows: pd.DataFrame, kind: str, options: list[str]) -> Iterator[tuple[str, Any]]:
    cluster = rows["study"].astype(str) + "/" + rows["experiment"].astype(str)
    V = bm.compound_symmetry(rows["v"], list(cluster), 0.5).dense()
    data = rows.assign(study=rows["study"].astype(str), experiment=rows["experiment"].astype(str))
    found = bm.multilevel(rows["y"], "~ x", V=V, data=data, method=options[-1])
    if kind == "robust":
        yield from _table(bm.robust(found, "study", kind=options[0]))
        return
    yield from _table(found)
    yield "sigma2", found.sigma2
    yield "q", found.qe
    yield "qm", found.qm
    yield "log_likelihood", found.log_likelihood


def compare(rows: pd.DataFrame, theirs: Mapping[str, Any]) -> Tally:
    """Return every number of both, beside each other."""
    tally = Tally()
    for name, group in rows.groupby("set", sort=False):
        data = group.reset_index(drop=True)
        for feature, numbers in theirs[str(name)].items():
            _compare_feature(tally, str(name), data, feature, numbers)
    return tally


def _compare_feature(
    tally: Tally, name: str, data: pd.DataFrame, feature: str, numbers: Mapping[str, Any]
) -> None:
    where = f"{name} ({len(data)} rows), {feature}"
    try:
        found = dict(ours(data, feature))
    except BayesmaError as error:
        tally.told.append(f"{where}: refused here ({error})")
        return
    better = _another_maximum(found, numbers)
    if better:
        tally.told.append(f"{where}: {better}")
        return
    for key, value in numbers.items():
        # What neither gives, as the tau2 of a common effect has no standard error.
        theirs = [number for number in value if number is not None]
        if theirs and found.get(key) is None:
            tally.told.append(f"{where}: no {key} here, {value} in metafor")
        elif theirs:
            tally.add(feature.split(" ", maxsplit=1)[0], f"{where}, {key}", found[key], value)


def _another_maximum(found: Mapping[str, Any], numbers: Mapping[str, Any]) -> str:
    """Return which likelihood is higher where tau2 differs; nothing where it does not."""
    if "log_likelihood" not in numbers:
        return ""
    key = "tau2" if "tau2" in numbers else "sigma2"
    ours_there = np.ravel(np.array(found[key], dtype=float))
    apart = np.abs(ours_there - np.ravel(numbers[key])).max()
    if apart <= APART * max(1.0, float(np.max(numbers[key]))):
        return ""
    gain = found["log_likelihood"] - numbers["log_likelihood"][0]
    return (
        f"{key} {ours_there.tolist()} here and {numbers[key]} in metafor; log likelihood here "
        f"higher by {gain:.2g}"
    )


def main() -> None:
    """Draw, ask both, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=80)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rows = random_tables(options.sets, options.seed)
    theirs = metafors(rows)
    meta = theirs.pop("meta")
    tally = compare(rows, theirs)
    told = "\n".join(f"- {line}" for line in tally.told) or "None."
    text = (
        "# The classical engine against metafor: made by evidence/metafor.py\n\n"
        f"{rows['set'].nunique()} random tables (seed {options.seed}), {meta['R'][0]}, metafor "
        f"{meta['metafor'][0]}. A difference is relative to the number, or to {SMALL:g} "
        f"({SMALL_P:g} for P values) where it is smaller.\n"
        + section("Largest differences", tally.table(), index=False)
        + f"\n## What cannot be compared\n\n{told}\n"
    )
    (HERE / "metafor.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
