import ast
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import bayesma

PACKAGE = Path(bayesma.__file__).parent
ROOMS = {p.stem for p in PACKAGE.glob("*.py")} | {
    p.parent.name for p in PACKAGE.glob("*/__init__.py")
}


def declared_homes():
    """Return the module of each name that bayesma/__init__.py declares to type checkers."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    return {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bayesma")
        for alias in node.names
    }


def test_all_is_what_is_exported():
    assert len(bayesma.__all__) == len(set(bayesma.__all__))
    assert set(declared_homes()) | {"__version__"} == set(bayesma.__all__)
    assert dir(bayesma) == sorted(bayesma.__all__)


@pytest.mark.parametrize(("name", "home"), declared_homes().items())
def test_each_name_is_the_one_that_type_checkers_see(name, home):
    module = import_module(home)
    seen = import_module(f"{home}.{name}") if name == "priors" else getattr(module, name)
    assert getattr(bayesma, name) is seen
    if name != "priors":
        assert name in module.__all__


def test_no_room_shadows_a_public_name():
    assert ROOMS & set(bayesma.__all__) == {"priors"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'bayesma' has no attribute 'nonsense'"):
        _ = bayesma.nonsense


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert bayesma.__version__ == project["project"]["version"]


HEAVY = ("pymc", "pytensor", "nutpie", "arviz", "matplotlib", "pint", "formulae")
ALSO_HEAVY = ("numpy", "pandas", "scipy", "xarray", "h5netcdf", "joblib")


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("import bayesma; dir(bayesma); bayesma.__all__", (*HEAVY, *ALSO_HEAVY)),
        ("import bayesma; bayesma.read_table; bayesma.load_dataset; bayesma.priors", HEAVY),
        ("import bayesma; bayesma.effect_sizes; bayesma.datasets()", HEAVY),
    ],
    ids=["import", "tables", "effects"],
)
def test_what_need_not_be_imported_is_not(code, refused):
    program = f"import sys\n{code}\nprint(*sys.modules, sep='\\n')"
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
    )
    loaded = found.stdout.splitlines()
    assert "bayesma" in loaded
    assert [name for name in loaded if name.startswith(refused)] == []
