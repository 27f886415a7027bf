"""What every command shares: settings, output, and errors as one sentence and an exit code."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import typer

from geotransfer.cli.output import Output
from geotransfer.core.job import Job, JobState
from geotransfer.errors import GeoTransferError, InputError
from geotransfer.settings import Settings, read_settings
from geotransfer.store.workspace import Workspace, open_workspace

P = ParamSpec("P")
R = TypeVar("R")

EXIT_FAILED = 1
EXIT_INPUT = 2


@dataclass(frozen=True, slots=True)
class Session:
    """One invocation."""

    settings: Settings
    output: Output

    def open(self, *, create: bool = False) -> Workspace:
        """Open the workspace."""
        return open_workspace(self.settings, create=create)


def make_session(workspace: str | None, is_json: bool) -> Session:
    """Read the settings once per invocation."""
    settings = read_settings(os.environ, {"workspace": workspace})
    return Session(settings=settings, output=Output(is_json=is_json))


def find_session(context: typer.Context) -> Session:
    """Return the session of the invocation."""
    session = context.find_root().obj
    if not isinstance(session, Session):
        raise RuntimeError("the root command makes the session")
    return session


def explain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn our errors into one sentence on stderr: exit code 2 for input, 1 for failed work."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except GeoTransferError as error:
            sys.stderr.write(f"error: {error}\n")
            code = EXIT_INPUT if isinstance(error, InputError) else EXIT_FAILED
            raise typer.Exit(code) from error

    return run


def check_job(job: Job) -> None:
    """End the command with exit code 1 where the job did not end well."""
    if job.state is JobState.DONE:
        return
    sys.stderr.write(f"error: {job.error or job.state.value}\n")
    raise typer.Exit(EXIT_FAILED)
