"""What all facts have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Base of all facts."""

    kind: ClassVar[str] = "fact"
    region_id: str | None
