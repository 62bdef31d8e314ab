import numpy as np
import pytest
from calibrations import recipe, runner
from matplotlib import pyplot as plt

import bayesma as bm
from bayesma.checks.calibration.runs import calibrated
from bayesma.errors import QueryError


@pytest.fixture(scope="module")
def calibration():
    return calibrated(recipe(), 30, runner())


def test_each_quantity_has_its_line_and_band(calibration):
    figure = bm.plot_calibration(calibration, title="Two panels")
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["level\nIntercept", "log_likelihood"]
    pit = calibration.tree["replicates"].dataset["pit"].values
    for place, axes in enumerate(panels):
        line = max(axes.lines, key=lambda drawn: len(drawn.get_xdata()))
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        # ArviZ's ECDF on its own grid: within one step (1/30) of ours anywhere.
        own = np.searchsorted(np.sort(pit[:, place]), x, side="right") / 30 - x
        assert np.abs(y - own).max() <= 1 / 30 + 1e-12
        assert len(axes.collections) == 1  # the band
    assert any(text.get_text() == "Two panels" for text in figure.texts)
    assert plt.get_fignums() == []


def test_a_fixed_truth_has_no_ranks_to_draw():
    found = calibrated(recipe(truth={"level": [1.0]}), 3, runner())
    with pytest.raises(QueryError, match="the truth was fixed"):
        bm.plot_calibration(found)
