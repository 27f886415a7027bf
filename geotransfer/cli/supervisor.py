"""Keep a console and its workers running as one; when one ends, all end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from geotransfer.errors import StoreError
from geotransfer.settings import Settings
from geotransfer.store.workspace import open_workspace
from geotransfer.workflows.submit import submit_prepare

APP = Path(__file__).resolve().parents[2] / "app.py"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 8.0


def supervise(settings: Settings, *, host: str, port: int, n_workers: int) -> int:
    """Start everything, print the address, wait; return the exit code.

    The first time, the default workspace is prepared by a job while the console is already usable.
    """
    is_new = not (settings.folder / "workspace.json").exists()
    workspace = open_workspace(settings, create=True)
    if is_new:
        submit_prepare(workspace, by="serve")
    environment = {
        **os.environ,
        "GEOTRANSFER_WORKSPACE": str(settings.folder),
        "GEOTRANSFER_HOST": host,
        "GEOTRANSFER_PORT": str(port),
    }
    children = [_start([sys.executable, str(APP)], environment)]
    worker = [sys.executable, "-m", "geotransfer", "worker"]
    children += [_start(worker, environment) for _ in range(n_workers)]
    signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        _wait_until_ready(children[0], host, port)
        sys.stdout.write(f"GeoTransfer is at http://{host}:{port} (Ctrl-C stops it)\n")
        sys.stdout.flush()
        while all(child.poll() is None for child in children):
            time.sleep(0.3)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(children)
    return 1


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches only the supervisor, which then stops each in order.
    return subprocess.Popen(command, env=environment, start_new_session=True)


def _raise_interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _wait_until_ready(console: subprocess.Popen[bytes], host: str, port: int) -> None:
    address = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # compared, not bound
    url = f"http://{address}:{port}/_stcore/health"
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if console.poll() is not None:
            raise StoreError(
                f"the console did not start; is port {port} in use? Choose another with --port."
            )
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise StoreError(f"the console gave no answer within {READY_TIMEOUT_S:.0f} s; see its log.")


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
