"""What a compiled model takes to leave out groups or single rows, without a new compile."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesma.design import Design

__all__ = ["without_group", "without_row"]

Data = dict[str, NDArray[Any]]


def without_group(plan: Design, group: int) -> Data:
    """Return the pm.Data that leave one outermost group out.

    Parameters
    ----------
    plan : Design
    group : int
        Position among the outermost groups.
    """
    include = np.ones(len(plan.groups.labels[0]))
    include[group] = 0
    return {"include": include}


def without_row(plan: Design, row: int) -> Data:
    """Return the pm.Data that leave one row out, the others of its group kept.

    Parameters
    ----------
    plan : Design
    row : int
        Position of the row.
    """
    include = np.ones(len(plan.effects))
    include[row] = 0
    if plan.clusters is not None:  # whose whitening is made of the drawn rho
        return {"include_row": include}
    found = plan.covariance.without([row])
    data: Data = {"whitening_value": found.values, "log_det_v": found.log_det}
    return data | ({} if plan.exact is None else {"include_row": include})
