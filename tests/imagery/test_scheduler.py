"""Threads, processes and a real Dask cluster give the same results."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import pytest
from distributed import LocalCluster

from geotransfer.imagery.scheduler import run_tasks


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
