import pytest

from bayesma.errors import BayesmaError
from bayesma.files import write_whole


def test_the_file_takes_its_place_and_nothing_else_stays(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    write_whole(target, lambda part: part.write_text("new"))
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_half_way_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail(part):
        part.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(BayesmaError, match=r"a\.txt: cannot be written \(No space left"):
        write_whole(target, fail)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
