from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import geotransfer.console.map as package

FOLDER = Path(package.__file__).parent
SCRIPT = (FOLDER / "map.js").read_text(encoding="utf-8")
NODE = shutil.which("node")
ESLINT = shutil.which("eslint")


def test_script_is_short() -> None:
    lines = SCRIPT.splitlines()
    assert len(lines) <= 300
    assert max(map(len, lines)) <= 110


@pytest.mark.skipif(NODE is None, reason="node is not on PATH")
def test_script_parses_as_a_module(tmp_path: Path) -> None:
    path = tmp_path / "map.mjs"
    path.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [str(NODE), "--check", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    ESLINT is None, reason="eslint is not on PATH: npm install -g eslint @eslint/js"
)
def test_script_passes_eslint(tmp_path: Path) -> None:
    names = ("no-undef", "no-unused-vars", "eqeqeq", "prefer-const", "no-var", "no-shadow")
    rules = dict.fromkeys(names, "error")
    known = [
        "document", "location", "URL", "Response", "getComputedStyle", "setTimeout", "clearTimeout",
        "globalThis",
    ]  # fmt: skip
    settings = {"rules": rules, "languageOptions": {"globals": dict.fromkeys(known, False)}}
    (tmp_path / "eslint.config.mjs").write_text(f"export default [{json.dumps(settings)}];")
    (tmp_path / "map.mjs").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [str(ESLINT), "map.mjs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "danger",
    ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "Function(", "http:", "https:"],
)
def test_script_has_nothing_dangerous(danger: str) -> None:
    assert danger not in SCRIPT


def test_parts_of_markup_and_script_match() -> None:
    markup = (FOLDER / "map.html").read_text(encoding="utf-8")
    parts = set(re.findall(r'data-part="(\w+)"', markup))
    used = set(re.findall(r"parts\.(\w+)", SCRIPT))
    for names in re.findall(r"const \{ ([\w, ]+) \} = this\.parts;", SCRIPT):
        used |= set(names.split(", "))
    assert used == parts


def test_map_stands_on_a_page_without_loading_rasters() -> None:
    def page() -> None:
        import streamlit as st

        from geotransfer.console.map.component import show_map
        from geotransfer.console.map.spec import MapSpec, View

        event = show_map(MapSpec(description="A map", view=View()), key="map")
        st.text(f"{event.click} {event.view} {event.drawn}")

    test = AppTest.from_function(page, default_timeout=30).run()
    assert not test.exception
    assert test.text[0].value == "None None ()"


def test_importing_the_map_imports_no_rasters() -> None:
    code = (
        "import sys, geotransfer.console.map.component;"
        "print([m for m in ('rasterio', 'xarray', 'pyproj') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
