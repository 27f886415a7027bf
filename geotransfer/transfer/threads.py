"""Threads: one for each sum, several side by side; the bits of a model never follow the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


@contextmanager
def limit_blas() -> Iterator[None]:
    """Hold BLAS and LAPACK to one thread: sums are then added in one order."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def run_tasks(tasks: Sequence[Callable[[], None]], *, n_threads: int) -> None:
    """Run independent tasks side by side; the first error is raised when all have ended."""
    if n_threads <= 1 or len(tasks) <= 1:
        for task in tasks:
            task()
        return
    with ThreadPoolExecutor(min(n_threads, len(tasks))) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()
