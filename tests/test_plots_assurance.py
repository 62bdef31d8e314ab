import numpy as np
import pandas as pd
import pytest

from bayesma.errors import QueryError
from bayesma.plots import plot_assurance
from bayesma.translation import Assurance, ClassicalRule

SIZES = [10, 50, 200]


def result(regimens=("single", "repeated"), delays=(1.0, 35.0), sizes=SIZES):
    rows = [
        {
            "regimen": regimen,
            "delay": delay,
            "beyond_data": delay > 28,
            "n": n,
            "assurance": 0.5 - 0.1 * place - 1 / n,
            "mcse": 0.004,
            "power_at_median": 1 - 2 / n,
            "ceiling": 0.6 - 0.1 * place,
        }
        for regimen in regimens
        for place, delay in enumerate(delays)
        for n in sizes
    ]
    return Assurance(pd.DataFrame(rows), ClassicalRule(), "human", "SMD", ())


def artist(axes, gid):
    (found,) = [one for one in axes.get_children() if one.get_gid() == gid]
    return found


def test_each_regimen_has_a_panel_and_each_delay_its_three_lines():
    figure = plot_assurance(result(), title="A trial")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "regimen single",
        "regimen repeated",
    ]
    for axes in figure.axes:
        line = artist(axes, "assurance: 35 d")
        np.testing.assert_array_equal(line.get_xdata(), SIZES)
        np.testing.assert_allclose(line.get_ydata(), 0.4 - 1 / np.array(SIZES))
        np.testing.assert_allclose(
            artist(axes, "claimed: 35 d").get_ydata(), 1 - 2 / np.array(SIZES)
        )
        ceiling = artist(axes, "ceiling: 35 d")
        np.testing.assert_allclose(ceiling.get_ydata(), 0.5)
        assert ceiling.get_linestyle() == "--" or ceiling.is_dashed()
        assert ceiling.get_color() == line.get_color()
        assert artist(axes, "assurance: 1 d").get_color() != line.get_color()
    texts = {text.get_gid(): text.get_text() for text in figure.texts}
    assert "two-sided t test" in texts["caption"].replace("\n", " ")
    assert any(text.get_text() == "A trial" for text in figure.texts)


def test_labels_of_ceilings_that_nearly_meet_are_kept_apart():
    near = result(delays=(1.0, 7.0, 35.0))
    table = near.table.assign(ceiling=0.5)
    figure = plot_assurance(Assurance(table, near.rule, "human", "SMD", ()))
    places = sorted(
        text.get_position()[1]
        for text in figure.axes[0].texts
        if str(text.get_gid()).startswith("label: ")
    )
    # 9 points are 0.045 of a panel of 2.9 inches.
    assert len(places) == 3
    assert min(np.diff(places)) > 0.045


def test_without_delay_or_regimen_there_is_one_line():
    table = result(regimens=["single"], delays=[1.0]).table.drop(columns=["regimen", "delay"])
    figure = plot_assurance(Assurance(table, ClassicalRule(), "rat", "SMD", ()))
    (axes,) = figure.axes
    assert artist(axes, "assurance: ") is not None
    assert "trial in rat" in " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(QueryError, match="two sizes or more"):
        plot_assurance(result(sizes=[10]))
    with pytest.raises(QueryError, match="1 panels of up to 9 lines"):
        plot_assurance(result(regimens=["single"], delays=np.arange(1.0, 10.0)))
    with pytest.raises(QueryError, match="5 panels of up to 2 lines"):
        plot_assurance(result(regimens="abcde"))
