"""The rule that nothing is skipped in CI, tried on a test run of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = """
import pytest

def test_shared(shared):
    pass

def test_skips():
    pytest.skip("for the sake of it")

@pytest.mark.xfail(reason="known")
def test_expected():
    raise AssertionError
"""


def run(folder, ci):
    (folder / "tests").mkdir()
    shutil.copy(Path(__file__).with_name("conftest.py"), folder / "tests" / "conftest.py")
    (folder / "tests" / "test_it.py").write_text(SKIPS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rsf", str(folder)]
    environment = {**os.environ, "CI": ci}
    found = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=folder, env=environment
    )
    return found.returncode, found.stdout


def test_skips_are_failures_in_ci(tmp_path):
    status, output = run(tmp_path, "true")
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 xfailed, 1 error" in output
    assert "needs the folder 'shared' beside the checkout, which is not there" in output
    assert "in CI a skipped test is a failure" in output


def test_skips_are_skips_elsewhere(tmp_path):
    status, output = run(tmp_path, "")
    assert status == pytest.ExitCode.OK
    assert "2 skipped, 1 xfailed" in output
    assert "needs the folder 'shared' beside the checkout, which is not there" in output
