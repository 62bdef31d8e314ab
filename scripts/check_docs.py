"""Check the built documentation: it loads nothing from elsewhere, and its own links lead somewhere.

    python scripts/check_docs.py docs/_build/html

A page may link to other hosts, which a reader follows; what it *loads* (scripts, styles, pictures,
fonts, frames) must lie beside it. Every link within the site must name a file that is there, and
every anchor an id on that page.
"""

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attributes that make a browser fetch, by element; None stands for any element.
LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
}
# Relations of <link> that fetch nothing.
NOT_FETCHED = {"canonical", "next", "prev", "index", "search", "alternate", "author", "license"}
# Hosts that a reader may be sent to.
HOSTS = ("doi.org", "www.pymc.io", "www.arviz.org", "python.arviz.org")
# The theme's own credits, and the namespaces that elements carry.
CSS_URL = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


@dataclass
class Page(HTMLParser):
    """What a page loads, links to, and can be linked at."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    nameless: list[str] = field(default_factory=list)
    style: bool = False

    def __post_init__(self) -> None:
        """Start the parser."""
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down an element."""
        given = {name: value or "" for name, value in attrs}
        self.style = tag == "style"
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        for name in LOADED.get(tag, ()):
            if given.get(name):
                self.loads += [part.split()[0] for part in given[name].split(", ")]
        if tag == "link" and not NOT_FETCHED & set(given.get("rel", "").split()):
            self.loads.append(given.get("href", ""))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img" and not given.get("alt", "").strip():
            self.nameless.append(given.get("src", ""))
        self.loads += css_urls(given.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Take down what a style element loads."""
        if self.style:
            self.loads += css_urls(data)

    def handle_endtag(self, tag: str) -> None:
        """Leave a style element."""
        self.style = False


def css_urls(text: str) -> list[str]:
    """Return what a style sheet loads."""
    return [a or b for a, b in CSS_URL.findall(text)]


def read(path: Path) -> Page:
    """Return a built page."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def outside(address: str) -> bool:
    """Whether an address lies on another host."""
    return bool(urlsplit(address).netloc)


def load_faults(where: str, loads: list[str]) -> list[str]:
    """Return what is fetched from elsewhere."""
    return [f"{where}: loads {address}" for address in loads if outside(address)]


def link_faults(root: Path, path: Path, pages: dict[Path, Page]) -> list[str]:
    """Return the links of a page that lead nowhere, or to a host that is not one of ours."""
    found, where = [], path.relative_to(root)
    for address in pages[path].links:
        parts = urlsplit(address)
        if parts.netloc:
            if parts.netloc not in HOSTS:
                found.append(f"{where}: sends the reader to {parts.netloc} ({address})")
            continue
        if parts.scheme:
            continue
        goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not goal.is_file():
            found.append(f"{where}: no file for {address}")
        elif parts.fragment and goal in pages and unquote(parts.fragment) not in pages[goal].ids:
            found.append(f"{where}: no anchor for {address}")
    return found


def faults(root: Path) -> list[str]:
    """Return everything wrong with a built site."""
    root = root.resolve()
    pages = {path: read(path) for path in sorted(root.rglob("*.html"))}
    pages = {path: page for path, page in pages.items() if "_static" not in path.parts}
    found = [] if pages else [f"{root}: no pages; build the site first"]
    for path, page in pages.items():
        where = str(path.relative_to(root))
        found += load_faults(where, page.loads)
        found += [f"{where}: a picture without words: {src}" for src in page.nameless]
        found += link_faults(root, path, pages)
    for sheet in sorted(root.rglob("*.css")):
        loads = css_urls(sheet.read_text(encoding="utf-8"))
        found += load_faults(str(sheet.relative_to(root)), loads)
    return found


def main() -> int:
    """Print what is wrong; return 1 if anything is."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/_build/html")
    found = faults(root)
    print("\n".join(found) if found else f"{root}: loads nothing from elsewhere, links hold")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
