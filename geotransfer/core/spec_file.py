"""Spec files: bands × periods × statistics × indices + layers, as plain parts, become a spec."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from geotransfer.core.definition import BAND, check_keys, check_name, refuse
from geotransfer.core.spec import (
    DEVIATIONS,
    FORMULAS,
    HALF_YEARS,
    STATISTICS,
    Column,
    FeatureSpec,
    Period,
)

KEYS = (
    "name",
    "version",
    "periods",
    "bands",
    "statistics",
    "indices",
    "layers",
    "derived",
    "min_valid",
    "gap_filling",
)
MAX_COLUMNS = 4000
ALL_MONTHS = tuple(range(1, 13))

CALENDARS: Mapping[str, tuple[Period, ...]] = {
    "year": (Period(name="year", months=ALL_MONTHS),),
    "half-years": HALF_YEARS,
    "quarters": tuple(
        Period(name=f"Q{k + 1}", months=ALL_MONTHS[3 * k : 3 * k + 3]) for k in range(4)
    ),
    "months": tuple(Period(name=f"m{month:02d}", months=(month,)) for month in ALL_MONTHS),
}
"""Periods by one word."""

N_INPUTS: Mapping[str, tuple[int, int]] = {
    "normalized_difference": (2, 2),
    "normalized_difference_change": (4, 4),
    "leaf_area_index": (3, 3),
    "share": (2, MAX_COLUMNS),
    "log_ratio": (2, 2),
    "log_ratio_change": (4, 4),
    "difference": (2, 2),
    "absolute_difference": (2, 2),
    "maximum": (2, MAX_COLUMNS),
    "minimum": (2, MAX_COLUMNS),
    "negative": (1, 1),
    "log_sum": (1, MAX_COLUMNS),
    "mean": (2, MAX_COLUMNS),
    "range": (2, MAX_COLUMNS),
}
"""Fewest and most inputs of each formula."""


def parse_spec_file(plain: Any, *, where: str) -> FeatureSpec:
    """Build a spec from the parts of a definition file.

    Every band is summarised by every statistic in every period; indices are formulas of one
    period's columns; derived columns are formulas of any measured columns, whose names may hold
    ``*``. Columns are ordered by period, then bands, deviations, indices; layers come last.

    Raises
    ------
    DefinitionInvalid
        One sentence that names file, key and remedy.
    """
    data = check_keys(plain, known=KEYS, needed=("name",), where=where, what="spec")
    bands = _read_names(data.get("bands"), "bands", where=where)
    layers = _read_names(data.get("layers"), "layers", where=where)
    if not bands and not layers:
        raise refuse(where, "the spec has neither bands nor layers", "list some under 'bands'")
    periods = _parse_periods(data.get("periods", "year"), where=where) if bands else ()
    statistics = _parse_statistics(data.get("statistics", ["geomedian"]), where=where)
    measured: list[Column] = []
    for period in periods:
        seasonal = _name_columns(bands, statistics, period.name)
        measured += seasonal
        measured += _parse_indices(data.get("indices") or {}, seasonal, period.name, where=where)
    measured += [Column(name=name, statistic="static", band=name) for name in layers]
    names = [column.name for column in measured]
    derived = _parse_derived(data.get("derived") or {}, names, where=where)
    _check_names([*names, *[column.name for column in derived]], where=where)
    return FeatureSpec(
        name=check_name(data["name"], where=where),
        version=_read_count(data.get("version", 1), "version", where=where),
        periods=periods,
        measured=tuple(measured),
        derived=tuple(derived),
        min_valid=_read_count(data.get("min_valid", 0), "min_valid", where=where),
        gap_filling=_read_filling(data.get("gap_filling"), periods, where=where),
    )


def _read_names(value: Any, what: str, *, where: str) -> tuple[str, ...]:
    names = value or []
    if isinstance(names, str):
        names = _expand_range(names)
    if not isinstance(names, list):
        raise refuse(where, f"'{what}' is no list", f"write '{what}: [red, nir]'")
    for name in names:
        if not isinstance(name, str) or not BAND.fullmatch(name):
            raise refuse(where, f"{what}: the name {name!r} cannot be used", "use letters, digits")
    twice = next((n for i, n in enumerate(names) if n in names[:i]), None)
    if twice is not None:
        raise refuse(where, f"{what}: {twice!r} is listed twice", "list it once")
    return tuple(names)


def _expand_range(text: str) -> list[str]:
    """Read ``A00..A63`` as sixty-four names; another text as one name."""
    match = re.fullmatch(r"([A-Za-z_]*?)(\d+)\.\.\1(\d+)", text)
    if match is None:
        return [text]
    prefix, first, last = match.groups()
    width = len(first) if first.startswith("0") and len(first) > 1 else 0
    n = min(int(last) - int(first), MAX_COLUMNS)
    return [f"{prefix}{int(first) + k:0{width}d}" for k in range(n + 1)]


def _parse_periods(plain: Any, *, where: str) -> tuple[Period, ...]:
    if isinstance(plain, str):
        if plain not in CALENDARS:
            raise refuse(
                where,
                f"periods: {plain!r} is not known",
                f"write {', '.join(CALENDARS)}, or a mapping of names to months or days",
            )
        return CALENDARS[plain]
    if isinstance(plain, list):
        plain = {
            f"d{_read_day(day, where=where).replace('-', '')}": {"start": day, "end": day}
            for day in plain
        }
    if not isinstance(plain, Mapping) or not plain:
        raise refuse(where, "the spec has no periods", "write 'periods: half-years'")
    periods = tuple(_parse_period(str(k), v, where=where) for k, v in plain.items())
    for i, one in enumerate(periods):
        for two in periods[:i]:
            if _overlap(one, two):
                raise refuse(
                    where,
                    f"periods {two.name!r} and {one.name!r} share days",
                    "let each day belong to one period, and combine columns under 'derived'",
                )
    return periods


def _parse_period(name: str, plain: Any, *, where: str) -> Period:
    what = f"period {name!r}"
    if isinstance(plain, list):
        plain = {"months": plain}
    data = check_keys(plain, known=("months", "start", "end"), needed=(), where=where, what=what)
    months = data.get("months", list(ALL_MONTHS))
    if (
        not isinstance(months, list)
        or not months
        or any(isinstance(m, bool) or m not in ALL_MONTHS for m in months)
    ):
        raise refuse(where, f"{what}: months are {months!r}", "list months from 1 to 12")
    start, end = (
        _read_day(data[key], where=where) if key in data else "" for key in ("start", "end")
    )
    if start and end and start > end:
        raise refuse(where, f"{what} ends before it starts", "exchange start and end")
    if not BAND.fullmatch(name.replace("-", "_")):
        raise refuse(where, f"the period name {name!r} cannot be used", "use letters and digits")
    return Period(name=name, months=tuple(months), start=start, end=end)


def _read_day(value: Any, *, where: str) -> str:
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError:
        raise refuse(where, f"{value!r} is no day", "write it as 2017-06-30") from None


def _overlap(one: Period, two: Period) -> bool:
    first, last = max(one.start, two.start), min(one.end or "9999", two.end or "9999")
    if first > last:
        return False
    shared = set(one.months) & set(two.months)
    if first and last != "9999":
        start, end = (int(day[:4]) * 12 + int(day[5:7]) - 1 for day in (first, last))
        shared &= {month % 12 + 1 for month in range(start, min(end, start + 11) + 1)}
    return bool(shared)


def _parse_statistics(plain: Any, *, where: str) -> tuple[str, ...]:
    statistics = [plain] if isinstance(plain, str) else plain
    dated = [s for s in STATISTICS if s != "static"]
    if not isinstance(statistics, list) or not statistics:
        raise refuse(where, "'statistics' is no list", "write 'statistics: [median]'")
    unknown = next((s for s in statistics if s not in dated), None)
    if unknown is not None:
        raise refuse(where, f"statistic {unknown!r} is not known", f"use {', '.join(dated)}")
    if all(s in DEVIATIONS for s in statistics):
        raise refuse(where, "deviations alone need a centre", "add 'geomedian' to 'statistics'")
    return tuple(dict.fromkeys(statistics))


def _name_columns(bands: Sequence[str], statistics: Sequence[str], period: str) -> list[Column]:
    """Name a band's first statistic after the band, others after both; deviations by themselves."""
    per_band = [s for s in statistics if s not in DEVIATIONS]
    columns = [
        Column(
            name=f"{band}_{period}" if position == 0 else f"{band}_{statistic}_{period}",
            statistic=statistic,
            band=band,
            period=period,
        )
        for position, statistic in enumerate(per_band)
        for band in bands
    ]
    columns += [
        Column(name=f"{s}_{period}", statistic=s, period=period)
        for s in sorted(s for s in statistics if s in DEVIATIONS)
    ]
    return columns


