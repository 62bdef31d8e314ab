"""How long a report takes from a saved fit, and how large the page is.

Samples each shipped model once (those whose data are at hand), saves it, and times
"bayesma report DIR" as a new process, imports and all, beside "bayesma --version". Writes
benchmarks/report.md.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bayesma as bm

MODELS = ("ketamine_pain", "simulated_decay", "nmda_preference", "fst", "nmda_social")
RUNS = 3
TARGET = Path(__file__).with_name("report.md")
COMMAND = [sys.executable, "-c", "from bayesma.cli import main; main()"]
# What the child says of the modules it has loaded.
LOADED = (
    "import atexit, sys; atexit.register(lambda: print('loaded', sorted({'pymc', 'pytensor', "
    "'nutpie'} & set(sys.modules)))); from bayesma.cli import main; main()"
)


def timed(arguments: list[str]) -> float:
    """Return the median seconds of a command over some runs."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([*COMMAND, *arguments], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def row(name: str, folder: Path, base: float) -> str:
    """Return a line of the table."""
    try:
        fit = bm.fit(name, seed=1, progress=False)
    except bm.DataError:
        return f"| {name} | data not at hand | | | |"
    place = folder / name
    place.mkdir()
    fit.save(place / "fit.nc")
    seconds = timed(["report", str(place)])
    told = subprocess.run(
        [sys.executable, "-c", LOADED, "report", str(place)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    loaded = told.rsplit("loaded ", 1)[-1].strip()
    size = (place / "report.html").stat().st_size / 1e6
    return f"| {name} | {seconds:.1f} | {seconds / base:.1f} | {size:.2f} | {loaded} |"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = timed(["datasets"])
        rows = [row(name, Path(folder), base) for name in MODELS]
    lines = [
        "# A report from a saved fit",
        "",
        f"`python benchmarks/report.py`, {os.cpu_count()} cores; median of {RUNS} processes, "
        f"imports and all. The ratio is to `bayesma datasets` ({base:.1f} s), which reads a few "
        "small files.",
        "",
        "| model | seconds | ratio | MB | of PyMC, PyTensor, nutpie loaded |",
        "| --- | ---: | ---: | ---: | --- |",
        *rows,
    ]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
