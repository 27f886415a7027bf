"""Run one function over many tiles: threads, processes or a Dask cluster. Nothing else changes."""

from __future__ import annotations

import importlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar

from geotransfer.errors import WorkerLost
from geotransfer.imagery.memory import MemoryPlan
from geotransfer.imagery.raster_files import limit_cache
from geotransfer.settings import is_cluster

Task = TypeVar("Task")
Result = TypeVar("Result")

IN_FLIGHT = 2
"""Tasks handed out per worker at a time, so that none waits, and cancel is quick."""
GROUP_PX = 1024
"""Side of the square whose tiles one worker does one after another, from the same open files."""
GROUPS_PER_WORKER = 2
"""Fewer groups than this would leave workers idle at the end; squares are then smaller."""
MAX_LOSSES = 3
"""Times a pool of processes is started again after one of them was killed."""


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    scheduler: str,
    n_workers: int,
    locate: Callable[[Task], tuple[int, int]] | None = None,
    memory: MemoryPlan | None = None,
) -> Iterator[Result]:
    """Yield results as they come; the order is not that of the tasks.

    Parameters
    ----------
    function
        Importable by name, so that processes and clusters find it.
    scheduler
        ``threads``, ``processes`` or the address of a Dask scheduler (``tcp://…``).
    locate
        Returns a task's first row and column. Tasks near each other then go to the same worker.
    memory
        What may be used here; fewer workers run where it would not suffice. The workers of a
        cluster keep to what they were started with.

    Raises
    ------
    WorkerLost
        Processes were killed again and again. What other workers did is done.
    """
    groups = group_tasks(tasks, n_workers, locate) if locate else [[task] for task in tasks]
    if is_cluster(scheduler):
        yield from _run_on_cluster(partial(_run_group, function, 0), groups, scheduler)
        return
    cache_bytes = 0
    if memory:
        n_workers, cache_bytes = memory.fit_workers(
            n_workers, in_processes=scheduler == "processes"
        )
    work = partial(_run_group, function, cache_bytes)
    yield from _run_in_pool(work, groups, partial(_make_pool, scheduler, n_workers), n_workers)


def group_tasks(
    tasks: Sequence[Task], n_workers: int, locate: Callable[[Task], tuple[int, int]]
) -> list[list[Task]]:
    """Return tasks by square of the grid, in order; squares shrink until all workers are busy."""
    side = GROUP_PX
    while True:
        groups: dict[tuple[int, int], list[Task]] = {}
        for task in tasks:
            row, col = locate(task)
            groups.setdefault((row // side, col // side), []).append(task)
        if len(groups) >= min(GROUPS_PER_WORKER * n_workers, len(tasks)) or side == 1:
            return [groups[place] for place in sorted(groups)]
        side //= 2


def _run_group(
    function: Callable[[Task], Result], cache_bytes: int, group: Sequence[Task]
) -> list[Result]:
    if cache_bytes:
        limit_cache(cache_bytes)
    return [function(task) for task in group]


def _make_pool(scheduler: str, n_workers: int) -> Executor:
    if scheduler == "threads":
        return ThreadPoolExecutor(n_workers)
    # A forked process would inherit locks that other threads hold.
    return ProcessPoolExecutor(n_workers, mp_context=multiprocessing.get_context("spawn"))


def _run_in_pool(
    work: Callable[[list[Task]], list[Result]],
    groups: Sequence[list[Task]],
    make_pool: Callable[[], Executor],
    n_workers: int,
) -> Iterator[Result]:
    waiting = deque(groups)
    running: dict[Future[list[Result]], list[Task]] = {}
    n_losses = 0
    pool = make_pool()
    try:
        while waiting or running:
            while waiting and len(running) < IN_FLIGHT * n_workers:
                group = waiting.popleft()
                running[pool.submit(work, group)] = group
            done = wait(running, return_when=FIRST_COMPLETED).done
            try:
                for future in done:
                    results = future.result()
                    del running[future]
                    yield from results
            except BrokenProcessPool as error:
                n_losses += 1
                if n_losses > MAX_LOSSES:
                    raise WorkerLost(
                        f"worker processes were killed {n_losses} times, perhaps for want of"
                        " memory; lower n_threads or memory_gb, then run the same command again."
                    ) from error
                waiting.extendleft(reversed(running.values()))
                running.clear()
                pool.shutdown(wait=False)
                pool = make_pool()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run_on_cluster(
    work: Callable[[list[Task]], list[Result]], groups: Sequence[list[Task]], address: str
) -> Iterator[Result]:
    # Loading the cluster's client costs a second that a laptop run should not pay.
    distributed: Any = importlib.import_module("distributed")

    with distributed.Client(address) as client:
        n_workers = max(1, sum(client.nthreads().values()))
        waiting = deque(groups)

        def submit(count: int) -> list[object]:
            n_ready = min(count, len(waiting))
            return [client.submit(work, waiting.popleft(), pure=False) for _ in range(n_ready)]

        running = distributed.as_completed(submit(IN_FLIGHT * n_workers))
        for future in running:
            yield from future.result()
            for following in submit(1):
                running.add(following)
