"""Gates: what a model must show, and what a written reason can and cannot stand in for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geotransfer.core.cost import RunCost
from geotransfer.core.estimate import ErrorMatrix, Estimate, Evaluation
from geotransfer.core.legend import CROPLAND
from geotransfer.core.model import GateResult, Lineage, ModelVersion
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.core.verdict import Verdict, VerdictKind
from geotransfer.errors import PromotionRefused
from geotransfer.registry.gates import CLASS_MARGIN, MIN_LABELS, check_gates, refuse_failed

REASON = "the field visit agrees"


def estimate(value: float, n: int = 50) -> Estimate:
    return Estimate(value=value, low=0.0, high=1.0, level=0.95, method="test", n=n)


def evaluate(producers: tuple[float, float], n: int = 50) -> Evaluation:
    half = estimate(0.5, n)
    return Evaluation(
        matrix=ErrorMatrix(class_names=CROPLAND.names, counts=((n, 0), (0, n))),
        overall=half,
        balanced=half,
        auc=None,
        users=(half, half),
        producers=tuple(estimate(p, n) for p in producers),
        f1=(half, half),
        estimand="spatial-blocks",
        separation_km=1.0,
    )


VERSION = ModelVersion(
    model_id="m" * 64,
    name="nakuru v1",
    region_id="nakuru",
    number=1,
    lineage=Lineage(
        parent_id="p" * 64,
        strategy="gp_correction",
        spec_name=S2_SEMIANNUAL.name,
        spec_id=S2_SEMIANNUAL.spec_id,
        legend_name=CROPLAND.name,
        labels_id="l" * 64,
        n_labels=100,
        source="prototypes",
        seed=0,
        cost=RunCost(),
        libraries={},
    ),
)
GOOD = Verdict(
    kind=VerdictKind.USE_FINE_TUNED,
    reasons=("the gain is positive",),
    strategy="gp_correction",
    n_labels=100,
    class_counts=(("non-crop", 50), ("crop", 50)),
    gain=estimate(0.06),
    chance_of_gain=0.97,
    confidence=0.9,
    within_km=5.0,
    reach_share=0.8,
    block_km=1.0,
    random=evaluate((0.9, 0.9)),
    separated=evaluate((0.8, 0.8)),
    global_separated=evaluate((0.7, 0.7)),
    strategies=(),
    gain_by_distance=(),
)


def check(
    version: ModelVersion = VERSION, verdict: Verdict = GOOD, legend_name: str = CROPLAND.name
) -> dict[str, GateResult]:
    gates = check_gates(version, verdict, spec=S2_SEMIANNUAL, legend_name=legend_name)
    return {gate.gate: gate for gate in gates}


def change_lineage(**values: object) -> ModelVersion:
    return replace(VERSION, lineage=replace(VERSION.lineage, **values))


def test_a_good_model_passes_every_gate_with_evidence() -> None:
    gates = check()
    assert list(gates) == ["enough labels", "positive gain", "no class worse", "schema"]
    assert all(gate.passed for gate in gates.values())
    assert all(gate.evidence.endswith(".") for gate in gates.values())
    refuse_failed(tuple(gates.values()), reason="")


@pytest.mark.parametrize(("n", "passed"), [(MIN_LABELS - 1, False), (MIN_LABELS, True)])
def test_few_labels_cannot_be_argued_away(n: int, passed: bool) -> None:
    gate = check(change_lineage(n_labels=n))["enough labels"]
    assert gate.passed is passed
    assert f"{n} calibration labels" in gate.evidence
    assert not gate.is_overridable


@pytest.mark.parametrize("kind", [k for k in VerdictKind if k is not VerdictKind.USE_FINE_TUNED])
def test_every_other_verdict_needs_a_reason(kind: VerdictKind) -> None:
    gates = tuple(check(verdict=replace(GOOD, kind=kind)).values())
    with pytest.raises(PromotionRefused, match="write a reason") as caught:
        refuse_failed(gates, reason="")
    assert len(caught.value.reasons) == 1
    assert caught.value.reasons[0].startswith("positive gain: Verdict: ")
    refuse_failed(gates, reason=REASON)


@pytest.mark.parametrize("legend_name", ["other"])
def test_another_spec_or_legend_is_never_overridden(legend_name: str) -> None:
    for gates in (check(change_lineage(spec_id="0" * 64)), check(legend_name=legend_name)):
        assert not gates["schema"].passed
        with pytest.raises(PromotionRefused, match="cannot be overridden"):
            refuse_failed(tuple(gates.values()), reason=REASON)


def test_a_class_that_loses_too_much_is_named_though_the_average_gains() -> None:
    verdict = replace(GOOD, global_separated=evaluate((0.7, 0.7)), separated=evaluate((0.6, 0.99)))
    gate = check(verdict=verdict)["no class worse"]
    assert not gate.passed
    assert "0.100 (non-crop)" in gate.evidence
    assert gate.is_overridable


def test_a_class_without_rows_says_nothing_about_a_loss() -> None:
    verdict = replace(
        GOOD, global_separated=evaluate((1.0, 1.0), n=0), separated=evaluate((0.0, 0.0), n=0)
    )
    assert check(verdict=verdict)["no class worse"].passed


@pytest.mark.parametrize("missing", ["separated", "global_separated"])
def test_no_separated_evaluation_is_no_pass(missing: str) -> None:
    gate = check(verdict=replace(GOOD, **{missing: None}))["no class worse"]
    assert not gate.passed
    assert gate.is_overridable


@given(
    before=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    after=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_class_gate_is_the_worst_loss_against_the_margin(
    before: tuple[float, float], after: tuple[float, float]
) -> None:
    verdict = replace(GOOD, global_separated=evaluate(before), separated=evaluate(after))
    worst = max(b - a for b, a in zip(before, after, strict=True))
    assert check(verdict=verdict)["no class worse"].passed == (worst <= CLASS_MARGIN)


GATES = st.lists(
    st.builds(
        GateResult,
        gate=st.sampled_from(["a", "b", "c"]),
        passed=st.booleans(),
        evidence=st.just("seen."),
        is_overridable=st.booleans(),
    ),
    max_size=5,
).map(tuple)


@given(gates=GATES, reason=st.sampled_from(["", "   ", "too short", "x" * 9 + "  ", REASON]))
def test_refusal_is_exactly_what_no_reason_covers(
    gates: tuple[GateResult, ...], reason: str
) -> None:
    is_written = len(reason.strip()) >= 10
    blocking = [g for g in gates if not g.passed and not (g.is_overridable and is_written)]
    if not blocking:
        refuse_failed(gates, reason=reason)
        return
    with pytest.raises(PromotionRefused) as caught:
        refuse_failed(gates, reason=reason)
    assert len(caught.value.reasons) == len(blocking)
