"""Forests: what is drawn is what was computed, and what is said is true."""

import numpy as np
import pandas as pd
import pytest
from helpers import arms
from matplotlib.figure import Figure

import bayesma as bm
from bayesma.errors import SpecError
from bayesma.plots import plot_forest

K = 12


def effects(k=K, **columns):
    rng = np.random.default_rng(4)
    v = rng.uniform(0.02, 0.5, k)
    frame = {"study": [f"Author {i}" for i in range(k)], "y": rng.normal(0.5, 0.7, k), "v": v}
    return bm.effect_sizes(pd.DataFrame(frame | columns))


@pytest.fixture(scope="module")
def pooled():
    return bm.pool(effects(), ci="z")


@pytest.fixture(scope="module")
def by_species():
    return bm.subgroups(effects(species=["rat", "mouse", "rat"] * 4), "species")


def artists(figure: Figure) -> dict:
    return {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid()}


def texts(figure: Figure) -> list[str]:
    found = [t.get_text() for t in figure.findobj() if hasattr(t, "get_text") and t.get_text()]
    return [text.replace("−", "-") for text in found]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that cover each other, and texts that leave the page."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    page = figure.bbox
    named = [t for t in figure.findobj() if hasattr(t, "get_text") and t.get_text().strip()]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in named if t.get_visible()]
    # Two pixels: the margin that a box of text has around its letters.
    found = []
    for i, (a, box) in enumerate(boxes):
        if box.x0 < page.x0 or box.x1 > page.x1 or box.y0 < page.y0 or box.y1 > page.y1:
            found.append((a, "page"))
        for b, other in boxes[i + 1 :]:
            wide = min(box.x1, other.x1) - max(box.x0, other.x0)
            high = min(box.y1, other.y1) - max(box.y0, other.y0)
            if wide > 2 and high > 2:
                found.append((a, b))
    return found


def test_squares_and_lines_are_effects_and_intervals(pooled):
    found = artists(plot_forest(pooled))
    rows = pooled.model.rows
    half = 1.959963984540054 * np.sqrt(rows.v)
    for i, study in enumerate(rows.studies):
        (x,), _ = found[f"effect: {study}"].get_data()
        assert x == pytest.approx(rows.y[i])
        ends, _ = found[f"interval: {study}"].get_data()
        assert list(ends) == pytest.approx([rows.y[i] - half[i], rows.y[i] + half[i]])


def test_the_area_of_a_square_is_its_weight(pooled):
    found = artists(plot_forest(pooled))
    area = [found[f"effect: Author {i}"].get_markersize() ** 2 for i in range(K)]
    np.testing.assert_allclose(np.array(area) / sum(area), pooled.weights / 100, rtol=1e-12)


def test_the_diamond_is_the_pooled_effect_and_the_bar_the_prediction(pooled):
    found = artists(plot_forest(pooled))
    corners = found[f"pooled: All rows (k = {K})"].get_xy()[:4, 0]
    assert list(corners) == pytest.approx([pooled.ci[0], pooled.estimate, pooled.ci[1],
                                           pooled.estimate])  # fmt: skip
    ends, _ = found[f"prediction: All rows (k = {K})"].get_data()
    assert tuple(ends) == pytest.approx(pooled.prediction)


def test_numbers_stand_beside_their_rows(pooled):
    figure = plot_forest(pooled, title="Ketamine")
    said = texts(figure)
    y, v = pooled.model.rows.y, pooled.model.rows.v
    half = 1.959963984540054 * np.sqrt(v)
    for i in range(K):
        assert f"Author {i}" in said
        assert f"{y[i]:.2f} [{y[i] - half[i]:.2f}, {y[i] + half[i]:.2f}]" in said
        assert f"{pooled.weights[i]:.1f}%" in said
    low, high = pooled.ci
    assert f"{pooled.estimate:.2f} [{low:.2f}, {high:.2f}]" in said
    low, high = pooled.prediction
    assert f"[{low:.2f}, {high:.2f}]" in said
    assert any(f"I² = {pooled.i2:.1f}%" in text for text in said)
    assert "Ketamine" in said
    names = [t for t in figure.findobj() if getattr(t, "get_text", str)() == "Author 3"]
    place = names[0].get_position()[1]
    _, at = artists(figure)["effect: Author 3"].get_data()
    assert place == pytest.approx(at[0])


def test_subgroups_have_diamonds_and_their_test(by_species):
    figure = plot_forest(by_species)
    found = artists(figure)
    for level, row in by_species.table.iterrows():
        corners = found[f"pooled: {level} (k = {row['k']:.0f})"].get_xy()[:3, 0]
        assert list(corners) == pytest.approx([row["ci_low"], row["estimate"], row["ci_high"]])
    assert found[f"pooled: All rows (k = {K})"] is not None
    caption = " ".join(found["caption"].get_text().split())
    between = by_species.between
    said = f"F({between.df[0]}, {between.df[1]}) = {between.statistic:.2f}, p = {between.p:.3f}"
    assert said in caption
    # Each row stands under the title of its own group.
    place = {t.get_text(): t.get_position()[1] for t in figure.axes[0].texts}
    for study, group in zip(by_species.rows.studies, by_species.groups, strict=True):
        titles = {place[f"species: {level}"]: level for level in by_species.table.index}
        above = max(at for at in titles if at < place[study])
        assert titles[above] == group


@pytest.mark.parametrize("k", [2, 3, 19, 60, 61, 465])
def test_no_text_covers_another(k):
    figure = plot_forest(bm.pool(effects(k), ci="z"), favours=("favours vehicle", "favours drug"))
    assert overlaps(figure) == []


