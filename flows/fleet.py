"""The Prefect server as a fleet: runs of the deployment `backfill`, and the pools and queues that workers serve."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterTags,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

from tasks.errors import Misconfigured, NotSetUp, OrchestrationUnavailable
from tasks.runs.backfill.drive import WITHDRAWN, Run

POOL = "nightscribe"
# The smaller number is served first. A worker that has room asks for all queues at once, and gets their runs in this order.
QUEUES = {"nightly": 1, "default": 2, "backfill": 3}
DEPLOYMENT = "backfill/backfill"
PAGE = 200


@contextlib.contextmanager
def _answering() -> Iterator[SyncPrefectClient]:
    try:
        with get_client(sync_client=True) as client:
            yield client
    except httpx.HTTPStatusError as error:
        if error.response.status_code not in (401, 403):
            raise _away(error) from error
        raise NotSetUp(
            f"The Prefect server refuses us: {error}.", next="Set PREFECT_API_AUTH_STRING, as on the server."
        ) from error
    except httpx.HTTPError as error:
        raise _away(error) from error


def _away(error: httpx.HTTPError) -> OrchestrationUnavailable:
    return OrchestrationUnavailable(
        f"The Prefect server does not answer: {error}.", next="Start it; what runs goes on."
    )


def prepare_pool(kind: str | None) -> dict[str, str]:
    """Make the work pool and its queues, or bring them up to date; returns what was done to each.

    Raises:
        Misconfigured: the pool is there with another type, which Prefect cannot change.
    """
    done = {}
    with _answering() as client:
        try:
            pool = client.read_work_pool(POOL)
            if kind not in (None, pool.type):
                raise Misconfigured(
                    f"The work pool {POOL} is there and of type {pool.type}, which cannot be changed.",
                    next=f"prefect work-pool delete {POOL}",
                )
            done[f"pool {POOL}"] = f"there, of type {pool.type}"
        except ObjectNotFound:
            kind = kind or "process"
            client.create_work_pool(WorkPoolCreate(name=POOL, type=kind))
            done[f"pool {POOL}"] = f"made, of type {kind}"
        for name, priority in QUEUES.items():
            try:
                queue = client.read_work_queue_by_name(name, work_pool_name=POOL)
                done[f"queue {name}"] = "there"
            except ObjectNotFound:
                queue = client.create_work_queue(name=name, work_pool_name=POOL, priority=priority)
                done[f"queue {name}"] = "made"
            if queue.priority != priority:
                client.update_work_queue(queue.id, priority=priority)
    return done


def settle_schedules(wanted: Mapping[str, bool]) -> dict[str, list[str]]:
    """The schedules of every deployment of the pool, as the server has them. `wanted` says which have some in the file.

    Prefect adds and changes schedules and leaves alone what a file has no more: those are removed here.
    """
    found = {}
    with _answering() as client:
        pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
        for deployment in client.read_deployments(work_pool_filter=pool, limit=PAGE):
            schedules = deployment.schedules
            if wanted.get(deployment.name) is False:
                for schedule in schedules:
                    client.delete_deployment_schedule(deployment.id, schedule.id)
                schedules = []
            found[deployment.name] = [_when(schedule) for schedule in schedules]
    return found


def _when(schedule: Any) -> str:
    said = schedule.schedule
    when = f"{getattr(said, 'cron', None) or said} {said.timezone}"
    return when if schedule.active else f"{when} (paused)"


@dataclass
class PrefectFleet:
    """Slices of one backfill as runs of the deployment.

    Raises:
        NotSetUp: there is no such deployment.
    """

    lake: str
    backfill: str

    def __post_init__(self) -> None:
        with _answering() as client:
            try:
                self.deployment = client.read_deployment_by_name(DEPLOYMENT)
            except ObjectNotFound as error:
                raise NotSetUp(
                    f"The Prefect server has no deployment {DEPLOYMENT}.", next="nightscribe setup"
                ) from error

    @property
    def tag(self) -> str:
        return f"backfill-{self.backfill}"

    def lift_limit(self) -> None:
        """Take away a limit of the queue, as earlier versions set one: dead runs keep its places for ever."""
        with _answering() as client:
            queue = client.read_work_queue_by_name("backfill", work_pool_name=POOL)
            if queue.concurrency_limit is not None:
                client.update_work_queue(queue.id, concurrency_limit=None)

    def runs(self) -> dict[int, Run]:
        """The newest try at every slice that was handed out."""
        newest: dict[int, Run] = {}
        for found in self._all():
            run = _run(found)
            if run.slice not in newest or newest[run.slice].attempt < run.attempt:
                newest[run.slice] = run
        return newest

    def submit(self, slice: int, attempt: int) -> None:
        """Hand out a slice; asked again for the same try, the server answers with the run it has."""
        try:
            self._create(slice, attempt)
        except ObjectNotFound:  # the deployment was made anew, as on a server with a new database
            self.__post_init__()
            self._create(slice, attempt)

    def _create(self, slice: int, attempt: int) -> None:
        with _answering() as client:
            client.create_flow_run_from_deployment(
                self.deployment.id,
                parameters={"lake": self.lake, "backfill": self.backfill, "slice": slice, "attempt": attempt},
                name=f"slice {slice} try {attempt}",
                tags=[self.tag],
                idempotency_key=f"{self.tag}-{slice}-{attempt}",
            )

    def bury(self, run: Run, message: str) -> None:
        """Take a run for crashed."""
        with _answering() as client:
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)

    def withdraw(self, run: Run) -> None:
        """Take back a run that has not begun; its slice can be handed out again."""
        with _answering() as client:
            message = "Fewer slices are to be at work at a time."
            client.set_flow_run_state(run.id, Cancelled(name=WITHDRAWN, message=message), force=True)

    def call_off(self) -> int:
        """Cancel what has not begun; returns how many runs that were."""
        n = 0
        with _answering() as client:
            for found in self._all():
                if found.state and found.state.is_scheduled():
                    client.set_flow_run_state(found.id, Cancelled(message="The backfill was called off."), force=True)
                    n += 1
        return n

    def _all(self) -> Iterator[FlowRun]:
        wanted: Any = {
            "flow_run_filter": FlowRunFilter(tags=FlowRunFilterTags(all_=[self.tag])),
            "deployment_filter": DeploymentFilter(id=DeploymentFilterId(any_=[self.deployment.id])),
        }
        with _answering() as client:
            offset = 0
            while page := client.read_flow_runs(**wanted, limit=PAGE, offset=offset):
                yield from page
                offset += len(page)


def _run(found: FlowRun) -> Run:
    state = found.state
    return Run(
        str(found.id),
        int(found.parameters["slice"]),
        int(found.parameters["attempt"]),
        state.type.value if state else "SCHEDULED",
        (state.message or "") if state else "",
        (state.name or "") if state else "",
    )