def _parse_indices(
    plain: Any, seasonal: Sequence[Column], period: str, *, where: str
) -> list[Column]:
    if not isinstance(plain, Mapping):
        raise refuse(where, "'indices' is no mapping", "write 'indices: {NDVI: {…}}'")
    names = [column.name for column in seasonal]
    columns = []
    for name, item in plain.items():
        formula, inputs = _parse_formula(item, f"index {name!r}", where=where)
        inputs = tuple(f"{band}_{period}" for band in inputs)
        _check_inputs(formula, inputs, names, f"index {name!r}", where=where)
        columns.append(Column(name=f"{name}_{period}", formula=formula, inputs=inputs))
    return columns


def _parse_derived(plain: Any, names: Sequence[str], *, where: str) -> list[Column]:
    if not isinstance(plain, Mapping):
        raise refuse(where, "'derived' is no mapping", "write 'derived: {amplitude: {…}}'")
    columns = []
    for name, item in plain.items():
        what = f"derived column {name!r}"
        formula, patterns = _parse_formula(item, what, where=where)
        inputs: list[str] = []
        for pattern in patterns:
            found = [n for n in names if fnmatchcase(n, pattern)] if "*" in pattern else [pattern]
            inputs += found or [pattern]
        _check_inputs(formula, inputs, names, what, where=where)
        columns.append(Column(name=str(name), formula=formula, inputs=tuple(inputs)))
    return columns


