"""The sieve rows pass through: each is refused at most once, by the first check it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from geotransfer.labels.raw import Fault, FaultKind


class Sieve:
    """Rows still open, and the faults of those that are not."""

    def __init__(self, n_rows: int) -> None:
        self.open: NDArray[np.bool_] = np.ones(n_rows, dtype=bool)
        self.faults: dict[int, Fault] = {}

    def refuse(self, faults: Mapping[int, Fault]) -> None:
        """Refuse rows, by index; those refused before keep their first fault."""
        for index, fault in faults.items():
            if self.open[index]:
                self.faults[index] = fault
        self.open[list(faults)] = False

    def refuse_where(
        self,
        mask: NDArray[np.bool_],
        kind: FaultKind,
        reason: str | Callable[[int], str],
        remedy: str,
    ) -> None:
        """Refuse the open rows of ``mask``; ``reason`` is a sentence, or made from the index."""
        rows = np.flatnonzero(mask & self.open).tolist()
        for index in rows:
            text = reason if isinstance(reason, str) else reason(index)
            self.faults[index] = Fault(kind, text, remedy)
        self.open[rows] = False
