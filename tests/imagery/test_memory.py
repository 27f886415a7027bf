"""As many tiles at a time as the memory allows, and never none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.imagery.memory import (
    BASE_BYTES,
    MAX_CACHE_BYTES,
    MIN_CACHE_BYTES,
    find_memory,
    measure_task,
    plan_memory,
)


@given(st.floats(0.01, 512), st.integers(0, 1 << 36), st.integers(1, 256), st.booleans())
def test_what_runs_at_a_time_fits_the_limit(
    memory_gb: float, task_bytes: int, n_workers: int, in_processes: bool
) -> None:
    plan = plan_memory(memory_gb, task_bytes=task_bytes)
    fitting, cache_bytes = plan.fit_workers(n_workers, in_processes=in_processes)
    assert 1 <= fitting <= n_workers
    assert MIN_CACHE_BYTES <= cache_bytes <= MAX_CACHE_BYTES
    if fitting > 1:
        n_processes = fitting if in_processes else 1
        used = BASE_BYTES + fitting * task_bytes
        if in_processes:
            used += fitting * BASE_BYTES
        slack = n_processes * MIN_CACHE_BYTES
        assert used + n_processes * cache_bytes <= plan.limit_bytes + slack


def test_more_memory_never_means_fewer_workers() -> None:
    found = [
        plan_memory(gb, task_bytes=500 << 20).fit_workers(16)[0] for gb in (0.1, 1, 2, 4, 8, 64)
    ]
    assert found == sorted(found)
    assert found[0] == 1
    assert found[-1] == 16


def test_no_limit_is_half_of_the_machine() -> None:
    assert plan_memory(0.0, task_bytes=1).limit_bytes == find_memory() // 2


def test_a_tile_takes_what_its_dates_take() -> None:
    few = measure_task(S2_SEMIANNUAL, n_pixels=512**2, n_scenes=12)
    many = measure_task(S2_SEMIANNUAL, n_pixels=512**2, n_scenes=72)
    assert many - few == 512**2 * 60 * 19
