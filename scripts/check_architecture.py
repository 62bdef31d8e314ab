"""Check that ARCHITECTURE.md's picture of the house and the tests mirror the tree.

Which room may import which, and that every room has a layer, is import-linter's to check.
"""

import fnmatch
import re
import sys
from pathlib import Path

HEADING = "## The house"

# Rooms without a tests/test_<room>.py of their own, and why.
UNTESTED_ROOMS: dict[str, str] = {}

# A path, then either the end of the line or two spaces and what it holds.
ENTRY = re.compile(r"(?P<indent> *)(?P<path>[\w.*<>/-]+)(?:  .*)?$")
PLACEHOLDER = re.compile(r"<[^>]*>")


def house_listing(text: str) -> list[str]:
    """Lines of the first fenced block under the heading of the house."""
    _, found, section = text.partition(f"{HEADING}\n")
    fenced = section.partition("\n## ")[0].split("```")
    if not found or len(fenced) < 3:
        raise ValueError(f"ARCHITECTURE.md has no fenced listing under {HEADING!r}")
    return fenced[1].splitlines()[1:]


def listed_paths(lines: list[str]) -> list[str]:
    """Paths from the root that the listing names; indented ones lie in the folder above them."""
    paths: list[str] = []
    parents: list[tuple[int, str]] = []
    for line in lines:
        entry = ENTRY.match(line)
        if entry is None:
            continue
        indent = len(entry["indent"])
        while parents and parents[-1][0] >= indent:
            parents.pop()
        prefix = parents[-1][1] if parents else ""
        path = prefix + entry["path"]
        paths.append(path)
        if path.endswith("/"):
            parents.append((indent, path))
    return paths


def missing_paths(root: Path, paths: list[str]) -> list[str]:
    """Paths that nothing in the tree matches; <name> and * stand for anything."""
    patterns = {path: PLACEHOLDER.sub("*", path).rstrip("/") for path in paths}
    return [path for path, pattern in patterns.items() if not any(root.glob(pattern))]


def rooms(root: Path) -> list[str]:
    """Names of the modules and packages directly in bayesma/."""
    package = root / "bayesma"
    modules = [path.stem for path in package.glob("*.py") if not path.stem.startswith("__")]
    packages = [path.parent.name for path in package.glob("*/__init__.py")]
    return sorted(modules + packages)


def folders(root: Path) -> list[str]:
    """Visible folders at top level that the root's .gitignore does not name."""
    ignore_file = root / ".gitignore"
    lines = ignore_file.read_text(encoding="utf-8").splitlines() if ignore_file.exists() else []
    ignored = [line.strip("/") for line in lines if line and not line.startswith("#")]
    return sorted(
        path.name
        for path in root.iterdir()
        if path.is_dir()
        and not path.name.startswith(".")
        and not any(fnmatch.fnmatch(path.name, pattern) for pattern in ignored)
    )


def unnamed(root: Path, paths: list[str]) -> list[str]:
    """Rooms and top-level folders that the listing leaves out."""
    named = {path.removesuffix("/").removesuffix(".py") for path in paths}
    top = {path.partition("/")[0] for path in paths}
    return [
        *(f"bayesma/{room}" for room in rooms(root) if f"bayesma/{room}" not in named),
        *(f"{folder}/" for folder in folders(root) if folder not in top),
    ]


def mirror_faults(root: Path, exceptions: dict[str, str]) -> list[str]:
    """Rooms without tests, and exceptions that are no longer needed."""
    present = rooms(root)
    tested = {
        room
        for room in present
        if any(root.glob(f"tests/test_{room}.py")) or any(root.glob(f"tests/test_{room}_*.py"))
    }
    untested = [
        f"bayesma/{room} has no tests/test_{room}.py"
        for room in present
        if room not in tested and room not in exceptions
    ]
    stale = [
        f"UNTESTED_ROOMS names {room}, which {'has tests' if room in tested else 'is no room'}"
        for room in exceptions
        if room in tested or room not in present
    ]
    return untested + stale


def faults(root: Path, exceptions: dict[str, str]) -> list[str]:
    """Everything in which ARCHITECTURE.md, the tree and the tests disagree, as sentences."""
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    paths = listed_paths(house_listing(text))
    return [
        *(f"ARCHITECTURE.md names {path}: not there" for path in missing_paths(root, paths)),
        *(f"ARCHITECTURE.md does not name {name}" for name in unnamed(root, paths)),
        *mirror_faults(root, exceptions),
    ]


def main() -> int:
    found = faults(Path(__file__).resolve().parents[1], UNTESTED_ROOMS)
    if found:
        print("The house and its description disagree:", *found, sep="\n  ", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
