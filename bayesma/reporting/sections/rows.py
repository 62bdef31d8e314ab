"""What the data are: counts, what was left out and why, and where the evidence lies."""

from __future__ import annotations

from bayesma.reporting.blocks import Block, Words
from bayesma.reporting.material import Material

__all__ = ["rows"]


def rows(material: Material) -> tuple[Block, ...]:
    """Return the section."""
    del material
    return (Words("To be written."),)
