import numpy as np
import pandas as pd
import pytest

from bayesma.clock import check_clock, latent_delays, reference_delays
from bayesma.decay import family
from bayesma.errors import SpecError
from bayesma.maths import NumPyMaths

FRAME = pd.DataFrame(
    {
        "row_id": list("abcdef"),
        "study": ["X", "X", "Y", "X", "Y", "Y"],
        "regimen": ["single", "single", "repeated", "repeated", "single", "repeated"],
        "delay": [1.0, np.nan, 7.0, np.nan, np.nan, 3.0],
        "exposure": ["off", "off", "off", "off", "on", "off"],
    }
)


def test_a_study_has_one_unknown_delay_per_decay_cell():
    found = latent_delays(FRAME, ("regimen",))
    assert found.labels == ("X / single", "X / repeated")
    # Row e is still exposed: its clock is 0, known.
    assert found.unknown.tolist() == [0, 1, 0, 1, 0, 0]
    assert found.index[[1, 3]].tolist() == [0, 1]
    together = latent_delays(FRAME, ())
    assert together.labels == ("X",)


def test_unknown_delays_take_their_place_draw_by_draw():
    found = latent_delays(FRAME, ("regimen",))
    known = np.array([1.0, 0, 7, 0, 0, 3])
    filled = found.filled(known, np.array([[0.5, 2.0], [4.0, 8.0]]), NumPyMaths())
    np.testing.assert_array_equal(filled, [[1, 0.5, 7, 2, 0, 3], [1, 4, 7, 8, 0, 3]])


def test_where_every_delay_is_known_there_is_no_unknown():
    assert latent_delays(FRAME.assign(delay=1.0), ()) is None


def test_levels_are_stated_at_known_delays_alone():
    found = reference_delays(FRAME, ("regimen",), family("exponential"))
    assert found == {("repeated",): 3.0, ("single",): 0.0}


def test_a_cell_without_any_delay_has_no_curve():
    frame = FRAME.assign(delay=[1.0, 2.0, np.nan, np.nan, 3.0, np.nan])
    with pytest.raises(SpecError, match="no row of repeated has a delay"):
        reference_delays(frame, ("regimen",), family("exponential"))


def test_delays_that_do_not_vary_are_told_apart_from_none():
    exponential = family("exponential")
    with pytest.raises(SpecError, match="every row has the delay 2 d; use decay = 'none'"):
        check_clock(FRAME.assign(delay=[2.0, np.nan] * 3, exposure="off"), exponential)
    with pytest.raises(SpecError, match="every row has no delay; use decay = 'none'"):
        check_clock(FRAME.assign(delay=np.nan, exposure="off"), exponential)
