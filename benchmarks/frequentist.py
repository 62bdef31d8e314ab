"""Speed of the classical engine beside metafor and statsmodels, measured in one run.

Run ``OMP_NUM_THREADS=1 BAYESMA_DATA=FOLDER python benchmarks/frequentist.py``; it takes some
minutes, nearly all of them metafor's, and writes frequentist.md beside itself. A peer that is
absent is left out, and the page says so:

- metafor: R with the package metafor (Debian: r-cran-metafor), found as ``Rscript``. It is timed
  inside R, so that starting R does not count.
- statsmodels is no dependency: ``pip install --target FOLDER --no-deps statsmodels patsy``, then
  run with ``PYTHONPATH=FOLDER``.
- The rows of nmda_social: data/nmda_social/README.md says how to bring them.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import bayesma as bm

HERE = Path(__file__).parent
SEED = 1
POOLING_REPEATS, NESTED_REPEATS = 300, 5
K = 20
# Seconds of processor per call, after one call that warms up: on a busy machine the wall clock
# would count what others do, and the parts of one run are not measured at the same moment.
R_TIMER = """
suppressPackageStartupMessages(library(metafor))
per_call <- function(n, work) {
  work()
  start <- proc.time()
  for (i in seq_len(n)) work()
  sum((proc.time() - start)[c("user.self", "sys.self")]) / n
}
say <- function(name, n, work) cat(name, per_call(n, work), sep = "\\t", fill = TRUE)
"""
R_POOLING = """
d <- read.csv(file.path(folder, "pooling.csv"))
fit <- rma(y, v, data = d, test = "knha")
cat("tau2", format(fit$tau2, digits = 15), sep = "\\t", fill = TRUE)
say("rma", repeats, function() rma(y, v, data = d, test = "knha"))
say("rma, confint, predict", repeats, function() {
  f <- rma(y, v, data = d, test = "knha"); confint(f); predict(f)
})
say("PM", repeats, function() {
  f <- rma(y, v, data = d, method = "PM", test = "knha"); confint(f); predict(f)
})
"""
R_NESTED = """
d <- read.csv(file.path(folder, "rows.csv"))
V <- unname(as.matrix(read.csv(file.path(folder, "V.csv"), header = FALSE)))
work <- function(...) rma.mv(y, V, random = ~ 1 | study/experiment, data = d, test = "t",
                             dfs = "contain", ...)
cat("sigma2", format(work()$sigma2, digits = 15), sep = "\\t", fill = TRUE)
say("rma.mv", repeats, function() work())
say("rma.mv, sparse = TRUE", repeats, function() work(sparse = TRUE))
"""


def per_call(repeats: int, work: Callable[[], object]) -> float:
    """Return seconds of processor per call."""
    work()
    start = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - start) / repeats


def in_r(code: str, tables: dict[str, pd.DataFrame], repeats: int) -> dict[str, list[float]] | None:
    """Return the numbers that R code says of tables, by name; None without R or metafor."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            table.to_csv(Path(folder) / f"{name}.csv", index=False, header=name != "V")
        head = f'folder <- "{folder}"; repeats <- {repeats}\n'
        script = Path(folder) / "time.R"
        script.write_text(R_TIMER + head + code, encoding="utf-8")
        done = subprocess.run(["Rscript", script], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr)
        return None
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: [float(x) for x in " ".join(rest).split()] for name, *rest in lines}


def combine_effects() -> Callable[..., object] | None:
    """Return statsmodels' pooling, where it is installed."""
    try:
        from statsmodels.stats.meta_analysis import combine_effects as found
    except ImportError:
        return None
    return found


