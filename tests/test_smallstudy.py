import numpy as np
import pandas as pd
import pytest

from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import SpecError
from bayesma.smallstudy import small_study_term
from bayesma.spec import ModelSpec

SIZES = pd.DataFrame({"n_treated": [2, 8, 50], "n_control": [2, 8, 50]})
GIVEN = pd.DataFrame({"study": ["A", "B"], "y": [1.0, 2.0], "v": [0.1, 0.2]})
TERM = ModelSpec(decay="none", small_study="1/sqrt(n)")


def test_the_term_is_one_over_root_n_in_standard_units():
    term = small_study_term(SIZES)
    x = np.array([1 / 2, 1 / 4, 1 / 10])
    assert (term.centre, term.scale) == pytest.approx((x.mean(), x.std()), rel=1e-14)
    np.testing.assert_allclose(term.values, (x - x.mean()) / x.std(), rtol=1e-13)


def test_studies_of_one_size_are_refused():
    with pytest.raises(SpecError, match="every row has 16 animals"):
        small_study_term(SIZES.iloc[[1, 1]])


def test_effects_without_group_sizes_are_refused():
    with pytest.raises(SpecError, match="needs the columns n_treated and n_control"):
        design(TERM, effect_sizes(GIVEN))


def test_rows_without_group_sizes_are_left_out_and_counted():
    rows = pd.concat([GIVEN, GIVEN, GIVEN], ignore_index=True).assign(
        study=list("ABCDEF"), n_treated=[5, 6, 7, 8, 9, None], n_control=[5, 6, 7, 8, None, 9]
    )
    plan = design(TERM, effect_sizes(rows))
    assert len(plan.effects) == 4
    assert "1 of 6 rows left out: no n_control" in plan.notes
    assert "1 of 6 rows left out: no n_treated" in plan.notes


def test_pooled_rows_have_no_size():
    members = pd.DataFrame({"row_id": ["a", "b"], "study": ["A", "B"]})
    rows = pd.DataFrame(
        {
            "study": ["P", "Q"],
            "y": [1.0, 2.0],
            "v": [0.1, 0.1],
            "members": ["a", "b"],
        }
    )
    spec = ModelSpec(peak="1", decay="none", small_study="1/sqrt(n)")
    with pytest.raises(SpecError, match="a pooled row has no size of its own"):
        design(spec, effect_sizes(rows, members=members))
