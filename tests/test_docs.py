"""The documentation site: what its pages say is what the code does; building it is `make docs`."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import oracle

import bayesma as bm

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXTENSIONS = DOCS / "_ext"


def module(path):
    """A script that is no part of the package."""
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def check():
    return module(ROOT / "scripts" / "check_docs.py")


@pytest.fixture(scope="module")
def conf():
    before = list(sys.path)
    found = module(DOCS / "conf.py")
    sys.path[:] = before
    return vars(found)


def python_blocks(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


# ---- coming from metafor -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example():
    """The page's own Python, run."""
    names = {}
    exec(python_blocks("coming_from.md")[0], names)
    return names


@pytest.fixture(scope="module")
def ours(example):
    pooled, plain, two, nested, sandwich = (
        example[name] for name in ("pooled", "plain", "two", "nested", "sandwich")
    )
    coefficient, mean = two.table.iloc[1], nested.table.iloc[0]
    return [
        pooled.estimate,
        *pooled.ci,
        *plain.ci,
        pooled.tau2,
        pooled.tau2_ci[1],
        pooled.i2,
        *pooled.prediction,
        example["egger"].statistic,
        example["filled"].k0,
        example["without"]["estimate"].min(),
        example["sway"]["cook_d"].max(),
        coefficient["estimate"],
        coefficient["se"],
        mean["estimate"],
        mean["ci_low"],
        mean["ci_high"],
        nested.sigma2["study/experiment"],
        sandwich.table.iloc[0]["se"],
        sandwich.table.iloc[0]["df"],
    ]


# The oracle's names in the order of the table.
LISTED = (
    "effect",
    *("ci_low", "ci_high", "z_ci_low", "z_ci_high"),
    *("tau2", "tau2_high", "i2", "prediction_low", "prediction_high"),
    *("egger", "filled", "least", "largest_cook"),
    *("single", "single_se"),
    *("nested", "nested_ci_low", "nested_ci_high", "within_studies"),
    *("robust_se", "robust_df"),
)


def test_the_example_gives_metafor_s_numbers(ours):
    theirs = oracle("numbers", "coming_from")
    # rma.mv's own search, the only one that was not tightened, leaves about 1e-7 in the variance.
    np.testing.assert_allclose(ours, [theirs[name] for name in LISTED], rtol=1e-6)


def test_the_table_prints_what_both_found(ours):
    text = (DOCS / "coming_from.md").read_text(encoding="utf-8")
    table = text.partition("| number | metafor | bayesma |\n| --- | --- | --- |\n")[2]
    rows = [line.strip("|").split("|") for line in table.partition("\n\n")[0].splitlines()]
    theirs = oracle("numbers", "coming_from")
    assert len(rows) == len(LISTED)
    for (_, printed, beside), name, own in zip(rows, LISTED, ours, strict=True):
        decimals = 0 if name == "filled" else 4
        assert float(printed) == round(theirs[name], decimals), name
        assert float(beside) == round(own, decimals), name


def test_every_public_name_on_the_page_exists():
    for page in ("coming_from.md", "getting_started.md", "limits.md", "gallery.py"):
        text = (DOCS / page).read_text(encoding="utf-8")
        named = set(re.findall(r"\bbm\.(\w+)", text)) | set(re.findall(r"<bayesma\.(\w+)>", text))
        assert named
        assert not named - set(dir(bm)), page


def test_python_on_pages_can_be_parsed():
    pages = ("coming_from.md", "getting_started.md", "gallery.md")
    for page in pages:
        assert python_blocks(page)
        for block in python_blocks(page):
            ast.parse(block)


# ---- the gallery ---------------------------------------------------------------------------------


def gallery_source():
    return (DOCS / "gallery.py").read_text(encoding="utf-8")


def test_every_plot_is_in_the_gallery():
    drawn = set(re.findall(r"\bbm\.(plot_\w+)\(", gallery_source()))
    assert drawn == {name for name in bm.__all__ if name.startswith("plot_")}


def test_each_figure_has_its_lines_and_its_picture():
    figures = module(EXTENSIONS / "figures.py").shown()
    script = gallery_source().splitlines()
    assert {figure.name for figure in figures} == {p.stem for p in (DOCS / "gallery").iterdir()}
    made = set(re.findall(r"^def ([a-z]\w*)\(", gallery_source(), re.MULTILINE))
    assert made == {figure.name for figure in figures}
    for figure in figures:
        lines = script[figure.first - 1 : figure.last]
        assert figure.title
        assert figure.text
        assert lines[-1].startswith("    figure = bm.plot_")
        assert script[figure.last] == "    return figure"


def test_the_gallery_s_page_shows_every_figure():
    figures = module(EXTENSIONS / "figures.py")
    assert figures.PLACE in (DOCS / "gallery.md").read_text(encoding="utf-8")
    section = figures.section(figures.Shown("one", "A title", "A text.", 3, 5))
    for part in (":lines: 3-5", "gallery/one.png", ":alt: A title"):
        assert part in section


# ---- the reference -------------------------------------------------------------------------------


def test_the_reference_groups_every_public_name():
    reference = module(EXTENSIONS / "reference.py")
    found = reference.groups()
    assert list(itertools.chain(*found.values())) == [
        name for name in bm.__all__ if name != "__version__"
    ]
    assert "" not in found


