"""Reach: the share of a region where the map may be trusted at the accuracy asked for."""

from __future__ import annotations

LEVEL = 0.95
