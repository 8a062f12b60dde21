"""Some members of a JSON object of any size, in bounded memory.

The object is read once, through a window that moves over it. A value that lies whole in the window is left to the scanner
of the standard library, which is fast; only what lies across its edge is walked through here. All of it must be JSON as
`json.loads` takes it, also what is not asked for.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import Any

WINDOW = 1 << 20  # bytes that are decoded at a time
LIST_CHARS = 1 << 20  # of the strings of one list
NAME_CHARS = 64  # of a member's name, that are compared
LONGEST_SCALAR = 1 << 20
MAX_DEPTH = 1_000_000
SCANNED_DEPTH = 3  # what the scanner gives up at is read again; so at few levels only, and the time grows with the size
ESCAPE_CHARS = 12  # of JSON for one character: an escaped pair of surrogates

_BLANK = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'"([^"\\\x00-\x1f]{0,1000})"')
_IN_STRING = re.compile(r'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_WORD = re.compile(r"[-+.0-9A-Za-z]*")
_SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null|NaN|-?Infinity")
_ARRAY, _OBJECT = b"[{"
_CLOSING = {_ARRAY: "]", _OBJECT: "}"}
# It makes no numbers: one of more than 4,300 digits would be an error, and what it makes is thrown away.
_SCANNER = json.JSONDecoder(parse_int=bool, parse_float=bool)


class NotJson(ValueError):
    """The text is no JSON; says why, as a sentence may go on after a colon."""


def read_members(pieces: Iterable[bytes], wanted: Collection[str], *, chars: int) -> dict[str, Any] | None:
    """The wanted members of the object in `pieces`; None when it is JSON, but no object.

    Of a string that is longer there are `chars` characters or some more, of a list about the first million. An object is
    None, and so is what a list has beside strings, and a number that Python does not read. Of members with one name the
    last counts. The text is in UTF-8, UTF-16 or UTF-32, with a byte order mark or without.

    Raises:
        NotJson.
    """
    reader = _Reader(_decoded(pieces), chars)
    if reader.next() != "{":
        reader.skip()
        reader.end()
        return None
    found: dict[str, Any] = {}
    for _ in reader.inside():
        name = reader.name(NAME_CHARS)
        if name in wanted:
            found[name] = reader.value()
        else:
            reader.skip()
    reader.end()
    return found


def _decoded(pieces: Iterable[bytes]) -> Iterator[str]:
    source = iter(pieces)
    head = b""
    while len(head) < 4 and (piece := next(source, None)) is not None:
        head += piece
    encoding = json.detect_encoding(head)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in chain((head,), source):
            for start in range(0, len(piece), WINDOW):
                yield decoder.decode(piece[start : start + WINDOW])
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        if "end of data" in error.reason or "truncated" in error.reason:
            raise NotJson("it is cut off in the middle of a character") from error
        name = encoding.upper().removesuffix("-SIG")
        raise NotJson(f"its text is not in {name}; save it in UTF-8") from error


class _Reader:
    """A place in a text that comes piece by piece; what lies before it is let go."""

    def __init__(self, source: Iterator[str], chars: int) -> None:
        self.source, self.chars = source, chars
        self.text, self.at = "", 0
        self.line, self.column = 1, 1  # of the window's first character

    def more(self) -> bool:
        """Take the next piece in; False at the end."""
        piece = next((piece for piece in self.source if piece), None)
        if piece is None:
            return False
        self.line, self.column = self._place()
        self.text, self.at = self.text[self.at :] + piece, 0
        return True

    def _place(self) -> tuple[int, int]:
        lines = self.text.count("\n", 0, self.at)
        if not lines:
            return self.line, self.column + self.at
        return self.line + lines, self.at - self.text.rindex("\n", 0, self.at)

    def wrong(self, wanted: str) -> NotJson:
        line, column = self._place()
        if self.at >= len(self.text):
            return NotJson(f"it is cut off after line {line}, column {column}" if self.text else "it is empty")
        return NotJson(f"in line {line}, column {column} there should be {wanted}, and not {self.text[self.at]!r}")

    def next(self) -> str:
        """The next character that is no blank, which stays; an empty string at the end."""
        while True:
            if self.text[self.at : self.at + 1] > " ":
                return self.text[self.at]
            blank = _BLANK.match(self.text, self.at)
            self.at = blank.end() if blank else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def end(self) -> None:
        if self.next():
            raise self.wrong("the end")

    def inside(self) -> Iterator[None]:
        """Once at each value of the array, or at each member of the object, that begins here."""
        kind = ord(self.text[self.at])
        self.at += 1
        if self.next() != _CLOSING[kind]:
            yield
            while self._goes_on(kind):
                yield
        else:
            self.at += 1

    def _goes_on(self, kind: int) -> bool:
        """Go past the comma after a value, or past the end of what it is in."""
        mark = self.next()
        if mark != "," and mark != _CLOSING[kind]:
            raise self.wrong(f"a comma or {_CLOSING[kind]!r}")
        self.at += 1
        return mark == ","

    def name(self, keep: int = 0) -> str:
        """Go past a member's name and its colon; returns the name's beginning."""
        if self.next() != '"':
            raise self.wrong("a name in quotes")
        name = self.string(keep)
        if self.next() != ":":
            raise self.wrong("a colon")
        self.at += 1
        return name

    def string(self, keep: int) -> str:
        """Go past a string; returns its first `keep` characters or some more."""
        if plain := _PLAIN.match(self.text, self.at):  # as nearly all are
            self.at = plain.end()
            return plain[1] if keep else ""
        self.at += 1
        kept: list[str] = []
        room = keep * ESCAPE_CHARS
        while True:
            inside = _IN_STRING.match(self.text, self.at)
            end = inside.end() if inside else self.at
            if room > 0:
                kept.append(self.text[self.at : end])
                room -= end - self.at
            self.at = end
            if self.text[end : end + 1] == '"':
                self.at += 1
                raw = "".join(kept)
                return str(json.loads(f'"{raw}"')) if "\\" in raw else raw
            # An escape may lie across the edge.
            if len(self.text) - end < 6 and self.more():
                continue
            raise self.wrong('more text, or its end with `"`')

    def scalar(self) -> str:
        """Go past a number, `true`, `false` or `null`; returns its text."""
        while True:
            word = _WORD.match(self.text, self.at)
            end = word.end() if word else self.at
            if end < len(self.text) or not self.more():
                break
            if len(self.text) - self.at > LONGEST_SCALAR + WINDOW:
                raise self.wrong(f"a value of at most {LONGEST_SCALAR:,} characters")
        said = self.text[self.at : end]
        if not _SCALAR.fullmatch(said):
            raise self.wrong("a value")
        self.at = end
        return said

    def value(self) -> Any:
        """Go past a value, and return what `read_members` says of it."""
        mark = self.next()
        if mark == '"':
            return self.string(self.chars)
        if mark == "{":
            return self.skip()
        if mark != "[":
            try:
                return json.loads(self.scalar())
            except NotJson:
                raise
            except ValueError:  # more digits than Python takes
                return None
        kept: list[str | None] = []
        room = LIST_CHARS
        for _ in self.inside():
            element = None
            if self.next() == '"':
                element = self.string(self.chars if room > 0 else 0)
            else:
                self.skip()
            if room > 0:
                kept.append(element)
            room -= len(element or "") + 2
        return kept

    def skip(self) -> None:
        """Go past a value of any kind and depth."""
        kinds = bytearray()  # of what is open
        while True:
            mark = self.next()
            if mark == '"':
                self.string(0)
            elif mark not in ("[", "{"):
                self.scalar()
            elif len(kinds) >= SCANNED_DEPTH or not self._scanned():
                if len(kinds) == MAX_DEPTH:
                    raise NotJson(f"more than {MAX_DEPTH:,} brackets are open at one time")
                kinds.append(ord(mark))
                self.at += 1
                if self.next() != _CLOSING[kinds[-1]]:
                    if mark == "{":
                        self.name()
                    continue
                self.at += 1
                kinds.pop()
            while kinds and not self._goes_on(kinds[-1]):
                kinds.pop()
            if not kinds:
                return
            if kinds[-1] == _OBJECT:
                self.name()

    def _scanned(self) -> bool:
        """Go past the array or object that begins here, if it lies whole in the window and is not too deep."""
        try:
            _, self.at = _SCANNER.raw_decode(self.text, self.at)
        except (ValueError, RecursionError):
            return False
        return True
