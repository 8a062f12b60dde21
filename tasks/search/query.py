"""A search as both engines understand it: what was typed, and everything that may have been said for it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from tasks.errors import BadQuery, Misconfigured
from tasks.search.places import USUAL, Place
from tasks.settings import Settings
from tasks.text.folding import fold, typed_words, words_of
from tasks.text.passages import CARRIED_WORDS
from tasks.text.spoken import spoken_number, without_commas

MAX_WORDS = CARRIED_WORDS + 1
MAX_PHRASES = 64  # ways to say a phrase that has synonyms or numbers in it
MOST_COMBINED = 4096  # of which these are taken
SHORTEST_PREFIX = 2
_QUOTES = '"“”„«»'

Mode = Literal["words", "any", "phrase"]
Variant = tuple[str, ...]
Synonyms = Mapping[Variant, Sequence[Variant]]


@dataclass(frozen=True)
class Term:
    """A word of the query. `said` are the ways to say it, as typed first; with `prefix`, words that begin with it count."""

    said: tuple[Variant, ...]
    prefix: bool = False

    @property
    def word(self) -> str | None:
        """The word as typed, if it is one word of letters: these also have stems and typos."""
        word = self.said[0][0]
        return word if len(self.said[0]) == 1 and not self.prefix and not any(c.isdigit() for c in word) else None


@dataclass(frozen=True)
class Query:
    """What to look for.

    In mode "words", every slot must be heard in one passage or the words it carries along, and one of them in the passage
    itself; in mode "any", one of them is enough, and passages with more of them come first; in mode "phrase", the slots
    follow each other, and neither `stems` nor `typos` count. Videos of another `status` than "indexed" have no words: asked for, they
    are found by those of their titles. `moments` are the first of a video or, with `spread` and from the lake alone, the
    first in each of so many equal parts of it. Numbers are read in `languages`. It looks in `places`; a moment on the screen
    counts `screen_weight` where one that is said counts 1.
    """

    text: str
    slots: tuple[Term, ...]
    mode: Mode = "words"
    stems: bool = True
    typos: bool = False
    topic: str | None = None
    since: date | None = None
    until: date | None = None
    language: str | None = None
    status: str = "indexed"
    min_confidence: float = 0.0
    video: str | None = None
    limit: int = 10
    offset: int = 0
    moments: int = 3
    spread: bool = False
    languages: tuple[str, ...] = ("en",)
    places: tuple[Place, ...] = USUAL
    screen_weight: float = 0.5

    @property
    def phrases(self) -> tuple[Variant, ...]:
        """Every way to say the slots one after the other, as typed first."""
        ways = (tuple(itertools.chain(*parts)) for parts in itertools.islice(self._combined(), MOST_COMBINED))
        fitting = (way for way in ways if len(way) <= MAX_WORDS)
        return tuple(dict.fromkeys(itertools.islice(fitting, MAX_PHRASES)))

    def _combined(self) -> Iterator[tuple[Variant, ...]]:
        """A saying of each slot, the likelier ones of all slots before the unlikely ones of any."""
        for place in range(max(len(slot.said) for slot in self.slots)):
            choices = [range(min(place + 1, len(slot.said))) for slot in self.slots]
            for chosen in itertools.product(*choices):
                if max(chosen) == place:
                    yield tuple(slot.said[n] for slot, n in zip(self.slots, chosen, strict=True))

    @property
    def typed(self) -> tuple[str, ...]:
        """The words as typed, folded."""
        return tuple(itertools.chain(*(slot.said[0] for slot in self.slots)))


def make_query(
    text: str,
    *,
    phrase: bool = False,
    any_word: bool = False,
    languages: Sequence[str] = ("en",),
    synonyms: Synonyms | None = None,
    **options: Any,
) -> Query:
    """The query of a typed text; one in quotation marks is a phrase. `options` are `Query`'s own.

    Raises:
        BadQuery: see `query_slots`; a word of a phrase is cut short with `*`, or any of its words would do.
    """
    stripped = text.strip()
    phrase = phrase or (len(stripped) > 2 and stripped[0] in _QUOTES and stripped[-1] in _QUOTES)
    slots = query_slots(text, languages=languages, synonyms=synonyms)
    if options.get("status", "indexed") != "indexed" and (phrase or any_word or any(slot.prefix for slot in slots)):
        raise BadQuery(
            "Videos without words are found by whole words of their titles, all of them.",
            next="Leave out --phrase, --any and *.",
        )
    if phrase and any(slot.prefix for slot in slots):
        raise BadQuery("A phrase has whole words only.", next="Leave out the * or the quotation marks.")
    if phrase and any_word:
        raise BadQuery("A phrase wants all of its words.", next="Leave out --any or the quotation marks.")
    mode: Mode = "phrase" if phrase else "any" if any_word else "words"
    return Query(text=text, slots=slots, mode=mode, languages=tuple(languages), **options)


def query_slots(text: str, *, languages: Sequence[str] = ("en",), synonyms: Synonyms | None = None) -> tuple[Term, ...]:
    """What a typed text asks for: its words, their synonyms, and numbers as they are read aloud in `languages`.

    Raises:
        BadQuery: there is no word, there are too many, or a prefix is too short.
    """
    words = typed_words(text)
    if not words:
        raise BadQuery(f"There is no word in {text[:80]!r} to look for.", next='nightscribe search "two words"')
    slots = []
    at = 0
    while at < len(words):
        used, slot = _slot(words, at, languages, synonyms or {})
        slots.append(slot)
        at += used
    spelt = sum(len(slot.said[0]) for slot in slots)
    if spelt > MAX_WORDS:
        raise BadQuery(f"A query has at most {MAX_WORDS} words; this has {spelt}.", next="Leave some out.")
    return tuple(slots)


def _slot(words: Sequence[str], at: int, languages: Sequence[str], synonyms: Synonyms) -> tuple[int, Term]:
    """The slot that begins with word `at`, and how many words it takes: the longest that has synonyms, else one."""
    word = words[at]
    if word.endswith("*"):
        if len(word) <= SHORTEST_PREFIX:
            raise BadQuery(f"{word!r} would begin too many words.", next=f"Give {SHORTEST_PREFIX} letters or more.")
        return 1, Term(((word[:-1],),), prefix=True)
    longest = max(map(len, synonyms), default=0)
    for length in range(min(longest, len(words) - at), 0, -1):
        saying = tuple(words[at : at + length])
        if saying in synonyms:
            return length, Term((saying, *synonyms[saying]))
    if word[0].isdigit():
        return 1, Term(number_sayings(word, languages))
    return 1, Term(((word,),))


def number_sayings(digits: str, languages: Sequence[str], *, figures: bool = True) -> tuple[Variant, ...]:
    """A number as written, and as it may be read aloud: as a year, as a count, and with `figures` one by one."""
    plain = without_commas(digits)
    ways = [(digits,), tuple(re.split(r"[.,]", digits)), (plain,)]
    if not re.fullmatch(r"\d{1,15}(\.\d{1,6})?", plain):
        return tuple(dict.fromkeys(ways))
    whole = "." not in plain
    read = [spoken_number(plain, language) for language in languages]
    read += [spoken_number(plain, language, count=True) for language in languages if whole]
    if figures and whole and len(plain) > 1:
        read += [" ".join(spoken_number(figure, language) for figure in plain) for language in languages]
    for text in read:
        said = fold(text).split()
        ways += [tuple(said), tuple(word for word in said if word != "and")]
    return tuple(dict.fromkeys(way for way in ways if way and all(way)))


def read_synonyms(lines: Sequence[str]) -> dict[Variant, list[Variant]]:
    """Synonyms as a file has them: sayings that mean the same in a line, with commas between; `#` begins a remark."""
    found: dict[Variant, list[Variant]] = {}
    for line in lines:
        group = [tuple(words_of(part)) for part in line.split("#")[0].split(",")]
        group = list(dict.fromkeys(way for way in group if way))
        for way in group:
            known = found.setdefault(way, [])
            known += [other for other in group if other != way and other not in known]
    return found


def synonyms_of(settings: Settings) -> Synonyms:
    """The synonyms of the settings' file.

    Raises:
        Misconfigured: it cannot be read.
    """
    if settings.synonyms is None:
        return {}
    try:
        return read_synonyms(settings.synonyms.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"synonyms {settings.synonyms} cannot be read: {error}", next="Mend the setting."
        ) from error
