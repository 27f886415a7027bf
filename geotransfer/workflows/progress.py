"""How a running workflow tells where it is, and learns that it should stop."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called often; raises ``JobCancelled`` or ``JobLost`` when the work should stop."""

    def __call__(self, done: int, planned: int, message: str) -> None:
        """Report units done of units planned, and what is going on."""


def ignore_progress(done: int, planned: int, message: str) -> None:
    """Report to nobody."""
