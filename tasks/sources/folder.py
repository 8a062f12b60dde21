"""A local folder as a bucket: every file in it, and where its links lead.

- A linked file is listed under the link's name, beside the file itself where that lies in the bucket too.
- A linked folder is listed below the link's name, likewise. Each link is followed once: where it lies, if that is in the bucket;
  else, for links in folders that other links lead to, on the first way there in alphabetical order. So there are as many names
  as files and links allow, and no more, however links are knotted; and they are the same in every run.
- A link to a folder that the way to it leads through is not followed.
- A link that leads out of the bucket is left out, and nothing behind it is looked at, unless `follow` says otherwise.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.records import Object
from tasks.sources.left_out import Unseen
from tasks.sources.values import readable, said

_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True, order=True)
class _Link:
    """A folder under the name of a link: where it is, and the ways that lead there, each from a folder down to a link's."""

    key: str
    path: str
    above: tuple[tuple[str, str], ...]


class Walk:
    """One look at all of a folder. `make` is asked for the object of a file, by its key and what is known of it."""

    def __init__(self, root: str, *, follow: bool, make: Callable[[str, os.stat_result], Object]) -> None:
        self.root, self.follow, self.make = root, follow, make
        self._links: list[_Link] = []
        self._known: set[str] = set()
        self._unreadable: Exception | None = None

    def objects(self) -> Iterator[Object | Unseen]:
        """Files, and what was left out.

        Raises:
            Exception: of the first folder that could not be read, after all others.
        """
        yield from self._below(_Link("", self.root, ()))
        while self._links:
            links, self._links = sorted(self._links), []
            for link in links:
                yield from self._below(link)
        if self._unreadable:
            raise self._unreadable

    def _below(self, top: _Link) -> Iterator[Object | Unseen]:
        prefix = f"{top.key}/" if top.key else ""
        folders, empty = [(prefix, top.path)], bool(top.key) and not within(top.path, self.root)
        while folders:
            prefix, path = folders.pop()
            try:
                with os.scandir(path) as entries:
                    for entry in entries:
                        empty = False
                        try:
                            key = prefix + to_key(entry.name)
                            if entry.is_dir(follow_symlinks=False):
                                if top.above and _circle(entry.path, top.above):
                                    yield Unseen(key, "circle")
                                else:
                                    folders.append((key + "/", entry.path))
                            elif entry.is_file(follow_symlinks=False):
                                yield self.make(key, entry.stat(follow_symlinks=False))
                            elif not entry.is_symlink():
                                yield Unseen(key, "special")
                            elif found := self._linked(key, entry.path, (*top.above, (top.path, path))):
                                yield found
                        except FileNotFoundError:
                            pass  # removed since its folder was read: not in the bucket any more
                        except Exception as error:  # of this file alone
                            yield Unseen(prefix + readable(entry.name), "odd", said(error))
            except Exception as error:
                if not prefix:
                    raise
                if not isinstance(error, FileNotFoundError):
                    self._unreadable = self._unreadable or error
        if empty:  # of a disk that is away often only the place is left where it belongs
            yield Unseen(top.key, "empty")

    def _linked(self, key: str, path: str, above: tuple[tuple[str, str], ...]) -> Object | Unseen | None:
        """What a link leads to; a folder comes later."""
        target = os.path.realpath(path)
        if not self.follow and not within(target, self.root):
            return Unseen(key, "outside")
        try:
            info = os.stat(path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                return Unseen(key, "circle")
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise
            return Unseen(key, "broken") if os.path.lexists(path) else None
        if stat.S_ISREG(info.st_mode):
            return self.make(key, info)
        if not stat.S_ISDIR(info.st_mode):
            return Unseen(key, "special")
        if _circle(target, above):
            return Unseen(key, "circle")
        if path not in self._known:
            self._known.add(path)
            self._links.append(_Link(key, target, above))
        return None


def within(path: str, root: str) -> bool:
    """Whether a real path is a folder or lies in it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def _circle(folder: str, above: tuple[tuple[str, str], ...]) -> bool:
    """Whether one is in this folder already, on the ways that led here."""
    return any(within(folder, first) and within(last, folder) for first, last in above)


def to_key(name: str) -> str:
    """A file name as text; bytes that are no UTF-8 are written `\\xff`, and a backslash before an x `\\x5c`."""
    if name.isascii() and "\\" not in name:
        return name
    return os.fsencode(name).replace(b"\\x", b"\\x5cx").decode("utf-8", "backslashreplace")


def to_path(key: str) -> str:
    """The other way: the escape is undone where a name had one."""
    if "\\x" not in key:
        return key
    return os.fsdecode(_ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), key.encode("utf-8")))
