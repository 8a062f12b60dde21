"""Subtitle files of videos that are forgotten."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.settings import MEDIA_EXTENSIONS
from tasks.subtitles.folder import VideoFolder
from tasks.subtitles.names import FORMATS, Format, file_names, is_within, long_name, place_of
from tasks.subtitles.owners import owner_of, part_of, remove


@dataclass(frozen=True)
class Suspect:
    """A file that may be of a video: it is if it names one of `owners`, and, where it may be `shared`, has its words."""

    path: Path
    owners: tuple[str, ...]
    shared: bool


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
    for form in FORMATS:
        names = file_names(every, form)
        beside, unreadable = _beside(videos, every, form)
        stuck += unreadable
        for video_id, _, key in videos:
            suspects = beside.get(video_id, []) + _in_folders(video_id, key, names, folders, form)
            for suspect in {suspect.path: suspect for suspect in reversed(suspects)}.values():
                path = suspect.path
                try:
                    for part in (part_of(path, ""), part_of(path, video_id)):
                        if os.path.isfile(part):  # of a writer that was killed
                            part.unlink()
                    if not os.path.isfile(path) or owner_of(path) not in suspect.owners:
                        continue
                    if not suspect.shared or _says(path, cues.get(video_id, ())):
                        remove(path)
                        removed += 1
                except OSError:
                    stuck += 1
    return removed, stuck


def _in_folders(
    video_id: str, key: str, names: Mapping[str, str], folders: Iterable[Path], form: Format
) -> list[Suspect]:
    plain = file_names([(video_id, key)], form)[video_id]
    # Of its own even if the video has none today: with whom it shared one may be forgotten already.
    own = f"{plain.removesuffix(f'.{form}')}.{video_id[:8]}.{form}"
    name = names.get(video_id, plain)
    return [
        Suspect(path, ("", video_id), path.name == Path(plain).name and name != plain)
        for folder in folders
        for path in (folder / name, folder / plain, folder / own)
    ]


def _beside(
    videos: Sequence[tuple[str, str, str]], every: Sequence[tuple[str, str]], form: Format
) -> tuple[dict[str, list[Suspect]], int]:
    """By video what lies beside it, and the name that an earlier version gave; and how many folders cannot be read."""
    inside: dict[str, list[tuple[str, str]]] = {key.rpartition("/")[0]: [] for *_, key in videos}
    for video_id, key in every:
        if (near := inside.get(key.rpartition("/")[0])) is not None:
            near.append((video_id, key))
    groups: dict[tuple[Path, Path], list[tuple[str, str, str]]] = {}
    for video in videos:
        if place := place_of(video[1], video[2]):
            groups.setdefault((place[0], place[1].parent), []).append(video)
    suspects: dict[str, list[Suspect]] = {}
    unreadable = 0
    for (root, path), mine in groups.items():
        if not is_within(root, path):
            continue
        bucket, keys = mine[0][1], {key for *_, key in mine}
        # Others with the same key are of another bucket, or are the same from before this one was moved.
        near = [
            other for of in {key.rpartition("/")[0] for key in keys} for other in inside[of] if other[1] not in keys
        ]
        names = {video_id: _name(bucket, key) for video_id, key in (*near, *((video[0], video[2]) for video in mine))}
        folder = VideoFolder(path, names, form, MEDIA_EXTENSIONS)
        unreadable += folder.unreadable is not None
        for video_id, *_ in mine:
            found = suspects.setdefault(video_id, [])
            try:
                found += [Suspect(own.path, (own.owner,), not own.sure) for own in folder.own(video_id)]
            except OSError:
                unreadable += 1
            found.append(Suspect(path / long_name(names[video_id], form), ("",), False))
    return suspects, unreadable


def _name(bucket: str, key: str) -> str:
    place = place_of(bucket, key)
    return place[1].name if place else ""


def _says(path: Path, texts: Sequence[str]) -> bool:
    said = path.read_text(encoding="utf-8", errors="replace")
    return any(text and text in said for text in texts)
