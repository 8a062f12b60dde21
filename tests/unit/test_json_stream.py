"""Members of JSON objects that do not fit into memory, and whether what is read is what `json` reads."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from conftest import REPO

from tasks.sources import json_stream
from tasks.sources.json_stream import NotJson, read_members

WANTED = ("title", "tags", "n", "d")


def read(text: str | bytes, **options: int) -> dict[str, Any] | None:
    data = text.encode() if isinstance(text, str) else text
    return read_members([data], WANTED, **{"chars": 1000, **options})


def test_members_of_the_object_itself_are_read_and_none_within_it():
    found = read('{"x": {"title": "no", "n": 1}, "comments": [{"title": "no", "d": 2}], "title": "yes", "n": 3}')
    assert found == {"title": "yes", "n": 3}


def test_of_one_name_the_last_counts_also_when_it_is_of_another_kind():
    assert read('{"title": "a", "n": 1, "title": "b", "n": {"n": 2}}') == {"title": "b", "n": None}


def test_names_may_be_written_with_escapes():
    assert read(r'{"\u0074itle": "yes", "titl\u00e9": "no", "title\u0000": "no"}') == {"title": "yes"}


def test_lists_keep_their_strings():
    assert read('{"tags": ["a", 1, ["b"], {"c": "d"}, null, "e"], "n": []}') == {
        "tags": ["a", None, None, None, None, "e"],
        "n": [],
    }


def test_strings_and_lists_are_cut():
    escaped = "\\ud83d\\ude00" * 5000
    found = read(f'{{"title": "{"x" * 5_000_000}", "d": "{escaped}", "n": 1}}', chars=1000)
    assert found is not None
    assert 1000 <= len(found["title"]) < 2_100_000
    assert found["title"].strip("x") == ""
    assert found["d"][:1000] == "😀" * 1000
    found = read('{"tags": ["' + '", "'.join(["word"] * 1_000_000) + '"], "n": 1}')
    assert found is not None
    assert (found["n"], set(found["tags"])) == (1, {"word"})
    assert 100_000 < len(found["tags"]) < 1_000_000


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-0", "12345678901234567890123", "1.5E-3"])
def test_numbers_are_those_of_python(text: str):
    assert repr(read(f'{{"n": {text}}}')) == repr({"n": json.loads(text)})


@pytest.mark.parametrize(
    "text",
    ["01", "+1", ".5", "1.", "1e", "-", "-NaN", "nan", "True", "tru", "0x10", "1_000", '"\\x41"', '"\\u12g4"', '"\t"',
     "[1,]", "[,1]", "[1 2]", '{"a"}', '{"a":1,}', "{1: 2}", '{"a" 1}', "[1}", '{"a": 1]', "'a'", "// a", "٣"],
)  # fmt: skip
def test_what_is_no_json_is_refused_also_in_what_nobody_asked_for(text: str):
    for whole in (f'{{"x": {text}, "title": "t"}}', f'{{"x": [[[[{text}]]]], "title": "t"}}', f'{{"title": {text}}}'):
        with pytest.raises(ValueError):
            json.loads(whole)
        with pytest.raises(NotJson):
            read(whole)


def made(dice: random.Random, depth: int = 0) -> object:
    """A value of any kind."""
    if depth < 4 and dice.random() < 0.3:
        names = (*WANTED, "x", '"', "\\", "é", "😀", "")
        return {dice.choice(names): made(dice, depth + 1) for _ in range(dice.randrange(4))}
    if depth < 4 and dice.random() < 0.35:
        return [made(dice, depth + 1) for _ in range(dice.randrange(4))]
    return dice.choice(
        [1, -2, 0, 1.5, 1e300, -0.0, float("nan"), float("inf"), -float("inf"), True, None, False, "", 'a"b', "\n\t", "é€😀",
         "\ud800", "x" * 30, 10**30]
    )  # fmt: skip


def damaged(dice: random.Random, data: bytes) -> bytes:
    some = bytearray(data)
    for _ in range(dice.randrange(1, 3)):
        at = dice.randrange(len(some) or 1)
        how = dice.randrange(4)
        if how == 0:
            del some[at : at + dice.randrange(1, 4)]
        elif how == 1:
            some[at : at + 1] = dice.choice([b"{", b"}", b"[", b'"', b",", b"\\", b"0", b"e", b"\x1f"])
        elif how == 2:
            some.insert(at, dice.choice(b'{}[]",:\\ 0-1.eEtfnuN'))
        else:
            del some[at:]
    return bytes(some)


def as_json_reads(data: bytes) -> object:
    """What `json` makes of it, in the form that `read_members` answers with."""
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except ValueError:
        return "not JSON"
    if not isinstance(value, dict):
        return None
    kept = {name: value[name] for name in value if name in WANTED}
    return {
        name: [part if isinstance(part, str) else None for part in of] if isinstance(of, list) else None if isinstance(of, dict) else of
        for name, of in kept.items()
    }  # fmt: skip


@pytest.mark.parametrize("window", [1, 2, 3, 7, 64, 1 << 20])
def test_random_and_damaged_objects_are_read_as_json_reads_them(window: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json_stream, "WINDOW", window)
    dice = random.Random(window)
    kinds = {"good": 0, "bad": 0}
    for _ in range(1500):
        value = {dice.choice((*WANTED, "x")): made(dice) for _ in range(dice.randrange(6))}
        data = json.dumps(value, ensure_ascii=dice.random() < 0.5, indent=dice.choice([None, 1])).encode(
            "utf-8", "replace"
        )
        if dice.random() < 0.6:
            data = damaged(dice, data)
        size = dice.choice([1, 2, 5, 100_000])
        try:
            found: object = read_members([data[i : i + size] for i in range(0, len(data), size)], WANTED, chars=1000)
        except NotJson:
            found = "not JSON"
        assert repr(found) == repr(as_json_reads(data)), data
        kinds["bad" if found == "not JSON" else "good"] += 1
    assert min(kinds.values()) > 300


LARGE = {
    "comments before and after": """
        yield b'{"id": "x", "comments": ['
        yield from comments(100)
        yield b'], "title": "yes", "tags": ["a"], "n": 1, "replies": {"title": "no", "comments": ['
        yield from comments(100)
        yield b']}, "d": "2020"}'
    """,
    "a description of 50 MB": """
        yield b'{"title": "yes", "d": "'
        for _ in range(50):
            yield b"word " * 200_000
        yield b'", "x": "'
        for _ in range(150):
            yield b"\\\\u00e9" * 166_000
        yield b'", "tags": ["a"], "n": 1}'
    """,
    "tags without end": """
        yield b'{"title": "yes", "n": 1, "d": "", "tags": ["a"'
        for _ in range(20):
            yield b', "tag"' * 150_000
        yield b"]}"
    """,
    "100,000 brackets": """
        yield b'{"x": ' + b'[{"title": ' * 100_000 + b"1" + b"}]" * 100_000
        yield b', "title": "yes", "tags": ["a"], "n": 1, "d": ""}'
    """,
    "one number": """
        yield b'{"title": "yes", "tags": ["a"], "n": 1, "d": "", "x": ['
        yield b"1" * 1_000_000 + b"]}"
    """,
    "blanks": """
        yield b'{"title": "yes", "tags": ["a"], "n": 1, "d": ""'
        for _ in range(200):
            yield b" " * 1_000_000
        yield b"}"
    """,
}
SOURCE = """
import json, resource
from tasks.sources.json_stream import read_members

def comments(megabytes):
    one = {"id": "c", "text": "what a talk " * 20, "title": "no", "timestamp": 1, "n": 7, "replies": [{"d": "no"}] * 3}
    block = b", ".join([json.dumps(one).encode()] * (1_000_000 // len(json.dumps(one))))
    for n in range(megabytes):
        yield (b", " if n else b"") + block

def pieces():
%s

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = read_members(pieces(), ("title", "tags", "n", "d"), chars=100_000)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
print(json.dumps([found["title"], found["tags"][0], found["n"], found["d"][:4], grown]))
"""


@pytest.mark.parametrize("kind", LARGE)
def test_memory_does_not_grow_with_the_size(kind: str):
    source = SOURCE % textwrap.indent(textwrap.dedent(LARGE[kind]), "    ")
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=REPO, capture_output=True, text=True, timeout=300, check=True
    )
    *found, grown = json.loads(done.stdout)
    assert found[:3] == ["yes", "a", 1]
    assert found[3] in ("2020", "", "word")
    assert grown < 100, f"{grown} MB"
