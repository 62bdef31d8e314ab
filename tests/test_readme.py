"""README.md: its code is code, its names exist, and its example prints what it says."""

from __future__ import annotations

import ast
import importlib.util
import re
import warnings
from pathlib import Path

import pytest

import bayesma as bm

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def script():
    path = ROOT / "scripts" / "readme_example.py"
    spec = importlib.util.spec_from_file_location("readme_example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_of(code):
    """The attributes of bm that a program reads."""
    return {
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "bm"
    }


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_code_compiles_and_uses_public_names(number):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile(BLOCKS[number], f"README.md, block {number}", "exec")
    assert names_of(BLOCKS[number])
    assert names_of(BLOCKS[number]) <= set(bm.__all__)


def test_there_is_code_to_check():
    assert len(BLOCKS) == TEXT.count("```python") >= 5
    assert names_of("bm.plot_decay(bm.nothing)") == {"plot_decay", "nothing"}


def test_the_example_is_ten_lines_and_has_an_output(script):
    code = script.found(script.CODE, TEXT)["code"]
    assert len([line for line in code.splitlines() if line]) <= 10
    assert script.found(script.OUTPUT, TEXT)["output"].count("\n") > 5


def test_outputs_may_differ_in_their_last_digit_alone(script):
    old = "0.25 single 1.1 [0.5, 2.0]\n"
    assert script.alike(old, old)
    assert script.alike(old, "0.25  single  1.2 [0.4, 2.1]\n")
    assert script.alike("9.9 a", "10.0 a")
    assert not script.alike(old, "0.25 single 1.3 [0.5, 2.0]\n")
    assert not script.alike(old, "0.25 single 1.15 [0.5, 2.0]\n")
    assert not script.alike(old, "0.25 double 1.1 [0.5, 2.0]\n")
    assert not script.alike(old, old + "['NOT converged']\n")
    assert not script.alike("-1.0", "1.0")


def test_a_program_is_run_and_what_it_prints_is_kept(script):
    assert script.printed("print('a  ')\nprint(1 + 1)") == "a\n2\n"
    with pytest.raises(ValueError, match=r"README\.md has 0 places like"):
        script.found(script.CODE, "no example")


@pytest.mark.slow
def test_the_example_prints_what_is_said(script, capsys):
    assert script.main(["--check"]) == 0, capsys.readouterr().out
