"""The documentation site: `sphinx-build -W --keep-going -b html docs docs/_build/html`.

Nothing is sampled and nothing is fetched: notebooks show the outputs they were committed with, math
becomes MathML, and the built pages load nothing from elsewhere (scripts/check_docs.py holds it).
"""

import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "bayesma"
author = "The bayesma contributors"
copyright = author
release = version = metadata.version("bayesma")
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "mathml",
    "mirror",
    "reference",
    "figures",
]
exclude_patterns = ["_build", "_ext", "**/.ipynb_checkpoints"]

nb_execution_mode = "off"
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 4

# Pages of the reference are written by _ext/reference.py.
autosummary_generate = False
default_role = "py:obj"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = f"bayesma {release}"
html_static_path = ["_static"]
html_css_files = ["bayesma.css"]
html_copy_source = False
html_show_sourcelink = False
# Pages without others below them have the whole width.
ALONE = "index getting_started gallery coming_from methods limits translation calibration"
html_sidebars: dict[str, list[str]] = {name: [] for name in (*ALONE.split(), "search", "genindex")}
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "bayesma"},
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
