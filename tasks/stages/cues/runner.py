"""Cuts cues from words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tasks.records import Cue
from tasks.stages.base import Input, Rows
from tasks.text.cues import CueRules, make_cues


@dataclass(frozen=True)
class CuesRunner:
    rules: CueRules

    def make(self, video: Input) -> Mapping[str, Rows]:
        return {"cues": cue_rows(list(make_cues(video.words, self.rules, duration_ms=video.duration_ms)))}


def cue_rows(cues: Sequence[Cue]) -> list[dict[str, Any]]:
    """The rows of `cues` of one video."""
    return [{"cue_no": n, **asdict(cue)} for n, cue in enumerate(cues)]
