"""Rewrite simulated_decay.csv from the truth below."""

import argparse
import sys
from pathlib import Path

from bayesma.simulation import Truth, layout, simulate_table

HERE = Path(__file__).resolve().parent
TABLE = HERE / "simulated_decay.csv"

SEED = 1
TRUTH = Truth(
    peak={"single": 1.5, "repeated": 2.5},
    half_life={"single": 1.0, "repeated": 7.0},
    decay="exponential",
    tau=0.5,
)
STUDIES, EXPERIMENTS = 40, 3
DELAYS = {"single": (1 / 24, 0.25, 1, 3), "repeated": (0.25, 1, 7, 28)}
# Arm summaries as papers print them, to fixed decimals.
DECIMALS = 3


def table() -> str:
    """Text of the table."""
    rows = layout(STUDIES, EXPERIMENTS, DELAYS)
    frame = simulate_table(TRUTH, rows, seed=SEED).frame
    counts = {name: frame[name].astype(int) for name in ("n_treated", "n_control")}
    hours = {"delay": (24 * frame["delay"]).map("{:g} h".format)}
    return frame.assign(**counts, **hours).round(DECIMALS).to_csv(index=False, lineterminator="\n")


def is_current(text: str) -> bool:
    """Whether the committed file holds exactly this text."""
    return TABLE.is_file() and TABLE.read_bytes() == text.encode()


def write(text: str) -> None:
    """Replace the file in one step."""
    temporary = TABLE.with_name(TABLE.name + ".tmp")
    temporary.write_bytes(text.encode())
    temporary.replace(TABLE)


def main() -> int:
    """Write the table, or compare it with the committed one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if the committed file differs")
    check, text = parser.parse_args().check, table()
    if check and not is_current(text):
        print(f"{TABLE.name} differs from what prepare.py makes", file=sys.stderr)
        return 1
    if not check:
        write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
