"""`python -m geotransfer` is the command line."""

from __future__ import annotations

from geotransfer.cli import main

main()
