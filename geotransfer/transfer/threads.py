"""One thread for linear algebra while a model is made: its bits must not follow the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


@contextmanager
def limit_blas() -> Iterator[None]:
    """Hold BLAS and LAPACK to one thread: sums are then added in one order."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
