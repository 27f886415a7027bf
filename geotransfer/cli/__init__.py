"""The command line: the same verbs as the pages and the library."""

from __future__ import annotations

from geotransfer.cli.root import main

__all__ = ["main"]
