"""The map component in a real browser, on the application of ``app_map.py``."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer

from geotransfer.console.palettes import DARK, LIGHT

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not on PATH"),
]
FLAGS = [
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu",
    "--no-sandbox",
]
HERE = Path(__file__).parent
QUARTERS = {"nw": "#0072b2", "ne": "#e69f00", "sw": "#009e73", "se": "#cc79a7"}
MIDDLE = (402000.0, 4790000.0)
"""Where the four quarters meet, EPSG:32631."""


def write_inputs(folder: Path) -> None:
    """Run ``app_map.write_inputs`` in a process of its own: that module is an application."""
    code = f"import app_map, pathlib; app_map.write_inputs(pathlib.Path({str(folder)!r}))"
    environment = {**os.environ, "APP_MAP_FOLDER": str(folder), "PYTHONPATH": str(HERE)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("map")
    write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(HERE / "app_map.py"), *flags],
            env={**os.environ, "APP_MAP_FOLDER": str(folder)},
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class MapPage:
    """A browser page that shows the map."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.address = address
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note)
        page.goto(address)
        page.wait_for_selector(".frame[data-draw]", timeout=60_000)
        self.settle()

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def settle(self) -> None:
        """Wait until nothing has been asked and the picture has not changed for a while."""
        before, quiet = None, 0
        for _ in range(60):
            time.sleep(0.15)
            now = (len(self.requests), self.page.screenshot())
            quiet = quiet + 1 if now == before else 0
            before = now
            if quiet == 3:
                return
        raise AssertionError("the map does not come to rest")

    @property
    def told(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.page.locator("code").inner_text())
        return state

    def wait(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait for what the page's Python says."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            told = self.told
            if condition(told):
                return told
            time.sleep(0.1)
        raise AssertionError(f"the page still says {self.told}")

    @property
    def center(self) -> tuple[float, float]:
        box = self.page.locator(".canvas canvas").first.bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def click(self, dx: float, dy: float) -> None:
        """Click, in pixels from the middle of the map."""
        x, y = self.center
        self.page.mouse.click(x + dx, y + dy)

    def find_color(self, dx: float, dy: float) -> np.ndarray:
        """Colour painted, in pixels from the middle of the map."""
        x, y = self.center
        image = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        return np.array(image.getpixel((round(x + dx), round(y + dy))))

    def choose(self, label: str, option: str) -> None:
        runs = self.told["runs"]
        self.page.get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=option).click()
        self.wait(lambda told: told["runs"] > runs)
        self.settle()

    def tick(self, label: str) -> None:
        runs = self.told["runs"]
        self.page.get_by_text(label, exact=True).click()
        self.wait(lambda told: told["runs"] > runs)
        self.settle()

    def list_ours(self) -> list[str]:
        return [url for url in self.requests if "/geo/" in url]


@pytest.fixture
def open_map(browser: Any, address: str) -> Iterator[Callable[..., MapPage]]:
    contexts = []
    opened: list[MapPage] = []

    def start(*, path: str = "", **options: Any) -> MapPage:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        opened.append(MapPage(context.new_page(), address + path))
        return opened[-1]

    yield start
    for context in contexts:
        context.close()
    for page in opened:
        foreign = [
            url for url in page.requests if not url.startswith((f"{address}/", "blob:", "data:"))
        ]
        assert foreign == []


def read_hex(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])


def find_quarter(lon: float, lat: float) -> str:
    x, y = Transformer.from_crs(4326, 32631, always_xy=True).transform(lon, lat)
    return ("n" if y > MIDDLE[1] else "s") + ("e" if x > MIDDLE[0] else "w")


def test_raster_is_painted_where_it_lies_and_a_click_tells_the_place(
    open_map: Callable[..., MapPage],
) -> None:
    page = open_map()
    for i, (dx, dy) in enumerate(((-90, -120), (110, -60), (-130, 140), (60, 150)), start=1):
        page.click(dx, dy)
        click = page.wait(lambda told, i=i: len(told["clicks"]) == i)["clicks"][-1]
        expected = QUARTERS[find_quarter(click["lon"], click["lat"])]
        np.testing.assert_array_equal(page.find_color(dx, dy), read_hex(expected))
    # Beside the raster: land, and the grid of degrees somewhere.
    np.testing.assert_array_equal(page.find_color(-330, 60), read_hex(LIGHT.land))
    # The outline was made from the raster's corners: its dashes must lie on the raster's edge.
    picture = np.array(Image.open(io.BytesIO(page.page.screenshot())).convert("RGB"), dtype=int)
    distances = []
    for row in picture[round(page.center[1]) - 200 : round(page.center[1]) - 20]:
        dark = np.abs(row - read_hex(LIGHT.outline)).sum(axis=1) < 30
        dashes = np.flatnonzero(dark[: round(page.center[0])])
        blue = np.flatnonzero(np.abs(row - read_hex(QUARTERS["nw"])).sum(axis=1) < 12)
        distances += [np.abs(dashes - blue.min()).min()] if dashes.size else []
    assert len(distances) > 50
    assert max(distances) <= 3
    assert page.page.get_by_role("region", name="Map of four quarters").count() == 1
    assert page.complaints == []


