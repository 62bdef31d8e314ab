"""Parquet files."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pandas as pd

from bayesma.errors import BayesmaError, Fault, TableError
from bayesma.readers.raw import Raw, content_of

__all__ = ["read_parquet"]


def read_parquet(path: Path) -> Raw:
    """Return the cells of a Parquet file, typed; rows are counted from 1.

    An index that was written with a name comes back as a column.

    Raises
    ------
    TableError
        If it is no such file.
    BayesmaError
        If pyarrow is not installed.
    """
    content = content_of(path)
    try:
        import pyarrow  # noqa: F401  pandas reads with it
    except ImportError as error:
        raise BayesmaError(
            f"{path.name}: Parquet files need pyarrow; pip install 'bayesma[parquet]'"
        ) from error
    try:
        frame = pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    except Exception as error:  # damaged bytes raise anything there is
        fault = Fault("is not a Parquet file", "write it again, or export it as CSV")
        raise TableError(path.name, [fault]) from error
    named = [name for name in frame.index.names if name is not None]
    if named:
        frame = frame.reset_index(named)
    rows = [str(i) for i in range(1, len(frame) + 1)]
    return Raw(_decoded(frame, rows, path.name), rows)


def _decoded(frame: pd.DataFrame, rows: list[str], source: str) -> pd.DataFrame:
    """Return the frame with texts where it holds their bytes."""
    faults: list[Fault] = []
    columns = {}
    for i, name in enumerate(map(str, frame.columns)):
        cells = frame.iloc[:, i].tolist()
        if any(isinstance(cell, bytes) for cell in cells):
            for row, cell in zip(rows, cells, strict=True):
                if _text(cell) is None and cell is not None:
                    remedy = "write texts or numbers"
                    faults.append(Fault("is binary, not text", remedy, row, name, repr(cell)))
            cells = [_text(cell) for cell in cells]
        columns[i] = cells
    if faults:
        raise TableError(source, faults)
    return pd.DataFrame(columns, dtype=object).set_axis(frame.columns, axis=1)


def _text(cell: Any) -> Any:
    if not isinstance(cell, bytes):
        return cell
    with contextlib.suppress(UnicodeDecodeError):
        return cell.decode("utf-8")
    return None
