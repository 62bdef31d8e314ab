"""The effect against the time since the last dose."""

from __future__ import annotations

from bayesma.plots import plot_decay
from bayesma.queries import study_points, summary
from bayesma.reporting.blocks import Block, Picture, Table, Words
from bayesma.reporting.material import Material

__all__ = ["decay"]


def decay(material: Material) -> tuple[Block, ...]:
    """Return the curves with the data on top, and what they are."""
    curve = material.curve
    if curve is None:
        return (Words("This model has no decay: its effect is the same at every delay."),)
    rows = study_points(material.fit, curve)
    figure = plot_decay(curve, rows, log_delay=True)
    table = material.quietly(lambda: summary(curve))
    twin = Table("decay-curve", "Population mean effect over delays (days)", table, mark=None)
    return (
        Picture(
            "decay",
            "Posterior median and 95% interval; points: the fitted rows with their 95% intervals.",
            f"Decay curves of {material.measure} by {material.lead}: {material.levels_text()}.",
            figure,
            twin,
        ),
        Words(str(curve.attrs["estimand"]), "note"),
    )
