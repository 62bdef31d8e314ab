"""Finished replicates in a folder: an interrupted calibration goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesma.checks.calibration.recipe import Recipe
from bayesma.errors import BayesmaError
from bayesma.files import write_whole

__all__ = ["Shelf"]

MANIFEST = "calibration.json"


@dataclass(frozen=True)
class Shelf:
    """A folder with a manifest, and a file for each finished replicate.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    def opened(self, recipe: Recipe) -> dict[int, dict[str, Any]]:
        """Return the replicates that are finished, by number.

        Raises
        ------
        BayesmaError
            If the folder cannot be made, or holds replicates of another calibration.
        """
        manifest = self.folder / MANIFEST
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BayesmaError(
                f"{self.folder}: cannot be made ({error.strerror}); choose a folder of yours"
            ) from error
        if not manifest.exists():
            if any(self.folder.glob("replicate_*.json")):
                raise BayesmaError(
                    f"{self.folder}: holds replicates without {MANIFEST}, which says of what; "
                    "choose another folder"
                )
            _write(manifest, {"fingerprint": recipe.fingerprint, **recipe.record})
            return {}
        found = _read(manifest)
        if found.get("fingerprint") != recipe.fingerprint:
            differing = _differences(found, recipe)
            raise BayesmaError(
                f"{self.folder}: holds another calibration, with other {differing}; choose another "
                "folder, or delete this one"
            )
        records = [_read(path) for path in sorted(self.folder.glob("replicate_*.json"))]
        return {int(record["replicate"]): record for record in records}

    def keep(self, record: dict[str, Any]) -> None:
        """Write a finished replicate, whole or not at all."""
        _write(self.folder / f"replicate_{record['replicate']:06d}.json", record)


def _write(path: Path, record: dict[str, Any]) -> None:
    text = json.dumps(record, indent=None if "replicate" in record else 1) + "\n"
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def _read(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BayesmaError(
            f"{path}: cannot be read ({error}); delete it, and its replicate is run again"
        ) from error
    return record


def _differences(found: dict[str, Any], recipe: Recipe) -> str:
    """Return the names of what differs, a spec's and the versions' one by one."""
    told: list[str] = []
    for key, value in json.loads(json.dumps(recipe.record)).items():
        other = found.get(key)
        if other == value:
            continue
        if key in ("spec", "versions") and isinstance(other, dict):
            parts = [name for name in value if other.get(name) != value[name]]
            told += [f"{'version of ' if key == 'versions' else ''}{name}" for name in parts]
        else:
            told.append("rows" if key == "data_sha256" else key)
    return ", ".join(told) or "numbers"
