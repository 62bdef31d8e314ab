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
from scipy.special import ndtr
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
# Half-lives in people, in days: name, regimen, value and its 95% interval where one is printed.
DAHAN = "Dahan 2011, 100 h infusion"
PEOPLE = (
    (DAHAN, "repeated", 10.9, (5.3, 20.5)),
    ("Sigtermans 2010, 2 h infusion, as the review prints it", "single", 2 / 24, None),
    ("Sigtermans 2010, by that abstract's own numbers", "single", 3.9 / 24, None),
)
# Width of a 95% interval in standard errors.
WIDTH = 2 * 1.959964


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


def positions(found: dict[str, Translation]) -> pd.DataFrame:
    """Return where each human half-life lies in what was predicted for it.

    P(predicted < observed), the predicted with the observation's own error on the logarithm where
    an interval is printed; conflict = 2 min(P, 1 - P).
    """
    rows = []
    for name, one in found.items():
        for who, regimen, value, interval in PEOPLE:
            draws = np.log(one.half_life.sel(point=one.half_life["regimen"] == regimen).values)
            if interval is None:
                below = float((draws < np.log(value)).mean())
            else:
                error = np.log(interval[1] / interval[0]) / WIDTH
                below = float(ndtr((np.log(value) - draws) / error).mean())
            rows.append(
                {
                    "observed": who,
                    "regimen": regimen,
                    "days": value,
                    "low": np.nan if interval is None else interval[0],
                    "high": np.nan if interval is None else interval[1],
                    "predicted by": name,
                    "position": below,
                    "conflict P": 2 * min(below, 1 - below),
                }
            )
    return pd.DataFrame(rows)


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
    for _who, regimen, value, interval in PEOPLE:
        height = REGIMENS.index(regimen) - 0.1
        if interval is not None:
            axes.plot(np.log2(interval), [height] * 2, color="black", linewidth=1.5)
        filled = "black" if interval is not None else "white"
        axes.plot(np.log2(value), height, "o", color="black", markerfacecolor=filled, markersize=5)
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
    both = found["both, alike"]
    text = [
        "# From animals to people: made by evidence/translation.py\n\n",
        "ketamine_pain, predicted for people from the animals alone: no human number has moved "
        f"anything here. {DRAWS} draws, seed {SEED}; intervals are 95%.\n",
        section("Effect in people (SMD)", effects(both), index=False),
        section("Half-life in people (days)", half_lives(found), index=False),
        section("Human half-lives in what was predicted for them", positions(found), index=False),
        "\nThe predicted intervals run from under an hour to months: that a number lies inside one "
        "is weak praise. A half-life of a plateau is that of the part which fades.\n",
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