def test_no_text_covers_another_in_groups(by_species):
    assert overlaps(plot_forest(by_species, title="By species")) == []
    many = effects(200, species=["rat", "mouse"] * 100)
    assert overlaps(plot_forest(bm.subgroups(many, "species"))) == []


def test_many_rows_are_thin_nameless_sorted_and_said():
    found = bm.pool(effects(61), ci="z")
    figure = plot_forest(found)
    said = texts(figure)
    assert not [text for text in said if text.startswith("Author")]
    assert "The 61 rows are drawn without names, sorted by effect." in " ".join(
        artists(figure)["caption"].get_text().split()
    )
    marks = artists(figure)
    places = [marks[f"effect: Author {i}"].get_data()[1][0] for i in range(61)]
    order = np.argsort(places)
    assert (np.diff(found.model.rows.y[order]) <= 0).all()
    assert [text for text in texts(plot_forest(bm.pool(effects(60)))) if text == "Author 59"]


def test_an_interval_that_leaves_the_axis_has_an_arrow_and_is_counted():
    table = effects(25)
    y, v = table.y.copy(), table.v.copy()
    y[3], v[3] = 40.0, 20.0
    wild = bm.effect_sizes(table.frame.assign(y=y, v=v))
    figure = plot_forest(bm.pool(wild, ci="z"))
    marks, (low, high) = artists(figure), figure.axes[0].get_xlim()
    assert high < 40 - 1.96 * 20**0.5
    assert marks["cut: Author 3"].get_marker() == ">"
    cut = sum((y - 1.96 * v**0.5 < low) | (y + 1.96 * v**0.5 > high))
    caption = " ".join(marks["caption"].get_text().split())
    assert f"The axis cuts {cut} of 25 intervals; effects outside it: 1." in caption


@pytest.mark.parametrize(
    ("columns", "measure", "left", "right"),
    [
        ({"direction": 1}, "SMD", "favours control", "favours treatment"),
        ({"direction": [1, None, -1, 1]}, "SMD", "lower with treatment", "higher with treatment"),
        ({}, "MD", "lower with treatment", "higher with treatment"),
        ({"mean_sham": 1.0}, "NMD", "favours control", "favours treatment"),
        ({}, "NMD", "higher with treatment", "lower with treatment"),
    ],
)
def test_sides_say_what_the_sign_means(columns, measure, left, right):
    table = arms(4, **{n: c if isinstance(c, list) else [c] * 4 for n, c in columns.items()})
    said = texts(plot_forest(bm.pool(bm.effect_sizes(table, measure))))
    assert f"← {left}" in said
    assert f"{right} →" in said


def test_given_effects_say_no_more_than_their_sign(pooled):
    said = texts(plot_forest(pooled))
    assert {"← effect below 0", "effect above 0 →"} <= set(said)
    said = texts(plot_forest(pooled, favours=["worse", "better"]))
    assert {"← worse", "better →"} <= set(said)


def test_rows_of_one_study_are_told_apart():
    table = effects(4, study=["A", "A", "B", "C"], row_id=["x", "y", "z", "w"])
    assert {"A · x", "A · y", "B", "C"} <= set(texts(plot_forest(bm.pool(table))))
    named = effects(3, name=["one", None, "three"])
    said = texts(plot_forest(bm.pool(named), labels="name"))
    assert {"one", "three"} <= set(said)
    long = effects(3, study=["L" * 80, "L" * 80, "M"], row_id=["x", "y", "z"])
    said = texts(plot_forest(bm.pool(long)))
    assert [text for text in said if text.startswith("LLL") and text.endswith("… · x")]


def test_bare_arrays_have_numbers_for_names():
    said = texts(plot_forest(bm.pool([0.1, 0.4, 0.2], [0.1, 0.2, 0.1])))
    assert {"1", "2", "3"} <= set(said)


def test_a_common_effect_has_no_prediction():
    figure = plot_forest(bm.pool(effects(), method="common", ci="z"))
    assert not [gid for gid in artists(figure) if gid.startswith("prediction")]
    assert "prediction" not in " ".join(texts(figure))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "nope"}, "labels = 'nope': no such column"),
        ({"favours": "drug"}, "favours = 'drug': two texts"),
        ({"favours": ["a"]}, "two texts"),
    ],
)
def test_what_cannot_be_drawn_is_refused(pooled, options, message):
    with pytest.raises(SpecError, match=message):
        plot_forest(pooled, **options)


def test_other_results_have_no_forest():
    model = bm.meta_regression(effects(x=np.arange(K)), "x")
    with pytest.raises(SpecError, match="not of MetaRegression"):
        plot_forest(model)


def test_every_mark_has_an_id_and_a_title_with_its_numbers():
    table = effects()
    y, v = table.y.copy(), table.v.copy()
    y[3], v[3] = 40.0, 2e4  # leaves the axis at both ends
    pooled = bm.pool(bm.effect_sizes(table.frame.assign(y=y, v=v)), ci="z")
    figure = plot_forest(pooled)
    gids = [a.get_gid() for a in figure.findobj() if ": " in str(a.get_gid())]
    marks = [gid for gid in gids if not gid.startswith("side")]
    assert len(marks) == len(set(marks))
    assert {"cut: Author 3", "cut below: Author 3"} <= set(marks)
    found = artists(figure)
    half = 1.959963984540054 * v**0.5
    for i in range(K):
        text = f"Author {i}: {y[i]:.2f} [{y[i] - half[i]:.2f}, {y[i] + half[i]:.2f}]"
        assert found[f"interval: Author {i}"].get_label().startswith(text)
    label = f"All rows (k = {K})"
    assert f"{pooled.estimate:.2f} [{pooled.ci[0]:.2f}" in found[f"pooled: {label}"].get_label()
    assert f"[{pooled.prediction[0]:.2f}" in found[f"prediction: {label}"].get_label()
