"""The gallery: figures and the lines that make them, read from gallery.py at each build."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
SCRIPT = DOCS / "gallery.py"
PLACE = "<!-- figures -->"


@dataclass(frozen=True)
class Shown:
    """A figure of the gallery.

    Attributes
    ----------
    name : str
        Of its function, and of its picture in gallery/.
    title, text : str
        First sentence of the docstring, and the rest.
    first, last : int
        Lines of the script that make it.
    """

    name: str
    title: str
    text: str
    first: int
    last: int


def shown(script: Path = SCRIPT) -> list[Shown]:
    """Return the figures of the script: its functions with a docstring that return `figure`."""
    found = []
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef) or not _returns_figure(node):
            continue
        title, _, text = (ast.get_docstring(node) or "").partition("\n")
        first, last = node.body[1].lineno, node.body[-1].lineno - 1
        found.append(Shown(node.name, title.rstrip("."), text.strip(), first, last))
    return found


def _returns_figure(node: ast.FunctionDef) -> bool:
    last = node.body[-1]
    name = last.value if isinstance(last, ast.Return) else None
    return isinstance(name, ast.Name) and name.id == "figure"


def section(figure: Shown) -> str:
    """Return a figure's part of the page, in MyST Markdown."""
    code = f"```{{literalinclude}} gallery.py\n:lines: {figure.first}-{figure.last}\n:dedent: 4\n"
    return (
        f"## {figure.title}\n\n{figure.text}\n\n"
        f"```{{image}} gallery/{figure.name}.png\n:alt: {figure.title}\n```\n\n"
        f"{code}:language: python\n```\n"
    )


def fill(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the figures where the gallery's page has their place."""
    if docname == "gallery":
        app.env.note_dependency(str(SCRIPT))
        source[0] = source[0].replace(PLACE, "\n".join(section(figure) for figure in shown()))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the filling."""
    app.connect("source-read", fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
