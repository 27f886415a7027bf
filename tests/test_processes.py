"""``serve`` as a person runs it: starts, says where, stops whole, explains what it cannot do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from geotransfer.core.job import Command
from geotransfer.settings import read_settings
from geotransfer.store.workspace import open_workspace
from geotransfer.workflows.prepare import register_shipped_models

PATIENCE_S = 120
READY = "GeoTransfer is at http://127.0.0.1:{port} (Ctrl-C stops it)"
NO_LIGHTGBM = (
    "raise OSError('libgomp.so.1: cannot open shared object file: No such file or directory')"
)
MISSING = (
    "the system library libgomp.so.1 is missing, which LightGBM needs; install it with"
    " `apt-get install libgomp1` (Debian, Ubuntu) and try again."
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A prepared workspace: with one that is new, ``serve`` would draw a world first."""
    path = tmp_path / "workspace"
    workspace = open_workspace(read_settings({}, {"workspace": str(path)}), create=True)
    register_shipped_models(workspace, actor="test")
    return path


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a command on the workspace, from a folder that is not the repository."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **environment: str) -> object:
        process = subprocess.Popen(
            [sys.executable, "-m", "geotransfer", *arguments],
            cwd=tmp_path,
            env={**os.environ, "GEOTRANSFER_WORKSPACE": str(folder), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            family = [*psutil.Process(process.pid).children(recursive=True)]
            for member in [psutil.Process(process.pid), *family]:
                member.kill()
        process.communicate()


def wait_until_told(process: subprocess.Popen[str], port: int) -> None:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if line != READY.format(port=port):
        raise AssertionError(f"told {line!r} and {process.communicate(timeout=20)}")


def list_family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The process and everything it started, the supervisor first."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def find_left(family: list[psutil.Process]) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(family, timeout=10)
    return [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


def fetch(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_serve_starts_answers_and_leaves_no_process(
    start: Start, folder: Path, port: int, how: signal.Signals
) -> None:
    """The second start reuses the workspace: nothing is prepared anew."""
    before = (folder / "workspace.json").stat().st_mtime_ns
    process = start("serve", "--port", str(port))
    wait_until_told(process, port)
    family = list_family(process)
    assert len(family) == 3, "supervisor, console, worker"
    assert fetch(port, "/_stcore/health") == (200, "ok")
    assert "<title>" in fetch(port, "/")[1]
    assert "FeatureCollection" in fetch(port, "/geo/regions.geojson")[1]
    process.send_signal(how)
    out, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, error
    assert "Traceback" not in out + error
    assert find_left(family) == []
    workspace = open_workspace(read_settings({}, {"workspace": str(folder)}))
    assert workspace.jobs.list_jobs() == []
    assert (folder / "workspace.json").stat().st_mtime_ns == before


def test_the_first_start_prepares_while_the_console_is_usable(
    start: Start, tmp_path: Path, port: int
) -> None:
    """Without a worker, so that nothing is drawn here: the job waits, the page is there."""
    fresh = tmp_path / "fresh"
    process = start(
        "serve", "--port", str(port), "--workers", "0", GEOTRANSFER_WORKSPACE=str(fresh)
    )
    wait_until_told(process, port)
    assert fetch(port, "/_stcore/health")[0] == 200
    workspace = open_workspace(read_settings({}, {"workspace": str(fresh)}))
    assert [job.command.verb for job in workspace.jobs.list_jobs()] == ["prepare"]
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0


def test_when_the_worker_dies_everything_stops_and_says_so(start: Start, port: int) -> None:
    process = start("serve", "--port", str(port))
    wait_until_told(process, port)
    family = list_family(process)
    worker = next(p for p in family if p.cmdline()[-1] == "worker")
    worker.kill()
    out, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert error.splitlines()[-1] == (
        "error: the worker 1 ended with exit code -9, so everything was stopped; its own message"
        " is above."
    )
    assert "Traceback" not in out + error
    assert find_left(family) == []


def test_a_port_in_use_is_one_sentence_and_nothing_is_made(start: Start, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("serve", "--port", str(port), GEOTRANSFER_WORKSPACE=str(fresh))
        out, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert out == ""
    assert error == (
        f"error: port {port} of 127.0.0.1 is in use; choose another with --port, or stop what uses"
        " it.\n"
    )
    assert not fresh.exists()


def test_a_host_nobody_knows_is_one_sentence(start: Start, port: int) -> None:
    process = start("serve", "--port", str(port), "--host", "no.such.host.invalid")
    _, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert error.startswith("error: host 'no.such.host.invalid' is not known")
    assert error.count("\n") == 1


@pytest.fixture
def without_libgomp(tmp_path: Path) -> dict[str, str]:
    """A LightGBM that fails as the real one does where the system library is missing."""
    path = tmp_path / "shadow"
    (path / "lightgbm").mkdir(parents=True)
    (path / "lightgbm" / "__init__.py").write_text(NO_LIGHTGBM)
    return {"PYTHONPATH": str(path)}


def test_a_command_without_libgomp_is_one_sentence(
    start: Start, tmp_path: Path, without_libgomp: dict[str, str]
) -> None:
    process = start("train", str(tmp_path), **without_libgomp)
    out, error = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, error) == (1, "", f"error: {MISSING}\n")


def test_a_worker_without_libgomp_says_so_on_the_job_and_in_its_log(
    start: Start, folder: Path, without_libgomp: dict[str, str]
) -> None:
    workspace = open_workspace(read_settings({}, {"workspace": str(folder)}))
    command = Command(verb="prepare", region_id=None, arguments={})
    job = workspace.jobs.submit(command, by="test")
    process = start("worker", "--until-idle", **without_libgomp)
    _, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert MISSING in error
    assert "Traceback" not in error
    assert workspace.jobs.find(job.job_id).error == MISSING


def test_the_console_starts_without_libgomp(
    start: Start, port: int, without_libgomp: dict[str, str]
) -> None:
    """No page loads a model, so what a missing library breaks is said where it breaks."""
    process = start("serve", "--port", str(port), "--workers", "0", **without_libgomp)
    wait_until_told(process, port)
    time.sleep(0.1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
