"""What the API answers of the work itself: the state of the archive, runs, costs, failures."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class SearchState(BaseModel):
    reachable: bool
    index: str | None
    lag_videos: int | None


class Due(BaseModel):
    retry: int
    stale: int


class Status(BaseModel):
    """What `nightscribe status --json` prints."""

    lake: str
    lake_version: int
    videos: dict[str, int]
    failed_by_reason: dict[str, int]
    stages: dict[str, dict[str, int]] = Field(
        description="Of each stage how many videos have it (done, empty), lack it (missing), have an older one (stale, outdated), "
        "and of how many it failed."
    )
    due: Due
    media_ms: int
    words: int
    search: SearchState
    cost_per_media_hour: float | None
    costs: dict[str, Any] = Field(description="Machine time and money by device.")
    last_runs: list[dict[str, Any]]


class RunRow(BaseModel):
    """A run of `index`. `speed` is hours of media an hour, `stages` seconds by stage."""

    run_id: str
    bucket: str
    started_at: str | None
    ended_at: str | None
    outcome: str
    indexed: int
    no_speech: int
    failed: int
    media_ms: int
    seconds: float
    speed: float | None
    stages: dict[str, float]
    cost: float | None
    cost_per_media_hour: float | None
    failures: list[dict[str, Any]]


class StageSpeed(BaseModel):
    stage: str
    seconds: float
    speed: float | None = Field(description="Hours of media for an hour of this stage.")


class FailedReason(BaseModel):
    reason: str | None
    videos: int
    tried_again: int = Field(description="Those that a run tries again by itself.")


class FailedVideo(BaseModel):
    video_id: str
    key: str
    title: str | None
    reason: str | None
    error: str | None
    attempts: int | None
    next_try_at: str | None
    indexed_at: str | None


class Failures(BaseModel):
    reasons: list[FailedReason]
    latest: list[FailedVideo]


class Work(BaseModel):
    videos: int
    media_ms: int
    seconds: int | None = Field(description="Machine time that it will take, by the runs so far.")
    cost: float | None


class Waiting(BaseModel):
    retried: Work
    stale: Work


class TableSize(BaseModel):
    name: str
    files: int
    bytes: int | None


class SyncRow(BaseModel):
    kind: str
    started_at: str | None
    ended_at: str | None
    outcome: str
    videos: int
    passages: int
    failed: int


class Operations(BaseModel):
    """The operations page."""

    status: Status
    runs: list[RunRow]
    speed: list[StageSpeed]
    failures: Failures
    waiting: Waiting
    tables: list[TableSize]
    syncs: list[SyncRow]


class Health(BaseModel):
    status: Literal["ok"]
    version: str
