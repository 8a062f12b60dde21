"""Words with their times, by beam search over emissions and a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.stages.base import Stage, Table

if TYPE_CHECKING:  # every query reads these declarations, and none of them a model
    from tasks.models import ModelRef, ModelSet
    from tasks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class WordsOptions:
    """The language model, None for none, and the search; weights that are None are those that the model was tuned to."""

    lm: ModelRef | None
    lm_weight: float | None
    word_bonus: float | None
    blank_penalty: float | None
    beam_width: int
    beam_prune_logp: float
    token_min_logp: float
    utterance_gap_s: float
    utterance_max_s: float
    hot_words: tuple[str, ...]
    hot_word_weight: float | None

    def described(self) -> dict[str, Any]:
        described = {
            "lm": self.lm.name if self.lm else None,
            "files": self.lm.files if self.lm else None,
            "lm_weight": self.lm_weight,
            "word_bonus": self.word_bonus,
            "beam": [self.beam_width, self.beam_prune_logp, self.token_min_logp],
            "utterance": [self.utterance_gap_s, self.utterance_max_s],
            "hot_words": list(self.hot_words),
            "hot_word_weight": self.hot_word_weight,
            "version": 2,
        }
        later = {"revision": self.lm.revision if self.lm else None, "blank_penalty": self.blank_penalty}
        return described | {name: value for name, value in later.items() if value is not None}


def options(models: ModelSet, settings: Settings) -> WordsOptions:
    from tasks.models import hot_words

    return WordsOptions(
        lm=models.ref("lm") if models.lm else None,
        lm_weight=models.lm_weight if settings.lm_weight is None else settings.lm_weight,
        word_bonus=models.word_bonus if settings.word_bonus is None else settings.word_bonus,
        blank_penalty=models.blank_penalty if settings.blank_penalty is None else settings.blank_penalty,
        beam_width=settings.beam_width,
        beam_prune_logp=settings.beam_prune_logp,
        token_min_logp=settings.token_min_logp,
        utterance_gap_s=settings.utterance_gap_s,
        utterance_max_s=settings.utterance_max_s,
        hot_words=tuple(hot_words(settings)),
        hot_word_weight=settings.hot_word_weight if settings.hot_words else None,
    )


WORDS = Stage(
    name="words",
    about="Every word as it was spoken, with its time and how sure it is.",
    needs=("emissions",),
    options=options,
    unit="media_s",
    together="transcript",
    tables=(
        Table(
            name="words",
            # `folded` is a word as search compares it, in parts where it is several, and null where that is the word itself.
            columns={
                "word_no": "INTEGER",
                "word": "VARCHAR",
                "folded": "VARCHAR",
                "start_ms": "BIGINT",
                "end_ms": "BIGINT",
                "confidence": "FLOAT",
            },
            order=("word_no",),
            faults={
                "has words that do not follow each other": "SELECT video_id, generation FROM {rows} GROUP BY ALL "
                "HAVING min(word_no) <> 0 OR max(word_no) <> count(*) - 1 OR count(DISTINCT word_no) <> count(*)",
                "has words out of time": "SELECT DISTINCT video_id, generation FROM (SELECT *, lag(start_ms) OVER "
                "(PARTITION BY video_id, generation ORDER BY word_no) AS before FROM {rows}) "
                "WHERE start_ms < before OR end_ms < start_ms",
            },
        ),
    ),
)
