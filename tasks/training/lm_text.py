"""Text for a language model: sentences of text files, and what an archive's own sidecars say."""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tasks.errors import BadSidecar, Misconfigured, Permanent, Transient
from tasks.evaluation.manifest import Problems
from tasks.sources.bucket import Bucket
from tasks.sources.listing import SIDECAR_SUFFIXES
from tasks.sources.metadata import make_metadata, parse_sidecar
from tasks.text.spoken import to_alphabet

RUN = 6  # words in a row that two texts do not share by chance
SENTENCE_END = re.compile(r"(?<=[.!?;:])[\"')\]]*\s+")


def read_sentences(paths: Sequence[Path], alphabet: str, language: str = "en") -> Iterator[str]:
    """Sentences of text files in the letters of an alphabet; see `text_sentences`."""
    for sentence in text_sentences(paths):
        if said := to_alphabet(sentence, alphabet, language=language)[0]:
            yield said


def text_sentences(paths: Sequence[Path]) -> Iterator[str]:
    """Sentences of plain text files (also `.xz`), as they are written.

    Raises:
        Misconfigured: a file is missing or is not text.
    """
    for path in paths:
        opener = lzma.open if path.suffix == ".xz" else open
        try:
            with opener(path, "rt", encoding="utf-8") as handle:
                for line in handle:
                    yield from filter(None, SENTENCE_END.split(line.strip()))
        except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
            raise Misconfigured(f"{path} cannot be read as text: {error}", next="Name plain text files.") from error


def without(sentences: Iterable[str], held_back: Iterable[str], run: int = RUN) -> Iterator[str]:
    """The sentences that are none of the texts that the model is to be judged by, and share no `run` words in a row."""
    held_back = set(held_back)
    seen = {tuple(words[i : i + run]) for words in map(str.split, held_back) for i in range(len(words) - run + 1)}
    for sentence in sentences:
        words = sentence.split()
        if sentence not in held_back and not any(
            tuple(words[i : i + run]) in seen for i in range(len(words) - run + 1)
        ):
            yield sentence


def sidecar_sentences(bucket: Bucket, alphabet: str, problems: Problems, language: str = "en") -> Iterator[str]:
    """Titles, descriptions and tags of a bucket's sidecars; one that cannot be read is added to `problems`."""
    for found in bucket.list():
        if not found.key.endswith(SIDECAR_SUFFIXES):
            continue
        try:
            metadata = make_metadata(found.key, parse_sidecar(bucket.sidecar(found.key), found.key), {})
        except (BadSidecar, Permanent, Transient):
            problems.add("unreadable sidecar", found.key)
            continue
        for text in (metadata.title, metadata.description, *metadata.tags):
            parts = SENTENCE_END.split(text)
            yield from filter(None, (to_alphabet(part, alphabet, language=language)[0] for part in parts))
