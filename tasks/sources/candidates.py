"""Which objects of a bucket are taken for videos, by their keys alone.

A candidate has a media extension, or none; is not hidden; and fits the patterns. A pattern fits

- the key that it is, letter by letter, and all keys below the folder that it is (`talks`, `talks/`);
- as a glob: `*` is any text, `/` included, `?` one character, `[...]` one of these, all with case; at its end `/` is `/*`;
- as a glob in which `[` stands for itself, for names such as `Talk [dQw4w9WgXcQ].mp4`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from typing import Literal

from tasks.settings import Settings
from tasks.sources.folder import to_key
from tasks.sources.values import is_text

SUBTITLES = frozenset("ass dfxp idx lrc sami sbv smi srt ssa sub sup ttml usf vtt".split())
_EXTENSION = re.compile(r"[a-z0-9_~-]{1,10}").fullmatch  # "talk 3. part two" has a dot and no extension
Reason = Literal["hidden", "extension", "companion", "pattern"]


class Candidates:
    """The choice that settings make. `unmatched` are the patterns that no key has fitted yet, by option and pattern."""

    def __init__(self, settings: Settings) -> None:
        self._extensions = frozenset(settings.media_extensions)
        self._include = fits(*settings.include) if settings.include else None
        self._exclude = fits(*settings.exclude) if settings.exclude else None
        self.unmatched = {
            (option, pattern if is_text(pattern) else to_key(pattern)): fits(pattern)
            for option, patterns in (("include", settings.include), ("exclude", settings.exclude))
            for pattern in patterns
        }

    def left_out(self, key: str) -> tuple[Reason, str] | None:
        """Why a key is no candidate, and its extension; None where it is one."""
        name = key.rpartition("/")[2]
        stem, dot, extension = name.rpartition(".")
        if name[:1] == ".":
            return "hidden", ""
        if dot and stem and extension not in self._extensions:
            extension = extension.lower()
            if extension not in self._extensions and _EXTENSION(extension):
                if extension in SUBTITLES:
                    return "companion", extension
                return ("extension" if self.wanted(key) else "pattern"), extension
        return None if self.wanted(key) else ("pattern", extension)

    def wanted(self, key: str) -> bool:
        """Whether a key fits the patterns."""
        return (not self._include or bool(self._include(key))) and not (self._exclude and self._exclude(key))

    def unwanted_link(self, key: str) -> bool:
        """Whether a link, or all below it, is left out on purpose."""
        return bool(self._exclude and (self._exclude(key) or self._exclude(key + "/")))

    def match(self, key: str) -> None:
        """Note which patterns an object fits, candidate or not."""
        for name in [name for name, fit in self.unmatched.items() if fit(key)]:
            del self.unmatched[name]


def fits(*patterns: str) -> Callable[[str], object]:
    """A function that is true of the keys that fit one of some patterns."""
    return re.compile("|".join(form for pattern in patterns for form in _forms(pattern))).match


def _forms(pattern: str) -> Iterator[str]:
    if pattern and not is_text(pattern):  # a file name as the shell handed it over
        pattern = to_key(pattern)
    yield rf"{re.escape(pattern)}\Z"
    if folder := pattern.rstrip("/"):
        yield f"{re.escape(folder)}/"
    glob = f"{pattern}*" if pattern.endswith("/") else pattern
    yield fnmatch.translate(glob)
    if "[" in glob:
        yield fnmatch.translate(glob.replace("[", "[[]"))
