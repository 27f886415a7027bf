"""What a command prints: JSON for programs, lines for people, a bar on a terminal."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from geotransfer.core.identity import to_plain
from geotransfer.core.job import Command, Job, JobState
from geotransfer.store.workspace import Workspace
from geotransfer.wiring import name_worker, run_job

CLAIM_AFTER_S = 2.0
"""A job no worker has taken by then is run by the command itself."""
POLL_S = 0.3


@dataclass(frozen=True, slots=True)
class Output:
    """Where results go."""

    is_json: bool

    def show(self, value: object, lines: Sequence[str] | str) -> None:
        """Print a result: its plain form as JSON, or lines for people."""
        if self.is_json:
            typer.echo(json.dumps(to_plain(value), ensure_ascii=False, indent=1))
            return
        for line in [lines] if isinstance(lines, str) else lines:
            typer.echo(line)

    def show_table(self, value: object, rows: Sequence[Mapping[str, Any]], empty: str) -> None:
        """Print rows as an aligned table, or the sentence for none."""
        if self.is_json or not rows:
            self.show(value, empty)
            return
        columns = list(rows[0])
        cells = [[str(row[c]) for c in columns] for row in rows]
        widths = [max(len(c), *(len(r[i]) for r in cells)) for i, c in enumerate(columns)]
        typer.echo("  ".join(c.ljust(w) for c, w in zip(columns, widths, strict=True)).rstrip())
        for row in cells:
            typer.echo("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def make_progress_line() -> Callable[[Job], None]:
    """Return a function that shows a job's progress: one line rewritten, or new lines in a log."""
    is_terminal = sys.stderr.isatty()
    shown = ""

    def show(job: Job) -> None:
        nonlocal shown
        text = f"{job.command.verb}: {job.message or job.state}"
        if job.planned:
            text += f" ({job.share_done:.0%})"
        if text == shown:
            return
        shown = text
        if is_terminal:
            sys.stderr.write(f"\r\x1b[2K{text}")
            if job.state.is_terminal:
                sys.stderr.write("\n")
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    return show


def run_command(workspace: Workspace, command: Command, *, here: bool) -> Job:
    """Submit a job and wait for its end; run it in this process where no worker takes it."""
    job = workspace.jobs.submit(command, by="cli")
    show = make_progress_line()
    waiting_since = time.monotonic()
    worker_id = name_worker()
    while not job.state.is_terminal:
        waited_s = time.monotonic() - waiting_since
        if job.state is JobState.QUEUED and (here or waited_s > CLAIM_AFTER_S):
            claimed = workspace.jobs.claim(worker_id, job_id=job.job_id)
            if claimed is not None:
                if not here:
                    sys.stderr.write("no worker took the job; this command runs it itself\n")
                _run_with_progress(workspace, claimed, worker_id, show)
                job = workspace.jobs.find(job.job_id)
                continue
        show(job)
        time.sleep(POLL_S if not here else 0.05)
        job = workspace.jobs.find(job.job_id)
    show(job)
    return job


def _run_with_progress(
    workspace: Workspace, job: Job, worker_id: str, show: Callable[[Job], None]
) -> None:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_S):
            show(workspace.jobs.find(job.job_id))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        run_job(workspace, job, worker_id)
    finally:
        ended.set()
        watcher.join()
