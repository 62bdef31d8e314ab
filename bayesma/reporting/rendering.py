"""A report to its page: template, style and script in one file."""

from __future__ import annotations

import base64
import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bayesma.plots.svg import inline_svg, slug
from bayesma.reporting.blocks import Link, Picture, Table
from bayesma.reporting.noun import Report

__all__ = ["cell_text", "page"]

FOLDER = Path(__file__).parent / "page"
# Beyond these a number is shown with three digits instead of so many decimals.
LARGE = 1e4


def page(report: Report) -> str:
    """Return a report as one HTML file that asks nothing of a network."""
    env = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["kind"] = lambda block: type(block).__name__
    env.filters["svg"] = _svg
    env.filters["records"] = _records
    env.filters["numeric"] = _numeric
    env.tests["link"] = lambda cell: isinstance(cell, Link)
    style, script = (
        (FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    parts = {"style": Markup(style), "script": Markup(script), "policy": _policy(script)}
    return env.get_template("page.html").render(report=report, **parts).strip() + "\n"


def _policy(script: str) -> str:
    """Return the rule by which a browser refuses every request and every script but ours."""
    # The template sets the script between line ends of its own.
    digest = hashlib.sha256(f"\n{script}\n".encode()).digest()
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{base64.b64encode(digest).decode()}'"
    )


def _svg(picture: Picture) -> Markup:
    # Text from data is escaped by the XML writer.
    return Markup(inline_svg(picture.figure, f"fig-{picture.name}", picture.alt))


def _records(table: Table) -> list[dict[str, Any]]:
    """Return the rows as the template writes them: cells, and the mark each lights up."""
    rows = []
    for record in table.frame.to_dict("records"):
        mark = slug(str(record[table.mark])) if table.mark else None
        cells = [_cell(value, table.digits) for value in record.values()]
        rows.append({"mark": mark, "cells": cells})
    return rows


def _cell(value: object, digits: int) -> object:
    return value if isinstance(value, Link) else cell_text(value, digits)


def _numeric(table: Table) -> list[bool]:
    """Return which columns hold numbers, and stand to the right."""
    return [
        bool(pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind))
        for kind in table.frame.dtypes
    ]


def cell_text(cell: object, digits: int) -> str:
    """Return a cell as people read it."""
    if (
        cell is None
        or cell is pd.NA
        or (isinstance(cell, float | np.floating) and math.isnan(cell))
    ):
        return ""
    if isinstance(cell, bool | np.bool_):
        return "yes" if cell else "no"
    if isinstance(cell, int | np.integer):
        return f"{cell:,}".replace(",", " ")
    if isinstance(cell, float | np.floating):
        return _number(float(cell), digits)
    return str(cell)


def _number(value: float, digits: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size >= LARGE or 0 < size < 0.5 * 10.0**-digits:
        return f"{value:.3g}".replace("-", "−")
    # Adding 0.0 leaves no negative zero.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
