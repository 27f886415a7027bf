"""The same small world as the workflows' tests."""

from __future__ import annotations

from tests.workflows.conftest import model_bytes, own_world, world

__all__ = ["model_bytes", "own_world", "world"]
