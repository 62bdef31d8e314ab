"""A forest in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from bayesma.cli.console import OUT

if TYPE_CHECKING:
    from bayesma.frequentist.forest import Diamond, Forest

__all__ = ["print_forest"]

# Characters across; a terminal may be wider than a forest need be.
WIDEST, LABEL, SHORTEST, LEAST = 110, 30, 8, 18
MARKS = {
    "line": "─",
    "row": "■",
    "pooled": "◆",
    "prediction": "┄",
    "zero": "┊",
    "dots": "…",
    "more": "…",
}
PLAIN = {
    "line": "-",
    "row": "#",
    "pooled": "O",
    "prediction": ".",
    "zero": ":",
    "dots": "...",
    "more": "~",
}


@dataclass(frozen=True)
class _Paper:
    """Where a line is printed: the columns' widths, and the axis."""

    label: int
    bar: int
    text: int
    low: float
    high: float
    marks: Mapping[str, str]

    def column(self, value: float) -> int:
        """Return the character that a value falls on; outside the bar where it is cut."""
        return round((value - self.low) / (self.high - self.low) * (self.bar - 1))

    def drawn(self, low: float, middle: float | None, high: float, line: str, mark: str) -> str:
        """Return an interval as characters."""
        cells = [" "] * self.bar
        if 0 <= self.column(0.0) < self.bar:
            cells[self.column(0.0)] = self.marks["zero"]
        first, last = self.column(low), self.column(high)
        for i in range(max(first, 0), min(last, self.bar - 1) + 1):
            cells[i] = self.marks[line]
        if middle is not None and 0 <= self.column(middle) < self.bar:
            cells[self.column(middle)] = self.marks[mark]
        if first < 0:
            cells[0] = "<"
        if last >= self.bar:
            cells[-1] = ">"
        return "".join(cells)

    def print(self, label: str, bar: str, text: str = "", weight: str = "") -> None:
        """Print a line."""
        from bayesma.frequentist.forest import shortened

        name = shortened(label, self.label).replace("…", self.marks["more"])
        line = f"{set_cell_size(name, self.label)} {bar:{self.bar}} {text:>{self.text}} {weight:>6}"
        OUT.print(line.rstrip(), soft_wrap=True)


def print_forest(forest: Forest, most: int | None) -> None:
    """Print a forest.

    Parameters
    ----------
    forest : Forest
    most : int or None
        Rows shown; the rest are counted. None shows all.
    """
    paper = _paper(forest)
    percent = f"{100 * forest.ci_prob:g}%"
    paper.print("", "", f"{forest.measure or 'effect'} [{percent} CI]", "weight")
    share = None if most is None else max(most // len(forest.blocks), 3)
    for block in forest.blocks:
        if block.title:
            OUT.print(block.title, soft_wrap=True)
        shown = block.rows if share is None else block.rows.head(share)
        for row in shown.to_dict("records"):
            _print_row(paper, {str(k): v for k, v in row.items()}, forest.decimals)
        if left := len(block.rows) - len(shown):
            many = "row" if left == 1 else "rows"
            OUT.print(f"{paper.marks['dots']} {left} more {many}, --all shows them")
        if block.pooled is not None:
            _print_pooled(paper, block.pooled, forest.decimals)
            OUT.print(f"  {block.pooled.words}", soft_wrap=True)
    _print_pooled(paper, forest.total, forest.decimals)
    _print_axis(paper, forest)


def _paper(forest: Forest) -> _Paper:
    from bayesma.frequentist.forest import limits_of

    texts = [_text(row, forest.decimals) for row in forest.rows.to_dict("records")]
    texts += [_text(vars(d) | {"y": d.estimate}, forest.decimals) for d in forest.diamonds]
    labels = [str(label) for label in forest.rows["label"]]
    labels += ["prediction interval", *(d.label for d in forest.diamonds)]
    text = max(map(len, [*texts, f"{forest.measure or 'effect'} [95% CI]"]))
    # Spaces between the columns, and that of the weights.
    left = min(OUT.width, WIDEST) - text - 9
    label = min(LABEL, max(map(cell_len, labels)), max(left - LEAST, SHORTEST))
    low, high = limits_of(forest)
    unicode = OUT.encoding.lower().startswith("utf")
    return _Paper(label, max(left - label, LEAST), text, low, high, MARKS if unicode else PLAIN)


def _text(row: Mapping[Any, Any], decimals: int) -> str:
    from bayesma.frequentist.sentences import effect_text

    return effect_text(row["y"], row["low"], row["high"], decimals)


def _print_row(paper: _Paper, row: Mapping[str, Any], decimals: int) -> None:
    bar = paper.drawn(row["low"], row["y"], row["high"], "line", "row")
    paper.print(str(row["label"]), bar, _text(row, decimals), f"{row['weight']:.1f}%")


def _print_pooled(paper: _Paper, pooled: Diamond, decimals: int) -> None:
    from bayesma.frequentist.sentences import fixed

    bar = paper.drawn(pooled.low, pooled.estimate, pooled.high, "line", "pooled")
    paper.print(pooled.label, bar, _text(vars(pooled) | {"y": pooled.estimate}, decimals))
    if pooled.prediction:
        low, high = pooled.prediction
        bar = paper.drawn(low, None, high, "prediction", "pooled")
        text = f"[{fixed(low, decimals)}, {fixed(high, decimals)}]"
        paper.print("prediction interval", bar, text)


def _print_axis(paper: _Paper, forest: Forest) -> None:
    """Print the ends of the axis and 0, and what lies on either side of it."""
    zero = paper.column(0.0)
    cells = [" "] * paper.bar
    for at, value in ((0, paper.low), (paper.bar - 1, paper.high), (zero, 0.0)):
        text = f"{value:.3g}"
        start = max(0, min(at - len(text) // 2, paper.bar - len(text)))
        # With a space to either side, or not at all.
        if not "".join(cells[max(start - 1, 0) : start + len(text) + 1]).strip():
            cells[start : start + len(text)] = text
    paper.print("", "".join(cells))
    left, right = f"< {forest.sides[0]}", f"{forest.sides[1]} >"
    start = paper.label + 1 + zero
    OUT.print(f"{left:>{max(start - 1, len(left))}} | {right}".rstrip(), soft_wrap=True)
