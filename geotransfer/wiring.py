"""Which workflow answers which verb, and how a worker runs a job. Science is imported when run."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from geotransfer.core.identity import to_plain
from geotransfer.core.job import Command, Job
from geotransfer.errors import GeoTransferError, JobCancelled, JobLost
from geotransfer.settings import Settings
from geotransfer.store.workspace import Workspace, open_workspace
from geotransfer.workflows.costing import read_cpu_s
from geotransfer.workflows.job_views import PlanView
from geotransfer.workflows.progress import Progress

Verb = Callable[[Workspace, Command, Progress, str], object]

REPORT_EVERY_S = 0.5

logger = logging.getLogger(__name__)


def _run_prepare(workspace: Workspace, command: Command, progress: Progress, actor: str) -> object:
    from geotransfer.workflows.prepare import prepare_workspace

    return prepare_workspace(workspace, actor=actor, progress=progress)


def _run_demo(workspace: Workspace, command: Command, progress: Progress, actor: str) -> object:
    from geotransfer.workflows.bouconne import add_bouconne

    return add_bouconne(workspace, actor=actor, progress=progress)


def _run_refresh(workspace: Workspace, command: Command, progress: Progress, actor: str) -> object:
    from geotransfer.workflows.refresh import refresh
    from geotransfer.workflows.refresh_readable import refresh_readable
    from geotransfer.workflows.scene_update import update_scenes

    region_id = str(command.region_id)
    update_scenes(workspace, region_id, actor=actor, progress=progress)
    is_lenient = bool(command.arguments.get("leave_out_unreadable"))
    bring_up_to_date = refresh_readable if is_lenient else refresh
    return bring_up_to_date(workspace, region_id, actor=actor, progress=progress)


def _run_audit(workspace: Workspace, command: Command, progress: Progress, actor: str) -> object:
    from geotransfer.workflows.audit import audit_region

    return audit_region(workspace, str(command.region_id), actor=actor, progress=progress)


def _run_add_scenes(
    workspace: Workspace, command: Command, progress: Progress, actor: str
) -> object:
    from geotransfer.workflows.find_scenes import add_found_scenes
    from geotransfer.workflows.found_scenes import load_found
    from geotransfer.workflows.refresh import refresh
    from geotransfer.workflows.scenes import add_scenes

    region_id = str(command.region_id)
    progress(0, 0, "reading the catalog")
    if found_id := str(command.arguments.get("found_id") or ""):
        found = load_found(workspace, region_id, found_id)
        add_found_scenes(workspace, found, actor=actor)
    else:
        location = str(command.arguments["location"])
        add_scenes(workspace, region_id, location, actor=actor, **_read_query(command))
    return refresh(workspace, region_id, actor=actor, progress=progress)


def _run_find_scenes(
    workspace: Workspace, command: Command, progress: Progress, actor: str
) -> object:
    from geotransfer.workflows.find_scenes import find_scenes
    from geotransfer.workflows.found_scenes import store_found

    found = find_scenes(
        workspace,
        str(command.region_id),
        location=str(command.arguments.get("location") or ""),
        progress=progress,
        **_read_query(command),
    )
    return {"found_id": store_found(workspace, found), "n_scenes": len(found.scenes)}


def _read_query(command: Command) -> dict[str, Any]:
    """Return what a command asks of a catalog; collections stand in one text, parted by commas."""
    given = command.arguments
    cloud = given.get("max_cloud_percent")
    names = str(given.get("collections") or "").split(",")
    return {
        "period": str(given.get("period") or ""),
        "max_cloud_percent": None if cloud is None else float(cloud),
        "collections": tuple(name.strip() for name in names if name.strip()),
    }


def _run_evaluate(workspace: Workspace, command: Command, progress: Progress, actor: str) -> object:
    from geotransfer.workflows.evaluate import evaluate_region

    return evaluate_region(workspace, str(command.region_id), actor=actor, progress=progress)


def _run_assess(workspace: Workspace, command: Command, progress: Progress, actor: str) -> object:
    from geotransfer.workflows.assess import assess

    return assess(workspace, str(command.region_id), actor=actor, progress=progress)


def _run_rehearse(workspace: Workspace, command: Command, progress: Progress, actor: str) -> object:
    from geotransfer.workflows.rehearse import rehearse

    return rehearse(workspace, str(command.region_id), actor=actor, progress=progress)


def _run_fine_tune(
    workspace: Workspace, command: Command, progress: Progress, actor: str
) -> object:
    from geotransfer.workflows.fine_tune import fine_tune_region

    return fine_tune_region(
        workspace,
        str(command.region_id),
        labels_id=str(command.arguments["labels_id"]),
        seed=int(command.arguments.get("seed") or 0),
        actor=actor,
        progress=progress,
    )


def _run_budget(workspace: Workspace, command: Command, progress: Progress, actor: str) -> object:
    from geotransfer.workflows.budget_curve import measure_region_budget

    return measure_region_budget(
        workspace,
        str(command.region_id),
        seed=int(command.arguments.get("seed") or 0),
        actor=actor,
        progress=progress,
    )


def _run_suggest(workspace: Workspace, command: Command, progress: Progress, actor: str) -> object:
    from geotransfer.workflows.label_next import suggest_places

    return suggest_places(
        workspace,
        str(command.region_id),
        n_places=int(command.arguments["n_places"] or 0),
        is_probability=bool(command.arguments["is_probability"]),
        seed=int(command.arguments.get("seed") or 0),
        actor=actor,
        progress=progress,
    )


def _run_map_applicability(
    workspace: Workspace, command: Command, progress: Progress, actor: str
) -> object:
    from geotransfer.workflows.applicability_maps import map_applicability

    return map_applicability(
        workspace,
        str(command.region_id),
        layers=tuple(filter(None, str(command.arguments.get("layers") or "").split(","))),
        actor=actor,
        progress=progress,
    )


def _run_add_layer(
    workspace: Workspace, command: Command, progress: Progress, actor: str
) -> object:
    from geotransfer.workflows.layers import add_layer

    told = {key: str(value) for key, value in command.arguments.items()}
    progress(0, 0, f"checking layer {told['name']}")
    return add_layer(
        workspace,
        str(command.region_id),
        told["href"],
        name=told["name"],
        unit=told["unit"],
        years=told["years"],
        source=told["source"],
        actor=actor,
    )


def _run_zones(workspace: Workspace, command: Command, progress: Progress, actor: str) -> object:
    from geotransfer.workflows.zones import summarize_region

    return summarize_region(
        workspace,
        str(command.region_id),
        workspace.blobs.get(str(command.arguments["polygons_id"])),
        str(command.arguments["file_name"]),
        actor=actor,
        progress=progress,
    )


VERBS: Mapping[str, Verb] = {
    "prepare": _run_prepare,
    "demo": _run_demo,
    "refresh": _run_refresh,
    "audit": _run_audit,
    "add-scenes": _run_add_scenes,
    "find-scenes": _run_find_scenes,
    "evaluate": _run_evaluate,
    "fine-tune": _run_fine_tune,
    "rehearse": _run_rehearse,
    "assess": _run_assess,
    "zones": _run_zones,
    "add-layer": _run_add_layer,
    "budget": _run_budget,
    "suggest-labels": _run_suggest,
    "map-applicability": _run_map_applicability,
}
"""Work that is a job, by its verb."""


def name_worker() -> str:
    """Return a name no other worker has: host, process and a random part."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


