"""Exclusions: scenes that were left out, and why. Nothing is left out in silence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ExclusionReason(StrEnum):
    """Why a scene is left out, in the words a page shows."""

    DESCRIPTION = "description incomplete or contradictory"
    BAND = "band missing"
    SCALE = "scale or offset mixed"
    UNREADABLE = "file unreadable"
    ELSEWHERE = "outside the region"
    PIXELS = "pixels contradict the description"
    BY_HAND = "left out by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """One scene that was left out."""

    scene_id: str
    sensed_at: str
    """ISO 8601, UTC; empty where the description has none."""
    reason: ExclusionReason
    detail: str
    """One sentence: the file, band or property at fault, and the remedy. Never holds a key."""
