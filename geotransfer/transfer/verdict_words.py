"""The words of a verdict: from figures to an answer and the sentences behind it."""

from __future__ import annotations

from geotransfer.core.estimate import Estimate
from geotransfer.core.verdict import VerdictKind
from geotransfer.transfer.choice import Folds

CONFIDENCE = 0.90
"""Probability of a gain above zero that a model needs to be offered."""
MAX_CHANCE_AGAINST = 0.5
"""At or below it, the labels speak for the global model."""


def decide_verdict(
    gain: Estimate,
    chance: float,
    observed: Estimate,
    *,
    own_auc: Estimate,
    folds: Folds | None,
    within_km: float | None,
) -> tuple[VerdictKind, tuple[str, ...]]:
    """Turn the figures into an answer and the sentences behind it."""
    if folds is None or within_km is None:
        reason = (
            "The labels have no positions or leave no block to hold out, so neighbours cannot be"
            " kept apart and no gain can be shown; bring coordinates."
        )
        return VerdictKind.NO_MEASURABLE_GAIN, (reason,)
    shown = (
        f"Held-out blocks of {folds.block_km:g} km: AUC gain {observed.value:+.3f}"
        f" ({observed.low:+.3f} to {observed.high:+.3f}) on {observed.n} labels."
    )
    expected = (
        f"With the rehearsals on other regions: expected gain {gain.value:+.3f}, on new blocks"
        f" between {gain.low:+.3f} and {gain.high:+.3f} in {gain.level:.0%} of cases."
    )
    if own_auc.low <= 0.5:
        answer = (
            "On held-out blocks the fine-tuned model tells your classes apart no better than a coin"
            f" might (AUC {own_auc.value:.2f}, {own_auc.low:.2f} to {own_auc.high:.2f}); check the"
            " labels' classes, dates and positions, or bring more."
        )
        return VerdictKind.NO_MEASURABLE_GAIN, (answer, shown)
    if chance >= CONFIDENCE:
        answer = (
            f"The fine-tuned model is better with probability {chance:.2f} (needed:"
            f" {CONFIDENCE:.2f}). Use it within {within_km:g} km of your labels, as far as held-out"
            " labels vouch for it; beyond, the map keeps the global model."
        )
        return VerdictKind.USE_FINE_TUNED, (answer, expected, shown)
    if chance <= MAX_CHANCE_AGAINST:
        answer = f"The labels speak against fine-tuning: a gain has probability {chance:.2f} only."
        return VerdictKind.USE_GLOBAL, (answer, shown, expected)
    answer = (
        f"A gain has probability {chance:.2f}, below the {CONFIDENCE:.2f} needed; more labels, in"
        " places without any, would settle it."
    )
    return VerdictKind.NO_MEASURABLE_GAIN, (answer, shown, expected)
