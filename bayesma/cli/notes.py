"""What is to be said beside an answer."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from bayesma.cli.console import ERR
from bayesma.errors import (
    ConvergenceWarning,
    ExtrapolationWarning,
    RatioWarning,
    SpreadWarning,
)

if TYPE_CHECKING:
    from bayesma.posterior import Fit


# What a warning of the package is about: the user's question, never its code.
TOLD = (ConvergenceWarning, ExtrapolationWarning, RatioWarning, SpreadWarning)

__all__ = ["noted", "print_notes"]


@contextlib.contextmanager
def noted(fit: Fit | None = None) -> Iterator[list[str]]:
    """Collect what is to be said of an answer: the fit's problems, and the package's warnings.

    The effect of a short half-life may overflow towards delay 0: the answer then shows infinity,
    and NumPy need not warn of it.
    """
    import numpy as np

    found: list[str] = []
    if fit is not None:
        found += [] if fit.converged else ["this fit has NOT converged: its numbers may be wrong"]
        found += fit.problems
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        for kind in TOLD:
            warnings.simplefilter("always", kind)
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, TOLD):
                found.append(str(message))
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield found


def print_notes(notes: Iterable[str], console: Console = ERR) -> None:
    """Print each note as a line of its own."""
    for note in notes:
        console.print(f"note: {note}", soft_wrap=True)
