"""Stages of one thread add up to what it used, however they lie inside each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from geotransfer.workflows import costing
from geotransfer.workflows.costing import StageMeter


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
