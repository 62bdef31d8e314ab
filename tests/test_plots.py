import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from fits import prior_fit
from matplotlib.figure import Figure

import bayesma as bm
from bayesma.errors import QueryError
from bayesma.plots import plot_decay
from bayesma.plots.svg import inline_svg
from bayesma.queries import study_points

DELAYS = [0.0, 0.01, 0.5, 1, 2, 3, 7, 28, 40]


@pytest.fixture(scope="module")
def fit():
    return prior_fit("ketamine_pain")


@pytest.fixture(scope="module")
def curve(fit):
    """Two regimens: single is seen from 0.0104 to 3 d, repeated from 0 to 34 d."""
    with pytest.warns(bm.ExtrapolationWarning):
        return bm.decay_curve(fit, bm.grid(fit, regimen=["single", "repeated"], delay=DELAYS))


@pytest.fixture(scope="module")
def calm(curve):
    """The same labels on draws that do not explode: level 4 or 2, +- 1, half-life 5 d."""
    chain, draw, point = (np.arange(curve.sizes[name]) for name in ("chain", "draw", "point"))
    level = np.where(curve["regimen"] == "repeated", 4.0, 2.0)
    offset = np.linspace(-1, 1, len(draw))[None, :, None]
    share = 2 ** (-curve["delay"].values / 5)
    return curve.copy(data=(level + offset) * share + 0 * chain[:, None, None] + 0 * point)


def artists(figure: Figure) -> dict:
    """The artists that carry an id."""
    found = {artist.get_gid(): artist for artist in figure.findobj() if artist.get_gid()}
    assert found
    return found


def drawn(line):
    """The points of a line that are drawn, x to y."""
    x, y = line.get_data()
    return {float(a): float(b) for a, b in zip(x, y, strict=True) if np.isfinite(b)}


def outline(band):
    """The corners of a band: x to the set of its y, rounded."""
    corners: dict = {}
    for path in band.get_paths():
        for x, y in path.vertices:
            corners.setdefault(float(x), set()).add(round(float(y), 9))
    return corners


def text_of(figure: Figure) -> str:
    return " ".join(artists(figure)["caption"].get_text().split())


@pytest.mark.parametrize("ci_prob", [0.95, 0.5])
@pytest.mark.parametrize("level", ["single", "repeated"])
def test_lines_are_medians_and_bands_are_quantiles(calm, level, ci_prob):
    found = artists(plot_decay(calm, ci_prob=ci_prob))
    table = bm.summary(calm, ci_prob)
    table = table[table["regimen"] == level].set_index("delay")
    inside = table[~table["beyond_data"]]
    solid = drawn(found[f"median: {level}"])
    assert solid == pytest.approx(inside["median"].to_dict())
    corners = outline(found[f"band: {level}"])
    assert set(corners) == set(inside.index)
    for delay, row in inside.iterrows():
        assert {round(row["ci_low"], 9), round(row["ci_high"], 9)} <= corners[delay]


def test_what_lies_beyond_the_data_is_dashed_and_joins_the_rest(calm):
    found = artists(plot_decay(calm))
    solid, dashed = found["median: single"], found["median: single (beyond data)"]
    assert solid.get_linestyle() == "-"
    assert dashed.get_linestyle() != "-"
    assert set(drawn(solid)) == {0.5, 1, 2, 3}
    # Dashed from 0 to the first delay of the data, and from the last one on.
    assert set(drawn(dashed)) == {0, 0.01, 0.5, 3, 7, 28, 40}
    alphas = [found[f"band: single{end}"].get_alpha() for end in ("", " (beyond data)")]
    assert alphas[0] > alphas[1]
    assert "dashed: beyond the delays of the data" in text_of(plot_decay(calm))


def test_nothing_is_dashed_within_the_data(fit, calm):
    inside = calm.isel(point=~calm["beyond_data"].values)
    figure = plot_decay(inside)
    assert not [gid for gid in artists(figure) if "beyond" in gid]
    assert "dashed" not in text_of(figure)


def test_lines_are_named_in_their_own_colour(calm):
    found = artists(plot_decay(calm))
    colours = set()
    for level in ("single", "repeated"):
        label = found[f"label: {level}"]
        assert label.get_text() == level
        assert label.get_color() == found[f"median: {level}"].get_color()
        colours.add(label.get_color())
    assert len(colours) == 2


def test_labels_do_not_overlap(calm):
    same = calm.copy(data=np.ones(calm.shape) * np.linspace(0, 1, calm.sizes["draw"])[:, None])
    found = artists(plot_decay(same))
    places = [found[f"label: {level}"].get_position()[1] for level in ("single", "repeated")]
    assert abs(places[0] - places[1]) >= 0.05
    assert 0 < min(places) < max(places) < 1


