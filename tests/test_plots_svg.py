"""Figures as inline SVG: ids, titles and words."""

from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from bayesma.plots.svg import inline_svg, slug

SVG = "{http://www.w3.org/2000/svg}"


def drawn():
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], gid="curve: single dose")
    axes.plot([0.5], [1], "o", gid="effect: Müller & Ünal <2011>", label="Müller: 1 [0, 2]")
    axes.plot([0, 1, 2], [1, 2, 3], "s", gid="rows: all", label="A: 1\nB: 2\nC: 3")
    lines = LineCollection([[(0, 0), (1, i)] for i in range(2)], label="A: low\nB: high")
    lines.set_gid("intervals: all")
    axes.add_collection(lines)
    axes.set_title("words stay words", gid="title")
    axes.set_clip_on(True)
    return figure


@pytest.fixture(scope="module")
def root():
    return ElementTree.fromstring(inline_svg(drawn(), "fig-a", "What it shows."))


def titled(root):
    return {
        element.get("id"): (child.text, element.get("data-mark"))
        for element in root.iter()
        for child in element
        if child.tag == f"{SVG}title"
    }


def test_each_mark_has_an_id_a_title_and_a_name(root):
    found = titled(root)
    assert found["fig-a--curve-single-dose"] == ("curve: single dose", "single-dose")
    assert found["fig-a--effect-müller-ünal-2011"] == ("Müller: 1 [0, 2]", "müller-ünal-2011")
    for number, (name, value) in enumerate((("a", "A: 1"), ("b", "B: 2"), ("c", "C: 3")), 1):
        assert found[f"fig-a--rows-all-{number}"] == (value, name)
    assert found["fig-a--intervals-all-1"] == ("A: low", "a")
    assert found["fig-a--intervals-all-2"] == ("B: high", "b")


def test_ids_are_unique_and_every_reference_is_to_one(root):
    text = ElementTree.tostring(root, encoding="unicode")
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("fig-a--") for name in ids)
    used = {part.split(")")[0] for part in text.split("url(#")[1:]}
    used |= {element.get("href")[1:] for element in root.iter() if element.get("href")}
    assert used
    assert used <= set(ids)


def test_words_stay_text_and_the_picture_is_described(root):
    assert "words stay words" in [element.text for element in root.iter(f"{SVG}text")]
    assert root.get("role") == "img"
    (words,) = [e for e in root.iter() if e.get("id") == root.get("aria-labelledby")]
    assert words.text == "What it shows."


def test_titles_that_are_not_one_for_each_mark_are_the_group_s():
    figure = Figure()
    figure.subplots().plot([0, 1, 2], [1, 2, 3], "s", gid="rows: all", label="A: 1\nB: 2")
    found = titled(ElementTree.fromstring(inline_svg(figure, "f", "")))
    assert found["f--rows-all"] == ("A: 1; B: 2", "all")


def test_the_same_figure_gives_the_same_text():
    assert inline_svg(drawn(), "f", "x") == inline_svg(drawn(), "f", "x")


def test_rounding_moves_no_coordinate_by_more_than_half_a_hundredth():
    rng = np.random.default_rng(1)
    figure = Figure()
    figure.subplots().plot(rng.random(50), rng.random(50), gid="curve: x")
    short = ElementTree.fromstring(inline_svg(figure, "f", ""))
    (group,) = [e for e in short.iter() if e.get("id") == "f--curve-x"]
    numbers = [float(w) for w in group.find(f"{SVG}path").get("d").split() if w not in "MLz"]
    import io

    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    full = ElementTree.fromstring(buffer.getvalue())
    (group,) = [e for e in full.iter() if e.get("id") == "curve: x"]
    exact = [float(w) for w in group.find(f"{SVG}path").get("d").split() if w not in "MLz"]
    # Two decimals are kept of a point; a point is 1/72 inch.
    assert np.abs(np.subtract(numbers, exact)).max() <= 0.005 + 1e-9


@pytest.mark.parametrize(
    ("text", "name"),
    [("Wang 2011", "wang-2011"), ("→", "x"), ("A/B_c", "a-b-c"), ("王 2011", "王-2011")],
)
def test_slugs(text, name):
    assert slug(text) == name
