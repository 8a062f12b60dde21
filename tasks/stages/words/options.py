"""What words are decoded with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tasks.errors import Misconfigured
from tasks.settings.sections import StageSettings

if TYPE_CHECKING:  # every query reads these declarations, and none of them a model
    from tasks.models.catalog import ModelRef, ModelSet
    from tasks.settings import Settings


class WordsSettings(StageSettings):
    """Words: the beam search."""

    section: ClassVar[str] = "words"

    beam_width: Annotated[int, Field(ge=1, description="Beams kept.")] = 100
    beam_prune_logp: Annotated[float, Field(lt=0, description="Beams worse than the best by more are dropped.")] = -10.0
    token_min_logp: Annotated[float, Field(lt=0, description="Tokens less likely are not tried.")] = -5.0
    lm_weight: Annotated[float | None, Field(description="Weight of the language model; default the set's own.")] = None
    word_bonus: Annotated[float | None, Field(description="Bonus for each word; default the set's own.")] = None
    blank_penalty: Annotated[
        float | None,
        Field(description="Taken from the blank in the search, for fewer words left out; default the set's own."),
    ] = None
    hot_words: Annotated[Path | None, Field(description="File of words to prefer, one a line.")] = None
    hot_word_weight: Annotated[float, Field(ge=0, description="How much to prefer them.")] = 8.0
    decoders: Annotated[int | None, Field(ge=1, description="Beam search processes; default by cores.")] = None
    utterance_gap_s: Annotated[float, Field(gt=0, description="A pause that ends an utterance.")] = 0.5
    utterance_max_s: Annotated[float, Field(gt=1, description="Longest utterance.")] = 30.0


@dataclass(frozen=True, kw_only=True)
class WordsOptions:
    """The language model and the model that times words, None for none, and the search; weights that are None are those that
    the language model was tuned to."""

    lm: ModelRef | None
    timing: ModelRef | None = None
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
        if self.timing:
            later |= {
                "timing": self.timing.name,
                "timing_files": self.timing.files,
                "timing_revision": self.timing.revision,
            }
        return described | {name: value for name, value in later.items() if value is not None}


def options(models: ModelSet, settings: Settings) -> WordsOptions:
    own = settings.of(WordsSettings)
    return WordsOptions(
        lm=models.ref("lm"),
        timing=models.ref("timing"),
        lm_weight=models.lm_weight if own.lm_weight is None else own.lm_weight,
        word_bonus=models.word_bonus if own.word_bonus is None else own.word_bonus,
        blank_penalty=models.blank_penalty if own.blank_penalty is None else own.blank_penalty,
        beam_width=own.beam_width,
        beam_prune_logp=own.beam_prune_logp,
        token_min_logp=own.token_min_logp,
        utterance_gap_s=own.utterance_gap_s,
        utterance_max_s=own.utterance_max_s,
        hot_words=tuple(hot_words(own.hot_words)),
        hot_word_weight=own.hot_word_weight if own.hot_words else None,
    )


def hot_words(path: Path | None) -> list[str]:
    """The words of a file: one a line, `#` begins a comment.

    Raises:
        Misconfigured: the file cannot be read.
    """
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"The hot words {path} cannot be read: {error}", next="Name a text file.") from error
    return sorted({line.split("#")[0].strip() for line in lines} - {""})
