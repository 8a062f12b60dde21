"""The outcomes of a transcript that did not come from a recogniser: for evaluations, benches and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from tasks.records import Cue, Outcome, Topic, Word
from tasks.stages.cues.runner import cue_rows
from tasks.stages.passages.runner import passage_rows
from tasks.stages.words.rows import word_rows


def outcomes(
    words: Sequence[Word], cues: Sequence[Cue] = (), topics: Sequence[Topic] = (), *, seconds: float = 0.0
) -> dict[str, Outcome]:
    """What an indexing leaves that found these words, cues and topics. What needs words is made where there are some."""
    found = {
        "emissions": Outcome(seconds=seconds),
        "words": Outcome({"words": word_rows(words)}, seconds),
        "topics": Outcome({"topics": [asdict(topic) for topic in topics]}, seconds),
    }
    if words:
        found["cues"] = Outcome({"cues": cue_rows(cues)}, seconds)
        found["passages"] = Outcome({"passages": passage_rows(words)}, seconds)
    return found
