import pickle

import pytest

from bayesma.errors import BayesmaError, Fault, TableError, did_you_mean, nearest


def test_a_fault_names_source_row_column_value_problem_and_remedy():
    fault = Fault("is too small", "write more", row="4", column="n", value="1")
    assert fault.sentence("a.csv") == "a.csv, row 4, column 'n': '1' is too small; write more"
    assert Fault("is empty", "check it").sentence("a.csv") == "a.csv: is empty; check it"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_a_fault_is_one_line_whatever_the_cell_holds(end):
    sentence = Fault("is bad", "mend it", value=f"a{end}b").sentence(f"x{end}.csv")
    assert len(sentence.splitlines()) == 1
    assert "'a b'" in sentence


def test_a_long_cell_is_cut():
    sentence = Fault("is bad", "mend it", value="x" * 10_000).sentence("a.csv")
    assert "'" + "x" * 60 + "...'" in sentence
    assert len(sentence) < 200


def test_a_table_error_crosses_processes_whole():
    error = TableError("a.csv", [Fault("is bad", "mend it", row="2"), Fault("is worse", "drop it")])
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, BayesmaError)
    assert (again.source, again.faults, str(again)) == (error.source, error.faults, str(error))
    assert str(error).splitlines() == [
        "a.csv, row 2: is bad; mend it",
        "a.csv: is worse; drop it",
    ]


@pytest.mark.parametrize(
    ("name", "clause"),
    [
        ("Studyy", "did you mean 'study'? known: study, Drug"),
        ("DRUGS", "did you mean 'Drug'? known: study, Drug"),
        ("zzz", "known: study, Drug"),
        (None, "known: study, Drug"),
        (3, "known: study, Drug"),
    ],
)
def test_did_you_mean_suggests_only_what_is_near(name, clause):
    assert did_you_mean(name, ["study", "Drug"]) == clause


def test_nothing_is_known():
    assert did_you_mean("a", []) == "known: none"
    assert nearest("a", []) is None
