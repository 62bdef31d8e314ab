import numpy as np
import pandas as pd
import pytest

from bayesma.coders import AVERAGE
from bayesma.coding import code
from bayesma.errors import SpecError, UnseenLevelError
from bayesma.formulas import parse

DOSES = pd.DataFrame(
    {
        "drug": ["a", "a", "a", "b", "b", "b"],
        "route": ["oral", "oral", "i.v.", "oral", "oral", "oral"],
        "dose": [1.0, 4.0, 7.0, 10.0, 20.0, 40.0],
    }
)
CENTRED = "centred(log2(dose), drug, route)"


def coded(text, frame=DOSES):
    return code(parse(text), frame, "peak")


def test_a_centred_number_is_its_distance_from_the_mean_of_its_cell():
    predictor = coded(f"drug + {CENTRED}")
    assert predictor.terms == ("Intercept", "drug[a]", "drug[b]", CENTRED)
    column = predictor.matrix(DOSES)[:, -1]
    # log2 of 1, 4 about 1; 7 alone; log2 of 10, 20, 40 about log2 20. A few roundings.
    np.testing.assert_allclose(column, [-1, 1, 0, -1, 0, 1], atol=1e-14)


def test_its_prior_is_that_of_one_standard_deviation_within_cells():
    predictor = coded(CENTRED)
    within = np.array([-1, 1, 0, -1, 0, 1])
    assert predictor.contrast_basis[-1, -1] == pytest.approx(1 / within.std(), rel=1e-14)


def test_new_rows_are_centred_at_the_training_means():
    new = pd.DataFrame({"drug": ["b", "a"], "route": ["oral", "i.v."], "dose": [80.0, 14.0]})
    # 80 is two doublings above 20, 14 one above 7.
    np.testing.assert_allclose(coded(CENTRED).matrix(new)[:, -1], [2, 1], atol=1e-14)


def test_a_number_that_is_not_asked_about_stands_at_the_mean_of_its_cell():
    new = pd.DataFrame({"drug": [AVERAGE], "route": [AVERAGE], "dose": [AVERAGE]})
    assert coded(CENTRED).matrix(new)[0, -1] == 0


def test_a_number_without_its_cell_is_refused():
    new = pd.DataFrame({"drug": [AVERAGE], "route": ["oral"], "dose": [4.0]})
    with pytest.raises(SpecError, match="within its cell; name drug and route with dose"):
        coded(CENTRED).matrix(new)


def test_a_cell_that_no_row_has_is_refused():
    new = pd.DataFrame({"drug": ["b"], "route": ["i.v."], "dose": [4.0]})
    with pytest.raises(UnseenLevelError, match=r"no row of the data has drug 'b', route 'i\.v\.'"):
        coded(CENTRED).matrix(new)


@pytest.mark.parametrize(
    ("text", "frame", "message"),
    [
        ("centred(dose)", DOSES, "within what"),
        ("centred(dose, drugs)", DOSES.assign(drugs=None), "drugs is missing in 6 rows"),
        ("centred(drug, route)", DOSES, "only a number can be centred"),
        ("centred(log(dose), drug, dose)", DOSES, "does not vary within any drug x dose"),
        (
            CENTRED,
            DOSES.assign(dose_unit=["mg", "mg/kg", "mg", "mg", "mg", "mg"]),
            r"different units \(a / oral: mg, mg/kg\); convert them",
        ),
        ("centred(log(dose), drug)", DOSES.assign(dose=0.0), "is not finite in 6 rows"),
    ],
)
def test_what_cannot_be_centred_is_refused(text, frame, message):
    with pytest.raises(SpecError, match=message):
        coded(text, frame)


def test_the_unit_of_the_dose_may_make_cells():
    frame = DOSES.assign(dose_unit=["mg", "mg", "mg", "mg/kg", "mg/kg", "mg/kg"])
    column = coded("centred(log2(dose), drug, dose_unit)", frame).matrix(frame)[:, -1]
    mean = (0 + 2 + np.log2(7)) / 3
    expected = [-mean, 2 - mean, np.log2(7) - mean, -1, 0, 1]
    np.testing.assert_allclose(column, expected, atol=1e-14)  # a few roundings


def test_of_several_numbers_all_are_named_or_none():
    frame = DOSES.assign(days=[1.0, 2, 3, 4, 5, 7])
    predictor = coded("centred(log(dose * days), drug)", frame)
    new = pd.DataFrame({"drug": ["a"], "dose": [4.0], "days": [AVERAGE]})
    with pytest.raises(SpecError, match=r"name all of days, dose, or none"):
        predictor.matrix(new)
    assert predictor.matrix(new.assign(dose=AVERAGE))[0, -1] == 0


def test_a_number_without_a_finite_logarithm_is_refused():
    new = pd.DataFrame({"drug": ["a"], "route": ["oral"], "dose": [0.0]})
    with pytest.raises(SpecError, match=r"log2\(dose\) is not finite at every number asked about"):
        coded(CENTRED).matrix(new)
