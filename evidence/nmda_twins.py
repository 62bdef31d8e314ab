"""The classical twin of nmda_social's model: where heterogeneity goes with the mean, by AIC.

Run ``BAYESMA_DATA=FOLDER python evidence/nmda_twins.py`` (data/nmda_social/README.md says how to
fill the folder). It writes nmda_twins.md beside itself. The results may be published with
attribution (CC BY 4.0); the table itself is not ours.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
from nmda_social import with_known_delay
from plugin import plugin
from tables import section

import bayesma as bm
from bayesma.effects import Effects

HERE = Path(__file__).parent
CAVEAT = """
Which level spreads with the effect is the question: what the plug-in variance v(y) of Hedges g
gets wrong at large effects and 5 to 12 animals would look the same as experiments that spread
more. The exact likelihood will tell. The fixed part (drug, regimen, species, route; plateau)
decides the level of these criteria, so only their differences compare with those of other models.
"""


def twins(effects: Effects, spec: bm.ModelSpec) -> pd.DataFrame:
    """Return Akaike's criterion of the likelihood alone, by where heterogeneity goes with m."""
    varies = replace(spec, heterogeneity="proportional")
    kappas = {"study": "kappa", "experiment": "kappa_experiment"}

    def twin(spec: bm.ModelSpec, *hold: str) -> bm.ClassicalFit:
        return bm.classical_fit(effects, spec, "ML", hold=hold)

    found = {
        "constant": twin(spec),
        "with the mean, at every level": twin(varies),
        **{
            f"with the mean, at the level of {name} alone": twin(
                varies, *(k for k in kappas.values() if k != own)
            )
            for name, own in kappas.items()
        },
    }
    return pd.DataFrame(
        {
            "heterogeneity": list(found),
            "parameters": [fit.parameters for fit in found.values()],
            "AIC": [f"{fit.aic:.1f}" for fit in found.values()],
        }
    )


def main() -> None:
    """Maximise, write."""
    plateau = plugin(bm.load_analysis("nmda_social"))
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
