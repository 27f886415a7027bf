"""Feature specs: which numbers a model reads, in which order, and how they come about.

A spec is data: periods, measured columns, derived columns as named formulas from a closed list.
It has a content id and travels inside every model file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from geotransfer.core.decode import from_plain
from geotransfer.core.identity import OMIT_DEFAULT, content_id
from geotransfer.errors import SpecMismatch

DEVIATIONS = ("edev", "sdev", "bcdev")
"""Of all bands together, so a column of one names no band."""
WHOLE_OBSERVATIONS = ("first", "last", "medoid", "greenest")
"""Rules that choose one date of a pixel and take every band from it."""
STATISTICS = (
    "geomedian",
    *DEVIATIONS,
    "median",
    "mean",
    "minimum",
    "maximum",
    "p10",
    "p90",
    "spread",
    *WHOLE_OBSERVATIONS,
    "static",
)
"""How a measured column comes from a period's valid observations.

``geomedian`` is the geometric median of all bands; ``edev``, ``sdev``, ``bcdev`` are the median
Euclidean, cosine and Bray-Curtis deviations from it, as ``-ln`` of the raw value clipped at 1e-9.
``median``, ``mean``, ``minimum``, ``maximum``, ``p10``, ``p90`` and ``spread`` (standard deviation)
are per band. ``first``, ``last``, ``medoid`` (the date nearest to all others) and ``greenest`` (the
date of highest NDVI) take whole observations. ``static`` is a layer without a date. Defined on
arrays in ``imagery/statistics.py``.
"""

FORMULAS = (
    "normalized_difference",
    "normalized_difference_change",
    "leaf_area_index",
    "share",
    "log_ratio",
    "log_ratio_change",
    "difference",
    "absolute_difference",
    "maximum",
    "minimum",
    "negative",
    "log_sum",
    "mean",
    "range",
)
"""The closed list of formulas; defined on arrays in ``imagery/features.py``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A part of the year, as calendar months, or a span of days, or both."""

    name: str
    months: tuple[int, ...]
    """1–12."""
    start: str = field(default="", metadata=OMIT_DEFAULT)
    """First day (ISO); empty: from the first scene on."""
    end: str = field(default="", metadata=OMIT_DEFAULT)
    """Last day, included; empty: to the last scene."""

    def holds(self, day: str) -> bool:
        """Whether a day (ISO date, or a moment that starts with one) falls into the period."""
        date = day[:10]
        is_within = (not self.start or date >= self.start) and (not self.end or date <= self.end)
        return is_within and int(date[5:7]) in self.months


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One predictor: a statistic of a band in a period, or a formula of other columns."""

    name: str
    statistic: str = ""
    """One of ``STATISTICS``, or empty where ``formula`` is given."""
    band: str = ""
    period: str = ""
    formula: str = ""
    """One of ``FORMULAS``, or empty where ``statistic`` is given."""
    inputs: tuple[str, ...] = ()
    """Names of measured columns the formula reads, in its order."""


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """An ordered, named, versioned list of predictors with a content id."""

    name: str
    version: int
    periods: tuple[Period, ...]
    measured: tuple[Column, ...]
    """Columns a feature table must carry. From imagery they are computed; a measured column may
    itself be a formula of other measured columns (an index of the composite)."""
    derived: tuple[Column, ...]
    """Columns always computed from measured ones."""
    min_valid: int = field(default=0, metadata=OMIT_DEFAULT)
    """Valid observations a pixel needs in each period to count in reach; 0: the setting's."""
    gap_filling: str = field(default="", metadata=OMIT_DEFAULT)
    """Empty: a pixel unseen in one period gets no answer. ``linear``: its columns are interpolated
    between the periods before and after, and the map flags them."""

    @cached_property
    def spec_id(self) -> str:
        """Content id: another order, name or formula is another spec."""
        return content_id(self)

    @cached_property
    def measured_names(self) -> tuple[str, ...]:
        """Names a table must carry, in order."""
        return tuple(column.name for column in self.measured)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all predictors in the order the model reads them."""
        return tuple(column.name for column in (*self.measured, *self.derived))

    @cached_property
    def bands(self) -> tuple[str, ...]:
        """Bands of the dated scenes the spec reads, each once, in order of first use."""
        return tuple(
            dict.fromkeys(c.band for c in self.measured if c.band and c.statistic != "static")
        )

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Layers without a date the spec reads, each once, in order of first use."""
        return tuple(dict.fromkeys(c.band for c in self.measured if c.statistic == "static"))

    def find_period(self, day: str) -> str | None:
        """Return the name of the period a day (ISO) falls in, or None."""
        return next((p.name for p in self.periods if p.holds(day)), None)

    def check_columns(self, names: tuple[str, ...], *, where: str) -> None:
        """Raise ``SpecMismatch`` unless ``names`` are exactly the measured columns in order."""
        if names == self.measured_names:
            return
        missing = [name for name in self.measured_names if name not in names]
        if missing:
            raise SpecMismatch(
                f"{where}: column {missing[0]!r} of spec {self.name!r} is missing"
                f" ({len(missing)} in all); add it, or choose a spec that the table carries."
            )
        raise SpecMismatch(
            f"{where}: the columns are not in the order of spec {self.name!r}; match them by name"
            " before predicting."
        )


def parse_spec(data: dict[str, Any]) -> FeatureSpec:
    """Rebuild a spec from its plain form, as ``to_plain`` wrote it."""
    return from_plain(FeatureSpec, data)


