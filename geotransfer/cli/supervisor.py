"""Keep a console and its workers running as one; when one ends, all end."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from geotransfer.errors import GeoTransferError, SettingInvalid, StoreError
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
    _check_address(host, port)
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
    # Before the first child: whatever ends this process from here on ends them too.
    # Both by hand: a shell's background job starts with SIGINT ignored, and would never end.
    signal.signal(signal.SIGTERM, _raise_interrupt)
    signal.signal(signal.SIGINT, _raise_interrupt)
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        # Streamlit's own banner would name the address a second time, before it answers.
        children["console"] = _start([sys.executable, str(APP)], environment, is_quiet=True)
        for number in range(1, n_workers + 1):
            command = [sys.executable, "-m", "geotransfer", "worker"]
            children[f"worker {number}"] = _start(command, environment)
        _wait_until_ready(children["console"], host, port)
        sys.stdout.write(f"GeoTransfer is at http://{host}:{port} (Ctrl-C stops it)\n")
        sys.stdout.flush()
        _watch(children)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(list(children.values()))


def _check_address(host: str, port: int) -> None:
    """Raise where nobody can listen: afterwards another server's answer would pass for ours."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        with socket.create_server(address[:2], family=family):
            pass
    except socket.gaierror as error:
        raise SettingInvalid(f"host {host!r} is not known ({error.strerror}).") from error
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"is not free ({error})"
        raise SettingInvalid(
            f"port {port} of {host} {reason}; choose another with --port, or stop what uses it."
        ) from error


def _watch(children: Mapping[str, subprocess.Popen[bytes]]) -> NoReturn:
    while True:
        for name, child in children.items():
            if (code := child.poll()) is not None:
                raise GeoTransferError(
                    f"the {name} ended with exit code {code}, so everything was stopped; its own"
                    " message is above."
                )
        time.sleep(0.3)


def _start(
    command: list[str], environment: dict[str, str], *, is_quiet: bool = False
) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches only the supervisor, which then stops each in order.
    return subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL if is_quiet else None,
    )


def _raise_interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _wait_until_ready(console: subprocess.Popen[bytes], host: str, port: int) -> None:
    address = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # compared, not bound
    url = f"http://{address}:{port}/_stcore/health"
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if console.poll() is not None:
            raise StoreError(
                f"the console did not start (exit code {console.returncode}); its own message is"
                " above."
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
