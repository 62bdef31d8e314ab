"""What a section is made of: words, lists, tables, pictures, formulas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Block",
    "Code",
    "Fold",
    "Formula",
    "Items",
    "Link",
    "Picture",
    "Section",
    "Table",
    "Words",
]

Tone = Literal["plain", "note", "caution", "alarm"]


@dataclass(frozen=True)
class Link:
    """Words that lead to a section or a block of the page.

    Attributes
    ----------
    text : str
    to : str
        Its id, without the #.
    """

    text: str
    to: str

    def __str__(self) -> str:
        """Return the words alone: what a table exported to a file holds."""
        return self.text


@dataclass(frozen=True)
class Words:
    """A paragraph.

    Attributes
    ----------
    text : str
    tone : {"plain", "note", "caution", "alarm"}
        "caution": read the numbers beside it with care; "alarm": do not use them.
    links : tuple of Link
        Set after the text.
    """

    text: str
    tone: Tone = "plain"
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: tuple[str, ...]
    tone: Tone = "plain"


@dataclass(frozen=True)
class Code:
    """Lines to type or to keep, as they stand.

    Attributes
    ----------
    text : str
    says : str
        What they are; read out before them.
    """

    text: str
    says: str


@dataclass(frozen=True)
class Formula:
    """An equation.

    Attributes
    ----------
    mathml : str
        The inside of a ``math`` element, which browsers draw and screen readers read.
    text : str
        The same in plain letters.
    says : str
        What its symbols are.
    """

    mathml: str
    text: str
    says: str = ""


@dataclass(frozen=True)
class Table:
    """A table, which can be had alone.

    Attributes
    ----------
    name : str
        Its id on the page and in `Report.tables`: letters, digits and hyphens.
    caption : str
    frame : pandas.DataFrame
        Unrounded; the index is not shown.
    digits : int
        Decimals on the page; a number beyond 10,000 or below one unit of the last decimal is
        shown with three digits.
    mark : str or None
        Column whose cells name the marks of the picture beside it: row and mark light up
        together.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    digits: int = 2
    mark: str | None = None


@dataclass(frozen=True)
class Picture:
    """A figure with what it says in words and, where it has one, the table of its numbers.

    Attributes
    ----------
    name : str
        Its id on the page and in `Report.figures`: letters, digits and hyphens.
    caption : str
    alt : str
        What a reader who cannot see it must know: what is drawn, and what it shows.
    figure : Figure
    twin : Table or None
    """

    name: str
    caption: str
    alt: str
    figure: Figure = field(compare=False)
    twin: Table | None = None


@dataclass(frozen=True)
class Fold:
    """Blocks behind a line that opens them; in print they are open."""

    summary: str
    blocks: tuple[Block, ...]


Block = Words | Items | Code | Formula | Table | Picture | Fold


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes
    ----------
    name : str
        Its id.
    title : str
    blocks : tuple of Block
    """

    name: str
    title: str
    blocks: tuple[Block, ...]

    def flat(self) -> tuple[Block, ...]:
        """Return the blocks, those in folds and the twins of pictures among them."""
        return _flat(self.blocks)


def _flat(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    found: list[Block] = []
    for block in blocks:
        found.append(block)
        if isinstance(block, Fold):
            found += _flat(block.blocks)
        elif isinstance(block, Picture) and block.twin is not None:
            found.append(block.twin)
    return tuple(found)
