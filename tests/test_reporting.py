"""The report of a fit: what it is made of, and the page."""

from __future__ import annotations

import pandas as pd
import pytest

from bayesma.reporting.blocks import Fold, Link, Section, Table, Words
from bayesma.reporting.noun import Report
from bayesma.reporting.rendering import cell_text


def small_report(**changes):
    frame = pd.DataFrame({"study": ["A & B", "C"], "effect": [1.23456, -20000.0]})
    table = Table("effects", "Effects", frame, mark="study")
    section = Section("answer", "Answer", (Words("Yes.", links=(Link("why", "answer"),)), table))
    folded = Section("more", "More", (Fold("Open", (Table("hidden", "Hidden", frame),)),))
    values = {"title": "T", "subtitle": "S", "converged": True, "sections": (section, folded)}
    return Report(**(values | changes))


def test_tables_in_folds_are_at_hand_too():
    assert list(small_report().tables) == ["effects", "hidden"]


def test_a_table_is_written_in_every_format(tmp_path):
    report = small_report()
    for form, words in {"csv": "A & B,1.23456", "md": "| A & B", "tex": r"A \& B & 1.23"}.items():
        written = report.save_tables(tmp_path / form, form)
        assert [path.name for path in written] == [f"effects.{form}", f"hidden.{form}"]
        assert words in written[0].read_text(encoding="utf-8")
    with pytest.raises(Exception, match="known: csv, md, tex"):
        report.save_tables(tmp_path, "xlsx")


def test_words_of_data_cannot_become_markup():
    frame = pd.DataFrame({"study": ["<script>alert(1)</script>"], "effect": [1.0]})
    section = Section("a", "<b>", (Table("t", "<i>", frame), Words("<u>")))
    html = small_report(title="<title>", sections=(section,)).html
    for raw in ("<script>alert", "<b>", "<i>", "<u>", "<title><title>"):
        assert raw not in html


def test_a_page_that_did_not_converge_says_so_first():
    html = small_report(converged=False).html
    assert html.index("has not converged") < html.index("<nav")
    assert "has not converged" not in small_report().html


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (1.005, "1.00"),
        (-0.001, "−0.001"),
        (0.0, "0.00"),
        (-20000.0, "−2e+04"),
        (float("inf"), "∞"),
        (float("nan"), ""),
        (12345, "12 345"),
        (True, "yes"),
        (None, ""),
        ("a", "a"),
    ],
)
def test_cells_read_as_people_write_numbers(cell, text):
    assert cell_text(cell, 2) == text
