"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from bayesma.errors import BayesmaError

__all__ = ["write_whole"]


def write_whole(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file through a temporary one beside it, which then takes its place.

    Parameters
    ----------
    target : Path
    write : callable
        Writes to the path it is given.

    Raises
    ------
    BayesmaError
        If the file cannot be written; nothing is left behind.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        part.touch()  # its refusal says why in words; HDF5's does not
        write(part)
        part.replace(target)
    except OSError as error:
        raise BayesmaError(
            f"{target}: cannot be written ({error.strerror or error}); choose a file in a folder "
            "that exists and is yours"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
