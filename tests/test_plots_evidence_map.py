import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, prior_fit

import bayesma as bm
from bayesma.errors import QueryError
from bayesma.plots import plot_evidence_map
from bayesma.plots.svg import inline_svg
from bayesma.queries import evidence_map

FLAT = bm.ModelSpec(peak="1 + (1 | study)", decay="none")


def map_of(rows):
    return evidence_map(prior_fit(bm.effect_sizes(rows), FLAT, draws=20))


def marks(figure):
    return {
        line.get_gid(): line.get_label()
        for line in figure.axes[0].lines
        if str(line.get_gid()).startswith("cell: ")
    }


def test_a_cell_counts_effects_and_studies():
    table = map_of(EIGHT_ROWS)
    # By hand: single has delays 12 h, 1 d (study A), 2 d and 4 d (B); its mouse is the row of 1 d.
    found = {
        (r["regimen"], r["species"], str(r["delay"])): (r["effects"], r["studies"])
        for r in table.to_dict("records")
    }
    assert found == {
        ("single", "rat", "6 to 24 h"): (1, 1),
        ("single", "mouse", "6 to 24 h"): (1, 1),
        ("single", "rat", "1 to 3 d"): (1, 1),
        ("single", "rat", "3 to 7 d"): (1, 1),
        ("repeated", "rat", "1 to 3 d"): (1, 1),
        ("repeated", "mouse", "3 to 7 d"): (1, 1),
        ("repeated", "rat", "1 to 4 weeks"): (2, 1),
    }
    assert table["effects"].sum() == len(EIGHT_ROWS)


def test_the_end_of_a_bin_is_inside_it_and_exposure_counts_as_0():
    delays = [0.0, 1 / 24, 60 / 1440, 1.0, 7.0, 28.0, np.nan, np.nan]
    exposure = ["off"] * 6 + ["on", "off"]
    table = map_of(EIGHT_ROWS.assign(delay=delays, exposure=exposure).drop(columns="species"))
    counts = table.groupby("delay", observed=True)["effects"].sum()
    assert counts.to_dict() == {
        "0": 2,
        "to 1 h": 2,
        "6 to 24 h": 1,
        "3 to 7 d": 1,
        "1 to 4 weeks": 1,
        "not reported": 1,
    }


@pytest.mark.parametrize("gone", [["species"], ["regimen"], ["delay"], ["regimen", "species"]])
def test_a_column_that_the_data_lack_is_no_axis(gone):
    table = map_of(EIGHT_ROWS.drop(columns=gone))
    assert not set(gone) & set(table)
    figure = plot_evidence_map(table)
    assert len(marks(figure)) == len(table)


def test_without_any_column_there_is_one_count():
    table = map_of(EIGHT_ROWS.drop(columns=["regimen", "species", "delay"]))
    assert table.to_dict("records") == [{"effects": 8, "studies": 4}]
    assert marks(plot_evidence_map(table)) == {"cell: all": "all: 8 effects, 4 studies"}


def test_a_missing_level_is_counted_as_not_reported():
    species = ["rat", None, None, "rat"] * 2
    table = map_of(EIGHT_ROWS.assign(species=species))
    assert table.groupby("species")["effects"].sum().to_dict() == {"rat": 4, "not reported": 4}


def test_pooled_results_count_the_comparisons_behind_them():
    table = evidence_map(prior_fit("ketamine_pain", draws=20))
    assert table.attrs["counts"] == "comparisons behind pooled results"
    # Table 1 of the review: 26 comparisons of one dose, 15 of many.
    assert table.groupby("regimen")["effects"].sum().to_dict() == {"repeated": 15, "single": 26}


def test_a_mark_says_its_cell_and_its_counts():
    figure = plot_evidence_map(map_of(EIGHT_ROWS), title="Where")
    found = marks(figure)
    assert found["cell: repeated, rat, 1 to 4 weeks"] == (
        "repeated, rat, 1 to 4 weeks: 2 effects, 1 study"
    )
    assert found["cell: single, mouse, 6 to 24 h"].endswith(": 1 effect, 1 study")
    assert figure.axes[0].get_title(loc="left") == "Where"
    svg = inline_svg(figure, "map", "Alt.")
    assert "<title>repeated, rat, 1 to 4 weeks: 2 effects, 1 study</title>" in svg


def test_the_area_of_a_mark_goes_with_its_count_and_species_differ_by_shape():
    table = pd.DataFrame(
        {"regimen": "a", "species": ["x", "y"], "effects": [100, 25], "studies": [9, 9]}
    )
    big, small = (line for line in plot_evidence_map(table).axes[0].lines if line.get_gid())
    assert big.get_markersize() == pytest.approx(2 * small.get_markersize())
    assert big.get_marker() != small.get_marker()


def test_bins_between_the_first_and_the_last_stay_though_empty():
    axes = plot_evidence_map(map_of(EIGHT_ROWS)).axes[0]
    names = [text.get_text().replace("\n", " ") for text in axes.get_xticklabels()]
    assert names == ["6 to 24 h", "1 to 3 d", "3 to 7 d", "1 to 4 weeks"]


def test_more_lines_than_anyone_reads_are_left_to_the_table():
    table = pd.DataFrame(
        {"regimen": [f"r{i:03d}" for i in range(100)], "effects": range(1, 101), "studies": 1}
    )
    figure = plot_evidence_map(table)
    assert len(marks(figure)) == 40
    assert "cell: r099" in marks(figure)
    assert any("60 more lines" in text.get_text().replace("\n", " ") for text in figure.texts)


def test_another_table_is_refused():
    with pytest.raises(QueryError, match=r"bm\.evidence_map\(fit\)"):
        plot_evidence_map(pd.DataFrame({"a": [1]}))
