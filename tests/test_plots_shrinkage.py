"""The forest of a fit: marks are the numbers, and a thousand studies stay readable and small."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, hand_fit, prior_fit
from test_plots_forest import artists, overlaps, texts

from bayesma.effects import effect_sizes
from bayesma.errors import QueryError
from bayesma.plots import plot_shrinkage
from bayesma.plots.svg import inline_svg
from bayesma.queries import population_effects, shrinkage
from bayesma.spec import ModelSpec

SPEC = ModelSpec(peak="regimen + (1 | study)", decay="none")


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(1)
    deviation = rng.normal(0, 0.1, 500)
    level = np.column_stack([1.2 + deviation, 0.3 + 0 * deviation, -0.3 + 0 * deviation])
    return hand_fit(SPEC, level=level, tau=np.full(500, 0.5))


@pytest.fixture(scope="module")
def rows(fit):
    return shrinkage(fit, seed=0)


@pytest.fixture(scope="module")
def population(fit):
    return population_effects(fit, "regimen", seed=0)


def thousand():
    rng = np.random.default_rng(2)
    v = rng.uniform(0.05, 0.6, 1000)
    frame = pd.DataFrame(
        {
            "study": [f"Author-{i} and others 20{i % 25:02d}" for i in range(1000)],
            "y": rng.normal(0.8, np.sqrt(0.5 + v)),
            "v": v,
            "regimen": np.where(np.arange(1000) % 3, "single", "repeated"),
        }
    )
    return prior_fit(effect_sizes(frame), SPEC, draws=50)


def crowded(figure):
    """Texts on top of each other; a legend's are found twice, and ticks off the axis not drawn."""
    number = re.compile(r"-?[0-9.]+")
    return [
        (a, b)
        for a, b in overlaps(figure)
        if a != b and not (b == "page" and number.fullmatch(a.replace("−", "-")))
    ]


def test_each_row_is_drawn_as_observed_and_as_the_model_has_it(rows, population):
    found = artists(plot_shrinkage(rows, population, "regimen"))
    for row in rows.to_dict("records"):
        name = row["name"]
        for kind, (middle, low, high) in (
            ("observed", (row["y"], row["low"], row["high"])),
            ("true", (row["true"], row["true_low"], row["true_high"])),
        ):
            assert found[f"{kind}: {name}"].get_xdata()[0] == pytest.approx(middle)
            ends = found[f"{kind} interval: {name}"].get_xdata()
            assert list(ends) == pytest.approx([low, high])
            # The title of a mark has its numbers.
            label = found[f"{kind}: {name}"].get_label()
            assert label.startswith(f"{name}: observed {row['y']:.2f} [{row['low']:.2f}")
            assert f"taken for {row['true']:.2f} [{row['true_low']:.2f}" in label
        both = [found[f"{kind}: {name}"] for kind in ("observed", "true")]
        assert both[0].get_color() != both[1].get_color()
        assert both[0].get_marker() != both[1].get_marker()
        assert both[0].get_ydata()[0] < both[1].get_ydata()[0]


def test_populations_are_diamonds_with_a_bar_for_a_new_study(rows, population):
    found = artists(plot_shrinkage(rows, population, "regimen"))
    for row in population.to_dict("records"):
        label = row["regimen"]
        corners = found[f"population: {label}"].get_xy()[:3, 0]
        assert list(corners) == pytest.approx([row["ci_low"], row["median"], row["ci_high"]])
        ends = found[f"prediction: {label}"].get_xdata()
        assert list(ends) == pytest.approx([row["new_low"], row["new_high"]])


