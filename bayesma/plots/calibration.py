"""A calibration as a picture: ECDF of the ranks minus the uniform one, with its band."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bayesma.checks.calibration.bands import band
from bayesma.checks.calibration.noun import Calibration
from bayesma.errors import QueryError

__all__ = ["plot_calibration"]

# Inches of one panel, and panels in a row.
PANEL, COLUMNS = (2.6, 2.0), 4
HEAD, FOOT = 0.75, 0.95
LINE, BAND = "#0072B2", "0.88"


def plot_calibration(calibration: Calibration, title: str | None = None) -> Figure:
    """Draw, for each quantity, the ECDF of the truth's ranks minus that of uniform ones.

    A line within its band is what a right posterior gives. Too low in the middle: the draws lie
    too low, for truths rank high; an S from above to below: intervals are too narrow.

    Parameters
    ----------
    calibration : Calibration
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
        ArviZ's ECDF plot, the band as wide as holds all quantities at once with 0.95.

    Raises
    ------
    QueryError
        If the truth was fixed: ranks are then not uniform.
    """
    import arviz_plots
    import matplotlib.pyplot as plt

    if calibration.fixed:
        raise QueryError(
            "the truth was fixed, so its ranks need not be uniform: read the coverage in .table"
        )
    panels = calibration.ranks.sizes["quantity"]
    columns = min(COLUMNS, panels)
    rows = -(-panels // columns)
    height = PANEL[1] * rows + HEAD + FOOT
    found = arviz_plots.plot_ecdf_pit(
        calibration.tree,
        group="prior_sbc",
        # With a test of its own in place of the band, which is added below: ArviZ 1.3 draws none
        # with this NumPy.
        visuals={
            "p_value_text": False,
            "suspicious_points": False,
            "xlabel": False,
            "ylabel": False,
            "ecdf_lines": {"color": LINE, "width": 1.3},
            "title": {"size": 9},
        },
        backend="matplotlib",
        col_wrap=columns,
        figure_kwargs={"figsize": (PANEL[0] * columns, height), "layout": "none"},
    )
    _add_bands(found, calibration)
    figure: Figure = found.viz["figure"].item()
    plt.close(figure)  # it is the caller's, not pyplot's to show
    _finish(figure, calibration, title, height)
    return figure


def _add_bands(found: Any, calibration: Calibration) -> None:
    """Add to each panel where all lines together stay."""
    from arviz_plots.visuals import fill_between_y

    points, low, high = band(len(calibration.ranks), calibration.prob)
    found.map(
        fill_between_y,
        "credible_interval",
        x=points,
        y_bottom=low - points,
        y_top=high - points,
        color=BAND,
        alpha=1.0,
        zorder=0,
    )
    # One scale for all panels, wide enough for the line that leaves its band furthest.
    pit = calibration.tree["replicates"].dataset["pit"].values
    n = len(pit)
    furthest = np.abs(np.sort(pit, axis=0) - np.arange(1, n + 1)[:, None] / n).max()
    reach = 1.15 * max(furthest, (high - points).max(), (points - low).max())
    for axes in found.viz["figure"].item().axes:
        axes.set_ylim(-reach, reach)
        axes.set_xlim(0, 1)


def _finish(figure: Figure, calibration: Calibration, title: str | None, height: float) -> None:
    """Add what the axes mean and what the band says."""
    n, prob = len(calibration.ranks), calibration.prob
    caption = (
        f"{n} replicates. Grey: where the ECDF of uniform ranks stays, all panels at once with "
        f"probability 0.95 (each with {prob:.3f}). Below 0: the truth ranks high, the draws lie "
        "too low. Above 0 on the left and below 0 on the right: intervals are too narrow."
    )
    figure.subplots_adjust(
        left=0.09, right=0.985, top=1 - HEAD / height, bottom=FOOT / height, hspace=0.55, wspace=0.3
    )
    figure.supylabel("ECDF of the ranks minus uniform", fontsize=9, x=0.012)
    figure.text(
        0.5, (FOOT - 0.4) / height, "rank of the truth among the draws (0 to 1)",
        fontsize=9, ha="center", va="bottom",
    )  # fmt: skip
    figure.text(
        0.012, 0.06 / height, textwrap.fill(caption, int(11.5 * figure.get_figwidth())),
        fontsize=8, color="0.35", va="bottom", ha="left", gid="caption",
    )  # fmt: skip
    if title:
        figure.text(0.012, 1 - 0.08 / height, title, fontsize=11, va="top", ha="left")
