"""Markdown tables for the evidence pages."""

from __future__ import annotations

from typing import Any

import pandas as pd

__all__ = ["section"]

NOTHING = 1e-30


def _number(value: float) -> str:
    """Return three digits; a fading curve's 1e-40 is nothing to a reader, a P value's 1e-8 is."""
    return "0.000" if abs(value) < NOTHING else f"{value:.3g}"


def section(title: str, table: pd.DataFrame, index: bool = True) -> str:
    """Return a table in Markdown under a heading; three significant digits."""
    cells: Any = table.reset_index() if index else table
    cells = cells.map(lambda c: _number(c) if isinstance(c, float) else str(c))
    lines = ["| " + " | ".join(map(str, cells.columns)) + " |", "|" + " --- |" * len(cells.columns)]
    lines += ["| " + " | ".join(row) + " |" for row in cells.to_numpy()]
    return f"\n## {title}\n\n" + "\n".join(lines) + "\n"
