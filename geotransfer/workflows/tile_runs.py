"""Run the work on many tiles, on as many workers as the settings and the memory allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from geotransfer.imagery.memory import MemoryPlan, measure_task, plan_memory
from geotransfer.imagery.raster_files import limit_cache
from geotransfer.imagery.scheduler import run_tasks
from geotransfer.settings import Settings
from geotransfer.workflows.tile import TileTask

Result = TypeVar("Result")


def run_tiles(
    function: Callable[[TileTask], Result], tasks: Sequence[TileTask], settings: Settings
) -> Iterator[Result]:
    """Yield each task's result as it comes; errors as ``imagery.scheduler.run_tasks``.

    Neighbouring tiles go to the same worker, which keeps their files open.
    """
    memory = plan_tile_memory(tasks, settings.memory_gb)
    # This process writes the map afterwards, through the same cache.
    limit_cache(memory.fit_workers(settings.thread_count)[1])
    return run_tasks(
        function,
        tasks,
        scheduler=settings.scheduler,
        n_workers=settings.thread_count,
        locate=locate_task,
        memory=memory,
    )


def plan_tile_memory(tasks: Sequence[TileTask], memory_gb: float) -> MemoryPlan:
    """Return the memory plan for the largest of some tasks."""
    return plan_memory(
        memory_gb,
        task_bytes=max(
            (
                measure_task(
                    task.spec,
                    n_pixels=task.tile.height * task.tile.width,
                    n_scenes=len(task.scenes),
                )
                for task in tasks
            ),
            default=0,
        ),
    )


def locate_task(task: TileTask) -> tuple[int, int]:
    """Return a task's first row and column in its grid."""
    return task.tile.row, task.tile.col
