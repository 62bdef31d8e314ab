"""The section on leave-one-out: what it says where a sign turns."""

from __future__ import annotations

import pandas as pd

from bayesma.checks.influences import OK
from bayesma.reporting.sections.influence import _by_size, _most


def test_a_sign_that_turns_where_the_mean_moves_less_is_told():
    # B moves the mean of "late" most, and turns the sign of "early".
    table = pd.DataFrame(
        {
            "study": ["A", "A", "B", "B"],
            "where": ["early", "late"] * 2,
            "unit": "SMD",
            "verdict": OK,
            "answer": [0.1, 2.0, 0.1, 2.0],
            "without": [0.1, 2.0, -0.1, 1.0],
            "change_sd": [0.0, 0.0, -0.4, -1.0],
        }
    )
    said = _most(table, _by_size(table))
    assert "B moves the population mean most: without it the posterior mean (late) is 1.00" in said
    assert said.endswith("The sign of the posterior mean turns without B.")
