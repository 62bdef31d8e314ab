"""Risk of bias, where the table gives it."""

from __future__ import annotations

from bayesma.reporting.blocks import Block, Words
from bayesma.reporting.material import Material

__all__ = ["quality"]


def quality(material: Material) -> tuple[Block, ...]:
    """Return the section."""
    del material
    return (Words("To be written."),)
