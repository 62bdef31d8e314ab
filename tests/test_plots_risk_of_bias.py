import pandas as pd
import pytest
from fits import EIGHT_ROWS, prior_fit
from matplotlib.patches import Rectangle

import bayesma as bm
from bayesma.errors import QueryError
from bayesma.plots import plot_risk_of_bias
from bayesma.plots.svg import inline_svg
from bayesma.queries import quality_columns, quality_scores, risk_of_bias

FLAT = bm.ModelSpec(peak="1 + (1 | study)", decay="none")


def judged(**columns):
    return prior_fit(bm.effect_sizes(EIGHT_ROWS.assign(**columns)), FLAT, draws=20)


def counts(table):
    return table.set_index("column")[["low", "unclear", "high", "other"]].to_numpy().tolist()


def test_studies_are_counted_not_rows():
    # Studies A to D of two rows each.
    table = risk_of_bias(judged(rob=["low", "low", "high", "high", "Low risk", "low", "?", ""]))
    assert counts(table) == [[2, 1, 1, 0]]
    assert list(table["item"]) == ["Overall risk of bias"]


def test_yes_is_low_in_a_numbered_item_and_unread_elsewhere():
    cells = ["yes", "yes", "no", "no", None, None, "yes", "yes"]
    table = risk_of_bias(judged(rob3=cells, rob_overall=cells))
    assert counts(table) == [[2, 1, 1, 0], [0, 1, 0, 3]]
    assert list(table["item"]) == ["Allocation concealment", "rob_overall"]
    assert table.attrs["words"] == ["no", "yes"]


def test_a_study_judged_twice_counts_by_the_gravest():
    rob = ["low", "high", "low", "unclear", "unclear", "high", "low", "perhaps"]
    table = risk_of_bias(judged(rob=rob))
    assert counts(table) == [[0, 1, 2, 1]]
    assert table.attrs["mixed"] == 4


def test_scores_are_summed_up_by_study():
    fit = judged(quality=[1.0, 3, 4, 4, 6, 6, 9, 9])
    assert risk_of_bias(fit).empty
    (row,) = quality_scores(fit).to_dict("records")
    # Means of the studies: 2, 4, 6, 9.
    assert row == {"column": "quality", "studies": 4, "median": 5.0, "lowest": 2.0, "highest": 9.0}


def test_columns_are_known_by_their_names():
    fit = judged(rob="low", rob10="yes", risk_of_bias="low", quality_score=1.0, robot="no")
    assert quality_columns(fit) == ["rob", "rob10", "risk_of_bias", "quality_score"]
    assert quality_columns(judged()) == []


def bars(figure):
    patches = [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_gid()]
    return {patch.get_gid(): patch for patch in patches}


def table_of(**columns):
    plain = {"item": ["A", "B"], "low": [3, 0], "unclear": [0, 1], "high": [1, 3], "other": [0, 0]}
    return pd.DataFrame(plain | columns)


def test_bars_are_shares_told_apart_by_pattern_as_well():
    figure = plot_risk_of_bias(table_of())
    found = bars(figure)
    assert set(found) == {"low: A", "high: A", "unclear: B", "high: B"}
    assert found["low: A"].get_width() == pytest.approx(0.75)
    assert found["high: A"].get_x() == pytest.approx(0.75)
    patterns = [found[name].get_hatch() for name in ("low: A", "unclear: B", "high: B")]
    assert len(set(patterns)) == 3
    assert found["high: B"].get_label() == "B: 3 of 4 studies high (75%)"
    assert "<title>B: 3 of 4 studies high (75%)</title>" in inline_svg(figure, "rob", "Alt.")


def test_other_words_are_drawn_only_where_there_are_some():
    def words(figure):
        return [text.get_text() for text in figure.legends[0].get_texts()]

    assert words(plot_risk_of_bias(table_of())) == ["low risk", "unclear", "high risk"]
    assert "other words" in words(plot_risk_of_bias(table_of(other=[0, 2])))


def test_another_table_is_refused():
    with pytest.raises(QueryError, match=r"bm\.risk_of_bias\(fit\)"):
        plot_risk_of_bias(pd.DataFrame({"item": ["A"]}))