def test_the_axes_are_named_in_words_with_units(calm):
    (axes,) = plot_decay(calm, title="Ketamine").axes
    assert axes.get_ylabel() == "Hedges g (SMD)"
    assert axes.get_xlabel() == "days since the last dose (0 = during exposure)"
    assert axes.get_title("left") == "Ketamine"


def test_the_caption_names_the_estimand(calm):
    text = text_of(plot_decay(calm))
    estimand = calm.attrs["estimand"]
    assert text.startswith(estimand[0].upper() + estimand[1:])
    assert "posterior medians; bands: 95% intervals" in text
    assert "50% intervals" in text_of(plot_decay(calm, ci_prob=0.5))


@pytest.mark.parametrize("log_delay", [False, True])
@pytest.mark.parametrize("with_rows", [False, True])
def test_a_band_that_explodes_does_not_set_the_axis(fit, calm, with_rows, log_delay):
    # A short half-life: most draws stay put, the others reach far at delay 0.
    far = np.maximum(np.geomspace(1e-18, 1e12, calm.sizes["draw"]), 1.0)
    values = calm.values.copy()
    values[..., 0] *= far[None, :]
    curve = calm.copy(data=values)
    figure = plot_decay(curve, study_points(fit, curve) if with_rows else None, log_delay=log_delay)
    low, high = figure.axes[0].get_ylim()
    assert -10 < low < 0
    assert 4 < high < 30
    top = bm.summary(curve)["ci_high"].max()
    assert top > 1e9
    assert f"The axis cuts a band that reaches up to {top:.3g}." in text_of(figure)


def test_a_band_that_fits_is_not_cut(calm):
    figure = plot_decay(calm)
    low, high = figure.axes[0].get_ylim()
    table = bm.summary(calm)
    assert low < 0
    assert high > table["ci_high"].max()
    assert "cuts" not in text_of(figure)


def test_draws_that_no_float_holds_are_drawn_as_far_as_they_go(calm):
    values = calm.values.copy()
    values[..., 0] = np.inf
    values[..., 1] = np.nan
    figure = plot_decay(calm.copy(data=values))
    assert np.isfinite(figure.axes[0].get_ylim()).all()
    figure.canvas.draw()


def test_rows_are_drawn_with_their_intervals_and_ranges(fit, calm):
    figure = plot_decay(calm, study_points(fit, calm))
    found = artists(figure)
    x, y = found["rows: repeated"].get_data()
    assert dict(zip(x, y, strict=True)) == {0.0: 5.1, 14.5: 1.3}
    bars = [c for c in figure.axes[0].containers if c.lines[0].get_gid() == "rows: repeated"]
    across, upright = (lines.get_segments() for lines in bars[0].lines[2])
    assert [segment[:, 0].tolist() for segment in across] == [[0, 0], [1, 34]]
    # The printed interval of MA3 is 3.6 to 6.5, around 5.1.
    np.testing.assert_allclose(upright[0][:, 1], [5.1 - 1.45, 5.1 + 1.45], atol=1e-9)
    assert "the range of the delays pooled in one point" in text_of(figure)


def test_rows_without_a_line_are_counted_not_drawn(calm):
    rows = pd.DataFrame(
        {
            "delay": [1.0, 2, 400],
            "y": [1.0, 2, 3],
            "v": 0.1,
            "regimen": ["single", "infusion", "single"],
        }
    )
    text = text_of(plot_decay(calm, rows))
    assert "1 rows of the data belong to no line" in text
    assert "1 of 2 points lie outside the axes" in text


def test_many_rows_are_drawn_faint_and_outliers_do_not_set_the_axis(calm):
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {
            "delay": rng.uniform(0, 28, 500),
            "y": rng.normal(2, 1, 500),
            "v": 0.5,
            "regimen": "single",
        }
    )
    rows.loc[0, "y"] = 500.0
    figure = plot_decay(calm, rows)
    assert figure.axes[0].get_ylim()[1] < 20
    assert artists(figure)["rows: single"].get_alpha() < 1
    assert re.search(r"\d+ of 500 points lie outside the axes", text_of(figure))


def test_a_logarithmic_axis_keeps_zero(calm):
    (axes,) = plot_decay(calm, log_delay=True).axes
    assert axes.get_xscale() == "symlog"
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels == ["0", "15 min", "1 h", "4 h", "12 h", "1 d", "3 d", "7 d", "28 d"]
    assert "logarithmic" in axes.get_xlabel()


