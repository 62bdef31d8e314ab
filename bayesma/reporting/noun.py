"""Report: the sections of a page, with every table and figure at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bayesma.errors import BayesmaError
from bayesma.files import write_whole
from bayesma.reporting.blocks import Picture, Section, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "Report"]

# Link cells and the like are written as their words.
FORMATS: Mapping[str, Callable[[pd.DataFrame], str]] = {
    "csv": lambda frame: frame.to_csv(index=False),
    "md": lambda frame: frame.to_markdown(index=False) + "\n",
    "tex": lambda frame: frame.to_latex(index=False, escape=True),
}


@dataclass(frozen=True)
class Report:
    """A report of a fit.

    Attributes
    ----------
    title : str
    subtitle : str
        What was fitted, in one line.
    converged : bool
        Whether the answers may be read; where not, the page does not print them.
    sections : tuple of Section
    """

    title: str
    subtitle: str
    converged: bool
    sections: tuple[Section, ...]

    def __repr__(self) -> str:
        """Say what it holds."""
        return (
            f"<Report '{self.title}': {len(self.sections)} sections, {len(self.figures)} figures, "
            f"{len(self.tables)} tables>"
        )

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by its id, unrounded."""
        return {
            block.name: block.frame
            for section in self.sections
            for block in section.flat()
            if isinstance(block, Table)
        }

    @property
    def figures(self) -> dict[str, Figure]:
        """Every figure by its id."""
        return {
            block.name: block.figure
            for section in self.sections
            for block in section.flat()
            if isinstance(block, Picture)
        }

    @property
    def html(self) -> str:
        """The page: one file, which asks nothing of a network."""
        from bayesma.reporting.rendering import page

        return page(self)

    def save(self, path: str | Path) -> Path:
        """Write the page, whole or not at all.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Path

        Raises
        ------
        BayesmaError
            If the file cannot be written; nothing is left behind.
        """
        return _written(Path(path), self.html)

    def save_tables(self, folder: str | Path, format: str = "csv") -> list[Path]:
        """Write every table to a file of its own.

        Parameters
        ----------
        folder : str or Path
            Made where absent.
        format : {"csv", "md", "tex"}
            CSV holds every digit; Markdown and LaTeX are for manuscripts.

        Returns
        -------
        list of Path

        Raises
        ------
        BayesmaError
            If the format is unknown or a file cannot be written.
        """
        if format not in FORMATS:
            raise BayesmaError(f"format = '{format}'; known: {', '.join(FORMATS)}")
        place = _folder(folder)
        texts = {name: FORMATS[format](frame) for name, frame in self.tables.items()}
        return [_written(place / f"{name}.{format}", text) for name, text in texts.items()]

    def save_figures(self, folder: str | Path, format: str = "svg") -> list[Path]:
        """Write every figure to a file of its own.

        Parameters
        ----------
        folder : str or Path
            Made where absent.
        format : {"svg", "pdf", "png"}

        Returns
        -------
        list of Path

        Raises
        ------
        BayesmaError
            If the format is unknown or a file cannot be written.
        """
        if format not in ("svg", "pdf", "png"):
            raise BayesmaError(f"format = '{format}'; known: svg, pdf, png")
        place = _folder(folder)
        return [_drawn(place / f"{n}.{format}", figure) for n, figure in self.figures.items()]


def _folder(folder: str | Path) -> Path:
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BayesmaError(
            f"{place}: no folder can be made here ({error.strerror}); choose another"
        ) from error
    return place


def _written(target: Path, text: str) -> Path:
    write_whole(target, lambda part: part.write_text(text, encoding="utf-8"))
    return target


def _drawn(target: Path, figure: Figure) -> Path:
    kind = target.suffix.removeprefix(".")
    write_whole(target, lambda part: figure.savefig(part, format=kind, dpi=200))
    return target
