"""Numbers with a unit, a letter or a sign at them, as they may be said: "16ft" is 16 feet or sixteen foot, "2nd" is second."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from tasks.search.query import Variant, number_sayings
from tasks.search.unit_names import BETWEEN, MONEY, ORDINALS, SIGNS, Meaning, names_of, signs_of
from tasks.text.folding import fold
from tasks.text.spoken import spoken_number
from tasks.text.stemming import language_code

MOST_LETTERS = 4  # that are said one by one
LONGEST_NUMBER = 6  # words of a number
MOST_RUNS = 6  # of digits and of letters in one word


class Way(NamedTuple):
    """Another way to write a few words: as somebody would type it, and all that is said for it."""

    typed: Variant
    said: tuple[Variant, ...]


class Numbered(NamedTuple):
    """Words `start` to `end` (exclusive) of a query, and the ways to write them that mean the same."""

    start: int
    end: int
    ways: tuple[Way, ...]


def numbered(words: Sequence[str], gaps: Sequence[str], languages: Sequence[str]) -> Iterator[Numbered]:
    """Every place of a query where a number, a unit and signs can be written otherwise, the likeliest meaning first.

    `gaps` are what stands before each word and behind the last (`tasks.text.folding.typed_parts`).
    """
    codes = tuple(dict.fromkeys(language_code(language).split("-")[0] for language in languages))
    for at, word in enumerate(words):
        if any(c.isdecimal() for c in word) and not word.endswith("*"):
            runs = re.findall(r"\d+(?:[.,]\d+)*|[^\W\d_]+", word)
            start, number = _number_before(words, gaps, at, runs[0])
            if len(runs) > MOST_RUNS:
                continue
            if len(runs) > 1:
                yield from _glued(words, gaps, start, at, [number, *runs[1:]], codes)
            else:
                yield from _apart(words, gaps, start, at, number, codes)
        elif word in _number_words(codes):
            yield from _spoken(words, gaps, at, codes)
        if at and words[at - 1] in _number_words(codes):
            yield from _units(words, at, codes)
        yield from _signs_between(words, gaps, at, codes)


def _number_before(words: Sequence[str], gaps: Sequence[str], at: int, number: str) -> tuple[int, str]:
    """A number that letters follow loses its point to the words before: the whole of it, and where it begins."""
    start = at
    while number[0].isdecimal() and start and gaps[start] in (".", ",", ":") and words[start - 1].isdecimal():
        start -= 1
        number = f"{words[start]}{gaps[start + 1]}{number}"
    return start, number


def _glued(
    words: Sequence[str], gaps: Sequence[str], start: int, at: int, runs: Sequence[str], codes: tuple[str, ...]
) -> Iterator[Numbered]:
    """Of digits and letters without a space between."""
    end = at + 1
    if len(runs) == 2 and runs[0][0].isdecimal():
        number, letters = runs
        if end < len(words) and gaps[end] == "/" and f"{letters}/{words[end]}" in signs_of(codes):
            letters, end = f"{letters}/{words[end]}", end + 1
        if said := _ordinal(number, letters, codes):
            yield Numbered(start, end, tuple(Way(way, (way,)) for way in said))
        before = gaps[start].rstrip()[-1:]
        money = signs_of(codes).get(before, [()])[0] if before in MONEY else ()
        for meaning in signs_of(codes).get(letters, ()):
            if money:  # "$5m" is five million dollars
                meaning = tuple((c, name + more) for c, name in meaning for code, more in money if c == code)
            yield _with_unit(start, end, number, letters, meaning, codes)
    read = {run: _numbers(run, codes) for run in runs if run[0].isdecimal()}
    yield Numbered(start, end, (Way(tuple(runs), _said([read.get(run, ((run,),)) for run in runs])),))
    if all(run in read or len(run) <= MOST_LETTERS for run in runs):
        spelt = [read.get(run, (tuple(run),)) for run in runs]
        typed = tuple(itertools.chain(*(part[0] for part in spelt)))
        yield Numbered(start, end, (Way(typed, _said(spelt)),))
    if runs[1:-1] == ["x"] and "en" in codes:  # four by four
        a, _, b = runs
        yield Numbered(
            start, end, tuple(Way((a, by, b), _said([read[a], ((by,),), read[b]])) for by in ("by", "times"))
        )


def _apart(
    words: Sequence[str], gaps: Sequence[str], start: int, at: int, number: str, codes: tuple[str, ...]
) -> Iterator[Numbered]:
    """Of a number with a sign at it, or with a unit behind it, as in "$5", "80 %" and "16 ft"."""
    before, behind = gaps[start].rstrip()[-1:], gaps[at + 1].lstrip()
    after = behind[:1] + (words[at + 1] if behind == "°" and at + 1 < len(words) else "")
    for sign, end in ((after, at + 1 + (len(after) > 1)), (before, at + 1)):
        for meaning in signs_of(codes).get(sign, ()) if sign[:1] in SIGNS else ():
            yield _with_unit(start, end, number, "", meaning, codes)
    for end in range(min(len(words), at + 5), at + 1, -1):
        name = tuple(words[at + 1 : end])
        if len(name) == 2 and gaps[at + 2] == "/":
            name = ("/".join(name),)
        for sign, meaning in names_of(codes).get(name, ()):
            yield _with_unit(start, end, number, sign, meaning, codes)


def _with_unit(start: int, end: int, number: str, sign: str, meaning: Meaning, codes: tuple[str, ...]) -> Numbered:
    """A number and all ways to say its unit; with a `sign` of letters also that, apart and together."""
    ways = [Way((number, *name), _said([_numbers(number, (code,), False), (name,)])) for code, name in meaning]
    if sign.isalnum():
        read = _numbers(number, codes, False)
        ways += [Way((number, sign), _said([read, ((sign,),)])), Way((number + sign,), ((number + sign,),))]
    return Numbered(start, end, tuple(ways))


def _units(words: Sequence[str], at: int, codes: tuple[str, ...]) -> Iterator[Numbered]:
    """Of a unit behind a number, whichever way that is written: "sixteen ft"."""
    for end in range(min(len(words), at + 4), at, -1):
        for sign, meaning in names_of(codes).get(tuple(words[at:end]), ()):
            yield Numbered(at, end, tuple(Way(name, (name,)) for name in (*(name for _, name in meaning), (sign,))))


def _spoken(words: Sequence[str], gaps: Sequence[str], at: int, codes: tuple[str, ...]) -> Iterator[Numbered]:
    """Of a number in words: in figures, with a unit behind it too."""
    for end in range(min(len(words), at + LONGEST_NUMBER), at, -1):
        for written in _written(codes).get(tuple(words[at:end]), ()):
            yield Numbered(at, end, (Way((written,), ((written,),)),))
            if written.isdecimal():
                yield from _apart(words, gaps, at, end - 1, written, codes)


@cache
def _written(codes: tuple[str, ...]) -> dict[Variant, list[str]]:
    """How numbers, years and ordinals are written that are said so, as far as they are common."""
    found: dict[Variant, list[str]] = {}
    for code in codes:
        for number in map(str, (*range(101), *range(1900, 2051))):
            texts = {spoken_number(number, code, count=count): number for count in (False, True)}
            if code == "en":
                texts |= dict.fromkeys(_decade(number), number + "s")
                texts[spoken_number(number, code, ordinal=True)] = number + _ending(int(number))
            for text, written in texts.items():
                saying = tuple(fold(text).split())
                for way in {saying, tuple(word for word in saying if word != "and")} - {()}:
                    found.setdefault(way, []).append(written)
    return found


def _ending(number: int) -> str:
    return "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _decade(number: str) -> list[str]:
    if number[-1] != "0":
        return []
    read = [spoken_number(number, "en", count=count) for count in (False, True)]
    return [f"{text[:-1]}ies" if text.endswith("y") else f"{text}s" for text in dict.fromkeys(read)]


@cache
def _number_words(codes: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word for saying in _written(codes) for word in saying)


def _signs_between(words: Sequence[str], gaps: Sequence[str], at: int, codes: tuple[str, ...]) -> Iterator[Numbered]:
    """Of words that signs join without a space, as in "R&D" and "example.com", from the first of them on."""
    known = {sign for code in codes for sign in BETWEEN.get(code, ())}
    if (at and gaps[at] in known) or at + 1 >= len(words) or gaps[at + 1] not in known:
        return
    end = at + 1
    while end < len(words) and gaps[end] in known:
        end += 1
    for code in codes:
        signs = BETWEEN.get(code, {})
        if all(gaps[n] in signs for n in range(at + 1, end)):
            parts: list[tuple[Variant, ...]] = [((words[at],),)]
            for n in range(at + 1, end):
                parts += [tuple((said,) for said in signs[gaps[n]]), ((words[n],),)]
            yield Numbered(at, end, tuple(Way(said, (said,)) for said in _said(parts)))


def _said(parts: Sequence[Sequence[Variant]]) -> tuple[Variant, ...]:
    """Every way to say parts one after the other, at most a hundred."""
    ways = (tuple(itertools.chain(*chosen)) for chosen in itertools.product(*parts))
    return tuple(dict.fromkeys(itertools.islice(ways, 100)))


@lru_cache(maxsize=1000)
def _numbers(number: str, codes: tuple[str, ...], figures: bool = True) -> tuple[Variant, ...]:
    """`number_sayings`, and of "3:30" its parts one after the other."""
    parts = re.split(r"[.,:]", number)
    ways = list(number_sayings(number, codes, figures=figures)) if ":" not in number else [(*parts,)]
    if len(parts) > 1 and all(len(part) < 4 for part in parts):
        read = [tuple(word for part in parts for word in fold(spoken_number(part, code)).split()) for code in codes]
        ways += [way for way in read if way]
    return tuple(dict.fromkeys(ways))


def _ordinal(number: str, letters: str, codes: tuple[str, ...]) -> list[Variant]:
    """Of "21st" twenty first, of "1990s" nineteen nineties; nothing where the letters are neither."""
    found: list[str] = []
    if not re.fullmatch(r"\d{1,9}", number):
        return []
    for code in codes:
        if letters in ORDINALS.get(code, "").split():
            found.append(spoken_number(number, code, ordinal=True))
    if letters == "s" and "en" in codes and number[-1] == "0":
        found += _decade(number)
    said = [tuple(fold(text).split()) for text in found]
    return list(dict.fromkeys(way for way in said if way))
