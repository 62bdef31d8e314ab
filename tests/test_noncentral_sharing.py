"""What it is worth to say which rows share a control: exact maximum likelihood on new animals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesma.animals import new_outcomes
from bayesma.effects import effect_sizes, with_rho
from bayesma.frequentist import classical_fit
from bayesma.spec import ModelSpec

SPEC = ModelSpec(decay="none", likelihood="exact")
STUDIES, DOSES, MEAN, TAU = 12, 3, 5.0, 1.6
REPLICATES = 120


def doses_beside_one_control():
    rows = STUDIES * DOSES
    return pd.DataFrame(
        {
            "study": np.repeat([f"s{i}" for i in range(STUDIES)], DOSES),
            "group": "control",
            "mean_treated": 5 + np.arange(rows) / 9,
            "sd_treated": 2.0,
            "n_treated": 6,
            "mean_control": np.repeat(3 + np.arange(STUDIES) / 7, DOSES),
            "sd_control": 2.5,
            "n_control": 6,
        }
    )


@pytest.mark.slow
def test_shared_controls_left_unsaid_bias_the_mean():
    """Groups of 6 near an effect of 5: with the sharing said none to speak of, without 3 to 4%."""
    effects = effect_sizes(doses_beside_one_control(), shared_control="group")
    rng, found, covers = np.random.default_rng(1), [], []
    for _ in range(REPLICATES):
        theta = MEAN + TAU * rng.standard_normal(STUDIES)
        said = new_outcomes(effects, np.repeat(theta, DOSES), rng)
        fits = [classical_fit(e, SPEC, "ML") for e in (said, with_rho(said, 0.0))]
        found.append([fit.table["estimate"].iloc[0] for fit in fits])
        low, high = fits[0].table[["ci_low", "ci_high"]].iloc[0]
        covers.append(low < MEAN < high)
    said, unsaid = np.array(found).T
    assert abs(said.mean() / MEAN - 1) < 0.01 + 3 * said.std() / MEAN / np.sqrt(REPLICATES)
    # Both fits see the same animals: their difference is far sharper than either.
    gap = unsaid - said
    assert gap.mean() / MEAN > 0.02
    assert gap.mean() > 5 * gap.std() / np.sqrt(REPLICATES)
    # Wald intervals of 12 studies cover some 0.93; four binomial errors below.
    assert np.mean(covers) > 0.93 - 4 * np.sqrt(0.93 * 0.07 / REPLICATES)
