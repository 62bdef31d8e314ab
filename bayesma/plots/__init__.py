"""Pictures: query output -> matplotlib figures. The only room that imports a plotting library."""

from bayesma.plots.decay_curves import plot_decay
from bayesma.plots.observations import study_points

__all__ = ["plot_decay", "study_points"]
