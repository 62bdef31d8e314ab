"""Pages that live elsewhere in the repository, copied into the source tree of the site.

Notebooks, evidence, data and benchmarks keep their paths; pages at the root go to `project/`. A
link between them is turned to where its page now is. A link to any other file of the repository
takes a copy of that file along, and the reader can download it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
# What is copied: patterns from the root. Everything here is named in .gitignore.
SHELVES = ("notebooks", "evidence", "data", "benchmarks")
PATTERNS = (
    "notebooks/*.ipynb",
    "evidence/*.md",
    "evidence/*.png",
    "data/*.md",
    "data/*/*.md",
    "benchmarks/*.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
)
MADE = (*SHELVES, "project", "files")

LINK = re.compile(r"(?P<open>!?\[[^\]]*\]\()(?P<target>[^)\s]+)(?P<close>\))")
PAGE_NAME = re.compile(r"(?<![\[`])`(?P<page>[\w./-]+\.md)`(?![\]`])")
FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


def place(path: Path) -> Path:
    """Return where a file of the repository stands in the site; both paths from their root."""
    first = path.parts[0]
    if first == "docs":
        return Path(*path.parts[1:])
    if first in SHELVES and path.suffix in (".md", ".png", ".ipynb"):
        return path
    return ("project" if path.suffix == ".md" and len(path.parts) == 1 else "files") / path


def from_root(target: str, page: Path) -> Path | None:
    """Return the file a link of a page means, from the root; None if it is none of ours."""
    if re.match(r"[a-z][a-z0-9+.-]*:|#", target):
        return None
    found = Path(os.path.normpath(page.parent / target.partition("#")[0]))
    return found if (ROOT / found).exists() else None


def turned(text: str, page: Path, take: Callable[[Path], None] = lambda path: None) -> str:
    """Return a page's text with its links turned to where they lead in the site.

    Parameters
    ----------
    text : str
        Markdown.
    page : Path
        Of the page in the repository, from its root.
    take : callable
        Called with each file, from the root, that a link leads to.
    """
    here = place(page).parent

    def to(path: Path, anchor: str = "") -> str:
        take(path)
        return Path(os.path.relpath(place(path), here)).as_posix() + anchor

    def link(found: re.Match[str]) -> str:
        target = found["target"]
        path = from_root(target, page)
        if path is None:
            return found[0]
        anchor = f"#{target.partition('#')[2]}" if "#" in target else ""
        return f"{found['open']}{to(path, anchor)}{found['close']}"

    def name(found: re.Match[str]) -> str:
        path = from_root(found["page"], page)
        return found[0] if path is None or path == page else f"[{found[0]}]({to(path)})"

    parts = FENCE.split(text)
    parts[::2] = [PAGE_NAME.sub(name, LINK.sub(link, part)) for part in parts[::2]]
    return "".join(parts)


def copied(pattern: str) -> None:
    """Copy the files of a pattern to their places, with links turned."""
    for source in sorted(ROOT.glob(pattern)):
        path = source.relative_to(ROOT)
        goal = DOCS / place(path)
        goal.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix != ".md":
            shutil.copyfile(source, goal)
            continue
        text = turned(source.read_text(encoding="utf-8"), path, taken)
        if path.name == "README.md" and len(path.parts) == 2:
            text += contents(path.parts[0])
        goal.write_text(text, encoding="utf-8")


def taken(path: Path) -> None:
    """Copy a file that is no page of the site, so that a link to it is a download."""
    goal = DOCS / place(path)
    if goal.is_relative_to(DOCS / "files") and (ROOT / path).is_file():
        goal.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, goal)


def contents(shelf: str) -> str:
    """Return a table of contents for the first page of a shelf."""
    pattern = "*/README" if shelf == "data" else "*"
    more = "*/INCONSISTENCIES\n" if shelf == "data" else ""
    return f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{pattern}\n{more}```\n"


def mirror(app: Sphinx) -> None:
    """Make the copies anew."""
    for name in MADE:
        shutil.rmtree(DOCS / name, ignore_errors=True)
    for pattern in PATTERNS:
        copied(pattern)


def turn_own(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turn the links of pages in docs/, which are written as the repository has its files."""
    path = DOCS / f"{docname}.md"
    if docname.partition("/")[0] not in (*MADE, "api") and path.exists():
        source[0] = turned(source[0], path.relative_to(ROOT), taken)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the copying."""
    app.connect("builder-inited", mirror)
    app.connect("source-read", turn_own)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