def _parse_formula(plain: Any, what: str, *, where: str) -> tuple[str, tuple[str, ...]]:
    data = check_keys(
        plain,
        known=("formula", "inputs"),
        needed=("formula", "inputs"),
        where=where,
        what=what,
    )
    formula, inputs = data["formula"], data["inputs"]
    if formula not in FORMULAS:
        raise refuse(where, f"{what}: formula {formula!r} is not known", _list_formulas())
    if isinstance(inputs, str):
        inputs = [inputs]
    if not isinstance(inputs, list) or any(not isinstance(name, str) for name in inputs):
        raise refuse(where, f"{what}: 'inputs' is no list of names", "write 'inputs: [nir, red]'")
    return str(formula), tuple(inputs)


def _list_formulas() -> str:
    return f"use {', '.join(FORMULAS)}"


def _check_inputs(
    formula: str, inputs: Sequence[str], names: Sequence[str], what: str, *, where: str
) -> None:
    unknown = next((name for name in inputs if name not in names), None)
    if unknown is not None:
        near = ", ".join(names[:6])
        raise refuse(
            where, f"{what}: there is no measured column {unknown!r}", f"choose among {near} …"
        )
    fewest, most = N_INPUTS[formula]
    if not fewest <= len(inputs) <= most:
        needs = str(fewest) if fewest == most else f"at least {fewest}"
        raise refuse(
            where, f"{what}: {formula} reads {needs} columns, not {len(inputs)}", "correct 'inputs'"
        )


def _check_names(names: Sequence[str], *, where: str) -> None:
    if len(names) > MAX_COLUMNS:
        raise refuse(where, f"the spec has {len(names)} columns", f"stay at or below {MAX_COLUMNS}")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise refuse(where, f"two columns are called {name!r}", "rename one")
        seen.add(name)


def _read_count(value: Any, what: str, *, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise refuse(where, f"{what} is {value!r}", "write a whole number")
    return value


def _read_filling(value: Any, periods: Sequence[Period], *, where: str) -> str:
    if value in (None, False, "", "none"):
        return ""
    if value != "linear":
        raise refuse(where, f"gap_filling is {value!r}", "write 'linear', or leave it out")
    if len(periods) < 3:
        raise refuse(
            where, "gaps are filled between periods and there are fewer than three", "leave it out"
        )
    return "linear"
