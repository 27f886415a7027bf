"""Run one function over many tiles: threads, processes or a Dask cluster. Nothing else changes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from dask.base import compute
from dask.delayed import delayed

Task = TypeVar("Task")
Result = TypeVar("Result")

IN_FLIGHT = 4
"""Tasks handed out per worker at a time, so that progress is seen and cancel is quick."""


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    scheduler: str,
    n_workers: int,
) -> Iterator[Result]:
    """Yield results as they come; the order is not that of the tasks.

    Parameters
    ----------
    function
        Importable by name, so that processes and clusters find it.
    scheduler
        ``threads``, ``processes`` or the address of a Dask scheduler (``tcp://…``).
    """
    if "://" in scheduler:
        yield from _run_on_cluster(function, tasks, scheduler)
        return
    pending = iter(tasks)
    while batch := list(islice(pending, IN_FLIGHT * n_workers)):
        calls = [delayed(function, pure=False)(task) for task in batch]
        yield from compute(*calls, scheduler=scheduler, num_workers=n_workers)


def _run_on_cluster(
    function: Callable[[Task], Result], tasks: Sequence[Task], address: str
) -> Iterator[Result]:
    # Loading the cluster's client costs a second that a laptop run should not pay.
    distributed: Any = importlib.import_module("distributed")

    with distributed.Client(address) as client:
        n_workers = max(1, sum(client.nthreads().values()))
        pending = iter(tasks)

        def submit(count: int) -> list[object]:
            return [client.submit(function, t, pure=False) for t in islice(pending, count)]

        running = distributed.as_completed(submit(IN_FLIGHT * n_workers))
        for future in running:
            yield future.result()
            for following in submit(1):
                running.add(following)
