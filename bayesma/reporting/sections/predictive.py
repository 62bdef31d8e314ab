"""Whether data like these were to be expected, before and after the fit."""

from __future__ import annotations

from bayesma.reporting.blocks import Block, Words
from bayesma.reporting.material import Material

__all__ = ["predictive"]


def predictive(material: Material) -> tuple[Block, ...]:
    """Return the section."""
    del material
    return (Words("To be written."),)
