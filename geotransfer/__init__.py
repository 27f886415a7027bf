"""GeoTransfer: a satellite-image model that is good in one place, made to work in another."""

from __future__ import annotations

__version__ = "0.1.0"
