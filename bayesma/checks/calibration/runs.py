"""calibrate(): a model against data of its own making, replicate by replicate."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bayesma.analysis import Analysis, load_analysis
from bayesma.bayes.sampler import Settings
from bayesma.checks.calibration.noun import Calibration, calibration_of
from bayesma.checks.calibration.quantities import quantities_of
from bayesma.checks.calibration.recipe import (
    OUTCOMES,
    Recipe,
    Truth,
    checked_truth,
    planned,
)
from bayesma.checks.calibration.replicate import sampled_replicate
from bayesma.checks.calibration.shelf import Shelf
from bayesma.design import design
from bayesma.effects import Effects
from bayesma.errors import SpecError, did_you_mean
from bayesma.spec import ModelSpec

__all__ = ["calibrate"]

Record = dict[str, Any]


def calibrate(
    spec: ModelSpec | Analysis | str | Path,
    effects: Effects | None = None,
    *,
    replicates: int = 500,
    seed: int,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 2,
    target_accept: float | None = None,
    truth: Truth | None = None,
    outcomes: str = "arms",
    n_jobs: int | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
) -> Calibration:
    """Return how a model does on data of its own making.

    theta ~ prior, y ~ p(y | theta), draws ~ p(theta | y): then the rank of theta among the draws
    is uniform (simulation-based calibration, Talts et al. 2018, arXiv:1804.06788), and so is
    that of the log likelihood, which also sees what the parameters one by one do not (Modrak et
    al. 2023, Bayesian Analysis). Each replicate draws parameters from the prior, new outcomes of
    the very same studies (rows, group sizes and shared animals stay), and refits.

    Parameters
    ----------
    spec : ModelSpec, Analysis, str or Path
        What to calibrate; a model file (or a shipped model's name) holds the effects too.
    effects : Effects, optional
        The studies; their outcomes are not used.
    replicates : int
        A fault of 0.3 posterior standard deviations shows with 100, one of 0.15 with 500.
    seed : int
        Each replicate has a child of its own, so neither their order nor `n_jobs` matters, and
        the first 100 of 500 are those of 100.
    draws, tune, chains, target_accept : int, int, int, float
        As `fit` takes them, for each replicate. One with R-hat above 1.05 or fewer than 200
        effective draws is sampled once more, four times as long, and is then counted as failed.
    truth : mapping, optional
        Posterior names to numbers, or to one number for each term: every replicate then has
        these parameters, and the result is coverage and bias there. Ranks are then not uniform.
    outcomes : {"arms", "effects"}
        New animals in every arm, which make new SDs and variances too, whatever the model's
        likelihood (where effects are SMDs from arms; else as the other); or y ~ N(theta, V) with
        V as it stands, which is the normal likelihood itself.
    n_jobs : int, optional
        Replicates at a time, in threads that share one compiled model; -1 for as many as there
        are processors. Without it, as `joblib.parallel_config` says around this call, else one.
        Within ``joblib.parallel_config(backend="dask")`` each worker compiles once.
    folder : str or Path, optional
        Keeps every finished replicate. The same call with the same folder goes on after an
        interruption, and ends with the very same numbers; more replicates add to those there.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Calibration

    Raises
    ------
    SpecError
        If the spec does not fit the rows, or an option is none.
    BayesmaError
        If the folder holds another calibration.
    QueryError
        If fewer than two replicates can be used.
    """
    spec, effects, usual = _sources(spec, effects)
    if outcomes not in OUTCOMES:
        raise SpecError(f"outcomes = '{outcomes}'; {did_you_mean(outcomes, OUTCOMES)}")
    if replicates < 2:
        raise SpecError(f"replicates = {replicates}: at least 2")
    if n_jobs == 0:
        raise SpecError("n_jobs = 0: 1 or more, or -1 for as many as there are processors")
    accept = usual if target_accept is None else target_accept
    Settings(seed, draws, tune, chains, target_accept=accept)  # refuses what no sampler can do
    plan = design(spec, effects)
    recipe = Recipe(
        plan.spec,
        effects,
        outcomes,
        None if truth is None else checked_truth(plan, truth),
        seed,
        draws,
        tune,
        chains,
        accept,
    )
    return calibrated(
        recipe, replicates, sampled_replicate, n_jobs, None if folder is None else Path(folder),
        progress,
    )  # fmt: skip


def _sources(
    spec: ModelSpec | Analysis | str | Path, effects: Effects | None
) -> tuple[ModelSpec, Effects, float | None]:
    """Return spec and effects, and the target acceptance that a model file asks for."""
    if isinstance(spec, str | Path):
        spec = load_analysis(spec)
    if isinstance(spec, Analysis):
        found = spec.effects() if effects is None else effects
        return spec.spec, found, spec.sampling.get("target_accept")
    if effects is None:
        raise SpecError("calibrate() needs effects: bm.calibrate(spec, effects, seed=1)")
    return spec, effects, None


def calibrated(
    recipe: Recipe,
    replicates: int,
    run: Callable[[Recipe, int, int | None], Record],
    n_jobs: int | None = None,
    folder: Path | None = None,
    progress: bool = False,
) -> Calibration:
    """Return the calibration of a recipe, whose replicates `run` makes."""
    shelf = None if folder is None else Shelf(folder)
    found = {} if shelf is None else shelf.opened(recipe)
    found = {number: record for number, record in found.items() if number < replicates}
    todo = [number for number in range(replicates) if number not in found]
    with _bar(progress, replicates, len(found)) as advance:
        for record in _records(recipe, todo, run, n_jobs):
            found[int(record["replicate"])] = record
            if shelf is not None:
                shelf.keep(record)
            advance(record)
    quantities = quantities_of(planned(recipe))
    return calibration_of(recipe.record, quantities, list(found.values()))


def _records(
    recipe: Recipe, todo: list[int], run: Callable[..., Record], n_jobs: int | None
) -> Iterator[Record]:
    """Yield the records of replicates as they are finished."""
    from joblib import Parallel, delayed, effective_n_jobs

    # Chains side by side where replicates are not: the sampler has threads of its own.
    cores = None if effective_n_jobs(n_jobs) == 1 else 1
    parallel = Parallel(
        n_jobs=n_jobs, prefer="threads", return_as="generator_unordered", batch_size=1
    )
    yield from parallel(delayed(run)(recipe, number, cores) for number in todo)


@contextlib.contextmanager
def _bar(shown: bool, total: int, done: int) -> Iterator[Callable[[Record], None]]:
    """Show how many replicates are finished, and how many of them failed."""
    if not shown:
        yield lambda record: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("replicates"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    failed = 0
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total, completed=done)

        def advance(record: Record) -> None:
            nonlocal failed
            failed += bool(record["problem"])
            progress.update(task, advance=1, description=f"{failed} failed" if failed else "")

        yield advance
