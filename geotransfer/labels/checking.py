"""Label table → good rows and rejected ones, each with its reason and remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from geotransfer.core.legend import Legend
from geotransfer.core.spec import SPECS, FeatureSpec
from geotransfer.labels.duplicates import sift_duplicates
from geotransfer.labels.legends import LegendMapping, list_names, match_classes
from geotransfer.labels.limits import ONE_PIXEL_M, shorten
from geotransfer.labels.places import Bounds, count_labels, sift_places
from geotransfer.labels.positions import measure_extent_m
from geotransfer.labels.raw import Fault, FaultKind, Int64
from geotransfer.labels.sieve import Sieve
from geotransfer.labels.table import LabelTable


@dataclass(frozen=True, slots=True)
class Rejected:
    """One row that cannot be used."""

    row: int
    """As the user counts it; ``LabelTable.row_word`` says what."""
    kind: FaultKind
    reason: str
    """Why, without the row: *latitude 'abc' is no finite number*."""
    remedy: str
    index: int
    """Position in the table, from 0."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CheckedLabels:
    """Labels that may be used, those that may not, and how classes were mapped."""

    table: LabelTable
    """All rows, as read."""
    good: LabelTable
    """The rows that may be used, in the order of the file."""
    codes: Int64
    """Shape (n_good,), class of each good row as a code of the legend."""
    rejected: tuple[Rejected, ...]
    """In the order of the file."""
    mapping: LegendMapping
    legend: Legend
    warnings: tuple[str, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name in the legend of each good row."""
        names = dict(zip(self.legend.codes, self.legend.names, strict=True))
        return tuple(names[code] for code in self.codes.tolist())

    @property
    def n_by_kind(self) -> dict[FaultKind, int]:
        """How many rows were rejected for each kind of fault, most frequent first."""
        return dict(Counter(item.kind for item in self.rejected).most_common())


def check_labels(
    table: LabelTable,
    *,
    region_outline: str | None,
    imagery_bounds: Bounds | None,
    imagery_period: tuple[date, date] | None,
    legend: Legend,
    mapping: Mapping[str, str] | None = None,
    spec: FeatureSpec | None = None,
    fix_swapped: bool = False,
    accept_other_dates: bool = False,
) -> CheckedLabels:
    """Check every row; nothing is dropped without a reason.

    A row is rejected by the first check it fails, in this order: readable, placed, valid outline,
    longitude and latitude the right way round, on earth, not too large, in the region, under the
    imagery, class known, date in the period, features complete, not repeated, not contradicted.

    Parameters
    ----------
    region_outline
        GeoJSON geometry in EPSG:4326, as ``Region.outline``; None to leave the check out.
    imagery_bounds
        West, south, east, north of the imagery in EPSG:4326, or None.
    imagery_period
        First day of the imagery and the day after its last, or None. Rows without a date pass,
        with a warning.
    legend
        Classes the labels are for.
    mapping
        Class name as given → name in the legend, or empty to leave its rows out; names not in it
        are matched as ``match_classes`` says.
    spec
        Feature spec whose columns the table may carry; its rows must then be complete. Default:
        the shipped ones that the table carries.
    fix_swapped
        Exchange longitude and latitude where that, and only that, brings a row into the region.
    accept_other_dates
        Take rows dated outside ``imagery_period``, with a warning.

    Raises
    ------
    LabelsInvalid
        ``mapping`` names a class the legend does not have.
    """
    sieve = Sieve(len(table))
    sieve.refuse(table.faults)
    warnings: tuple[str, ...] = table.warnings
    if table.has_places:
        table, said = sift_places(
            table,
            sieve,
            region_outline=region_outline,
            imagery_bounds=imagery_bounds,
            fix_swapped=fix_swapped,
        )
        warnings += said
    else:
        warnings += (
            (
                f"{table.file_name} says no places, so region and imagery were not checked and"
                " accuracy cannot be separated in space; add longitude and latitude if you have"
                " them."
            ),
        )
    matched, codes = match_classes(table.class_names, legend, mapping, file_name=table.file_name)
    _sift_classes(table, sieve, matched, codes, legend)
    warnings += _sift_dates(table, sieve, imagery_period, accept_other=accept_other_dates)
    _sift_features(table, sieve, spec)
    warnings += sift_duplicates(table, sieve, codes, legend)
    chosen = np.flatnonzero(sieve.open)
    good = table.take(chosen)
    return CheckedLabels(
        table=table,
        good=good,
        codes=codes[chosen],
        rejected=_list_rejected(table, sieve),
        mapping=matched,
        legend=legend,
        warnings=(*warnings, *_warn_good(good, codes[chosen], matched, legend)),
    )


def _list_rejected(table: LabelTable, sieve: Sieve) -> tuple[Rejected, ...]:
    return tuple(
        Rejected(int(table.rows[index]), fault.kind, fault.reason, fault.remedy, index)
        for index, fault in sorted(sieve.faults.items())
    )


def _sift_classes(
    table: LabelTable, sieve: Sieve, matched: LegendMapping, codes: Int64, legend: Legend
) -> None:
    names = table.class_names
    sieve.refuse_where(
        names == "", FaultKind.CLASS_MISSING, "its class is empty", "write its class"
    )
    known = list_names(legend)
    faults = {}
    for match in matched.matches:
        shown = repr(shorten(match.given, limit=40))
        if match.how == "left out":
            faults[match.given] = Fault(
                FaultKind.CLASS_LEFT_OUT,
                f"class {shown} is mapped to no class, as you chose",
                "map it to a class of the legend to use it",
            )
        elif match.how == "unknown":
            near = " or ".join(repr(name) for name in match.suggestions)
            faults[match.given] = Fault(
                FaultKind.CLASS_UNKNOWN,
                f"class {shown} is not in legend {legend.name!r} ({known})",
                f"map it to {near or 'one of them'}, or leave it out",
            )
    rows = np.flatnonzero(sieve.open & (codes < 0))
    sieve.refuse({row: faults[names[row]] for row in rows.tolist()})


def _sift_dates(
    table: LabelTable,
    sieve: Sieve,
    period: tuple[date, date] | None,
    *,
    accept_other: bool,
) -> tuple[str, ...]:
    dates = table.dates
    column = next((g.column for g in table.guesses if g.role == "date"), "")
    sieve.refuse_where(
        dates.unreadable,
        FaultKind.DATE_UNREADABLE,
        lambda i: (
            f"{shorten(str(table.given[column][i]), limit=30)!r} in column {column!r} is no date"
        ),
        "write YYYY-MM-DD, or leave the cell empty",
    )
    if period is None:
        return ()
    start, end = (np.datetime64(day, "D") for day in period)
    dated = ~np.isnat(dates.starts)
    # A year or month that touches the period may be meant for it.
    other = dated & ((dates.ends < start) | (dates.starts >= end))
    shown = f"{start} to {end - np.timedelta64(1, 'D')}"
    warnings: tuple[str, ...] = ()
    n_other, n_undated = int((other & sieve.open).sum()), int((~dated & sieve.open).sum())
    if accept_other and n_other:
        warnings += (
            (
                f"{count_labels(n_other)} dated outside the imagery's period ({shown}) will be"
                " used, as you chose."
            ),
        )
    elif n_other:
        sieve.refuse_where(
            other,
            FaultKind.OTHER_DATE,
            lambda i: f"its date {_write_span(table, i)} is outside the imagery's period ({shown})",
            "add scenes of that time, or choose to accept other dates",
        )
    if n_undated:
        warnings += (
            (
                f"{count_labels(n_undated)} without a date will be taken as seen in the imagery's"
                f" period ({shown})."
            ),
        )
    return warnings


def _write_span(table: LabelTable, index: int) -> str:
    return table.dates.take(np.array([index])).format()[0]


def _sift_features(table: LabelTable, sieve: Sieve, spec: FeatureSpec | None) -> None:
    """Where a table carries a spec's columns, each of its rows must have them all."""
    specs = [spec] if spec else [SPECS[name] for name in table.spec_names if name in SPECS]
    for carried in specs:
        if carried.name not in table.spec_names:
            continue
        for name in carried.measured_names:
            sieve.refuse_where(
                ~np.isfinite(table.numbers[name]),
                FaultKind.FEATURE_MISSING,
                f"feature {name!r} has no finite value",
                "compute it again, or leave the row out",
            )


def _warn_good(
    good: LabelTable, codes: Int64, matched: LegendMapping, legend: Legend
) -> tuple[str, ...]:
    """What does not forbid a row but will matter when a model is fine-tuned."""
    warnings: list[str] = []
    spelled = [
        m for m in matched.matches if m.how in ("same but for spelling", "code of the legend")
    ]
    if spelled:
        pairs = ", ".join(f"{shorten(m.given, limit=30)!r} → {m.class_name!r}" for m in spelled[:6])
        warnings.append(f"classes were mapped on legend {legend.name!r}: {pairs}.")
    if len(good) == 0:
        warnings.append("no label is good; see the reasons, correct the file and upload it again.")
        return tuple(warnings)
    held = np.unique(codes)
    if len(held) == 1:
        name = legend.names[legend.codes.index(int(held[0]))]
        warnings.append(
            f"all good labels are of class {name!r}; fine-tuning needs at least two classes."
        )
    if good.has_places and len(good) > 1 and measure_extent_m(good.positions) <= ONE_PIXEL_M:
        warnings.append(
            f"all {len(good):,} good labels lie within {ONE_PIXEL_M:g} m, in one pixel; bring"
            " labels from all over the region."
        )
    return tuple(warnings)
