"""The classical twin of nmda_social's model: where heterogeneity goes with the mean, by AIC.

Run ``BAYESMA_DATA=FOLDER python evidence/nmda_twins.py`` (data/nmda_social/README.md says how to
fill the folder). It writes nmda_twins.md beside itself. The results may be published with
attribution (CC BY 4.0); the table itself is not ours.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from nmda_social import with_known_delay
from scipy.optimize import minimize
from tables import section

import bayesma as bm
from bayesma.design import Design, design
from bayesma.effects import Effects
from bayesma.mean import VARIABLES
from bayesma.predictive import group_log_likelihoods

HERE = Path(__file__).parent
SEED = 1
CAVEAT = """
Which level spreads with the effect is the question: what the plug-in variance v(y) of Hedges g
gets wrong at large effects and 5 to 12 animals would look the same as experiments that spread
more. The exact likelihood will tell. The fixed part (drug, regimen, species, route; plateau)
decides the level of these criteria, so only their differences compare with those of other models.
"""


class Twin:
    """The same likelihood without priors: its maximum, by BFGS from two starts.

    Scalars that are named are held at 0.
    """

    def __init__(self, plan: Design, without: tuple[str, ...] = ()) -> None:
        self.plan, self.without = plan, without
        self.scalars = [name for name in plan.scalars if name not in without]
        self.bases = {
            name: np.hstack([p.average_basis, p.contrast_basis])
            for name, p in plan.predictors.items()
            if name in plan.spec.predictors
        }
        self.size = sum(b.shape[1] for b in self.bases.values()) + len(self.scalars)

    def draws(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return parameters as one draw: coefficients free, standard deviations by their log."""
        out, start = {}, 0
        for name, basis in self.bases.items():
            out[VARIABLES[name]] = (basis @ x[start : start + basis.shape[1]])[None]
            start += basis.shape[1]
        out |= {n: np.exp(x[start + i : start + i + 1]) for i, n in enumerate(self.scalars)}
        return out | {name: np.zeros(1) for name in self.without}

    def minus_log_likelihood(self, x: np.ndarray) -> float:
        """Return -log p(y | x); large where it cannot be computed."""
        with np.errstate(all="ignore"):
            by_group = group_log_likelihoods(self.plan, self.draws(np.clip(x, -20, 20)))
        value = -float(by_group.sum())
        return value if np.isfinite(value) else 1e10

    def aic(self) -> float:
        """Return Akaike's criterion at the better of two maxima."""
        rng, found = np.random.default_rng(SEED), []
        for _ in range(2):
            start = rng.normal(0, 0.3, self.size)
            start[0] = -2.0
            found.append(minimize(self.minus_log_likelihood, start, method="BFGS").fun)
        return 2 * min(found) + 2 * self.size


def twins(effects: Effects, spec: bm.ModelSpec) -> pd.DataFrame:
    """Return Akaike's criterion of the likelihood alone, by where heterogeneity goes with m."""
    constant = design(spec, effects)
    varies = design(replace(spec, heterogeneity="proportional"), effects)
    kappas = varies.kappa_names
    found = {
        "constant": Twin(constant),
        "with the mean, at every level": Twin(varies),
        **{
            f"with the mean, at the level of {name} alone": Twin(
                varies, tuple(k for k in kappas if k != own)
            )
            for name, own in zip(varies.groups.names, kappas, strict=True)
        },
    }
    return pd.DataFrame(
        {
            "heterogeneity": list(found),
            "parameters": [twin.size for twin in found.values()],
            "AIC": [f"{twin.aic():.1f}" for twin in found.values()],
        }
    )


def main() -> None:
    """Maximise, write."""
    plateau = bm.load_analysis("nmda_social")
    effects = with_known_delay(plateau.effects())
    text = [
        "# nmda_social, the classical twin: made by evidence/nmda_twins.py\n",
        "Data: Gallas-Lopes et al. 2026, doi 10.5281/zenodo.18284730, CC BY 4.0. "
        f"{len(effects)} rows with a known delay, plateau decay.\n",
        section(
            "The likelihood without priors, at its maximum",
            twins(effects, plateau.spec),
            index=False,
        ),
        CAVEAT,
    ]
    (HERE / "nmda_twins.md").write_text("".join(text), encoding="utf-8")
    print("".join(text))


if __name__ == "__main__":
    main()
