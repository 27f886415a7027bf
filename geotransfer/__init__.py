"""GeoTransfer: make a satellite-image model that is good in one place work, provably, in another."""

from __future__ import annotations

__version__ = "0.1.0"
