"""From animals to people: ketamine against neuropathic pain, without any human data.

Run ``python evidence/translation.py``. It fits ketamine_pain under both decay forms, and again
with rats and mice apart, and writes translation.md and translation.png beside itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tables import section

import bayesma as bm
from bayesma.translation import Translation, translate, translation_sensitivity

HERE = Path(__file__).parent
SEED = 1
DRAWS = 20_000
FORMS = {"exponential": None, "plateau": "plateau"}
APART = {"exponential": "species", "plateau": "species_plateau"}
REGIMENS = ["single", "repeated"]
COLOURS = {"single": "#0072B2", "repeated": "#D55E00"}
DELAYS = [1.0, 7.0, 35.0]
# Rows of ketamine_human: Dahan 2011; the short infusion as the review prints it, and by its
# abstract's own scores; Pickering 2020.
SEEN = ["H06", "H12", "H16", "H30"]


def fits(variants: dict[str, str | None]) -> dict[str, bm.Fit]:
    """Return the fit of each decay form."""
    return {
        name: bm.fit(bm.load_analysis("ketamine_pain", variant), seed=SEED, progress=False)
        for name, variant in variants.items()
    }


def asked(of: Any, delay: Sequence[float] = DELAYS, **more: Any) -> Translation:
    """Return the prediction for people after both regimens."""
    return translate(of, delay=list(delay), regimen=REGIMENS, draws=DRAWS, seed=SEED, **more)


def effects(found: Translation) -> pd.DataFrame:
    """Return the effect in people and in one new trial."""
    return found.summary().drop(columns=["beyond_data", "mean"])


def half_lives(found: dict[str, Translation]) -> pd.DataFrame:
    """Return half-lives in people, in days."""
    rows = []
    for name, one in found.items():
        for row in bm.summary(one.half_life).to_dict("records"):
            rows.append({"fits": name, **row})
    return pd.DataFrame(rows).drop(columns="p_never")


def seen() -> pd.DataFrame:
    """Return what people were found to have: half-lives, and one trial's effect over 35 days.

    Infusions over days are "repeated" in the model, as in its file.
    """
    rows = bm.load_dataset("ketamine_human", "effects").frame
    rows = rows[rows["row_id"].isin(SEEN)].reset_index(drop=True)
    return rows.replace({"regimen": {"infusion": "repeated"}})


def positions(forms: dict[str, Any]) -> pd.DataFrame:
    """Return where each human number lies in what was predicted for it, by which fits."""
    tables = []
    for name, of in forms.items():
        found = asked(of, human=seen(), update=False).positions
        assert found is not None
        tables.append(found.assign(fits=name))
    columns = ["fits", "row_id", "study", "quantity", "regimen", "observed", "obs_low", "obs_high"]
    columns += ["predicted", "pred_low", "pred_high", "position", "conflict_p"]
    return pd.concat(tables)[columns]


def sensitivity(forms: dict[str, bm.Fit]) -> pd.DataFrame:
    """Return the answer a week after repeated dosing under each change of an assumption."""
    table = translation_sensitivity(forms, delay=7.0, regimen="repeated", draws=DRAWS, seed=SEED)
    return table.drop(columns=["regimen", "delay"])


def gap(forms: dict[str, bm.Fit]) -> pd.DataFrame:
    """Return P(repeated > single) in people, at each delay, if the effect translates or not."""
    found = asked(forms)
    values, at = found.effect.values[0], found.effect
    rows = []
    for delay in DELAYS:
        one, many = (
            values[:, (at["regimen"].values == name) & (at["delay"].values == delay)][:, 0]
            for name in REGIMENS
        )
        more = many - one
        low, middle, high = np.quantile(more, [0.025, 0.5, 0.975])
        rows.append(
            {
                "delay": delay,
                "repeated - single": middle,
                "low": low,
                "high": high,
                "P(repeated > single)": float((more > 0).mean()),
                "P(equal)": float((more == 0).mean()),
            }
        )
    return pd.DataFrame(rows)


# ---- picture -------------------------------------------------------------------------------------


def draw(forms: dict[str, bm.Fit], target: Path) -> None:
    """Draw the curves of both regimens in people, and half-lives beside those observed."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
    delays = list(np.geomspace(0.25, 60, 60))
    found = asked(forms, delays)
    for axes, regimen in ((left, "single"), (middle, "repeated")):
        _curve(axes, found, regimen, delays)
    left.set_ylabel("effect in people (SMD)")
    middle.sharey(left)
    _half_lives(right, found)
    figure.savefig(target, dpi=130)


