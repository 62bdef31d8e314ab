"""What every test may ask for, and the rule that nothing is skipped in CI."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from bayesma.catalogue import root

IN_CI = os.environ.get("CI", "").lower() == "true"

# A shared machine is slow now and then, which says nothing about the code; and a change is judged
# in CI by examples that do not change with it.
settings.register_profile("bayesma", deadline=None, derandomize=IN_CI)
settings.load_profile("bayesma")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout with data and oracles that are not ours to ship."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        reason = "needs the folder 'shared' beside the checkout, which is not there"
        if IN_CI:
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def prepared(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data sets that are not ours to ship, as their scripts prepare them."""
    folder = tmp_path_factory.mktemp("data")
    for card in root("data").glob("*/dataset.toml"):
        if tomllib.loads(card.read_text(encoding="utf-8"))["bundled"]:
            continue
        done = subprocess.run(
            [sys.executable, card.parent / "prepare.py", shared / "data" / "raw", folder],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    return folder


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure is reported as skipped too; it did run.
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI a skipped test is a failure: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report
