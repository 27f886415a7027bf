"""The Dockerfile: linted by plain rules, and its steps run in a clean place where asked for.

No container engine is needed. The second half installs every requirement anew (a minute or two):
it runs where ``GEOTRANSFER_TEST_CONTAINER=1`` or ``CI`` is set, elsewhere it is skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
UID = 10001
PATIENCE_S = 120


def list_instructions() -> list[tuple[str, str]]:
    """Instructions in order, continued lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\s*\n\s*", " ", "\n".join(lines))
    return [(a, b.strip()) for a, b in re.findall(r"^([A-Z]+) +(.+)$", joined, re.MULTILINE)]


def split_stages() -> list[list[tuple[str, str]]]:
    stages: list[list[tuple[str, str]]] = []
    for word, rest in list_instructions():
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, rest))
    return stages


BUILD, FINAL = split_stages()[0], split_stages()[-1]


def find_all(stage: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for given, rest in stage if given == word]


def test_what_builds_is_left_behind() -> None:
    assert len(split_stages()) == 2
    assert BUILD[0][1].endswith("AS build")
    assert all("pip" not in rest for rest in find_all(FINAL, "RUN")), "the last stage only runs"
    assert all(rest.startswith("--from=build ") for rest in find_all(FINAL, "COPY"))


def test_the_image_is_named_to_its_release_and_python_is_one_we_support() -> None:
    support = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert support == ">=3.11,<3.15"
    for stage in split_stages():
        version = re.match(r"python:3\.(\d+)-slim-[a-z]+", stage[0][1])
        assert version, stage[0]
        assert 11 <= int(version.group(1)) <= 14


def test_it_runs_as_nobody_in_particular() -> None:
    user = find_all(FINAL, "USER")
    assert user == ["geotransfer"]
    words = [word for word, _ in FINAL]
    last_run = max(i for i, word in enumerate(words) if word == "RUN")
    assert words.index("USER") > last_run, "nothing is installed as that user"
    assert f"--uid {UID} geotransfer" in find_all(FINAL, "RUN")[0]
    assert "install -d -o geotransfer /workspace" in find_all(FINAL, "RUN")[0]


def test_lightgbm_finds_its_library_and_apt_leaves_nothing() -> None:
    run = find_all(FINAL, "RUN")[0]
    assert "libgomp1" in run
    assert "--no-install-recommends" in run
    assert "rm -rf /var/lib/apt/lists/*" in run


def test_health_is_asked_at_the_port_that_is_served() -> None:
    (check,) = find_all(FINAL, "HEALTHCHECK")
    port = re.search(r"GEOTRANSFER_PORT=(\d+)", " ".join(find_all(FINAL, "ENV")))
    assert port is not None
    assert f":{port.group(1)}/_stcore/health" in check
    assert find_all(FINAL, "EXPOSE") == [port.group(1)]
    command = json.loads(check.split("CMD ", 1)[1])
    compile(command[-1], "healthcheck", "exec")


def test_it_starts_the_same_command_a_person_does_without_a_shell() -> None:
    (entry,), (command,) = find_all(FINAL, "ENTRYPOINT"), find_all(FINAL, "CMD")
    assert [*json.loads(entry), *json.loads(command)] == ["python", "-m", "geotransfer", "serve"]


def test_what_is_copied_exists_and_is_all_that_runs() -> None:
    copied = {name for rest in find_all(BUILD, "COPY") for name in rest.split()[:-1]}
    assert {name for name in copied if not (ROOT / name.removeprefix("./")).exists()} == set()
    assert {"geotransfer", "data", "app.py", "requirements.txt", "pyproject.toml"} <= copied
    first, *_ = find_all(BUILD, "COPY")
    assert first.split()[0] == "requirements.txt", "wheels stay cached while the code changes"


def test_no_secret_and_no_reference_data_goes_in() -> None:
    assert "ADD" not in {word for word, _ in list_instructions()}
    assert "shared" not in DOCKERFILE
    assert not re.search(r"(?i)(token|password|secret)", DOCKERFILE)


