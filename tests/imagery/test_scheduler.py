"""Threads, processes and a real Dask cluster give the same results."""

from __future__ import annotations

import math
import os
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.errors import WorkerLost
from geotransfer.imagery.memory import MemoryPlan
from geotransfer.imagery.scheduler import group_tasks, run_tasks


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with warnings.catch_warnings():
        # Closing sockets of a cluster at exit is the cluster's own affair.
        warnings.simplefilter("ignore")
        made = LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None, protocol="tcp"
        )
        yield str(made.scheduler_address)
        made.close()


@pytest.mark.parametrize("scheduler", ["threads", "processes", "cluster"])
@pytest.mark.filterwarnings("ignore")
def test_every_scheduler_does_every_task_once(
    scheduler: str, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("cluster") if scheduler == "cluster" else scheduler
    tasks = [float(i) for i in range(23)]
    found = list(run_tasks(math.sqrt, tasks, scheduler=address, n_workers=2))
    assert sorted(found) == [math.sqrt(task) for task in tasks]


def test_no_task_is_no_work() -> None:
    assert list(run_tasks(math.sqrt, [], scheduler="threads", n_workers=2)) == []


def test_an_error_comes_through() -> None:
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        list(run_tasks(math.sqrt, [1.0, -1.0], scheduler="threads", n_workers=1))


@given(
    st.sets(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60),
    st.integers(1, 9),
    st.sampled_from([32, 256, 512]),
)
def test_groups_hold_every_task_once_and_neighbours_together(
    places: set[tuple[int, int]], n_workers: int, tile_px: int
) -> None:
    tasks = [(row * tile_px, col * tile_px) for row, col in sorted(places)]
    groups = group_tasks(tasks, n_workers, lambda task: task)
    assert sorted(task for group in groups for task in group) == tasks
    assert len(groups) >= min(2 * n_workers, len(tasks))
    for group in groups:
        rows, cols = zip(*group, strict=True)
        assert max(rows) - min(rows) < 1024
        assert max(cols) - min(cols) < 1024


def test_where_tiles_lie_changes_nothing_but_the_order() -> None:
    tasks = [float(i) for i in range(23)]
    found = list(
        run_tasks(
            math.sqrt, tasks, scheduler="threads", n_workers=3,
            locate=lambda task: (int(task) * 256, 0),
            memory=MemoryPlan(limit_bytes=1, task_bytes=1),
        )
    )  # fmt: skip
    assert sorted(found) == [math.sqrt(task) for task in tasks]


def test_a_run_that_is_left_starts_nothing_more() -> None:
    started: list[int] = []

    def work(task: int) -> int:
        started.append(task)
        time.sleep(0.01)
        return task

    results = run_tasks(work, list(range(100)), scheduler="threads", n_workers=2)
    next(results)
    results.close()
    n_started = len(started)
    assert n_started < 20
    time.sleep(0.1)
    assert len(started) == n_started


def die_once(mark: Path) -> str:
    """Be killed the first time, as by the kernel for want of memory."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return mark.name


def die_always(mark: Path) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return mark.name


@pytest.mark.slow
def test_a_killed_process_costs_only_what_it_was_doing(tmp_path: Path) -> None:
    marks = [tmp_path / name for name in "abcd"]
    for mark in marks[1:]:
        mark.touch()
    found = list(run_tasks(die_once, marks, scheduler="processes", n_workers=1))
    assert sorted(found) == ["a", "b", "c", "d"]


@pytest.mark.slow
def test_processes_killed_again_and_again_are_told(tmp_path: Path) -> None:
    with pytest.raises(WorkerLost, match="lower n_threads"):
        list(run_tasks(die_always, [tmp_path / "a"], scheduler="processes", n_workers=1))
