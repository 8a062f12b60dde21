"""Subtitle files of indexed videos: into a folder, or beside the videos of a local bucket.

A file that Nightscribe did not write is never overwritten, and two videos with one base name never share a file. Beside a
video there is one file of each format: one under a name that is not today's is replaced.
"""

from __future__ import annotations

import errno
import logging
import os
import platform
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.errors import LakeNotWritable, Misconfigured, StorageBusy
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.records import Cue
from tasks.settings import Settings
from tasks.stages.cues.options import rules_of
from tasks.subtitles.folder import Own, VideoFolder, first_free
from tasks.subtitles.formats import to_srt, to_webvtt
from tasks.subtitles.names import Format, file_names, is_within, place_of
from tasks.subtitles.owners import claim, owner_of, part_of, remove
from tasks.text.cues import lint

log = logging.getLogger("nightscribe")
# Such a name cannot be, but others can: too long, a folder where a file should be, a file where a folder should be.
ONLY_THIS_NAME = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
Video = tuple[str, str, str, str | None, str | None]  # id, URI of the bucket, key, language, run


@dataclass(frozen=True)
class Target:
    """Where the subtitles of a video go: the first of `paths` that is free or ours. `owner` is the video's id where the file
    says whose it is; `replaces` are files of the same subtitles under other names."""

    video_id: str
    key: str
    language: str | None = None
    paths: tuple[Path, ...] = ()
    owner: str = ""
    replaces: tuple[Own, ...] = ()

    def said(self, **more: Any) -> dict[str, Any]:
        return {"video_id": self.video_id, "key": self.key, **more}


@dataclass
class Written:
    """What came of it, as entries that name the video; `notes` say why something is not as one might expect."""

    format: Format
    written: list[dict[str, Any]] = field(default_factory=list)
    replaced: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)


def write_subtitles(
    lake: Lake,
    *,
    folder: str | None,
    format: Format,
    settings: Settings,
    video_ids: Iterable[str] | None = None,
    run_id: str | None = None,
) -> dict[str, Any]:
    """Write the cues of all indexed videos, or of those named or made by one run; returns what `subtitles --json` prints.

    Beside videos also those are written whose file has not the name that it has today; with `video_ids`, in their folders.

    Raises:
        Misconfigured: the folder cannot be written, or what is ours in it cannot be read.
    """
    connection = connect(lake, lean=True, history=False)
    videos = connection.execute(
        "SELECT v.video_id, coalesce(v.bucket_uri, v.bucket), v.key, v.language, r.run_id FROM video_facts v "
        "JOIN current_cues c USING (video_id) JOIN every_run r ON r.stage = 'cues' AND r.video_id = v.video_id "
        "AND r.generation = c.run_generation WHERE v.status = 'indexed' AND c.rows > 0 ORDER BY v.key, v.video_id"
    ).fetchall()
    wanted = None if video_ids is None else set(video_ids)
    asked = {
        video_id
        for video_id, *_, made_by in videos
        if (wanted is None or video_id in wanted) and (run_id is None or made_by == run_id)
    }
    if folder is not None:
        targets = _in_folder(Path(folder), videos, asked, format)
    else:
        targets = _beside(videos, asked, format, settings, everywhere=wanted is None)
    done, all_cues, noted = Written(format), [], False
    try:
        for target in targets:
            cues = [
                Cue(start, end, text, confidence, 0, 0)
                for start, end, text, confidence in connection.execute(
                    "SELECT start_ms, end_ms, text, confidence FROM cues WHERE video_id = $id ORDER BY cue_no",
                    {"id": target.video_id},
                ).fetchall()
            ]
            if folder is not None and not noted:  # before the first, so that none is in a folder nobody knows of
                noted = True
                _note_folder(lake, folder)
            if _put(target, cues, done):
                all_cues.append(cues)
    except OSError as error:
        where = f"{_shown(Path(error.filename))} " if error.filename else ""
        raise Misconfigured(f"{where}cannot be read: {error.strerror}", next="Mend its rights.") from error
    return {**asdict(done), "lint": asdict(lint(all_cues, rules_of(settings)))}


def _in_folder(folder: Path, videos: Sequence[Video], asked: set[str], format: Format) -> Iterator[Target]:
    # By all videos, not only those asked for: a later run must not give one's name to another.
    names = file_names([(video_id, key) for video_id, _, key, *_ in videos], format)
    for video_id, _, key, language, _ in videos:
        if video_id in asked:
            yield Target(video_id, key, language, (folder / names[video_id],))