def test_pages_of_the_reference_differ_where_case_does_not_count():
    files = module(EXTENSIONS / "reference.py").pages()
    assert len({file.lower() for file in files.values()}) == len(files)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("pool", "autofunction:: pool"), ("Pooled", "autoclass:: Pooled"),
     ("SpecError", "autoexception:: SpecError"), ("priors", "automodule:: bayesma.priors")],
)  # fmt: skip
def test_a_page_is_of_its_kind(name, kind):
    assert f".. {kind}\n" in module(EXTENSIONS / "reference.py").page(name)


# ---- pages from elsewhere ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mirror():
    return module(EXTENSIONS / "mirror.py")


@pytest.mark.parametrize(
    ("page", "text", "turned"),
    [
        ("evidence/exact.md", "![a](exact.png)", "![a](exact.png)"),
        ("data/fst/README.md", "[e](../../evidence/fst.md)", "[e](../../evidence/fst.md)"),
        ("docs/limits.md", "[e](../evidence/fst.md#x)", "[e](evidence/fst.md#x)"),
        ("docs/limits.md", "[c](../CHANGELOG.md)", "[c](project/CHANGELOG.md)"),
        ("CONTRIBUTING.md", "[a](ARCHITECTURE.md)", "[a](ARCHITECTURE.md)"),
        ("evidence/exact.md", "[s](exact.py)", "[s](../files/evidence/exact.py)"),
        ("evidence/README.md", "| `exact.md` |", "| [`exact.md`](exact.md) |"),
        ("evidence/exact.md", "[d](https://doi.org/10.1/x)", "[d](https://doi.org/10.1/x)"),
        ("evidence/exact.md", "`no_such.md`", "`no_such.md`"),
        ("evidence/exact.md", "```\n[s](exact.py)\n```", "```\n[s](exact.py)\n```"),
    ],
)
def test_links_lead_to_where_pages_are(mirror, page, text, turned):
    assert mirror.turned(text, Path(page)) == turned


def test_what_the_build_copies_is_not_committed(mirror):
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    for name in (*mirror.MADE, "api", "_build"):
        assert f"/docs/{name}/" in ignored


# ---- the configuration and the check of the built site -------------------------------------------


def test_the_build_samples_nothing_and_fetches_nothing(conf):
    assert conf["nb_execution_mode"] == "off"
    assert conf["html_math_renderer"] == "mathml"
    outside = ("sphinx.ext.intersphinx", "sphinx.ext.mathjax", "sphinx.ext.linkcode")
    assert not set(outside) & set(conf["extensions"])


def test_our_style_sheets_load_nothing(check):
    for sheet in (DOCS / "_static").glob("*.css"):
        assert check.css_urls(sheet.read_text(encoding="utf-8")) == []


def site(folder, body, head=""):
    (folder / "other.html").write_text('<h1 id="here">x</h1>', encoding="utf-8")
    page = f"<html><head>{head}</head><body>{body}</body></html>"
    (folder / "index.html").write_text(page, encoding="utf-8")
    return folder


GOOD = (
    '<a href="other.html#here">a</a><a href="https://doi.org/10.1/x">d</a>'
    '<a href="#top">t</a><p id="top"><a href="mailto:a@b.c">m</a>'
)


def test_a_good_site_passes(check, tmp_path):
    assert check.faults(site(tmp_path, GOOD, '<link rel="canonical" href="https://x.y/z">')) == []


@pytest.mark.parametrize(
    ("body", "head", "fault"),
    [
        ('<script src="https://cdn.x/a.js"></script>', "", "loads https://cdn.x/a.js"),
        ('<img alt="a" src="//cdn.x/a.png">', "", "loads //cdn.x/a.png"),
        ('<img alt="a" srcset="a.png 1x, https://cdn.x/b.png 2x">', "", "loads https://cdn.x/b"),
        ("", '<link rel="stylesheet" href="https://cdn.x/a.css">', "loads https://cdn.x/a.css"),
        ("", '<link rel="preconnect" href="https://cdn.x">', "loads https://cdn.x"),
        ("", "<style>@import 'https://cdn.x/f.css';</style>", "loads https://cdn.x/f.css"),
        ('<p style="background: url(https://cdn.x/b.png)">', "", "loads https://cdn.x/b.png"),
        ('<a href="gone.html">x</a>', "", "no file for gone.html"),
        ('<a href="other.html#gone">x</a>', "", "no anchor for other.html#gone"),
        ('<a href="#gone">x</a>', "", "no anchor for #gone"),
        ('<a href="https://elsewhere.org/">x</a>', "", "sends the reader to elsewhere.org"),
        ('<img src="a.png">', "", "a picture without words"),
    ],
)
def test_a_faulty_site_is_told(check, tmp_path, body, head, fault):
    found = check.faults(site(tmp_path, body, head))
    assert len(found) == 1
    assert fault in found[0]


def test_a_style_sheet_that_loads_a_font_is_told(check, tmp_path):
    (tmp_path / "a.css").write_text("@font-face { src: url('https://cdn.x/f.woff2') }")
    assert "a.css: loads https://cdn.x/f.woff2" in check.faults(site(tmp_path, GOOD))


def test_an_empty_site_is_a_fault(check, tmp_path):
    assert "build the site first" in check.faults(tmp_path)[0]
