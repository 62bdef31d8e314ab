"""Every study beside the population: what it found, and what the model takes it for."""

from __future__ import annotations

from bayesma.reporting.blocks import Block, Words
from bayesma.reporting.material import Material

__all__ = ["forest"]


def forest(material: Material) -> tuple[Block, ...]:
    """Return the section."""
    del material
    return (Words("To be written."),)
