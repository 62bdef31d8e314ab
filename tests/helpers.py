"""What several test files share."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

REFERENCE = Path(__file__).resolve().parent / "reference"
ARMS = ("mean_treated", "sd_treated", "n_treated", "mean_control", "sd_control", "n_control")


@cache
def oracle(section: str, book: str = "oracles") -> Any:
    """Return a section of the oracles that the R scripts in reference/ write.

    The books are "oracles" (make_oracles.R) and "frequentist_oracles".
    """
    return json.loads((REFERENCE / f"{book}.json").read_text(encoding="utf-8"))[section]


def arms(rows: int = 3, **columns: Any) -> pd.DataFrame:
    """Return a sound table of arm summaries, with columns replaced or added."""
    plain = {
        "study": [f"study {i // 2}" for i in range(rows)],
        "mean_treated": [5.0 + i for i in range(rows)],
        "sd_treated": [2.0] * rows,
        "n_treated": [8] * rows,
        "mean_control": [3.0] * rows,
        "sd_control": [2.5] * rows,
        "n_control": [10] * rows,
    }
    return pd.DataFrame(plain | columns)
