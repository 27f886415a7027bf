"""Stages of one thread add up to what it used, however they lie inside each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from geotransfer.workflows import costing
from geotransfer.workflows.costing import Meter, StageMeter


def test_a_stage_inside_another_takes_its_seconds_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A composite that reads a scene, whose pixels are hashed, and then predicts; then a write."""
    clock: Iterator[float] = iter([0, 1, 3, 4, 8, 10, 16, 32, 40, 45])
    monkeypatch.setattr(costing.time, "thread_time", lambda: next(clock))
    meter = StageMeter()
    with meter.measure("composite"):
        with meter.measure("read"), meter.measure("detector"):
            pass
        with meter.measure("predict"):
            pass
    with meter.measure("write"):
        pass
    assert meter.stages == {"detector": 1, "read": 6, "predict": 6, "composite": 19, "write": 5}
    assert sum(meter.stages.values()) == (32 - 0) + (45 - 40)


@pytest.mark.parametrize(
    ("scheduler", "added_s"), [("threads", 0), ("processes", 0), ("tcp://host:8786", 7)]
)
def test_what_tasks_used_is_added_where_they_ran_elsewhere(
    scheduler: str, added_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costing, "read_cpu_s", lambda: 100.0)
    cost = Meter.start().read(tasks_cpu_s=7.0, scheduler=scheduler)
    assert cost.cpu_s == added_s
