"""Twenty people at once: three browsers and seventeen protocol clients on the tour.

Every client walks the pages, colours the map anew, reads tiles and uploads a file of labels, with a
breath between steps; the browsers fine-tune too. An error is an exception on a page, a script that
does not end, a failed request, or a browser's console error.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.console_driver import Console, open_browser, open_page, run_tour
from benchmarks.protocol_client import ProtocolClient, open_client

N_BROWSERS = 3
N_CLIENTS = 17
PAGES = ("region", "explore", "calibrate", "scenes", "jobs", "cost")
METRICS = ("Reach", "Accuracy")
PAUSE_S = (0.5, 3.0)
"""Between two steps: a person looks before the next click."""


@dataclass
class Sessions:
    """What happened."""

    errors: list[str] = field(default_factory=list)
    steps: Counter[str] = field(default_factory=Counter)
    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, and memory of the server."""
    foreign: list[str] = field(default_factory=list)


def find_server(console: Console) -> psutil.Process:
    """Return the process that serves the pages: the one that listens on the console's port."""
    port = int(console.url.rsplit(":", 1)[1])
    for process in psutil.Process().children(recursive=True):
        connections = process.net_connections(kind="inet")
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections):
            return process
    raise RuntimeError(f"no process listens on port {port}")


def measure_sessions(
    console: Console,
    region_id: str,
    labels: Path,
    *,
    duration_s: float,
    n_browsers: int = N_BROWSERS,
    n_clients: int = N_CLIENTS,
) -> Sessions:
    """Let them work for a while; return errors, steps and the server's memory over time."""
    done = Sessions()
    server = find_server(console)
    with open_client(console.url) as first:
        _walk(first, region_id, labels, random.Random(0), done)
    started = time.monotonic()
    done.memory_mb.append((0.0, server.memory_info().rss / 2**20))
    until = started + duration_s
    threads = [
        threading.Thread(target=_run_client, args=(console, region_id, labels, i, until, done))
        for i in range(n_clients)
    ] + [
        threading.Thread(target=_run_browser, args=(console, region_id, labels, until, done))
        for _ in range(n_browsers)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(2.0)
        if time.monotonic() < until:
            now_s = time.monotonic() - started
            done.memory_mb.append((now_s, server.memory_info().rss / 2**20))
    return done


def _run_client(
    console: Console, region_id: str, labels: Path, seed: int, until: float, done: Sessions
) -> None:
    rng = random.Random(seed)
    try:
        with open_client(console.url) as client:
            while time.monotonic() < until:
                _walk(client, region_id, labels, rng, done, until=until)
    # Whatever ends a session is what this measures; it is counted and shown.
    except Exception as error:  # noqa: BLE001
        done.errors.append(f"client {seed}: {type(error).__name__}: {error}")


def _walk(
    client: ProtocolClient,
    region_id: str,
    labels: Path,
    rng: random.Random,
    done: Sessions,
    *,
    until: float = float("inf"),
) -> None:
    query = f"region={region_id}"
    client.open_page("")
    client.choose("Colour the map by", rng.choice(METRICS))
    done.steps["first page"] += 1
    for name in rng.sample(PAGES, len(PAGES)):
        if time.monotonic() > until:
            return
        time.sleep(rng.uniform(*PAUSE_S) if until < float("inf") else 0.0)
        client.open_page(name, query)
        done.steps[name] += 1
        if name == "calibrate":
            client.upload(labels.name, labels.read_bytes())
            if "Good rows" not in client.read_text() and not _has_metric(client, "Good rows"):
                raise RuntimeError("the upload was not explained")
            done.steps["upload"] += 1
        if name == "explore":
            client.http.get("/geo/regions.geojson").raise_for_status()
            done.steps["vectors"] += 1


def _has_metric(client: ProtocolClient, label: str) -> bool:
    return any(e.HasField("metric") and e.metric.label == label for e in client.elements)


def _run_browser(
    console: Console, region_id: str, labels: Path, until: float, done: Sessions
) -> None:
    try:
        with open_browser() as browser:
            browser.page.on("pageerror", lambda e: done.errors.append(f"browser: {e}"))
            browser.context.on("response", lambda r: _note_response(r.status, r.url, done))
            while time.monotonic() < until:
                open_page(browser, console)
                open_page(browser, console, "explore", region=region_id)
                browser.page.wait_for_timeout(3000)
                run_tour(browser, console, region_id, labels)
                done.steps["browser tour"] += 1
            done.foreign += browser.foreign
    except Exception as error:  # noqa: BLE001
        done.errors.append(f"browser: {type(error).__name__}: {error}")


def _note_response(status: int, url: str, done: Sessions) -> None:
    # Streamlit's page asks for its server beside its own address first, then at the root.
    is_probe = status == 404 and url.endswith(("/_stcore/health", "/_stcore/host-config"))
    if status >= 400 and not is_probe:
        done.errors.append(f"browser: {status} for {url}")
