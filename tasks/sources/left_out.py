"""What a listing has beside candidates: counted, and told to people where they would miss something."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

Why = Literal["outside", "broken", "circle", "special", "odd", "empty"]
MOST_EXTENSIONS = 1000  # counted at one time: an archive may have a million
SHOWN_EXTENSIONS = 50
NAMED = 20


@dataclass(frozen=True, slots=True)
class Unseen:
    """A name in a listing behind which nothing was seen, and why. What the lake knows by it, or below it, is not gone.

    outside  a link that leads out of the bucket        special  a pipe, a socket, a device, or a link to one
    broken   a link that leads nowhere                  odd      something about which nothing usable can be found out
    circle   a link to itself, or to where it lies       empty    a link out of the bucket, to a folder with nothing in it
    """

    key: str
    why: Why
    said: str = ""


@dataclass
class LeftOut:
    """Counts of what is no candidate; of a bounded size, whatever the bucket has."""

    listed: int = 0  # all names in the listing
    by_extension: int = 0
    extensions: Counter[str] = field(default_factory=Counter)
    by_pattern: int = 0
    hidden: int = 0
    companions: int = 0  # sidecars and subtitles
    unseen: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)  # the first of `unseen`, by why
    unmatched: list[tuple[str, str]] = field(
        default_factory=list
    )  # patterns that fit no object: include or exclude, pattern

    def count(self, why: str, extension: str) -> None:
        """Count an object that is no candidate (`Candidates.left_out`)."""
        if why == "pattern":
            self.by_pattern += 1
        elif why == "hidden":
            self.hidden += 1
        elif why == "companion":
            self.companions += 1
        else:
            self._by_extension(extension)

    def _by_extension(self, extension: str) -> None:
        self.by_extension += 1
        self.extensions[extension] += 1
        if len(self.extensions) > 2 * MOST_EXTENSIONS:  # what is frequent stays, or soon comes back
            self.extensions = Counter(dict(self.extensions.most_common(MOST_EXTENSIONS)))

    def see(self, item: Unseen) -> None:
        """Count what a listing left out."""
        self.unseen[item.why] += 1
        names = self.names.setdefault(item.why, [])
        if len(names) < NAMED:
            names.append(f"{item.key or 'without a name'} ({item.said})" if item.said else item.key)

    def as_json(self) -> dict[str, Any]:
        """All counts; extensions from the most frequent on."""
        return {
            "extension": self.by_extension,
            "extensions": dict(self.extensions.most_common(SHOWN_EXTENSIONS)),
            "pattern": self.by_pattern,
            "hidden": self.hidden,
            "companions": self.companions,
            "links": {why: self.unseen[why] for why in ("outside", "broken", "circle")},
            "special": self.unseen["special"],
            "odd": self.unseen["odd"],
            "unmatched": [{"option": option, "pattern": pattern} for option, pattern in self.unmatched],
        }

    def warnings(self) -> list[str]:
        """What somebody has to look at."""
        n = self.unseen["odd"]
        if not n:
            return []
        what = f"{_count(n, 'object')} {'was' if n == 1 else 'were'} left out, as nothing usable can be found out about"
        return [f"{what} {'it' if n == 1 else 'them'}, and not marked as gone: {self._named('odd')}."]

    def notes(self, *, all_of_it: bool = False) -> list[str]:
        """A line for each reason; with `all_of_it` also what was left out because somebody wanted it so."""
        lines = []
        if self.by_extension:
            lines.append(f"{_objects(self.by_extension)} left out by extension: {self._extensions()}.")
        for why, (one, many, more) in _SENTENCES.items():
            if n := self.unseen[why]:
                lines.append(f"{n:,} {one if n == 1 else many}: {self._named(why)}.{more}")
        for option, pattern in self.unmatched:
            lines.append(f"The {option} pattern {pattern!r} fits no object. {_PATTERNS}")
        if all_of_it:
            for n, why in (
                (self.by_pattern, "left out by the include and exclude patterns"),
                (self.hidden, "hidden by a dot before the name"),
                (self.companions, "metadata (.json) or subtitles"),
            ):
                if n:
                    lines.append(f"{_objects(n)} {why}.")
        return lines

    def _extensions(self, most: int = 8) -> str:
        shown = self.extensions.most_common(most)
        rest = self.by_extension - sum(n for _, n in shown)
        return ", ".join([*(f"{n:,} .{name}" for name, n in shown), *([f"{rest:,} others"] if rest else [])])

    def _named(self, why: str) -> str:
        names, n = self.names[why], self.unseen[why]
        # In the warnings as they are: they are kept, and what names a forgotten video is taken out by its key.
        shown = names if why == "odd" else [_printable(name) for name in names[:3]]
        return ", ".join(shown) + (f" and {n - len(shown):,} more" if n > len(shown) else "")


_SENTENCES = {
    "outside": (
        "link leads out of the bucket and was left out",
        "links lead out of the bucket and were left out",
        " The setting follow_links takes them in.",
    ),
    "broken": ("link leads nowhere", "links lead nowhere", ""),
    "circle": (
        "link leads in a circle and was not followed",
        "links lead in circles and were not followed",
        "",
    ),
    "special": (
        "name is no file but a pipe, a socket or a device",
        "names are no files but pipes, sockets or devices",
        "",
    ),
}
_PATTERNS = "Patterns are compared with whole keys, such as talks/a.mp4."


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _printable(name: str) -> str:
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in name)


def _objects(n: int) -> str:
    return f"{_count(n, 'object')} {'is' if n == 1 else 'are'}"