def _curve(axes: Axes, found: Translation, regimen: str, delays: Sequence[float]) -> None:
    values = found.effect.sel(point=found.effect["regimen"] == regimen).values[0]
    colour = COLOURS[regimen]
    for low, high, shade in ((0.025, 0.975, 0.18), (0.25, 0.75, 0.35)):
        ends = np.quantile(values, [low, high], axis=0)
        axes.fill_between(delays, *ends, color=colour, alpha=shade, linewidth=0)
    axes.plot(delays, np.median(values, axis=0), color=colour)
    axes.axhline(0, color="0.4", linewidth=0.8)
    axes.set(xscale="log", title=f"after {regimen} dosing", xlabel="delay in people (d)")
    axes.set_ylim(-3, 8)
    axes.set_xticks([0.25, 1, 7, 28], ["6 h", "1", "7", "28"])
    axes.minorticks_off()


def _half_lives(axes: Axes, found: Translation) -> None:
    bins = np.linspace(-9, 11, 81)
    for row, regimen in enumerate(REGIMENS):
        half = found.half_life.sel(point=found.half_life["regimen"] == regimen).values.ravel()
        heights, _ = np.histogram(np.log2(half), bins, density=True)
        axes.fill_between(
            (bins[1:] + bins[:-1]) / 2, row, row + 3 * heights, color=COLOURS[regimen],
            alpha=0.5, step="mid", linewidth=0,
        )  # fmt: skip
        axes.text(-8.8, row + 0.25, f"after {regimen}", color=COLOURS[regimen])
    for row in seen().query("quantity == 'half_life'").to_dict("records"):
        height = REGIMENS.index(row["regimen"]) - 0.1
        days = {"h": 1 / 24, "d": 1.0}[row["unit"]]
        ends = np.array([row["ci_low"], row["ci_high"]], dtype=float) * days
        printed = bool(np.isfinite(ends).all())
        if printed:
            axes.plot(np.log2(ends), [height] * 2, color="black", linewidth=1.5)
        filled = "black" if printed else "white"
        value = np.log2(row["y"] * days)
        axes.plot(value, height, "o", color="black", markerfacecolor=filled, markersize=5)
    axes.text(np.log2(10.9), 0.68, "Dahan 2011:\n10.9 d", ha="center", fontsize=8)
    axes.text(np.log2(2 / 24) - 0.3, -0.14, "2 h ", ha="right", va="center", fontsize=8)
    axes.text(np.log2(3.9 / 24) + 0.3, -0.14, " 3.9 h", ha="left", va="center", fontsize=8)
    ticks = {1 / 24: "1 h", 6 / 24: "6 h", 1: "1 d", 7: "7 d", 28: "28 d", 365: "1 y"}
    axes.set_xticks(np.log2(list(ticks)), list(ticks.values()))
    axes.set(title="half-life in people", yticks=[], ylim=(-0.35, 2))


def main() -> None:
    """Fit, predict, write."""
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    forms, apart = fits(FORMS), fits(APART)
    found = {
        "exponential": asked(forms["exponential"]),
        "plateau": asked(forms["plateau"]),
        "both, alike": asked(forms),
        "both, rats and mice apart": asked(apart),
    }
    of = {**forms, "both, alike": forms, "both, rats and mice apart": apart}
    informed = asked(forms, human=seen())
    both = found["both, alike"]
    text = [
        "# From animals to people: made by evidence/translation.py\n\n",
        "ketamine_pain, predicted for people from the animals alone: no human number has moved "
        f"anything here. {DRAWS} draws, seed {SEED}; intervals are 95%.\n",
        section("Effect in people (SMD)", effects(both), index=False),
        section("Half-life in people (days)", half_lives(found), index=False),
        section("Human numbers in what was predicted for them", positions(of), index=False),
        "\nThe predicted intervals run from under an hour to months: that a number lies inside one "
        "is weak praise. A half-life of a plateau is that of the part which fades. H06 is Dahan "
        "2011; H12 a short infusion as the review prints it, H16 by that abstract's own scores; "
        "H30 is Pickering 2020, its effect averaged over 35 d. Half-lives are in days.\n",
        section(
            "The effect once those with an interval (H06, H30) have updated it",
            effects(informed),
            index=False,
        ),
        section("Half-life once they have", half_lives({"both, alike": informed}), index=False),
        "\n",
        *(f"- {note}\n" for note in informed.notes if note not in both.notes),
        section("Repeated less single dosing, in people", gap(forms), index=False),
        "\nWhere the effect does not translate both regimens are delta alone, and equal.\n",
        section("A week after repeated dosing: one assumption changed", sensitivity(forms), False),
        section("The same, rats and mice apart in the model", sensitivity(apart), False),
        "\n## Assumptions\n\n",
        *(f"- {one}\n" for one in both.assumptions.records),
        "\n## What the result says of itself\n\n",
        *(f"- {note}\n" for note in both.notes),
        "\nRats and mice apart:\n\n",
        *(f"- {note}\n" for note in found["both, rats and mice apart"].notes),
    ]
    draw(forms, HERE / "translation.png")
    (HERE / "translation.md").write_text("".join(text), encoding="utf-8")
    print("".join(text))


if __name__ == "__main__":
    main()
