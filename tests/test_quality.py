"""The same checks as ``make check``, so that the one test command runs everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def run(*command: str) -> None:
    result = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"


def test_the_code_is_formatted() -> None:
    run("ruff", "format", "--check", ".")


def test_the_code_is_clean() -> None:
    run("ruff", "check", ".")


def test_the_types_hold() -> None:
    run("mypy")


def test_imports_go_one_way() -> None:
    run("lint-imports", "--no-cache")
