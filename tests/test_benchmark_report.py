"""A figure holds where it lies between its marks, and only if it was measured."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks.report import make_figure, print_report


@pytest.mark.parametrize(
    ("value", "low", "high", "holds"),
    [
        (0.05, -math.inf, 0.05, True),
        (0.050001, -math.inf, 0.05, False),
        (0.6, 0.6, math.inf, True),
        (0.59, 0.6, math.inf, False),
        (0.9, 0.87, 0.97, True),
        (math.nan, -math.inf, 0.05, False),
        (None, 0.6, math.inf, None),
    ],
)
def test_a_figure_is_held_to_its_marks(
    value: float | None, low: float, high: float, holds: bool | None
) -> None:
    row = make_figure("x", value, low=low, high=high, n=1, seed=0, note="", decimals=2)
    assert row["holds"] is holds


def test_a_report_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    row = make_figure("x", 0.123456, high=1, n=3, seed="0…", note="as told", decimals=3)
    print_report({"figures": [row], "arms": {"a": 1}}, is_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["arms"] == {"a": 1}
    assert 0 < told["machine"]["yardstick_s"] < 60
    assert told["figures"] == [
        {"id": "x", "value": 0.123, "holds": True, "n": 3, "seed": "0…", "note": "as told"}
    ]
