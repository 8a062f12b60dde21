"""Forgetting videos: their words leave the lake with its history, the search index, subtitle files and caches.

`forget` is asked for; `overdue` finds what the settings say is to go by itself: videos that have been gone from the bucket
for `forget_gone_days`, and what an earlier try that was killed did not finish.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.erasure.erase import (
    ID_OF,
    erase,
    erasure_pending,
    gone_before,
    known_of,
    mark_erased,
    name_of,
    still_gone,
    write_tombstones,
)
from tasks.erasure.known import Erased, KnownVideos
from tasks.errors import Misconfigured, NightscribeError
from tasks.lake.copies import CONTENT_NAME
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.lake.views import connect, connect_current
from tasks.machine.scratch import forget_files
from tasks.records import Status
from tasks.settings import Settings
from tasks.subtitles.removal import remove_subtitles

AT_ONCE = 200  # videos that are forgotten together
NOT_COVERED = (
    "the video itself and its sidecar in the bucket",
    "copies of the lake, snapshots of disks, versions that an object store keeps of removed files, snapshots of Elasticsearch",
    "scratch space and subtitle folders of other machines: run it there too, with the keys",
    "artifacts and logs of a Prefect server, which may name videos that failed",
    "answers, subtitles and tables that were written elsewhere, and models that were trained on them",
)


@dataclass(kw_only=True)
class Certificate(Erased):
    """What was removed, as numbers: it has none of what is forgotten. What `forget --json` prints."""

    lake: str
    forgotten_at: str
    why: str
    videos: list[str] = field(default_factory=list)
    generations: int = 0
    subtitles: int = 0
    caches: int = 0
    search: dict[str, Any] | None = None
    same_content: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return not self.left

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, "complete": self.complete, **asdict(self), "not_covered": list(NOT_COVERED)}

    def text(self) -> str:
        """The certificate for people."""
        tables = ", ".join(f"{n} of {name}" for name, n in self.rows.items()) or "none"
        search = "not set"
        if self.search is not None:
            search = f"{self.search['documents']} documents in {len(self.search['indices'])} indices, segments merged"
        lines = [
            f"Forgotten at {self.forgotten_at}, {self.why}: {', '.join(self.videos)}",
            f"Lake         {self.lake}",
            f"Rows         {tables}; {self.generations} generations of history",
            f"Files        {sum(self.files_rewritten.values())} rewritten, {sum(self.files_removed.values())} removed that "
            "no snapshot names any more",
            f"Log          {self.log_files} files of the transaction log read, {self.log_cleaned} had texts as statistics",
            f"Vocabulary   {self.vocabulary} words that nobody says any more",
            f"Reports      {self.reports} of runs, syncs and evaluations",
            f"Search       {search}",
            f"Subtitles    {self.subtitles} files",
            f"Caches       {self.caches} files",
            f"Checked      {self.checked_files} files of the lake, live or not",
            *(f"Left         {sentence}" for sentence in self.left),
        ]
        if self.same_content:
            lines.append(f"Same content {', '.join(self.same_content)}: these videos are not forgotten.")
        if self.handed_over:
            lines.append(
                f"Handed over  to {', '.join(self.handed_over)}, which shared its rows and now have their own."
            )
        lines += ["Not covered  " + "; ".join(NOT_COVERED) + "."]
        lines.append("Complete." if self.complete else "Not complete: run the same command again.")
        return "\n".join(lines)


def forget(
    lake: Lake,
    settings: Settings,
    ids: Sequence[str],
    *,
    why: str = "asked for",
    status: Status = "forgotten",
    folders: Sequence[str] = (),
    names: Sequence[str] = (),
) -> Certificate:
    """Remove these videos everywhere, and look whether they are. Safe to be killed and run again.

    `names` are keys by which files on this machine are found, also of videos that were forgotten on another one.

    Raises:
        StorageBusy: the lake did not take a commit. LakeNotWritable.
    """
    create_lake(lake)
    certificate = Certificate(lake=lake.uri, forgotten_at=_z(datetime.now(UTC)), why=why)
    for start in range(0, len(ids), AT_ONCE):
        chunk = ids[start : start + AT_ONCE]
        if status == "gone":  # some may have come back since they were found
            chunk = still_gone(connect_current(lake), chunk)
        if chunk:
            _forget(lake, settings, known_of(lake, chunk, names), ids, status, folders, certificate)
    return certificate


def _forget(
    lake: Lake,
    settings: Settings,
    known: KnownVideos,
    everyone: Sequence[str],
    status: Status,
    folders: Sequence[str],
    certificate: Certificate,
) -> None:
    certificate.same_content += _same_content(lake, known)
    write_tombstones(lake, known, status)
    subtitles, stuck = _subtitles(lake, known, folders, certificate)
    certificate.subtitles += subtitles
    if stuck:
        certificate.left.append(
            f"{stuck} subtitle files that may not be removed: mend the rights of their folders, and run `nightscribe forget` "
            "again with the video's key."
        )
    elsewhere = len(certificate.left)  # what `maintain` could not remove either
    removed, busy = forget_files(settings.scratch, known.ids, known.keys)
    certificate.caches += removed
    if busy:
        certificate.left.append(f"{busy} files in scratch, of a run that is at work on them.")
    certificate.add(erase(lake, known, grace_h=settings.sweep_grace_h, among_them=everyone))
    if settings.elasticsearch_url:
        _search(lake, settings, known.ids, certificate)
    if len(certificate.left) == elsewhere:
        mark_erased(lake, known)
    certificate.videos += known.ids
    certificate.generations += len(known.rows)


def _same_content(lake: Lake, known: KnownVideos) -> list[str]:
    """Other videos with the same bytes, by what the lake knows of them."""
    rows = (
        connect_current(lake)
        .execute(
            f"SELECT DISTINCT video_id FROM (SELECT *, {CONTENT_NAME} AS content FROM videos) WHERE video_id NOT IN "
            "(SELECT unnest($ids)) AND (content IN (SELECT unnest($names::VARCHAR[])) "
            "OR content_sha256 IN (SELECT unnest($hashes::VARCHAR[]))) ORDER BY 1",
            {
                "ids": list(known.ids),
                "names": sorted({name for row in known.rows if (name := name_of(row))}),
                "hashes": sorted({row["content_sha256"] for row in known.rows if row["content_sha256"]}),
            },
        )
        .fetchall()
    )
    return [video_id for (video_id,) in rows]


def _subtitles(lake: Lake, known: KnownVideos, folders: Sequence[str], certificate: Certificate) -> tuple[int, int]:
    videos = known.objects
    if not videos:
        return 0, 0
    connection = connect(lake, lean=True, history=False)
    every = connection.execute("SELECT video_id, max(key) FROM _videos WHERE key <> '' GROUP BY ALL").fetchall()
    cues: dict[str, list[str]] = {}
    for video_id, text in connection.execute(
        "SELECT video_id, text FROM _cues WHERE video_id IN (SELECT unnest($ids)) UNION ALL SELECT s.video_id, c.text "
        "FROM _cues c JOIN shared_runs s ON s.stage = 'cues' AND c.video_id = s.taken_from AND c.generation = s.taken_generation "
        "WHERE s.video_id IN (SELECT unnest($ids))",
        {"ids": list(known.ids)},
    ).fetchall():
        cues.setdefault(video_id, []).append(text)
    noted = connection.execute("SELECT DISTINCT folder, host FROM subtitle_folders ORDER BY ALL").fetchall()
    here = {Path(folder).expanduser().resolve() for folder in folders}
    for folder, host in noted:
        if Path(folder).is_dir():
            here.add(Path(folder))
        elif host != platform.node():
            certificate.left.append(
                f"Subtitles in {folder} on {host}, if there are any: run `nightscribe forget` there too."
            )
    return remove_subtitles(videos, every, cues, sorted(here))


def _search(lake: Lake, settings: Settings, ids: Sequence[str], certificate: Certificate) -> None:
    from tasks.search.elastic.erase import erase as erase_documents

    try:
        found = erase_documents(lake, settings, ids)
    except NightscribeError as error:
        certificate.left.append(f"Documents in Elasticsearch: {error}")
        return
    before = certificate.search or {"documents": 0}
    certificate.search = {"indices": found["indices"], "documents": before["documents"] + found["documents"]}
    if found["kept_in_segments"]:
        certificate.left.append(
            f"{found['kept_in_segments']} deleted documents in segments that Elasticsearch has not merged yet; no search finds them."
        )


def find_videos(lake: Lake, names: Sequence[str]) -> list[str]:
    """Ids of videos by id or key, also of videos that are forgotten; a key that several buckets have names all of them.

    Raises:
        Misconfigured: one names no video.
    """
    connection = connect_current(lake)
    ids: dict[str, None] = {}
    for name in names:
        rows = connection.execute(
            "SELECT video_id FROM videos WHERE video_id = $name OR (key = $name AND key <> '') OR video_id IN (SELECT "
            f"{ID_OF.format('bucket', '$name')} FROM (SELECT DISTINCT bucket FROM videos)) ORDER BY 1",
            {"name": name},
        ).fetchall()
        if not rows:
            raise Misconfigured(
                f"The lake has no video {name!r}. Nothing was changed.",
                next='Name it by its id, or by its key as it is in the bucket: nightscribe sql "SELECT video_id, key FROM videos"',
            )
        ids.update(dict.fromkeys(row[0] for row in rows))
    return list(ids)


def overdue(lake: Lake, settings: Settings, *, now: datetime | None = None) -> Iterator[tuple[str, Status, list[str]]]:
    """What is to be forgotten by itself, as reason, status of what stays, and ids."""
    connection = connect_current(lake)
    for status, ids in erasure_pending(connection):
        yield "finishing what was begun", status, ids
    if settings.forget_gone_days is None:
        return
    before = (now or datetime.now(UTC)) - timedelta(days=settings.forget_gone_days)
    ids = gone_before(connection, before)
    if ids:
        yield f"gone for {settings.forget_gone_days:g} days", "gone", ids


def forget_overdue(lake: Lake, settings: Settings, *, now: datetime | None = None) -> list[Certificate]:
    """`forget` for everything that is overdue; a certificate for each reason."""
    return [
        forget(lake, settings, ids, why=why, status=status) for why, status, ids in [*overdue(lake, settings, now=now)]
    ]


def _z(when: datetime) -> str:
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
