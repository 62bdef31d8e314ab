"""The API reference: a page for each public name, grouped as `bayesma.__all__` groups them."""

from __future__ import annotations

import inspect
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import bayesma

DOCS = Path(__file__).resolve().parents[1]
FOLDER = DOCS / "api"
ENTRY = re.compile(r'^    (?:# (?P<group>.+)|"(?P<name>\w+)",)$', re.MULTILINE)


def groups() -> dict[str, list[str]]:
    """Return the public names by the comments over them in `__all__`, in its order."""
    text = Path(bayesma.__file__).read_text(encoding="utf-8")
    listing = text.partition("__all__ = [\n")[2].partition("\n]")[0]
    found: dict[str, list[str]] = {}
    group = ""
    for entry in ENTRY.finditer(listing):
        if entry["group"]:
            group = entry["group"]
        elif entry["name"] != "__version__":
            found.setdefault(group, []).append(entry["name"])
    return found


def pages() -> dict[str, str]:
    """Return the page of each public name.

    `Assurance` and `assurance` are two names, which some file systems take for one.
    """
    names = [name for members in groups().values() for name in members]
    like = Counter(name.lower() for name in names)
    return {
        name: f"{name}-class" if like[name.lower()] > 1 and name[0].isupper() else name
        for name in names
    }


def page(name: str) -> str:
    """Return the page of a public name, in reStructuredText."""
    what = getattr(bayesma, name)
    title = f"bm.{name}\n{'=' * (len(name) + 3)}\n\n"
    if inspect.ismodule(what):
        return f"{title}.. automodule:: bayesma.{name}\n   :members:\n   :imported-members:\n"
    kind = "class" if inspect.isclass(what) else "function"
    if kind == "class" and issubclass(what, Exception):
        kind = "exception"
    members = "   :members:\n" if kind == "class" else ""
    return f"{title}.. currentmodule:: bayesma\n\n.. auto{kind}:: {name}\n{members}"


def heading(group: str) -> str:
    """Return a group's title."""
    return group[0].upper() + group[1:]


def slug(group: str) -> str:
    """Return a group's file name."""
    return "group-" + re.sub(r"\W+", "-", group.lower())


def group_page(group: str, names: list[str], files: dict[str, str]) -> str:
    """Return the page of a group: a table of its names with their first sentences."""
    title = heading(group)
    lines = [title, "=" * len(title), "", ".. currentmodule:: bayesma", ""]
    lines += [".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in names), ""]
    lines += [".. toctree::", "   :hidden:", ""]
    lines += [f"   bm.{name} <{files[name]}>" for name in names]
    return "\n".join(lines) + "\n"


def index(found: dict[str, list[str]], files: dict[str, str]) -> str:
    """Return the first page: every public name under its group."""
    lines = ["# API reference", "", "Every public name, `import bayesma as bm`.", ""]
    for group, names in found.items():
        links = " · ".join(f"[`{name}`]({files[name]}.rst)" for name in names)
        lines += [f"## [{heading(group)}]({slug(group)}.rst)", "", links, ""]
    lines += ["```{toctree}", ":hidden:", "", *(slug(group) for group in found), "```"]
    return "\n".join(lines) + "\n"


def write(app: Sphinx) -> None:
    """Write all pages of the reference."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    found, files = groups(), pages()
    (FOLDER / "index.md").write_text(index(found, files), encoding="utf-8")
    for group, names in found.items():
        text = group_page(group, names, files)
        (FOLDER / f"{slug(group)}.rst").write_text(text, encoding="utf-8")
    for name, file in files.items():
        (FOLDER / f"{file}.rst").write_text(page(name), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the writing."""
    app.connect("builder-inited", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
