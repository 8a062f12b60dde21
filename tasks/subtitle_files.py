"""Subtitle files of indexed videos: into a folder, or beside the videos of a local bucket.

A file that Nightscribe did not write is never overwritten, and two videos with one base name never share a file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import platform
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlparse

from tasks.bucket import to_path
from tasks.errors import LakeNotWritable, Misconfigured, StorageBusy
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.records import Cue
from tasks.settings import Settings
from tasks.subtitles import MARK, CueRules, lint, to_srt, to_webvtt

log = logging.getLogger("nightscribe")
# Such a name cannot be, but others can: too long, a folder where a file should be, a file where a folder should be.
ONLY_THIS_NAME = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
LEDGER = ".nightscribe-subtitles"  # names of the .srt files that are ours: SubRip has no comments


def write_subtitles(
    lake: Lake,
    *,
    folder: str | None,
    format: Literal["vtt", "srt"],
    settings: Settings,
    video_ids: Iterable[str] | None = None,
    run_id: str | None = None,
) -> dict[str, Any]:
    """Write the cues of all indexed videos, or of those named or made by one run; returns what `subtitles --json` prints.

    Raises:
        Misconfigured: the folder cannot be written.
    """
    connection = connect(lake)
    videos = connection.execute(
        "SELECT video_id, coalesce(bucket_uri, bucket), key, language, flow_run_id FROM videos WHERE status = 'indexed' AND n_cues > 0 "
        "ORDER BY key, video_id"
    ).fetchall()
    names = {}
    if folder is not None:
        # By all videos, not only those asked for: a later run must not give one's name to another.
        names = file_names([(video_id, key) for video_id, _, key, *_ in videos], format)
    wanted = None if video_ids is None else set(video_ids)
    written, skipped, all_cues, noted = [], [], [], False
    for video_id, bucket, key, language, made_by in videos:
        if (wanted is not None and video_id not in wanted) or (run_id is not None and made_by != run_id):
            continue
        cues = [
            Cue(start, end, text, confidence, 0, 0)
            for start, end, text, confidence in connection.execute(
                "SELECT start_ms, end_ms, text, confidence FROM cues WHERE video_id = $id ORDER BY cue_no",
                {"id": video_id},
            ).fetchall()
        ]
        path = Path(folder, names[video_id]) if folder is not None else beside(bucket, key, format)
        if path is None:
            skipped.append(
                {
                    "video_id": video_id,
                    "key": key,
                    "reason": "the bucket is not on this machine; name a folder with --out",
                }
            )
            continue
        text = to_webvtt(cues, language=language) if format == "vtt" else to_srt(cues)
        try:
            if folder is not None and not noted:  # before the first, so that none is in a folder nobody knows of
                noted = True
                _note_folder(lake, folder)
            if os.path.lexists(path) and not _ours(path):
                skipped.append(
                    {"video_id": video_id, "key": key, "reason": f"{_shown(path)} was not written by Nightscribe"}
                )
                continue
            _write(path, text)
        except OSError as error:
            if error.errno in ONLY_THIS_NAME:
                why = f"{_shown(path)} cannot be written: {error.strerror}"
                skipped.append({"video_id": video_id, "key": key, "reason": why})
                continue
            raise Misconfigured(
                f"{_shown(path)} cannot be written: {error.strerror}", next="Name another folder with --out."
            ) from error
        written.append({"video_id": video_id, "key": key, "path": _shown(path), "cues": len(cues)})
        all_cues.append(cues)
    checked = lint(all_cues, CueRules.of(settings))
    return {"format": format, "written": written, "skipped": skipped, "lint": asdict(checked)}


def _note_folder(lake: Lake, folder: str) -> None:
    """Keep in the lake where subtitles lie, so that those of a forgotten video are found. A lake that may only be read
    does not know them: `forget --subtitles` names them then."""
    path, host = str(Path(folder).expanduser().resolve()), platform.node()
    known = connect(lake).execute(
        "SELECT 1 FROM subtitle_folders WHERE folder = $folder AND host = $host", {"folder": path, "host": host}
    )
    if known.fetchone():
        return
    row = {"folder": path, "host": host, "first_at": datetime.now(UTC)}
    try:
        lake.create()
        lake.append("subtitle_folders", [row], batch_id=f"folder-{uuid.uuid4().hex}")
    except (LakeNotWritable, StorageBusy) as error:
        log.warning("The lake does not know of the subtitles in %s: %s", folder, error)


def remove_subtitles(
    videos: Sequence[tuple[str, str, str]],
    every: Sequence[tuple[str, str]],
    cues: Mapping[str, Sequence[str]],
    folders: Iterable[Path],
) -> tuple[int, int]:
    """Remove the subtitle files of some videos, beside them and in `folders`; returns how many went, and how many there
    are that cannot be removed.

    Args:
        videos: (video_id, URI of the bucket, key) of those to remove.
        every: (video_id, key) of all videos, by which files got their names.
        cues: by video, texts that its file has; a file by a name that several videos share goes only if it has one.
    """
    removed = stuck = 0
    for form in ("vtt", "srt"):
        names = file_names(every, form)
        for video_id, bucket, key in videos:
            plain = file_names([(video_id, key)], form)[video_id]
            # Of its own even if the video has none today: with whom it shared one may be forgotten already.
            own = f"{plain.removesuffix(f'.{form}')}.{video_id[:8]}.{form}"
            paths = [path for path in (beside(bucket, key, form),) if path is not None]
            for folder in folders:
                paths += [folder / names.get(video_id, plain), folder / plain, folder / own]
            for path in dict.fromkeys(paths):
                shared = path.name == Path(plain).name and names.get(video_id, plain) != plain
                try:
                    if _part(path).is_file():  # of a writer that was killed
                        _part(path).unlink()
                    if path.is_file() and _ours(path) and (not shared or _says(path, cues.get(video_id, ()))):
                        _remove(path)
                        removed += 1
                except OSError:
                    stuck += 1
    return removed, stuck


def _says(path: Path, texts: Sequence[str]) -> bool:
    said = path.read_text(encoding="utf-8", errors="replace")
    return any(text and text in said for text in texts)


def _remove(path: Path) -> None:
    """A file of ours and its line in the ledger."""
    path.unlink()
    ledger = path.parent / LEDGER
    if ledger.exists() and (left := _ledger(path) - {json.dumps(path.name)}) != _ledger(path):
        ledger.write_text("\n".join(sorted(left)) + "\n" if left else "", encoding="utf-8")


def file_names(videos: Sequence[tuple[str, str]], extension: str) -> dict[str, str]:
    """A file name for each (video_id, key): the key's path with a new extension; clashes get part of the id.

    Keys are made safe: no `..`, no leading dash or dot, no control characters, no more than 200 bytes a part.
    """
    plain: dict[str, str] = {}
    for video_id, key in videos:
        parts = [_safe(part) for part in PurePosixPath(key).parts if part not in ("/", "..", ".")]
        stem = re.sub(r"\.[^.]{1,10}$", "", parts[-1]) if parts else video_id
        plain[video_id] = "/".join([*parts[:-1], stem or video_id])
    # Folders of some file systems do not tell cases apart.
    counts: dict[str, int] = {}
    for name in plain.values():
        counts[name.casefold()] = counts.get(name.casefold(), 0) + 1
    names, taken = {}, set(counts)
    for video_id, name in plain.items():
        if counts[name.casefold()] > 1:
            name = f"{name}.{video_id[:8]}"
            while name.casefold() in taken:  # a key may have been made to look like this
                name += "_"
            taken.add(name.casefold())
        names[video_id] = f"{name}.{extension}"
    return names


def _safe(part: str) -> str:
    clean = re.sub(r"[\x00-\x1f\x7f\\:*?\"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]", "_", part)
    clean = re.sub(r"^[-.~]+", "_", clean).rstrip(". ") or "_"
    data = clean.encode("utf-8")
    if len(data) <= 200:
        return clean
    digest = hashlib.sha256(data).hexdigest()[:8]
    return data[:180].decode("utf-8", "ignore") + "-" + digest


def beside(bucket: str, key: str, extension: str) -> Path | None:
    """`talk.mp4` has `talk.mp4.vtt` beside it, so that `talk.mp4` and `talk.mov` do not share one."""
    if not bucket.startswith("file://"):
        return None
    root = Path(unquote(urlparse(bucket).path))
    path = root / to_path(key)
    if not root.is_dir() or not path.resolve().is_relative_to(root.resolve()):
        return None
    return path.with_name(f"{path.name}.{extension}")


def _shown(path: Path) -> str:
    """A path as text that can be printed: bytes that are no UTF-8 escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _ours(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            head = handle.read(400).decode("utf-8", "replace")
    except OSError:
        return False
    if path.suffix == ".vtt":
        return MARK in head
    return json.dumps(path.name) in _ledger(path)


def _ledger(path: Path) -> set[str]:
    """Names beside `path` that are ours, each as JSON: a name with a line break must not become two names."""
    ledger = path.parent / LEDGER
    return set(ledger.read_text(encoding="utf-8").split("\n")) - {""} if ledger.exists() else set()


def _part(path: Path) -> Path:
    """What a file is called before it is whole."""
    return path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}.part")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if path.suffix != ".vtt":
        known = _ledger(path) | {json.dumps(path.name)}
        (path.parent / LEDGER).write_text("\n".join(sorted(known)) + "\n", encoding="utf-8")