class Heartbeat:
    """Keeps a job's lease alive while its work runs, and passes progress and cancel on."""

    def __init__(self, workspace: Workspace, job_id: str, worker_id: str) -> None:
        self._workspace = workspace
        self._job_id = job_id
        self._worker_id = worker_id
        self._ended = threading.Event()
        self._is_cancelled = False
        self._is_lost = False
        self._reported_at = 0.0
        self._counted_s = read_cpu_s()
        self._reporting = threading.Lock()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heartbeat:
        """Start beating."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop beating, and note what the work used in all."""
        self._ended.set()
        self._thread.join()
        self._report()

    def _beat(self) -> None:
        while not self._ended.wait(self._workspace.settings.lease_s / 4):
            self._report()
            if self._is_lost:
                return

    def _report(self, **told: Any) -> None:
        with self._reporting:
            used_s = read_cpu_s()
            try:
                asked = self._workspace.jobs.report(
                    self._job_id, self._worker_id, more_cpu_s=used_s - self._counted_s, **told
                )
            except JobLost:
                self._is_lost = True
            else:
                self._counted_s = used_s
                self._is_cancelled = self._is_cancelled or asked

    def report(self, done: int, planned: int, message: str) -> None:
        """Note progress, at most twice a second; stop the work where it should stop."""
        now = time.monotonic()
        if now - self._reported_at >= REPORT_EVERY_S or done == planned:
            self._reported_at = now
            self._report(done=done, planned=planned, message=message)
        if self._is_lost:
            raise JobLost(f"job {self._job_id} is no longer this worker's; it stops here.")
        if self._is_cancelled:
            raise JobCancelled("cancelled; what was finished is kept and used next time.")