def test_requirements_are_pinned_and_cover_what_is_declared() -> None:
    pinned = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        pin = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)(?: *;.*)?", line)
        assert pin, line
        pinned[pin.group(1).lower().replace("_", "-")] = pin.group(2)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[\[<>=!~]", d)[0].lower() for d in declared}
    assert names - set(pinned) == set()


def find_interpreter() -> str:
    """A Python that the image's user may run too: one below root's home is private."""
    candidates = [sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"]
    for name in candidates:
        path = Path(name).resolve()
        is_open = path.exists() and all(p.stat().st_mode & 0o001 for p in path.parents)
        if (
            is_open
            and subprocess.run([path, "-c", "import ensurepip"], check=False).returncode == 0
        ):
            return str(path)
    return sys.executable


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """The build stage's steps, run by this machine's Python in a folder of their own."""
    if not (os.environ.get("GEOTRANSFER_TEST_CONTAINER") or os.environ.get("CI")):
        pytest.skip("set GEOTRANSFER_TEST_CONTAINER=1 to install the requirements anew (minutes)")
    # Not pytest's folder, which is private: the image's user is another one.
    with tempfile.TemporaryDirectory(prefix="geotransfer-image-") as name:
        root = Path(name)
        root.chmod(0o755)
        home, python = root / "opt" / "geotransfer", root / "venv" / "bin" / "python"
        home.mkdir(parents=True)
        subprocess.run([find_interpreter(), "-m", "venv", str(root / "venv")], check=True)
        for word, rest in BUILD:
            if word == "COPY":
                copy_sources(rest.split()[:-1], home)
            elif word == "RUN" and "pip install" in rest:
                arguments = rest.split("pip install ", 1)[1].split()
                subprocess.run(
                    [str(python), "-m", "pip", "install", *arguments], cwd=home, check=True
                )
        yield root


def copy_sources(names: list[str], home: Path) -> None:
    for name in names:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, home / source.name, ignore=ignore)
        else:
            shutil.copy2(source, home / source.name)


def can_run_as_other(python: Path) -> bool:
    """Whether this process may become the image's user, and that user may run the interpreter."""
    if os.getuid() != 0:
        return False
    try:
        subprocess.run([python, "-c", ""], user=UID, group=UID, extra_groups=[], check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_steps_give_a_console_that_answers_and_stops_whole(image: Path) -> None:
    home, workspace = image / "opt" / "geotransfer", image / "workspace"
    workspace.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": f"{image / 'venv/bin'}:{os.environ['PATH']}",
        "HOME": str(workspace),
        "GEOTRANSFER_WORKSPACE": str(workspace),
        "GEOTRANSFER_HOST": "127.0.0.1",
        "GEOTRANSFER_PORT": str(port),
        "NUMBA_CACHE_DIR": str(workspace / ".numba"),
        "PYTHONUNBUFFERED": "1",
    }
    command = [str(image / "venv/bin/python"), "-m", "geotransfer", "serve"]
    is_other = can_run_as_other(image / "venv/bin/python")
    assert is_other or os.getuid() != 0, "no Python here that another user than root may run"
    if is_other:
        os.chown(workspace, UID, UID)
    process = subprocess.Popen(
        command, cwd=home, env=environment, user=UID if is_other else None,
        group=UID if is_other else None, extra_groups=[] if is_other else None,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    family: list[psutil.Process] = []
    try:
        wait_until_healthy(process, port)
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
        assert len(family) >= 3, "supervisor, console, worker"
        assert all(p.uids().real == (UID if is_other else os.getuid()) for p in family)
        (check,) = find_all(FINAL, "HEALTHCHECK")
        words = json.loads(check.split("CMD ", 1)[1])
        words[-1] = words[-1].replace(":8501/", f":{port}/")
        subprocess.run([str(image / "venv/bin/python"), *words[1:]], check=True)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            told, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            for member in family:
                member.kill()
            raise
    assert process.returncode == 0, told
    assert "Traceback" not in told
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


def wait_until_healthy(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the console gave no answer")
