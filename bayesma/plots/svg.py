"""Figures as inline SVG: one id per mark, a title on each, and words that stay text."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.figure import Figure

__all__ = ["inline_svg", "slug"]

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
HREF = f"{{{XLINK}}}href"
# Pixels of a page to a point of a figure, whose words are of 8 to 10 points.
SCALE = 1.5
NUMBER = re.compile(r"-?\d+\.\d{3,}")
# Elements of which a marker or a line collection has one per mark.
MARKS = {f"{{{SVG}}}use", f"{{{SVG}}}path"}


def inline_svg(figure: Figure, name: str, alt: str) -> str:
    """Return a figure as an ``svg`` element for a page.

    An artist's gid becomes its id, after the figure's name and in letters that an id may have. A
    gid such as "effect: Wang 2011" is that of a mark: the artist's label, or else its gid,
    becomes its title. An artist that draws many marks (a line of
    markers, a collection of lines) may have as many lines in its label, which then are the
    titles of its marks one by one. What follows ": " in the gid, or precedes ": " in the title
    of one of many, names the mark (``data-mark``), so that its row of a table can be found.

    Parameters
    ----------
    figure : Figure
    name : str
        Stands before every id, so that ids of two figures differ.
    alt : str
        Read out instead of the picture.

    Returns
    -------
    str
        The same figure gives the same text.
    """
    titles = dict(_titles(figure))
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.fromstring(buffer.getvalue())
    for child in [child for child in root if child.tag.endswith("metadata")]:
        root.remove(child)
    _name_marks(root, titles)
    _rename(root, name)
    _shorten(root)
    _describe(root, name, alt)
    text = ElementTree.tostring(root, encoding="unicode")
    # In a page, href needs no namespace.
    return text.replace("xlink:href", "href").replace(f' xmlns:xlink="{XLINK}"', "")


def slug(text: str) -> str:
    """Return words as an id: small letters of any alphabet, digits and hyphens."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-") or "x"


def _titles(figure: Figure) -> Iterable[tuple[str, list[str]]]:
    for artist in figure.findobj(lambda found: found.get_gid() is not None):
        gid = str(artist.get_gid())
        if ": " not in gid:
            continue
        yield gid, _lines(artist) or [gid]


def _lines(artist: Artist) -> list[str]:
    label = str(artist.get_label() or "")
    return [] if label.startswith("_") else [line for line in label.split("\n") if line]


def _name_marks(root: ElementTree.Element, titles: Mapping[str, list[str]]) -> None:
    """Put titles and names on the groups of artists that have a gid."""
    for group in root.iter(f"{{{SVG}}}g"):
        gid = group.get("id", "")
        if gid not in titles:
            continue
        lines = titles[gid]
        marks = [mark for mark in group.iter() if mark.tag in MARKS and not _defined(group, mark)]
        if len(lines) == len(marks) > 1:
            for number, (mark, line) in enumerate(zip(marks, lines, strict=True), 1):
                mark.set("id", f"{gid}-{number}")
                _entitle(mark, line, line.split(": ")[0])
        else:
            _entitle(group, "; ".join(lines), gid.split(": ", 1)[-1])


def _defined(group: ElementTree.Element, mark: ElementTree.Element) -> bool:
    return any(mark in list(place) for place in group.iter(f"{{{SVG}}}defs"))


def _entitle(element: ElementTree.Element, title: str, mark: str) -> None:
    element.set("class", "mark")
    element.set("data-mark", slug(mark))
    child = ElementTree.Element(f"{{{SVG}}}title")
    child.text = title
    element.insert(0, child)


def _rename(root: ElementTree.Element, name: str) -> None:
    """Give every id the figure's name, and no id to two elements."""
    known: dict[str, str] = {}
    taken: set[str] = set()
    for element in root.iter():
        if (old := element.get("id")) is None:
            continue
        new, number = f"{name}--{slug(old)}", 2
        while new in taken:
            new, number = f"{name}--{slug(old)}-{number}", number + 1
        taken.add(new)
        known.setdefault(old, new)
        element.set("id", new)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key in (HREF, "href") and value[1:] in known:
                element.set(key, "#" + known[value[1:]])
            elif "url(#" in value:
                element.set(key, re.sub(r"#([^)]+)", lambda m: "#" + known.get(m[1], m[1]), value))


def _shorten(root: ElementTree.Element) -> None:
    """Round coordinates to a hundredth of a point, which nobody sees and halves the file."""
    for element in root.iter():
        for key, value in element.attrib.items():
            if key in ("d", "x", "y", "transform", "points", "style"):
                text = NUMBER.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), value)
                element.set(key, re.sub(r"\s+", " ", text).strip())


def _describe(root: ElementTree.Element, name: str, alt: str) -> None:
    """Name the picture for who cannot see it, and let the page set its size."""
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}--alt")
    # As wide as drawn, with words as large as the page's; narrower where the page is.
    width = float(root.get("width", "0").removesuffix("pt"))
    root.set("style", f"max-width: {SCALE * width:.0f}px")
    for key in ("width", "height"):
        root.attrib.pop(key, None)
    words = ElementTree.Element(f"{{{SVG}}}desc", {"id": f"{name}--alt"})
    words.text = alt
    root.insert(0, words)
