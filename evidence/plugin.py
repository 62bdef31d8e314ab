"""Shipped models on the plug-in likelihood N(y; theta, v), as older pages have it."""

from __future__ import annotations

from dataclasses import replace

from bayesma.analysis import Analysis

__all__ = ["plugin"]


def plugin(analysis: Analysis) -> Analysis:
    """Return an analysis with v taken as known, and one correlation for all rows of a cluster."""
    return replace(
        analysis,
        shared_control=None,
        same_animals=None,
        spec=replace(analysis.spec, likelihood="normal"),
    )