def test_rows_stand_under_their_level_sorted_by_effect(rows, population):
    found = artists(plot_shrinkage(rows, population, "regimen"))
    foot = {label: found[f"population: {label}"].get_xy()[0, 1] for label in ("single", "repeated")}
    at = {name: found[f"true: {name}"].get_ydata()[0] for name in rows["name"]}
    assert foot["repeated"] < foot["single"]
    for level, own in rows.groupby("regimen"):
        places = [at[name] for name in own.sort_values("y", ascending=False)["name"]]
        assert places == sorted(places)
        assert max(places) < foot[str(level)]
    first = rows.loc[rows["regimen"] == "single", "name"]
    assert min(at[name] for name in first) > foot["repeated"]


def test_nothing_overlaps_and_numbers_stand_beside_rows(rows, population):
    figure = plot_shrinkage(rows, population, "regimen", title="Ketamine")
    assert crowded(figure) == []
    said = texts(figure)
    assert "Ketamine" in said
    for row in rows.to_dict("records"):
        assert f"{row['y']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" in said


def test_every_mark_has_an_id_and_a_title_of_its_own(rows, population):
    svg = inline_svg(plot_shrinkage(rows, population, "regimen"), "f", "alt")
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))
    # Two dots and two intervals a row; a diamond and a bar for each regimen.
    assert svg.count("<title>") == 4 * 8 + 2 * 2


def test_pooled_rows_are_fitted_and_not_shrunken():
    fit = prior_fit("ketamine_pain")
    rows = shrinkage(fit, seed=0)
    found = artists(plot_shrinkage(rows, population_effects(fit, seed=0), "regimen"))
    assert "; fitted " in found["true: MA1"].get_label()
    assert not [gid for gid in found if gid.startswith("prediction")]
    caption = " ".join(found["caption"].get_text().split())
    assert "the model's mean for it" in caption
    assert "new study" not in caption


def test_a_thousand_studies_are_hairlines_with_a_title_each():
    fit = thousand()
    rows = shrinkage(fit, seed=0)
    figure = plot_shrinkage(rows, population_effects(fit, "regimen", seed=0), "regimen")
    # A page, not a poster.
    assert figure.get_size_inches()[1] < 12
    svg = inline_svg(figure, "forest", "alt")
    assert len(svg.encode()) < 1_500_000
    titles = re.findall("<title>([^<]*)", svg)
    names = {title.split(": ")[0] for title in titles}
    assert set(rows["name"]) <= names
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))
    shown = texts(figure)
    assert not set(rows["name"]) & set(shown)
    caption = " ".join(artists(figure)["caption"].get_text().split())
    assert "The 1000 rows are sorted by effect and drawn without names" in caption
    assert crowded(figure) == []


def test_a_row_far_out_does_not_set_the_axis_and_is_counted(fit):
    rows = shrinkage(fit, seed=0)
    many = pd.concat([rows] * 4, ignore_index=True)
    many["name"] = [f"row {i}" for i in range(len(many))]
    many.loc[0, ["y", "low", "high"]] = 90.0, 60.0, 120.0
    figure = plot_shrinkage(many)
    assert figure.axes[0].get_xlim()[1] < 20
    found = artists(figure)
    assert "observed: row 0" not in found
    caption = " ".join(found["caption"].get_text().split())
    assert "effects outside it: 1" in caption


def test_rows_of_several_levels_stand_last(rows, population):
    odd = rows.assign(regimen=rows["regimen"].where(rows.index > 0))
    said = texts(plot_shrinkage(odd, population, "regimen"))
    assert "other or several levels of regimen" in said


def test_what_cannot_be_drawn_is_refused(rows, population):
    with pytest.raises(QueryError, match=r"rows have no column true, true_low, true_high: bm\.shr"):
        plot_shrinkage(EIGHT_ROWS.assign(name="a", low=0, high=1))
    with pytest.raises(QueryError, match="there is no row to draw"):
        plot_shrinkage(rows.iloc[:0])
    with pytest.raises(QueryError, match="population has no column new_low"):
        plot_shrinkage(rows, population.drop(columns="new_low"))
    with pytest.raises(QueryError, match="by = 'drug' is no column of rows and population"):
        plot_shrinkage(rows, population, "drug")
