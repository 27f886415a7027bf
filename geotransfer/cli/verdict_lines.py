"""Verdicts as lines for a terminal: before labels, and after them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geotransfer.core.estimate import Estimate
from geotransfer.core.verdict import Verdict


def list_assessment_lines(found: Mapping[str, Any]) -> list[str]:
    """Return the verdict before labels, its reasons and every figure it rests on."""
    lines = [f"before labels: {found['recommendation']}", *found["reasons"]]
    figures = (
        ("inside the area of applicability", "inside_share"),
        ("separability from the source (AUC)", "separability"),
        ("robustness index of the source", "robustness"),
        ("accuracy to expect", "expected"),
    )
    for name, key in figures:
        if found.get(key) is not None:
            e = found[key]
            lines.append(f"  {name}: {e['value']:.3f} ({e['low']:.3f}–{e['high']:.3f})")
    nearest = ", ".join(f"{r['region_id']} {r['median_di']:.2f}" for r in found["nearest"])
    lines.append(f"  source regions by median dissimilarity: {nearest}")
    if found.get("years_apart") is not None:
        lines.append(f"  years from the source's labels: {found['years_apart']:+d}")
    return lines


def list_verdict_lines(found: Verdict) -> list[str]:
    """Return the verdict after labels: reasons, figures, strategies, gain against distance."""
    lines = [f"verdict: {found.kind.replace('_', ' ')}", *found.reasons]
    for name, evaluation in (
        ("random", found.random),
        ("separated", found.separated),
        ("global model, separated", found.global_separated),
    ):
        if evaluation is not None:
            lines.append(f"{name}: balanced accuracy {evaluation.balanced}")
    if found.gain is not None:
        lines.append(
            f"expected gain (AUC): {_show_gain(found.gain)}, {found.gain.level:.0%} interval"
        )
    if found.gain_by_distance:
        lines.append("gain against distance to the nearest label that trained:")
    for item in found.gain_by_distance:
        told = "" if item.share is None else f", {item.share:.0%} of the map"
        lines.append(
            f"  {item.from_km:g}–{item.to_km:g} km: {_show_gain(item.gain)},"
            f" {item.gain.n} labels{told}"
        )
    if found.reach_share is not None and found.within_km is not None:
        lines.append(f"{found.reach_share:.0%} of the map lies within {found.within_km:g} km")
    if found.strategies:
        lines.append("strategies on the same held-out blocks:")
    for row in found.strategies:
        mark = "*" if row.is_chosen else " "
        note = f"  {row.note}" if row.note else ""
        lines.append(f" {mark} {row.strategy}: AUC {row.auc}, gain {_show_gain(row.gain)}{note}")
    return lines


def _show_gain(gain: Estimate) -> str:
    return f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