def pooling() -> tuple[list[tuple[str, str, float]], list[str]]:
    """Return who does what in how many seconds, and who is absent."""
    rng = np.random.default_rng(SEED)
    v = rng.uniform(0.05, 0.4, K)
    y = rng.normal(0.5, np.sqrt(v + 0.3))
    fit = bm.pool(y, v)
    all_of_it = "estimate, interval, tau2 and its interval, Q, I2, prediction interval"
    rows = [
        ("bm.pool, REML", all_of_it,
         per_call(POOLING_REPEATS, lambda: bm.pool(y, v))),
        ("bm.pool, Paule-Mandel", all_of_it,
         per_call(POOLING_REPEATS, lambda: bm.pool(y, v, method="PM"))),
    ]  # fmt: skip
    absent = []
    theirs = in_r(R_POOLING, {"pooling": pd.DataFrame({"y": y, "v": v})}, POOLING_REPEATS)
    if theirs is None:
        absent.append("metafor's rma")
    else:
        # The same fit, to metafor's default tolerance of 1e-5 on tau2.
        assert abs(theirs["tau2"][0] - fit.tau2) < 1e-4
        rows.append(("metafor: rma, confint, predict, REML", all_of_it,
                     theirs["rma, confint, predict"][0]))  # fmt: skip
        rows.append(("metafor: the same, Paule-Mandel", all_of_it, theirs["PM"][0]))
        rows.append(("metafor: rma alone, REML", "no interval of tau2, no prediction interval",
                     theirs["rma"][0]))  # fmt: skip
    statsmodels = combine_effects()
    if statsmodels is None:
        absent.append("statsmodels' combine_effects")
    else:
        rows.append((
            "statsmodels: combine_effects, Paule-Mandel (it has no REML)",
            "no interval of tau2, no prediction interval",
            per_call(
                POOLING_REPEATS, lambda: statsmodels(y, v, method_re="iterated").summary_frame()
            ),
        ))  # fmt: skip
    return rows, absent


def nested() -> tuple[list[tuple[str, str, float]], list[str]]:
    """Return the same for three-level REML with V on nmda_social."""
    if "BAYESMA_DATA" not in os.environ:
        return [], ["three levels: BAYESMA_DATA is not set"]
    effects = bm.load_analysis("nmda_social", "published").effects()
    fit = bm.multilevel(effects, "~ 1", random="study/experiment")
    what = f"sigma2 {', '.join(f'{s:.4f}' for s in fit.sigma2)}"
    ours = per_call(
        NESTED_REPEATS, lambda: bm.multilevel(effects, "~ 1", random="study/experiment")
    )
    rows = [("bm.multilevel", what, ours)]
    plain = effects.frame[["study", "experiment"]].assign(y=effects.y)
    tables = {"rows": plain, "V": pd.DataFrame(effects.V)}
    theirs = in_r(R_NESTED, tables, NESTED_REPEATS)
    if theirs is None:
        return rows, ["metafor's rma.mv"]
    # Its optimizer stops at about 1e-6 of the log-likelihood.
    np.testing.assert_allclose(theirs["sigma2"], fit.sigma2, rtol=1e-3)
    what = f"sigma2 {', '.join(f'{s:.4f}' for s in theirs['sigma2'])}"
    for name in ("rma.mv", "rma.mv, sparse = TRUE"):
        rows.append((f"metafor: {name}", what, theirs[name][0]))
    return rows, []


def markdown(rows: list[tuple[str, str, float]]) -> str:
    """Return a table; ratios are to its first row."""
    lines = ["| call | what it gives | ms | times the first |", "| --- | --- | --- | --- |"]
    for name, what, seconds in rows:
        lines.append(f"| {name} | {what} | {1000 * seconds:.2f} | {seconds / rows[0][2]:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    pooled, absent = pooling()
    levels, more = nested()
    absent += more
    text = f"""# Benchmarks of the classical engine

Made by `python benchmarks/frequentist.py` on {os.cpu_count()} cores, Python
{platform.python_version()}, one thread. Times are processor time per call on this machine, over
{POOLING_REPEATS} and {NESTED_REPEATS} calls; the ratios were measured side by side in one run.

## One pooling, k = {K}, Knapp-Hartung

{markdown(pooled)}

## Three levels and V: 491 rows of nmda_social, REML

{markdown(levels) if levels else "Not measured."}

Left out: {len(absent)}{" (" + "; ".join(absent) + ")" if absent else ""}.
"""
    (HERE / "frequentist.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
