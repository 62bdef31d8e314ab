"""Half-lives, time to loss, and regimens held against each other."""

from __future__ import annotations

from bayesma.reporting.blocks import Block, Words
from bayesma.reporting.material import Material

__all__ = ["comparisons"]


def comparisons(material: Material) -> tuple[Block, ...]:
    """Return the section."""
    del material
    return (Words("To be written."),)
