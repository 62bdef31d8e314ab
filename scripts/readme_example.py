"""Run README.md's example and write what it prints into README.md; with --check, only compare.

Text has to be the same; a number may differ by one unit of its last printed digit, for the same
seed gives other draws where a processor rounds otherwise.
"""

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
CODE = re.compile(r"<!-- example: [^\n]* -->\n```python\n(?P<code>.*?)```\n", re.DOTALL)
OUTPUT = re.compile(
    r"(?P<head><!-- output: [^\n]* -->\n```text\n)(?P<output>.*?)"
    r"(?P<tail>```\n<!-- end of output -->)",
    re.DOTALL,
)
NUMBER = re.compile(r"\d+(?:\.(?P<digits>\d+))?")


def found(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    """Return the one match of a pattern in README.md."""
    matches = list(pattern.finditer(text))
    if len(matches) != 1:
        raise ValueError(f"README.md has {len(matches)} places like {pattern.pattern!r}, not one")
    return matches[0]


def printed(code: str) -> str:
    """Return what a program prints."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    return "".join(f"{line.rstrip()}\n" for line in shown.getvalue().splitlines())


def alike(old: str, new: str) -> bool:
    """Return whether two outputs differ by one unit of a last printed digit at most."""
    # A column is as wide as its longest number, so spaces say nothing.
    words = [re.sub(r"\s+", " ", NUMBER.sub("0", text)) for text in (old, new)]
    numbers = [list(NUMBER.finditer(text)) for text in (old, new)]
    return words[0] == words[1] and all(map(_near, *numbers))


def _near(old: re.Match[str], new: re.Match[str]) -> bool:
    places = [len(number["digits"] or "") for number in (old, new)]
    unit = 10.0 ** -min(places)
    return places[0] == places[1] and abs(float(old[0]) - float(new[0])) < 1.5 * unit


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args(arguments).check
    text = README.read_text(encoding="utf-8")
    place = found(OUTPUT, text)
    new = printed(found(CODE, text)["code"])
    if check:
        if alike(place["output"], new):
            return 0
        print(f"README.md says\n{place['output']}\nand its example prints\n{new}")
        return 1
    changed = place["head"] + new + place["tail"]
    README.write_text(text.replace(place[0], changed), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
