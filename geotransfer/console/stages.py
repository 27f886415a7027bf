"""Stages of work: one name and one colour each, in chart, table and legend."""

from __future__ import annotations

import math

from geotransfer.core.legend import CLASS_COLORS

STAGE_TITLES = {
    "read": "Reading scenes",
    "composite": "Composite",
    "predict": "Prediction",
    "write": "Writing",
    "detector": "Deciding what changed",
    "audit": "Audit",
    "training": "Training",
    "applicability": "Where it applies",
    "other": "Everything else",
}
"""In the order charts stack them."""

_BLUE, _ORANGE, _GREEN, _PINK, _SKY, _RED, _YELLOW, _GREY = CLASS_COLORS
STAGE_COLORS = {
    "read": _BLUE,
    "composite": _GREEN,
    "predict": _SKY,
    "write": "#b9cbd6",
    "detector": _ORANGE,
    "audit": _RED,
    "training": _PINK,
    "applicability": _YELLOW,
    "other": _GREY,
}
SPENT_COLOR = "#c4502f"
AVOIDED_COLOR = "#22988a"


def name_stage(stage: str) -> str:
    """Return a stage's name for a reader; what a later version adds keeps its own."""
    return STAGE_TITLES.get(stage, stage.replace("_", " ").capitalize())


def format_cpu(cpu_s: float) -> str:
    """Return CPU time in a unit a reader can hold."""
    if cpu_s < 120:
        return f"{cpu_s:.1f} CPU-s"
    if cpu_s < 7200:
        return f"{cpu_s / 60:.1f} CPU-min"
    return f"{cpu_s / 3600:,.1f} CPU-h"


def format_usd(usd: float) -> str:
    """Return money with the digits it needs, fractions of a cent included."""
    if usd == 0 or abs(usd) >= 1:
        return f"{usd:,.2f} USD"
    # Two digits that say something, never an exponent.
    return f"{usd:.{1 - math.floor(math.log10(abs(usd)))}f} USD"


def format_energy(watt_hours: float) -> str:
    """Return energy in Wh or kWh."""
    return f"{watt_hours / 1000:,.2f} kWh" if watt_hours >= 1000 else f"{watt_hours:.3g} Wh"