BANDS = (
    "blue",
    "green",
    "red",
    "nir",
    "swir_1",
    "swir_2",
    "red_edge_1",
    "red_edge_2",
    "red_edge_3",
)
"""The nine bands of the shipped specs, in the order of the reference tables."""
MADS = ("bcdev", "edev", "sdev")
INDICES = ("NDVI", "LAI", "MNDWI")
SEASONS = ("S1", "S2")

_DIFFERENCES = (
    ("nir", "red"),
    ("nir", "swir_1"),
    ("nir", "swir_2"),
    ("swir_1", "swir_2"),
    ("red", "green"),
    ("green", "blue"),
    ("nir", "red_edge_1"),
    ("red_edge_3", "red_edge_1"),
    ("red_edge_2", "red_edge_1"),
    ("nir", "red_edge_3"),
    ("swir_1", "red"),
    ("nir", "green"),
)


def _measure_season(season: str) -> list[Column]:
    def named(*bands: str) -> tuple[str, ...]:
        return tuple(f"{band}_{season}" for band in bands)

    columns = [
        Column(name=f"{b}_{season}", statistic="geomedian", band=b, period=season) for b in BANDS
    ]
    columns += [Column(name=f"{mad}_{season}", statistic=mad, period=season) for mad in MADS]
    columns += [
        Column(name=f"NDVI_{season}", formula="normalized_difference", inputs=named("nir", "red")),
        Column(name=f"LAI_{season}", formula="leaf_area_index", inputs=named("nir", "red", "blue")),
        Column(
            name=f"MNDWI_{season}", formula="normalized_difference", inputs=named("green", "swir_1")
        ),
    ]
    return columns


def _derive_columns() -> list[Column]:
    columns: list[Column] = []

    def add(name: str, formula: str, *inputs: str) -> None:
        columns.append(Column(name=name, formula=formula, inputs=inputs))

    for season in SEASONS:
        for a, b in _DIFFERENCES:
            add(f"nd_{a}_{b}_{season}", "normalized_difference", f"{a}_{season}", f"{b}_{season}")
    for a, b in _DIFFERENCES:
        add(
            f"nd_{a}_{b}_S2-S1",
            "normalized_difference_change",
            f"{a}_S1", f"{b}_S1", f"{a}_S2", f"{b}_S2",
        )  # fmt: skip
    for season in SEASONS:
        for band in BANDS:
            add(
                f"share_{band}_{season}",
                "share",
                f"{band}_{season}",
                *[f"{b}_{season}" for b in BANDS],
            )
    for band in BANDS:
        add(f"log_{band}_S2/S1", "log_ratio", f"{band}_S2", f"{band}_S1")
    for mad in MADS:
        add(f"log_{mad}_S2/S1", "difference", f"{mad}_S1", f"{mad}_S2")
    for index in INDICES:
        add(f"{index}_S2-S1", "difference", f"{index}_S2", f"{index}_S1")
    add("NDVI_amplitude", "absolute_difference", "NDVI_S1", "NDVI_S2")
    add("NDVI_maximum", "maximum", "NDVI_S1", "NDVI_S2")
    add("NDVI_minimum", "minimum", "NDVI_S1", "NDVI_S2")
    for season in SEASONS:
        for mad in MADS:
            add(f"log_{mad}_{season}", "negative", f"{mad}_{season}")
    for season in SEASONS:
        add(f"log_sum_{season}", "log_sum", *[f"{b}_{season}" for b in BANDS])
    return columns


HALF_YEARS = (
    Period(name="S1", months=(1, 2, 3, 4, 5, 6)),
    Period(name="S2", months=(7, 8, 9, 10, 11, 12)),
)

S2_SEMIANNUAL = FeatureSpec(
    name="s2-semiannual",
    version=1,
    periods=HALF_YEARS,
    measured=tuple(column for season in SEASONS for column in _measure_season(season)),
    derived=tuple(_derive_columns()),
)
"""The default: 30 measured and 80 derived columns, Sentinel-2 alone."""

S2_SEMIANNUAL_CLIMATE = FeatureSpec(
    name="s2-semiannual-climate",
    version=2,
    periods=HALF_YEARS,
    measured=(
        *S2_SEMIANNUAL.measured,
        Column(name="rain_S1", statistic="static", band="rain_S1"),
        Column(name="rain_S2", statistic="static", band="rain_S2"),
        Column(name="slope", statistic="static", band="slope"),
    ),
    derived=(
        *S2_SEMIANNUAL.derived,
        Column(name="log_rain", formula="log_sum", inputs=("rain_S1", "rain_S2")),
        Column(
            name="rain_seasonality",
            formula="normalized_difference",
            inputs=("rain_S2", "rain_S1"),
        ),
        Column(name="share_rain_S1", formula="share", inputs=("rain_S1", "rain_S1", "rain_S2")),
        Column(name="log_NDVI/rain_S1", formula="log_ratio", inputs=("NDVI_S1", "rain_S1")),
        Column(name="log_NDVI/rain_S2", formula="log_ratio", inputs=("NDVI_S2", "rain_S2")),
        Column(
            name="log_NDVI/rain_S2-S1",
            formula="log_ratio_change",
            inputs=("NDVI_S1", "rain_S1", "NDVI_S2", "rain_S2"),
        ),
    ),
)
"""With rain climatology (mm per half-year) and slope (percent): only where the user has them."""

SPECS = {spec.name: spec for spec in (S2_SEMIANNUAL, S2_SEMIANNUAL_CLIMATE)}
"""Shipped specs by name."""