def test_a_single_line_has_no_label(calm):
    one = calm.isel(point=(calm["regimen"] == "single").values)
    assert artists(plot_decay(one))["label: "].get_text() == ""
    assert artists(plot_decay(one, by="regimen"))["label: single"].get_text() == "single"


def test_a_contrast_is_a_difference(fit):
    at = bm.grid(fit, regimen="single", delay=[1.0, 2.0, 3.0])
    found = bm.contrast(fit, at, regimen=("repeated", "single"))
    assert plot_decay(found).axes[0].get_ylabel() == "difference in Hedges g (SMD)"


def test_two_covariates_name_a_line_together(calm):
    two = calm.assign_coords(dose=("point", np.tile([1.0, 2.5], 9)))
    assert {"label: single, 1", "label: single, 2.5"} <= set(artists(plot_decay(two)))
    reversed_order = artists(plot_decay(two, by=["dose", "regimen"]))
    assert "label: 2.5, repeated" in reversed_order


def test_what_cannot_be_drawn_is_refused(fit, calm):
    with pytest.raises(QueryError, match="effects at two or more delays"):
        plot_decay(bm.half_life(fit, bm.grid(fit, regimen="single")))
    with pytest.raises(QueryError, match="effects at two or more delays"):
        plot_decay(bm.decay_curve(fit, bm.grid(fit, regimen="single", delay=1)))
    with pytest.raises(QueryError, match=r"by = 'specie' is not a covariate.*known: regimen"):
        plot_decay(calm, by="specie")
    two = calm.assign_coords(dose=("point", np.arange(18.0)))
    with pytest.raises(QueryError, match="dose varies along the curve too"):
        plot_decay(two, by="regimen")
    with pytest.raises(QueryError, match="18 lines cannot be told apart"):
        plot_decay(two)
    with pytest.raises(QueryError, match=r"no column v, regimen, delay; it needs delay, y, v, reg"):
        plot_decay(calm, pd.DataFrame({"y": [1.0]}))


def test_points_are_the_rows_of_the_fit(fit, calm):
    points = study_points(fit, calm).set_index("row_id")
    assert points["regimen"].to_dict() == {
        "MA1": "single",
        "MA2": "single",
        "MA3": "repeated",
        "MA4": "repeated",
    }
    assert points.loc["MA4", ["delay_low", "delay", "delay_high"]].tolist() == [1, 14.5, 34]
    one = study_points(fit, calm.isel(point=(calm["regimen"] == "single").values))
    assert one["row_id"].tolist() == ["MA1", "MA2"]


def test_points_of_plain_rows_stand_at_their_delay():
    rows = pd.DataFrame(
        {
            "study": list("AABBCC"),
            "y": 1.0,
            "v": 0.2,
            "delay": [0, 1, 2, 3, 4, 5],
            "exposure": ["on", *["off"] * 5],
            "species": ["rat", "mouse"] * 3,
            "dose": [1.0, 2, 3, 4, 5, 6],
        }
    )
    found = prior_fit(bm.effect_sizes(rows), bm.ModelSpec(peak="species + dose + (1 | study)"))
    average = bm.decay_curve(found, bm.grid(found, delay=[0, 1]))
    assert study_points(found, average)["delay"].tolist() == [0, 1, 2, 3, 4, 5]
    rats = bm.decay_curve(found, bm.grid(found, delay=[0, 1], species="rat", dose=2.0))
    assert study_points(found, rats)["species"].tolist() == ["rat"] * 3


def test_pyplot_is_not_touched():
    code = "import sys, bayesma.plots; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_each_row_has_a_title_with_its_numbers_and_what_is_off_the_page_has_none(fit, calm):
    points = study_points(fit, calm)
    svg = inline_svg(plot_decay(calm, points), "d", "alt")
    titles = re.findall("<title>([^<]*)", svg)
    # The printed interval of MA3, 3.6 to 6.5, around 5.1; during exposure.
    assert "MA3: 5.10 [3.65, 6.55] at 0 min" in titles
    assert "MA1: 1.60 [1.10, 2.10] at 45 min" in titles
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))
    many = pd.DataFrame({"delay": [1.0, 2, 3] * 40, "y": 2.0, "v": 0.1, "regimen": "single"})
    many["name"] = [f"row {i}" for i in range(120)]
    many.loc[7, "y"] = 9000.0
    titles = re.findall("<title>row ([^<:]*)", inline_svg(plot_decay(calm, many), "d", "alt"))
    assert titles == [str(i) for i in range(120) if i != 7]
