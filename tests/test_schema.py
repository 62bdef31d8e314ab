import math

import pytest

from bayesma.schema import ARMS, COLUMNS, EFFECT, SIDES, SUMMARIES


def test_every_column_is_documented_and_keyed_by_its_name():
    for name, column in COLUMNS.items():
        assert column.name == name
        assert column.doc
        assert name == name.lower()
        assert " " not in name


def test_arms_and_effects_are_columns():
    assert set(ARMS) | set(EFFECT) <= set(COLUMNS)
    assert not set(ARMS) & set(EFFECT)


def test_each_arm_has_every_summary_that_papers_print():
    names = {f"{part}_{side}" for part in SUMMARIES for side in SIDES}
    assert len(names) == 16
    assert names <= set(COLUMNS)
    assert not names & {*ARMS, *EFFECT}


def test_only_the_study_is_required_of_every_table():
    assert [name for name, column in COLUMNS.items() if column.required] == ["study"]


@pytest.mark.parametrize(
    ("name", "low", "open_low"),
    [
        ("n_treated", 2, False),
        ("n_control", 2, False),
        ("sd_treated", 0, True),
        ("sd_control", 0, True),
        ("v", 0, True),
        ("se", 0, True),
        ("delay", 0, False),
        ("duration", 0, False),
        ("dose", 0, False),
        ("mean_treated", -math.inf, False),
        ("y", -math.inf, False),
    ],
)
def test_ranges(name, low, open_low):
    assert (COLUMNS[name].low, COLUMNS[name].open_low) == (low, open_low)


def test_delays_and_durations_are_the_durations():
    assert {n for n, c in COLUMNS.items() if c.kind == "duration"} == {"delay", "duration"}