def explain_missing_library(error: BaseException) -> str | None:
    """Return the sentence for a system library that must be installed by hand; else None."""
    if isinstance(error, OSError | ImportError) and "libgomp" in str(error):
        return (
            "the system library libgomp.so.1 is missing, which LightGBM needs; install it with"
            " `apt-get install libgomp1` (Debian, Ubuntu) and try again."
        )
    return None


def run_job(workspace: Workspace, job: Job, worker_id: str) -> None:
    """Run a claimed job to its end; a failure becomes the job's own sentence."""
    verb = VERBS.get(job.command.verb)
    if verb is None:
        workspace.jobs.fail(
            job.job_id, worker_id, f"this worker does not know {job.command.verb!r}; update it."
        )
        return
    try:
        with Heartbeat(workspace, job.job_id, worker_id) as heartbeat:
            result = verb(workspace, job.command, heartbeat.report, job.submitted_by)
    except JobLost:
        return
    except JobCancelled as error:
        workspace.jobs.fail(job.job_id, worker_id, str(error), cancelled=True)
    except GeoTransferError as error:
        workspace.jobs.fail(job.job_id, worker_id, str(error))
    except Exception as error:
        if (missing := explain_missing_library(error)) is not None:
            logger.error("job %s (%s): %s", job.job_id, job.command.verb, missing)
            workspace.jobs.fail(job.job_id, worker_id, missing)
            return
        # A defect of ours: the person sees that it is one, the worker's own log shows where.
        workspace.jobs.fail(
            job.job_id,
            worker_id,
            f"a fault in GeoTransfer ({type(error).__name__}: {error}); the worker's log has the"
            " details, please report it.",
        )
        raise
    else:
        plain = to_plain(result)
        workspace.jobs.finish(
            job.job_id, worker_id, plain if isinstance(plain, dict) else {"value": plain}
        )


def read_pixel(workspace: Workspace, region_id: str, lon: float, lat: float) -> Any:
    """Explain a pixel for a page; science is loaded at the first click."""
    from geotransfer.workflows.pixel import explain_pixel

    return explain_pixel(workspace, region_id, lon=lon, lat=lat)


def read_plan(workspace: Workspace, region_id: str) -> PlanView:
    """Say what a refresh would do; science is loaded at the first question."""
    from geotransfer.change.plan import Action
    from geotransfer.workflows.refresh_plan import plan_region

    planned = plan_region(workspace, region_id)
    stay = [d for d in planned.plan.decisions if d.action is not Action.DROP]
    return PlanView(
        n_tiles=len(stay),
        n_work=sum(decision.action is not Action.KEEP for decision in stay),
        reasons=planned.plan.reasons,
        predicted=planned.predicted,
        avoided=planned.avoided,
    )


class RegionOutputs:
    """The regions' tables, vectors and reports for the download routes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def list_files(self, region_id: str) -> tuple[str, ...]:
        """Return the names of a region's files."""
        from geotransfer.workflows.output_list import list_outputs
        from geotransfer.workflows.views import find_region_view

        workspace = open_workspace(self._settings, create=True)
        view = find_region_view(workspace, region_id)
        return tuple(output.name for output in list_outputs(workspace, view))

    def make_file(self, region_id: str, name: str) -> tuple[bytes, str]:
        """Return one of a region's files and its media type; science is loaded here."""
        from geotransfer.workflows.outputs import make_output

        data, output = make_output(open_workspace(self._settings, create=True), region_id, name)
        return data, output.media_type
