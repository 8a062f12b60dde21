"""A folder of videos with the subtitle files in it: what each is to be called, and whose those are that lie there."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.subtitles.names import Neighbours, SubtitleFiles, is_short_name, long_name, short_name
from tasks.subtitles.owners import owner_of


@dataclass(frozen=True)
class Own:
    """A subtitle file of a video; `owner` is the id in it, `sure` whether it can be no other video's."""

    path: Path
    owner: str
    sure: bool


class VideoFolder:
    """What a name is follows from all videos of the folder, those of the lake and those that only lie there."""

    def __init__(
        self, path: Path, videos: Mapping[str, str], extension: str, media_extensions: Collection[str]
    ) -> None:
        """`videos` are names by id. Of a folder that cannot be listed, `unreadable` says why."""
        self.unreadable: OSError | None = None
        found: list[str] = []
        try:
            found = os.listdir(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.unreadable = error
        self.media = frozenset(media_extensions)
        self.path, self.videos, self.extension = path, videos, extension
        lying = (name for name in found if _ending(name) in self.media)
        self.neighbours = Neighbours([*videos.values(), *lying])
        self.files = SubtitleFiles(found, extension)

    def paths(self, video_id: str, language: str | None, *, short: bool) -> tuple[Path, ...]:
        """Where the subtitles of a video may be, best first: the long name is also for where the short one is taken."""
        video = self.videos[video_id]
        names = [long_name(video, self.extension)]
        if short and self.neighbours.leave_alone(video):
            names.insert(0, short_name(video, language, self.extension))
        return tuple(self.path / name for name in names)

    def has_other(self, video_id: str, path: Path) -> bool:
        """Whether a file lies there that may be of this video, and has another name than `path`."""
        return any(name != path.name for name in self.files.near(self.videos[video_id]))

    def own(self, video_id: str) -> list[Own]:
        """Our files of this video, whatever their names.

        One that names a video which is not here was written before the bucket was moved, or for a video that is gone: then
        its name decides, and leaves it open where several videos may have that.
        """
        video, found = self.videos[video_id], []
        for name in self.files.near(video):
            owner = owner_of(self.path / name)
            if owner is None or (owner != video_id and owner in self.videos):
                continue
            if owner == video_id or name == long_name(video, self.extension):
                found.append(Own(self.path / name, owner, True))
            elif (
                owner
                and is_short_name(name, video, self.extension)
                and _ending(name.removesuffix(f".{self.extension}")) not in self.media  # talk.ts.vtt is of talk.ts
            ):
                found.append(Own(self.path / name, owner, self.neighbours.leave_alone(video)))
        return found


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def first_free(paths: Sequence[Path]) -> Path | None:
    """The first path that is not somebody else's file."""
    return next((path for path in paths if not os.path.lexists(path) or owner_of(path) is not None), None)
