"""Where the command line prints."""

from __future__ import annotations

from rich.console import Console

__all__ = ["ERR", "OUT"]


# No markup: labels such as level[Intercept] are not styles.
OUT = Console(markup=False, highlight=False, emoji=False)
ERR = Console(markup=False, highlight=False, emoji=False, stderr=True)
