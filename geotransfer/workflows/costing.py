"""Measure what a run uses."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from geotransfer.core.cost import RunCost
from geotransfer.settings import is_cluster


def read_cpu_s() -> float:
    """Return the CPU seconds this process and its ended children have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _read_peak_bytes() -> int:
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) * 1024


class StageMeter:
    """Measures the CPU seconds of one thread by stage: ``with meter.measure("read"): …``.

    A stage inside another one takes its seconds from it, so that none is told twice.
    """

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._inner_s = 0.0
        """Seconds already told by stages inside the one that is being measured."""

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add this thread's CPU seconds inside the block to a stage of ``RunCost.stages``."""
        started = time.thread_time()
        beside_s, self._inner_s = self._inner_s, 0.0
        try:
            yield
        finally:
            spent = time.thread_time() - started
            self.stages[stage] = self.stages.get(stage, 0.0) + spent - self._inner_s
            self._inner_s = beside_s + spent


@dataclass(frozen=True, slots=True)
class Meter:
    """Started at the beginning of a run, read at its end."""

    cpu_s: float
    wall_s: float

    @staticmethod
    def start() -> Meter:
        """Start measuring this process and its children."""
        return Meter(cpu_s=read_cpu_s(), wall_s=time.perf_counter())

    def read(
        self,
        *,
        tasks_cpu_s: float = 0.0,
        scheduler: str = "",
        read_bytes: int = 0,
        written_bytes: int = 0,
        n_pixels: int = 0,
        area_km2: float = 0.0,
        stages: Mapping[str, float] | None = None,
    ) -> RunCost:
        """Return the use since the start.

        ``tasks_cpu_s`` is what the tasks say they used: a cluster's workers are no children of this
        process, so theirs is added; that of threads and processes is in its own.
        """
        elsewhere_s = tasks_cpu_s if is_cluster(scheduler) else 0.0
        return RunCost(
            cpu_s=read_cpu_s() - self.cpu_s + elsewhere_s,
            wall_s=time.perf_counter() - self.wall_s,
            peak_rss_bytes=_read_peak_bytes(),
            read_bytes=read_bytes,
            written_bytes=written_bytes,
            n_pixels=n_pixels,
            area_km2=area_km2,
            stages=dict(stages or {}),
        )
