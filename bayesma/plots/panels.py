"""ArviZ's panels in a figure of ours: taken from pyplot, laid out, captioned."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.figure import Figure

__all__ = ["laid_out"]

# Inches; points; characters of a caption to an inch.
HEAD, SMALL, CHARACTERS = 0.35, 8, 14.0


def laid_out(figure: Figure, caption: str, xlabel: str, ylabel: str) -> Figure:
    """Return ArviZ's figure as the caller's own, with room for titles and a caption under it."""
    import matplotlib.pyplot as plt

    plt.close(figure)  # it is the caller's, not pyplot's to show
    width, height = figure.get_size_inches()
    text = textwrap.fill(caption, int(CHARACTERS * width))
    foot = 0.75 + 0.15 * (text.count("\n") + 1)
    figure.subplots_adjust(
        left=0.75 / width,
        right=1 - 0.15 / width,
        top=1 - HEAD / height,
        bottom=foot / height,
        hspace=0.55,
        wspace=0.3,
    )
    style: dict[str, Any] = {"fontsize": SMALL, "color": "0.35", "ha": "left", "va": "bottom"}
    figure.text(0.12 / width, 0.06 / height, text, gid="caption", **style)
    figure.text(0.5, (foot - 0.42) / height, xlabel, fontsize=9, ha="center", va="top")
    figure.text(
        0.1 / width,
        0.5 * (1 + (foot - HEAD) / height),
        ylabel,
        fontsize=9,
        rotation=90,
        va="center",
        ha="left",
    )
    return figure
