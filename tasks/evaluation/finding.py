"""Whether what was said is found: known-item questions from true texts, asked of an archive of the recognised ones.

After the known-item searches of the spoken document retrieval tracks at TREC (Garofolo, Auzanne and Voorhees, "The TREC
Spoken Document Retrieval Track: A Success Story", 2000): somebody remembers words of one recording and wants it back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tasks.errors import Misconfigured
from tasks.evaluation.asr import Transcribed, heard_with
from tasks.evaluation.scores import normalised
from tasks.lake.commit import commit
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.models.catalog import ModelSet
from tasks.records import Cue, Metadata, Recipes, Result, VideoTask, Word
from tasks.search.answer import duck, suggestions
from tasks.search.engine import Engine
from tasks.search.otherwise import written_otherwise
from tasks.search.query import make_query
from tasks.settings import Settings
from tasks.stages.registry import STAGES
from tasks.stages.transcript import outcomes

NEAR = 12  # words between the two of a question, at most
SHORTEST = 4  # letters of a word that somebody would remember
COMMON = 0.05  # share of the recordings in which such a word may be
FIRST = 10  # places of an answer that are looked at
SHARES = (1, 3, 10)

WAYS: dict[str, dict[str, Any]] = {
    "as typed": {"stems": False, "typos": False},
    "with stems": {"stems": True, "typos": False},
    "with typos forgiven": {"stems": False, "typos": True},
    "with both": {"stems": True, "typos": True},
    "any of the words, with both": {"stems": True, "typos": True, "any_word": True},
}
SUGGESTED = "with both, and what is suggested where nothing is found"


@dataclass(frozen=True)
class Question:
    """Words that only recording number `answer` has, of those whose truth is known."""

    text: str
    answer: int


def questions(texts: Sequence[str], most: int, seed: int = 0) -> list[Question]:
    """Up to `most` questions, no two about the same recording, the same ones for the same texts."""
    said = [text.split() for text in texts]
    holders: dict[str, set[int]] = {}
    for number, words in enumerate(said):
        for word in words:
            holders.setdefault(word, set()).add(number)
    limit = max(2, COMMON * len(texts))
    chance = random.Random(seed)
    order = list(range(len(texts)))
    chance.shuffle(order)
    made = []
    for number in order:
        words = said[number]
        places = [i for i, w in enumerate(words) if len(w) >= SHORTEST and w.isalpha() and len(holders[w]) <= limit]
        pairs = [
            (words[a], words[b])
            for n, a in enumerate(places)
            for b in places[n + 1 :]
            if b - a <= NEAR and words[a] != words[b] and holders[words[a]] & holders[words[b]] == {number}
        ]
        if pairs:
            made.append(Question(" ".join(chance.choice(pairs)), number))
        if len(made) == most:
            break
    return made


def report(
    heard: Sequence[Transcribed], chosen: ModelSet, settings: Settings, scratch: Path, most: int
) -> dict[str, Any]:
    """What `evaluate search --json` prints (see the docs): shares of questions whose recording is among the first.

    Raises:
        Misconfigured: no question can be made of the texts.
    """
    language = chosen.spoken
    truth = [normalised(h.clip.text, language) for h in heard]
    asked = questions(truth, most)
    if not asked:
        raise Misconfigured(
            f"No two words name one of these {len(truth)} recordings.", next="Give more, or longer ones."
        )
    recognised = _archive(scratch / "recognised", [normalised(h.said, language) for h in heard], language)
    perfect = _archive(scratch / "true", truth, language)
    ways = {name: _shares(recognised, asked, options) for name, options in WAYS.items()}
    ways[SUGGESTED] = _shares(recognised, asked, WAYS["with both"], suggest=True)
    return {
        "n": len(asked),
        "recordings": len(heard),
        "audio_ms": sum(h.audio_ms for h in heard),
        "ways": ways,
        "of_true_texts": _shares(perfect, asked, WAYS["with both"]),
        "questions": [{"text": question.text, "path": str(heard[question.answer].clip.path)} for question in asked],
        "groups": {},
        **heard_with(chosen, settings),
    }


def _shares(
    engine: Engine, asked: Sequence[Question], options: dict[str, Any], *, suggest: bool = False
) -> dict[str, float]:
    ranks = [_rank(engine, question, options, suggest=suggest) for question in asked]
    return {f"first_{n}": round(sum(rank <= n for rank in ranks) / len(ranks), 4) for n in SHARES}


def _rank(engine: Engine, question: Question, options: dict[str, Any], *, suggest: bool) -> int:
    """The place of the right recording, from 1 on; beyond the last that is looked at when it is not there."""
    query = make_query(question.text, limit=FIRST, moments=1, **options)
    found = engine.search(query)
    if suggest and not found["total_videos"]:
        if otherwise := written_otherwise(query, engine):
            found = engine.search(otherwise.query)
        else:
            for other in suggestions(query, engine)[:1]:
                found = engine.search(make_query(other["text"], limit=FIRST, moments=1, **options))
    keys = [video["key"] for video in found["videos"]]
    right = str(question.answer)
    return keys.index(right) + 1 if right in keys else FIRST + 1


def _archive(folder: Path, texts: Sequence[str], language: str) -> Engine:
    """A lake in which each text is a video, its words 0.4 s apart; the key of a video is its number."""
    lake = Lake(str(folder))
    create_lake(lake)
    commit(lake, [_video(n, text, language) for n, text in enumerate(texts)], run_id="evaluate", device="")
    return duck(lake)


def _video(number: int, text: str, language: str) -> Result:
    words = tuple(Word(word, 400 * n, 400 * n + 300, 1.0) for n, word in enumerate(text.split()))
    work = VideoTask(f"{number:020}", str(number), 0, "", None, None, None, "new")
    empty = Result(
        work,
        "evaluate",
        "evaluate",
        "no_speech",
        Metadata(""),
        Recipes(dict.fromkeys(STAGES.names, "")),
        language=language,
    )
    if not words:
        return empty
    cue = Cue(0, words[-1].end_ms, text, 1.0, 0, len(words) - 1)
    return replace(empty, status="indexed", words=words, outcomes=outcomes(words, (cue,)), duration_ms=words[-1].end_ms)
