"""Models compiled in this process, for the next one of the same graph."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pymc as pm
from pytensor.graph.basic import equal_computations

__all__ = ["compiled_code", "same_code"]

# Compiling takes some 20 s, sampling a few. Each kept costs 50 MB: two, as for both forms of decay.
KEPT = 2
_LOCK = threading.Lock()
_KEPT: list[tuple[pm.Model, Any]] = []


def compiled_code(model: pm.Model) -> Any:
    """Return a model compiled by nutpie, on its own data.

    Parameters
    ----------
    model : pymc.Model

    Returns
    -------
    nutpie.CompiledModel
        Code of one of the last models compiled where that is the `same_code`; compiled here
        otherwise.
    """
    with _LOCK:
        for known, code in _KEPT:
            if same_code(known, model):
                return code.with_data(**_data(model, code))
        import nutpie

        code = nutpie.compile_pymc_model(model)
        _KEPT.append((model, code))
        del _KEPT[:-KEPT]
        return code


def same_code(one: pm.Model, other: pm.Model) -> bool:
    """Return whether two models differ in the values of their data alone.

    Parameters
    ----------
    one, other : pymc.Model

    Returns
    -------
    bool
        Labels, shapes, names, every constant (priors among them) and every operation of log
        density and deterministics are the same.
    """
    if dict(one.coords) != dict(other.coords):
        return False
    if _names(one) != _names(other):
        return False
    sides = [_inputs(model) for model in (one, other)]
    named = [[(var.name, var.type) for var in side] for side in sides]
    shapes = [[var.get_value().shape for var in model.data_vars] for model in (one, other)]
    if named[0] != named[1] or shapes[0] != shapes[1]:
        return False
    graphs = [_graph(model) for model in (one, other)]
    return len(graphs[0]) == len(graphs[1]) and equal_computations(*graphs, *sides)


def _names(model: pm.Model) -> list[Any]:
    """Return what the draws are called, in the order of the graph, and what they lie along."""
    dims = model.named_vars_to_dims
    return [(var.name, dims.get(var.name)) for var in (*model.free_RVs, *model.deterministics)]


def _inputs(model: pm.Model) -> list[Any]:
    """Return what may be another variable in a model of the same code."""
    return [*model.value_vars, *model.data_vars, *model.dim_lengths.values()]


def _graph(model: pm.Model) -> list[Any]:
    """Return the log density and what else is kept of a draw, of the sampled coordinates."""
    kept = [*model.free_RVs, *model.deterministics]
    return [model.logp(), *model.replace_rvs_by_values(kept)]


def _data(model: pm.Model, code: Any) -> dict[str, Any]:
    """Return the data of a model which its code reads."""
    read = {var.name for var in code.shared_var_keys}
    return {var.name: np.asarray(var.get_value()) for var in model.data_vars if var.name in read}
