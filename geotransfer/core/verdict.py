"""The verdict on a set of labels: did they help, how far, and how sure is that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from geotransfer.core.estimate import Estimate, Evaluation


class VerdictKind(StrEnum):
    """What to do with the labels' region."""

    USE_GLOBAL = "use_global"
    """The labels speak against fine-tuning: the global model is the better one."""
    USE_FINE_TUNED = "use_fine_tuned"
    """The fine-tuned model within a distance of the labels, the global model beyond."""
    NO_MEASURABLE_GAIN = "no_measurable_gain"
    """The gain cannot be told from zero: the global model stays."""
    TOO_FEW_LABELS = "too_few_labels"
    """Too few labels, one class only, or all in one place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyResult:
    """One strategy on the labels held out, block by block."""

    strategy: str
    auc: Estimate
    """Of the rows held out (macro one-against-rest for more than two classes)."""
    gain: Estimate
    """AUC minus the global model's on the same rows."""
    is_chosen: bool
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceGain:
    """Gain on the held-out labels at one distance from the labels that trained."""

    from_km: float
    to_km: float
    gain: Estimate
    share: float | None = None
    """Share of the region's places at that distance from a label; None where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer to *did my labels help*, with what it rests on."""

    kind: VerdictKind
    reasons: tuple[str, ...]
    """Sentences, the weightiest first."""
    strategy: str
    """Name of the strategy of the model returned; ``keep_global`` where it is the global one."""
    n_labels: int
    class_counts: tuple[tuple[str, int], ...]
    """Labels by class name, in the legend's order; zero for a class without labels."""
    gain: Estimate | None
    """Expected AUC gain on blocks without labels, with its prediction interval."""
    chance_of_gain: float | None
    """Probability that the gain is above zero; compare ``confidence``."""
    confidence: float
    """What ``chance_of_gain`` must reach before a model is offered."""
    within_km: float | None
    """How far from the labels the model is used; None where positions are not known."""
    reach_share: float | None
    """Share of the region's places within ``within_km`` of a label."""
    block_km: float | None
    """Side of the blocks that were held out; None: no separation in space was possible."""
    random: Evaluation | None
    """The model on labels held out at random: near neighbours trained it, so it flatters."""
    separated: Evaluation | None
    """The model on whole blocks held out."""
    global_separated: Evaluation | None
    """The global model on the same rows."""
    strategies: tuple[StrategyResult, ...]
    gain_by_distance: tuple[DistanceGain, ...]
