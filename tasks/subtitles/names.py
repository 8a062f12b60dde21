"""What subtitle files are called: in a folder of their own, and beside videos so that players find them.

Players take `talk.en.vtt` for `talk.mp4`: the video's name without its extension, and the language (Plex, Jellyfin, Kodi,
VLC, mpv). That name says nothing of the extension, so videos that might share it have `talk.mp4.vtt` each.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlparse

from tasks.sources.bucket import to_path
from tasks.text.languages import language_code

Format = Literal["vtt", "srt"]
FORMATS: tuple[Format, ...] = ("vtt", "srt")


def short_name(video: str, language: str | None, extension: str) -> str:
    """`talk.en.vtt` for `talk.mp4`; `talk.vtt` where the language is not known."""
    code = language_code(language)
    return f"{_stem(video)}.{code}.{extension}" if code else f"{_stem(video)}.{extension}"


def long_name(video: str, extension: str) -> str:
    """`talk.mp4.vtt` for `talk.mp4`."""
    return f"{video}.{extension}"


def is_short_name(name: str, video: str, extension: str) -> bool:
    """Whether it is the short name of a video's subtitles, in whatever language."""
    stem, wanted = _folded(name.removesuffix(f".{extension}")), _folded(_stem(video))
    return wanted in (stem, _without_language(stem))


class Neighbours:
    """The names of all videos in a folder."""

    def __init__(self, videos: Iterable[str]) -> None:
        self.by_stem: dict[str, set[str]] = {}
        self.with_language: set[str] = set()  # stems that another one goes on from, with what may be a language
        self.names: dict[str, set[str]] = {}
        for video in videos:
            stem = _folded(_stem(video))
            self.by_stem.setdefault(stem, set()).add(video)
            self.names.setdefault(_folded(video), set()).add(video)
            if (base := _without_language(stem)) is not None:
                self.with_language.add(base)

    def leave_alone(self, video: str) -> bool:
        """Whether no name that this video's subtitles may ever have is one that another video's may have, in whatever
        language: then it has its short name for itself, whichever of them have subtitles and in whatever order."""
        name, stem = _folded(video), _folded(_stem(video))
        return not (
            self.by_stem.get(stem, set()) - {video}  # talk.mov, and Talk.mp4
            or stem in self.with_language  # talk.en.mp4
            or _without_language(stem) in self.by_stem  # talk.mp4 of talk.en.mp4
            or self.by_stem.get(name, set()) - {video}  # talk.mp4.mov
            or self.names.get(stem, set()) - {video}  # talk.mp4 of talk.mp4.mov
        )


class SubtitleFiles:
    """The names of all subtitle files of one extension in a folder."""

    def __init__(self, names: Iterable[str], extension: str) -> None:
        self.by_stem: dict[str, list[str]] = {}
        for name in names:
            if name.endswith(f".{extension}"):
                stem = _folded(name.removesuffix(f".{extension}"))
                for key in dict.fromkeys((stem, stem.rpartition(".")[0])):
                    self.by_stem.setdefault(key, []).append(name)

    def near(self, video: str) -> list[str]:
        """Those that may be of this video, by their names: in any form and language."""
        keys = dict.fromkeys((_folded(_stem(video)), _folded(video)))
        return list(dict.fromkeys(name for key in keys for name in self.by_stem.get(key, ())))


def place_of(bucket: str, key: str) -> tuple[Path, Path] | None:
    """The folder of a bucket that is one, and where in it a video lies; None of a bucket elsewhere."""
    if not bucket.startswith("file://"):
        return None
    root = Path(unquote(urlparse(bucket).path))
    return root, root / to_path(key)


def is_within(root: Path, folder: Path) -> bool:
    """Whether the bucket is on this machine, and the folder in it: keys and links may lead elsewhere."""
    return root.is_dir() and folder.resolve().is_relative_to(root.resolve())


def _stem(video: str) -> str:
    return re.sub(r"\.[A-Za-z0-9_~]{1,10}$", "", video) or video


def _folded(name: str) -> str:
    """Names that some file systems do not tell apart are one."""
    return unicodedata.normalize("NFC", name).casefold()


def _without_language(stem: str) -> str | None:
    """`talk` of `talk.en`."""
    base, _, last = stem.rpartition(".")
    return base if base and language_code(last) else None


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
