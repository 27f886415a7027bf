"""The worker: claims jobs and runs them until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from types import FrameType

from geotransfer.errors import JobLost
from geotransfer.store.workspace import Workspace
from geotransfer.wiring import name_worker, run_job

POLL_S = 0.5

logger = logging.getLogger(__name__)


def work(workspace: Workspace, *, until_idle: bool = False) -> int:
    """Claim and run jobs; return how many were run.

    Parameters
    ----------
    until_idle
        Stop when nothing waits instead of watching on.

    Notes
    -----
    Before it claims a job it queues what schedules say is due. SIGTERM and SIGINT stop it: a job
    that runs is given back and goes on with the next worker from what was finished. One killed
    outright leaves its job to the lease.
    """
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
    worker_id = name_worker()
    n_run = 0
    while not stopped.is_set():
        workspace.schedules.submit_due()
        job = workspace.jobs.claim(worker_id)
        if job is None:
            if until_idle:
                break
            stopped.wait(POLL_S)
            continue
        n_run += 1
        try:
            run_job(workspace, job, worker_id)
        except KeyboardInterrupt:
            with contextlib.suppress(JobLost):
                workspace.jobs.release(job.job_id, worker_id)
            raise
        except Exception:
            # One job's fault must not take the worker down; the job already says so.
            logger.exception("job %s (%s) ended by a fault", job.job_id, job.command.verb)
    return n_run
