"""Model versions: immutable, with the lineage that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from geotransfer.core.cost import RunCost
from geotransfer.core.identity import OMIT_DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Everything that determined a model's bytes, and what it cost."""

    parent_id: str | None
    """Model id of the parent; None for a baseline."""
    strategy: str
    spec_name: str
    spec_id: str
    legend_name: str
    labels_id: str | None
    """Content id of the calibration set; never the labels themselves."""
    n_labels: int
    source: str
    """What stood for the source samples: ``samples`` or ``prototypes``, with content id."""
    seed: int
    cost: RunCost
    libraries: Mapping[str, str]
    """Name and version of the libraries that change results."""
    samples_id: str | None = field(default=None, metadata=OMIT_DEFAULT)
    """Blob with the samples of a global model that was trained on labels, so that fine-tuning can
    pool them; None where they ship or are tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """An immutable model: its id is the content id of its file."""

    model_id: str
    name: str
    """Shown to people, for example ``baseline`` or ``ke-nakuru v3``."""
    region_id: str | None
    """Region it was fine-tuned for; None for a baseline."""
    number: int
    """Counts the versions of one region from 1; 0 for the shipped baseline."""
    lineage: Lineage

    @property
    def label(self) -> str:
        """Short name with the first letters of the id."""
        return f"{self.name} · {self.model_id[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One check a model passes or fails before it may serve a region, with its evidence."""

    gate: str
    passed: bool
    evidence: str
    """A sentence with the numbers it rests on."""
    is_overridable: bool = False
    """Whether a written reason may stand in for a pass."""