def _beside(
    videos: Sequence[Video], asked: set[str], format: Format, settings: Settings, *, everywhere: bool
) -> Iterator[Target]:
    """Folder by folder; in each, first those that have files under other names, before another one takes such a name."""
    folders: dict[tuple[Path, Path] | None, dict[str, tuple[Video, str]]] = {}
    for video in videos:
        place = place_of(video[1], video[2])
        where = place and (place[0], place[1].parent)
        folders.setdefault(where, {})[video[0]] = (video, place[1].name if place else "")
    for where, inside in folders.items():
        if where is None or not is_within(*where):
            yield from (Target(video_id, video[2]) for video_id, (video, _) in inside.items() if video_id in asked)
            continue
        if not everywhere and asked.isdisjoint(inside):
            continue
        names = {video_id: name for video_id, (_, name) in inside.items()}
        folder = VideoFolder(where[1], names, format, settings.media_extensions)
        targets = []
        for video_id, (video, _) in inside.items():
            paths = folder.paths(video_id, video[3], short=settings.subtitles_beside == "short")
            if video_id in asked or folder.has_other(video_id, paths[0]):
                free = first_free(paths)
                replaces = tuple(own for own in folder.own(video_id) if own.sure and own.path != free)
                if video_id in asked or (replaces and free):
                    targets.append(Target(video_id, video[2], video[3], paths, video_id, replaces))
        yield from sorted(targets, key=lambda target: not target.replaces)


def _put(target: Target, cues: Sequence[Cue], done: Written) -> bool:
    """Write one file, then remove those that it replaces: killed between the two, there are both, and the next run sees."""
    if not target.paths:
        done.skipped.append(target.said(reason="the bucket is not on this machine; name a folder with --out"))
        return False
    path = first_free(target.paths)
    if path is None:
        taken = " and ".join(map(_shown, target.paths))
        why = f"{taken} {'were' if target.paths[1:] else 'was'} not written by Nightscribe"
        done.skipped.append(target.said(reason=why))
        return False
    text = to_srt(cues)
    if done.format == "vtt":
        text = to_webvtt(cues, language=target.language, video_id=target.owner)
    try:
        _write(path, text, target.owner)
    except OSError as error:
        why = f"{_shown(path)} cannot be written: {error.strerror}"
        if error.errno not in ONLY_THIS_NAME:
            raise Misconfigured(why, next="Name another folder with --out.") from error
        done.skipped.append(target.said(reason=why))
        return False
    done.written.append(target.said(path=_shown(path), cues=len(cues)))
    if path != target.paths[0]:
        why = f"{_shown(target.paths[0])} was not written by Nightscribe; its subtitles are in {_shown(path)}"
        done.notes.append(target.said(reason=why))
    for old in target.replaces:
        try:
            # It may be another one's by now, or the same, where the file system does not tell names apart.
            if owner_of(old.path) == old.owner and not old.path.samefile(path):
                remove(old.path)
                done.replaced.append(target.said(path=_shown(old.path)))
        except FileNotFoundError:
            continue
        except OSError as error:
            why = f"{_shown(old.path)} is out of date and cannot be removed: {error.strerror}"
            done.notes.append(target.said(reason=why))
    return True


def _note_folder(lake: Lake, folder: str) -> None:
    """Keep in the lake where subtitles lie, so that those of a forgotten video are found. A lake that may only be read
    does not know them: `forget --subtitles` names them then."""
    path, host = str(Path(folder).expanduser().resolve()), platform.node()
    known = connect(lake, lean=True, history=False).execute(
        "SELECT 1 FROM subtitle_folders WHERE folder = $folder AND host = $host", {"folder": path, "host": host}
    )
    if known.fetchone():
        return
    row = {"folder": path, "host": host, "first_at": datetime.now(UTC)}
    try:
        create_lake(lake)
        lake.append("subtitle_folders", [row], batch_id=f"folder-{uuid.uuid4().hex}")
    except (LakeNotWritable, StorageBusy) as error:
        log.warning("The lake does not know of the subtitles in %s: %s", folder, error)


def _shown(path: Path) -> str:
    """A path as text that can be printed: bytes that are no UTF-8 escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _write(path: Path, text: str, owner: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path, owner)
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        claim(path, owner)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
