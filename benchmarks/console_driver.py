"""Drive the console as a person would: real processes, real Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find_chromium() -> str | None:
    """Return Chromium's path, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def find_free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Console:
    """A running console with its worker."""

    url: str
    folder: Path
    ready_s: float
    """Seconds from the start of the command to the first answer."""


@contextlib.contextmanager
def serve(folder: Path, *, n_workers: int = 1) -> Iterator[Console]:
    """Start ``geotransfer serve`` on a workspace; stop it as Ctrl-C would."""
    port = find_free_port()
    command = ["geotransfer", "serve", "--port", str(port), "--workers", str(n_workers)]
    started = time.monotonic()
    with _run_server(command, port, GEOTRANSFER_WORKSPACE=str(folder)) as url:
        yield Console(url=url, folder=folder, ready_s=time.monotonic() - started)


@contextlib.contextmanager
def serve_script(script: Path, folder: Path) -> Iterator[Console]:
    """Start a Streamlit script of ours with the console's own settings where they matter."""
    port = find_free_port()
    command = [
        "streamlit", "run", str(script), "--server.port", str(port),
        "--server.address", "127.0.0.1", "--server.headless", "true",
        "--server.fileWatcherType", "none", "--browser.gatherUsageStats", "false",
    ]  # fmt: skip
    started = time.monotonic()
    with _run_server(command, port) as url:
        yield Console(url=url, folder=folder, ready_s=time.monotonic() - started)


@contextlib.contextmanager
def _run_server(command: Sequence[str], port: int, **variables: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, **variables},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for_server(f"{url}/_stcore/health", process)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_server(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server that was just started answers; raise where it ends or does not."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the console ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("the console gave no answer within 90 s")


@dataclass
class Browser:
    """A page, and every request that went to another host."""

    context: BrowserContext
    page: Page
    foreign: list[str] = field(default_factory=list)


@contextlib.contextmanager
def open_browser(*, width: int = 1280, height: int = 800) -> Iterator[Browser]:
    """Open headless Chromium."""
    chromium = find_chromium()
    if chromium is None:
        raise RuntimeError("Chromium is not on PATH; install the package chromium")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium,
            headless=True,
            args=list(CHROMIUM_ARGUMENTS),
            viewport={"width": width, "height": height},
        )
        page = context.pages[0] if context.pages else context.new_page()
        browser = Browser(context=context, page=page)

        def note(request: Any) -> None:
            if request.url.startswith("http") and "://127.0.0.1" not in request.url:
                browser.foreign.append(request.url)

        context.on("request", note)
        page.set_default_timeout(60_000)
        yield browser
        context.close()


def open_page(browser: Browser, console: Console, path: str = "", **query: str) -> None:
    """Go to a page and wait until it has run."""
    asked = "&".join(f"{key}={value}" for key, value in query.items())
    browser.page.goto(f"{console.url}/{path}" + (f"?{asked}" if asked else ""))
    wait_until_idle(browser.page)


def wait_until_idle(page: Page) -> None:
    """Wait until the script has ended and the title is there."""
    page.wait_for_selector("h1", timeout=60_000)
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=\"stStatusWidget\"]')", timeout=120_000
    )


def press(page: Page, name: str) -> None:
    """Press a button by its words; one that waits for another person's job is waited for."""
    button = page.get_by_role("button", name=name).first
    expect(button).to_be_enabled(timeout=180_000)
    button.click()


def wait_for_text(page: Page, text: str, *, timeout_s: float = 120) -> None:
    """Wait until the page says something."""
    expect(page.get_by_text(text).first).to_be_visible(timeout=timeout_s * 1000)


def upload_labels(page: Page, path: Path) -> None:
    """Give a file to the uploader of the calibrate page."""
    page.locator('input[type="file"]').first.set_input_files(str(path))


def run_tour(browser: Browser, console: Console, region_id: str, labels: Path) -> float:
    """Upload labels, fine-tune, wait for the verdict; return the seconds from upload to verdict."""
    page = browser.page
    open_page(browser, console, "calibrate", region=region_id)
    started = time.monotonic()
    upload_labels(page, labels)
    wait_for_text(page, "Good rows")
    page.get_by_role("button", name="good labels").first.click()
    wait_for_text(page, "Next: fine-tune")
    press(page, "Fine-tune")
    page.locator("#verdict").first.wait_for(state="visible", timeout=180_000)
    return time.monotonic() - started
