"""Gates: what a model must show before it may serve a region. Pure functions on evidence."""

from __future__ import annotations

from geotransfer.core.model import GateResult, ModelVersion
from geotransfer.core.spec import FeatureSpec
from geotransfer.core.verdict import Verdict, VerdictKind
from geotransfer.errors import PromotionRefused

MIN_LABELS = 20
"""Fewer labels cannot carry a statement about gain."""

CLASS_MARGIN = 0.05
"""Producer's accuracy a class may lose, beyond which an average gain would hide a loss."""


def check_gates(
    version: ModelVersion, verdict: Verdict, *, spec: FeatureSpec, legend_name: str
) -> tuple[GateResult, ...]:
    """Return every gate with its evidence, passed or not."""
    return (
        _check_labels(version),
        _check_gain(verdict),
        _check_classes(verdict),
        _check_schema(version, spec, legend_name),
    )


def _check_labels(version: ModelVersion) -> GateResult:
    n = version.lineage.n_labels
    return GateResult(
        gate="enough labels",
        passed=n >= MIN_LABELS,
        evidence=f"{n} calibration labels; {MIN_LABELS} are needed.",
    )


def _check_gain(verdict: Verdict) -> GateResult:
    gain = "no gain was measured" if verdict.gain is None else f"expected AUC gain {verdict.gain}"
    return GateResult(
        gate="positive gain",
        passed=verdict.kind is VerdictKind.USE_FINE_TUNED,
        evidence=f"Verdict: {verdict.kind.replace('_', ' ')}; {gain} on blocks without labels.",
        is_overridable=True,
    )


def _check_classes(verdict: Verdict) -> GateResult:
    gate = "no class worse"
    if verdict.separated is None or verdict.global_separated is None:
        return GateResult(
            gate=gate,
            passed=False,
            evidence="No spatially separated evaluation could be made.",
            is_overridable=True,
        )
    names = verdict.separated.matrix.class_names
    losses = [
        (before.value - after.value, name)
        for before, after, name in zip(
            verdict.global_separated.producers, verdict.separated.producers, names, strict=True
        )
        if before.n and after.n
    ]
    worst, name = max(losses, default=(0.0, ""))
    return GateResult(
        gate=gate,
        passed=worst <= CLASS_MARGIN,
        evidence=f"Largest loss of producer's accuracy {max(worst, 0):.3f}"
        + (f" ({name})" if worst > 0 else "")
        + f"; up to {CLASS_MARGIN} is allowed.",
        is_overridable=True,
    )


def _check_schema(version: ModelVersion, spec: FeatureSpec, legend_name: str) -> GateResult:
    is_same = version.lineage.spec_id == spec.spec_id and version.lineage.legend_name == legend_name
    return GateResult(
        gate="schema",
        passed=is_same,
        evidence=f"Model: {version.lineage.spec_name}, {version.lineage.legend_name};"
        f" region: {spec.name}, {legend_name}.",
    )


def refuse_failed(gates: tuple[GateResult, ...], *, reason: str) -> None:
    """Raise unless every gate passed, or may be and is overridden by a written reason.

    Raises
    ------
    PromotionRefused
        With one sentence per gate that stands in the way.
    """
    is_overridden = len(reason.strip()) >= 10
    blocking = tuple(
        f"{gate.gate}: {gate.evidence}"
        for gate in gates
        if not gate.passed and not (gate.is_overridable and is_overridden)
    )
    if blocking:
        can_override = all(g.is_overridable for g in gates if not g.passed)
        remedy = (
            "write a reason of at least ten letters to override"
            if can_override
            else "this cannot be overridden"
        )
        raise PromotionRefused(f"not promoted: {' '.join(blocking)} ({remedy}).", reasons=blocking)