def test_opacity_and_layers_ask_for_nothing_anew(open_map: Callable[..., MapPage]) -> None:
    page = open_map()
    full = page.find_color(-90, -100)
    page.requests.clear()
    page.choose("Opacity", "0.5")
    expected = (full + read_hex(LIGHT.land)) / 2
    assert np.abs(page.find_color(-90, -100) - expected).max() <= 3
    page.choose("Opacity", "1.0")
    np.testing.assert_array_equal(page.find_color(-90, -100), full)
    page.tick("Points")
    assert page.list_ours() == []
    assert page.complaints == []


def test_swipe_divides_before_from_after_by_mouse_and_keyboard(
    open_map: Callable[..., MapPage],
) -> None:
    page = open_map()
    page.tick("Swipe")
    handle = page.page.get_by_role("slider", name="Probability at the left, Class at the right")
    after = read_hex(QUARTERS["ne"])
    np.testing.assert_array_equal(page.find_color(60, -100), after)
    left = page.find_color(-60, -100)
    assert np.abs(left - read_hex(QUARTERS["nw"])).max() > 20  # the ramp, not the class
    page.requests.clear()
    handle.focus()
    for _ in range(20):
        handle.press("ArrowRight")
    page.settle()
    assert np.abs(page.find_color(60, -100) - after).max() > 20
    x, y = page.center
    start = x + 0.2 * (1118 - 36)
    page.page.mouse.move(start, y)
    page.page.mouse.down()
    page.page.mouse.move(x - 400, y, steps=5)
    page.page.mouse.up()
    page.settle()
    np.testing.assert_array_equal(page.find_color(-60, -100), read_hex(QUARTERS["nw"]))
    # Moving the camera moves both sides.
    handle.fill("50")
    page.page.mouse.move(x + 200, y + 100)
    page.page.mouse.down()
    page.page.mouse.move(x + 140, y + 100, steps=8)
    time.sleep(0.3)
    page.page.mouse.up()
    page.settle()
    np.testing.assert_array_equal(page.find_color(0 + 100, -100), after)
    page.tick("Swipe")
    playwright.expect(page.page.locator(".canvas canvas:visible")).to_have_count(1)
    assert page.complaints == []


def test_outline_is_drawn_undone_and_forgotten(open_map: Callable[..., MapPage]) -> None:
    page = open_map()
    page.choose("Draw", "polygon")
    finish = page.page.get_by_role("button", name="Finish")
    playwright.expect(finish).to_be_disabled()
    for dx, dy in ((-100, -100), (100, -100), (100, 100), (-90, 90), (-200, 0)):
        page.click(dx, dy)
    page.page.get_by_role("button", name="Undo").click()
    page.click(-100, -100)  # the first corner again closes the outline
    drawn = page.wait(lambda told: told["drawn"])["drawn"]
    (ring,) = drawn[0]["geometry"]["coordinates"]
    assert drawn[0]["geometry"]["type"] == "Polygon"
    assert len(ring) == 5
    assert ring[0] == ring[-1]
    assert [find_quarter(*corner) for corner in ring] == ["nw", "ne", "se", "sw", "nw"]
    # No click told while drawing; the next outline takes the place of the first.
    assert page.told["clicks"] == []
    for dx, dy in ((150, -150), (200, -150), (200, -100)):
        page.click(dx, dy)
    finish.click()
    second = page.wait(lambda told: told["drawn"] and told["drawn"] != drawn)["drawn"]
    assert len(second) == 1
    assert len(second[0]["geometry"]["coordinates"][0]) == 4
    page.page.get_by_role("button", name="Forget drawing").click()
    page.wait(lambda told: told["drawn"] == [])
    playwright.expect(page.page.get_by_role("button", name="Clear")).to_be_disabled()
    assert page.complaints == []


def test_quick_labels_are_all_told_and_survive_another_page(
    open_map: Callable[..., MapPage],
) -> None:
    page = open_map()
    page.choose("Draw", "point")
    for i in range(8):  # faster than the page can answer
        page.click(-160 + 40 * i, -140)
    drawn = page.wait(lambda told: len(told["drawn"]) == 8)["drawn"]
    assert {feature["label"] for feature in drawn} == {"crop"}
    longitudes = [feature["geometry"]["coordinates"][0] for feature in drawn]
    assert longitudes == sorted(longitudes)
    page.page.get_by_role("button", name="Undo").click()
    page.wait(lambda told: len(told["drawn"]) == 7)
    page.page.get_by_role("link", name="Other").click()
    page.page.get_by_text("Another page").wait_for()
    page.page.get_by_role("link", name="Explore").click()
    page.page.wait_for_selector(".frame[data-draw]")
    page.wait(lambda told: len(told["drawn"]) == 7)
    assert page.complaints == []


