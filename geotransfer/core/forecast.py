"""What a map will cost at a cadence, and up to which cadence it pays."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCosts:
    """CPU seconds per km²: of making a map, and of each refresh after it."""

    first: float
    again: float

    def spend_first_year(self, per_year: float) -> float:
        """CPU seconds per km² of a year that begins with the first map; ``per_year`` ≥ 1."""
        return self.first + (per_year - 1) * self.again

    def spend_later_year(self, per_year: float) -> float:
        """CPU seconds per km² of a year that only refreshes."""
        return per_year * self.again

    def break_even_first_year(self, value_cpu_s: float) -> float:
        """Refreshes a year at which the first year costs what it is worth.

        ``value_cpu_s`` is the value per km² and year, in CPU seconds at the rate paid. Below 1 even
        a single map is too dear; infinite where refreshes cost nothing.
        """
        if value_cpu_s < self.first:
            return value_cpu_s / self.first
        return 1 + (value_cpu_s - self.first) / self.again if self.again else math.inf

    def break_even_later_year(self, value_cpu_s: float) -> float:
        """Refreshes a year at which a later year costs what it is worth."""
        return value_cpu_s / self.again if self.again else math.inf
