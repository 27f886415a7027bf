"""An accuracy report as lines for a terminal."""

from __future__ import annotations

from geotransfer.core.accuracy_report import AccuracyReport, AreaReport


def list_accuracy_lines(report: AccuracyReport) -> list[str]:
    """Return every figure with its interval and name."""
    lines = [f"map of {report.model_name}"]
    for figure in report.figures:
        e = figure.evaluation
        lines.append(
            f"  {e.estimand}: overall {e.overall}, balanced {e.balanced}, {e.matrix.n} labels;"
            f" {figure.name}"
        )
    if report.by_distance:
        lines.append(f"accuracy against distance to the nearest label ({report.distance_note})")
        lines += [
            f"  {d.from_km:g}–{d.to_km:g} km: {d.accuracy}, {d.accuracy.n} labels"
            for d in report.by_distance
        ]
    else:
        lines.append(report.distance_note)
    if report.area is not None:
        lines += _list_area_lines(report.area)
    return [*lines, *report.notes]


def _list_area_lines(area: AreaReport) -> list[str]:
    kind = "indicative: labels are no probability sample" if area.is_indicative else "design-based"
    lines = [f"weighted by area ({area.estimator}, {kind}): overall {area.overall}"]
    for c in area.classes:
        e = c.area_km2
        error = "" if c.area_error_km2 is None else f", standard error {c.area_error_km2:.2f}"
        lines.append(
            f"  {c.name}: {e.value:.2f} km² ({e.low:.2f}–{e.high:.2f}{error}), mapped"
            f" {c.mapped_km2:.2f}; user's {c.users}, producer's {c.producers}, F1 {c.f1}"
        )
        if c.powered_km2 is not None:
            p = c.powered_km2
            lines.append(
                f"    with the whole map (PPI++): {p.value:.2f} km² ({p.low:.2f}–{p.high:.2f})"
            )
    return lines
