"""How much memory a run may use, and how many tiles that is at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass

from geotransfer.core.spec import FeatureSpec

DEFAULT_SHARE = 0.5
"""Of the machine's memory, where the setting names no limit."""
CACHE_SHARE = 0.2
"""Of the limit, for decoded blocks that neighbouring tiles share."""
MIN_CACHE_BYTES, MAX_CACHE_BYTES = 16 << 20, 512 << 20
BASE_BYTES = 400 << 20
"""Interpreter, libraries, compiled kernels, a model."""
PREDICT_BYTES = 64 << 20
"""Predictors of the part of a tile that a worker predicts at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """A limit and what a task takes of it."""

    limit_bytes: int
    task_bytes: int

    def fit_workers(self, n_workers: int, *, in_processes: bool = False) -> tuple[int, int]:
        """Return how many workers fit, at least one, and the bytes of each process's cache."""
        free = self.limit_bytes - BASE_BYTES
        cache_bytes = min(MAX_CACHE_BYTES, int(CACHE_SHARE * max(free, 0)))
        each = self.task_bytes + (BASE_BYTES if in_processes else 0)
        fitting = max(1, min(n_workers, (free - cache_bytes) // max(1, each)))
        shared = cache_bytes // fitting if in_processes else cache_bytes
        return fitting, max(MIN_CACHE_BYTES, shared)


def plan_memory(memory_gb: float, *, task_bytes: int) -> MemoryPlan:
    """Return the plan for a limit in GB, or for half of the machine's memory where it is 0."""
    limit = int(memory_gb * 1e9) if memory_gb else int(DEFAULT_SHARE * find_memory())
    return MemoryPlan(limit_bytes=limit, task_bytes=task_bytes)


def find_memory() -> int:
    """Return the machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def measure_task(spec: FeatureSpec, *, n_pixels: int, n_scenes: int) -> int:
    """Return the bytes one tile takes at most: dates, one scene more that merges, two sets of
    columns, and what a model holds of it."""
    n_bands = len(spec.bands)
    stack = (n_scenes + 1) * (2 * n_bands + 1) + 4
    columns = 2 * 4 * (len(spec.measured) + len(spec.periods)) + 4 * (n_bands + 4)
    answers = 40
    return n_pixels * (stack + columns + answers) + PREDICT_BYTES