def test_keyboard_alone_moves_clicks_and_draws(open_map: Callable[..., MapPage]) -> None:
    page = open_map()
    canvas = page.page.get_by_role("region", name="Map of four quarters")
    canvas.focus()
    canvas.press("Enter")
    first = page.wait(lambda told: len(told["clicks"]) == 1)["clicks"][0]
    canvas.press("ArrowRight")
    view = page.wait(lambda told: told["view"])["view"]
    assert view["center"][0] > first["lon"] + 0.005
    west, south, east, north = view["bounds"]
    assert west < view["center"][0] < east
    assert south < view["center"][1] < north
    page.choose("Draw", "polygon")
    canvas.focus()
    for key in ("Enter", "ArrowDown", "Enter", "ArrowLeft", "Enter", "Backspace", " "):
        canvas.press(key)
        page.settle()
    page.page.keyboard.press("Tab")
    for _ in range(12):
        if (
            page.page.evaluate("document.activeElement.shadowRoot?.activeElement?.className")
            == "finish"
        ):
            break
        page.page.keyboard.press("Tab")
    page.page.keyboard.press("Enter")
    drawn = page.wait(lambda told: told["drawn"])["drawn"]
    assert len(drawn[0]["geometry"]["coordinates"][0]) == 4
    assert page.complaints == []


def test_view_stays_over_reruns_and_moves_with_the_focus(
    open_map: Callable[..., MapPage],
) -> None:
    page = open_map()
    x, y = page.center
    page.page.mouse.move(x, y)
    page.page.mouse.wheel(0, -400)
    near = page.wait(lambda told: told["view"])["view"]
    page.tick("Points")
    page.tick("Points")
    assert page.told["view"] == near
    page.requests.clear()
    page.choose("Focus", "world")
    assert page.told["view"] == near  # only the reader's own moves are told
    page.page.mouse.wheel(0, -100)
    far = page.wait(lambda told: told["view"] != near)["view"]
    assert far["zoom"] < 4
    page.choose("Focus", "region")
    page.page.mouse.wheel(0, 50)
    back = page.wait(lambda told: told["view"]["zoom"] > 9)["view"]
    assert abs(back["center"][0] - 1.795) < 0.02
    assert page.complaints == []


def test_dark_pages_get_a_dark_base_map(open_map: Callable[..., MapPage]) -> None:
    page = open_map(color_scheme="dark")
    np.testing.assert_array_equal(page.find_color(-330, 60), read_hex(DARK.land))
    np.testing.assert_array_equal(page.find_color(-90, -100), read_hex(QUARTERS["nw"]))
    assert page.complaints == []


def test_points_gather_open_up_and_tell_who_they_are(open_map: Callable[..., MapPage]) -> None:
    page = open_map()
    page.tick("Points")
    x, _ = page.center
    tip = page.page.locator(".tip")
    # The point of its own lies at 1.70° E, 43.26° N: west of the raster, about its middle.
    picture = np.array(Image.open(io.BytesIO(page.page.screenshot())).convert("RGB"), dtype=int)
    blue = np.abs(picture - read_hex("#0072b2")).sum(axis=2) < 12
    blue[:, round(x) - 280 :] = False
    rows, cols = np.nonzero(blue)
    page.page.mouse.move(cols.mean(), rows.mean())
    tip.wait_for(state="visible")
    assert tip.inner_text() == "alone <b>here</b>"  # text, never markup
    page.page.mouse.click(cols.mean(), rows.mean())
    click = page.wait(lambda told: told["clicks"])["clicks"][0]
    assert (click["layer_id"], click["feature_id"]) == ("points", "alone")
    assert page.complaints == []


def test_failure_is_told_in_the_servers_words(
    open_map: Callable[..., MapPage], folder: Path
) -> None:
    path = folder / "class.tif"
    whole = path.read_bytes()
    try:
        path.write_bytes(b"damaged")
        page = open_map()
        alarm = page.page.get_by_role("alert")
        alarm.wait_for(state="visible")
        assert "class.tif cannot be read" in alarm.inner_text()
    finally:
        path.write_bytes(whole)


def test_browser_without_webgl_is_told_so(address: str, browser: Any) -> None:
    page = browser.new_context().new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(address)
    alarm = page.get_by_role("alert")
    alarm.wait_for(state="visible", timeout=60_000)
    assert "no WebGL" in alarm.inner_text()
    assert "hardware acceleration" in alarm.inner_text()
    page.context.close()
