import numpy as np
import pandas as pd
import pytest

from bayesma.effects import effect_sizes
from bayesma.errors import SpecError
from bayesma.grouping import grouped

NESTED = ("study", "experiment")


def groups_of(study, experiment, names=NESTED):
    frame = pd.DataFrame({"study": study, "experiment": experiment, "y": 0.0, "v": 1.0})
    effects = effect_sizes(frame)
    return grouped(names, effects, np.zeros(len(frame), dtype=bool))


def test_experiments_of_one_name_in_two_studies_are_two():
    groups = groups_of(["a", "a", "b", "b"], ["1", "2", "1", "1"])
    assert groups.innermost.tolist() == [0, 1, 2, 2]
    assert groups.outermost.tolist() == [0, 0, 1, 1]
    assert groups.labels == (("a", "b"), ("a/1", "a/2", "b/1"))


def test_a_slash_in_a_label_joins_no_groups():
    groups = groups_of(["a/b", "a"], ["c", "b/c"])
    assert groups.innermost.tolist() == [0, 1]


def test_a_row_without_a_label_is_a_group_of_its_own():
    # Row ids of a frame are its index: 0, 1, 2; the experiment called "1" is not row 1.
    groups = groups_of(["a", "a", "a", "b"], ["1", None, None, "1"])
    assert groups.innermost.tolist() == [0, 1, 2, 3]
    assert groups.outermost.tolist() == [0, 0, 0, 1]


def test_numbers_are_labels_too():
    groups = groups_of([1, 1, 2], [np.nan, 7, 7])
    assert groups.innermost.tolist() == [0, 1, 2]


def test_one_group_shows_no_heterogeneity():
    with pytest.raises(SpecError, match=r"one study only \('a'\).*drop \(1 \| study/experiment\)"):
        groups_of(["a", "a"], ["1", "2"])
