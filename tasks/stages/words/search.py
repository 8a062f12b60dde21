"""The beam search of the words stage: its language model, weights, and words to prefer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.errors import ModelNotAvailable
from tasks.models.catalog import LanguageModelFiles, language_model
from tasks.speech.pool import DecoderPool
from tasks.speech.spec import DecoderSpec, known_words
from tasks.speech.spelling import writable_share
from tasks.stages.words.options import WordsOptions, WordsSettings, options

if TYPE_CHECKING:  # who only wants to know the weights waits for no torch
    from tasks.models.catalog import ModelSet
    from tasks.settings import Settings
    from tasks.speech.acoustic import AcousticModel
    from tasks.speech.decode import UtteranceSplitter

FEWEST_WRITABLE = 0.1  # of the language model's words
LM_WEIGHT, WORD_BONUS, UNKNOWN_SCORE = 0.5, 1.5, -10.0  # pyctcdecode's own


def pool_of(models: ModelSet, settings: Settings, model: AcousticModel) -> DecoderPool:
    """The processes of the beam search for an acoustic model; none is started before it is needed."""
    return DecoderPool(
        spec_of(models, settings, model), frame_ms=model.frame_ms, processes=settings.of(WordsSettings).decoders
    )


def spec_of(models: ModelSet, settings: Settings, model: AcousticModel) -> DecoderSpec:
    """`decoder_spec` of a set and the settings."""
    return decoder_spec(options(models, settings), model.labels, model.blank)


def splitter_of(model: AcousticModel, settings: Settings) -> UtteranceSplitter:
    """What cuts one file's emissions into utterances, as the settings want it."""
    own = settings.of(WordsSettings)
    return model.splitter(gap_s=own.utterance_gap_s, longest_s=own.utterance_max_s)


def decoder_spec(chosen: WordsOptions, labels: tuple[str, ...], blank: int) -> DecoderSpec:
    """What the beam search processes are made from; `labels` and `blank` are those of the acoustic model."""
    files = language_model(chosen.lm)
    return DecoderSpec(
        labels=labels,
        blank=blank,
        language_model=files.model if files else None,
        unigrams=files.unigrams if files else None,
        **search_weights(chosen, files),
        beam_width=chosen.beam_width,
        beam_prune_logp=chosen.beam_prune_logp,
        token_min_logp=chosen.token_min_logp,
        hot_words=chosen.hot_words,
        hot_word_weight=chosen.hot_word_weight or 0.0,
    )


def require_writable(models: ModelSet, model: AcousticModel) -> None:
    """See that the acoustic model and the language model are of one alphabet.

    Raises:
        ModelNotAvailable: next to none of the language model's words can be written with the labels of the acoustic model.
    """
    files = language_model(models.ref("lm"))
    words = known_words(files.model, files.unigrams) if files else None
    if words is None:
        return
    share = writable_share(words, model.labels)
    if share < FEWEST_WRITABLE:
        raise ModelNotAvailable(
            f"The language model of the set {models.name} is of another alphabet than its acoustic model, which can write "
            f"{share:.0%} of its words.",
            next=f"See what the models are: nightscribe models check {models.name}",
        )


def search_weights(chosen: WordsOptions, files: LanguageModelFiles | None) -> dict[str, Any]:
    """The weights of the search, under their names in `DecoderSpec`: of the options, else as the model was tuned."""
    tuned = files or LanguageModelFiles("", None)
    return {
        "lm_weight": first_given(chosen.lm_weight, tuned.lm_weight, LM_WEIGHT),
        "word_bonus": first_given(chosen.word_bonus, tuned.word_bonus, WORD_BONUS),
        "unknown_score": first_given(tuned.unknown_score, UNKNOWN_SCORE),
        "score_boundary": tuned.score_boundary,
        "blank_penalty": first_given(chosen.blank_penalty, tuned.blank_penalty, 0.0),
    }


def first_given(*values: float | None) -> float:
    """The first value that is one."""
    return next(value for value in values if value is not None)
