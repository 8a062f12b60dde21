"""What a model set is, asked of its models, and whether it hears a clip whose words are known."""

from __future__ import annotations

import resource
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tasks.arrays import Array
from tasks.media.clip import clip_sound
from tasks.models.catalog import ModelSet, language_model
from tasks.records import Audio
from tasks.settings import REPO, Settings
from tasks.speech.acoustic import SAMPLE_RATE, AcousticModel
from tasks.speech.decode import decode_many, greedy_words
from tasks.speech.labels import are_subwords, case_of, writes_text
from tasks.speech.spec import known_words
from tasks.speech.spelling import writable_share
from tasks.stages.emissions.runner import acoustic_of, timing_of
from tasks.stages.words.search import spec_of, splitter_of
from tasks.text.spoken import to_alphabet

CLIP = "business/interest-rates.mp4"
LETTERS = "abcdefghijklmnopqrstuvwxyz'"
WORST_WORD_ERROR = 0.6  # of a set for English, on a clip that is easy to hear
MOST_TOKENS = 25.0  # a second: nobody says so many letters
FEWEST_WRITABLE = 0.9  # of the language model's words; next to none is refused elsewhere (`require_writable`)


@dataclass
class Checked:
    """What was found; `problems` are sentences, none where all is well."""

    name: str
    model_class: str = ""
    inputs: str = ""
    frame_ms: float = 0.0
    timing_frame_ms: float | None = None
    tokens: int = 0
    blank: int = 0
    writes: str = ""
    case: str = ""
    precision: str = ""
    device: str = ""
    megabytes: float = 0.0
    memory_mb: float = 0.0
    times_real_time: float = 0.0
    language_model_words: int | None = None
    writable: float | None = None
    heard: str = ""
    searched: str = ""
    word_error: float | None = None
    problems: list[str] = field(default_factory=list)


def check_set(chosen: ModelSet, settings: Settings) -> Checked:
    """Load a set and let it hear a clip of the sample archive.

    Raises:
        ModelNotAvailable: a model of it is not here, or is of another kind. MissingTool: there is no ffmpeg.
    """
    found = Checked(chosen.name)
    model = acoustic_of(chosen, settings)
    _describe(found, model)
    timing = timing_of(chosen, settings)
    found.timing_frame_ms = timing.frame_ms if timing else None
    _check_language_model(found, chosen, model)
    said = _said()
    with tempfile.TemporaryDirectory() as folder:
        sound = clip_sound(REPO / "data" / "bucket" / CLIP, Path(folder) / "clip.pcm", settings)
        if isinstance(sound, str):
            found.problems.append(f"The clip {CLIP} cannot be heard: {sound}.")
            return found
        log_probs = _emissions(found, model, sound)
        splitter = splitter_of(model, settings)
        utterances = splitter.push(log_probs) + splitter.finish()
        found.heard = " ".join(
            word.word
            for utterance in utterances
            for word in greedy_words(utterance, model.labels, model.blank, model.frame_ms)
        )
        if not _talks_too_much(found, sound.samples / SAMPLE_RATE, log_probs):
            searched = decode_many(spec_of(chosen, settings, model), utterances, model.frame_ms)
            found.searched = " ".join(word.word for words in searched for word in words)
            if found.heard and not found.searched:
                found.problems.append("The beam search writes nothing where the best letters alone write words.")
    found.memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _judge(found, chosen, said)
    return found


def _describe(found: Checked, model: AcousticModel) -> None:
    found.model_class = type(model.model).__name__
    found.inputs = type(model.inputs).__name__
    found.frame_ms, found.blank, found.tokens = model.frame_ms, model.blank, len(model.labels)
    found.writes = "subwords" if are_subwords(model.labels) else "letters"
    case = case_of(label for label in model.labels if writes_text(label))
    found.case = "both" if case is None else "lower" if case("A") == "a" else "upper"
    found.precision, found.device = str(model.dtype).removeprefix("torch."), str(model.device)
    found.megabytes = sum(p.numel() * p.element_size() for p in model.model.parameters()) / 1e6


def _check_language_model(found: Checked, chosen: ModelSet, model: AcousticModel) -> None:
    files = language_model(chosen.ref("lm"))
    if files is None:
        return
    words = known_words(files.model, files.unigrams)
    if words is None:
        found.problems.append(
            "The language model comes without the list of its words (unigrams.txt), so that nobody can tell whether they are in the "
            "letters and the case of the acoustic model."
        )
        return
    found.language_model_words, found.writable = len(words), writable_share(words, model.labels)
    if found.writable < FEWEST_WRITABLE:
        found.problems.append(f"The model can write {found.writable:.0%} of the language model's words only.")


def _emissions(found: Checked, model: AcousticModel, sound: Audio) -> Array:
    list(model.emissions([sound]))  # what is made once is no part of its speed
    started = time.perf_counter()
    log_probs: Array = np.concatenate([piece for _, piece in model.emissions([sound])])
    found.times_real_time = sound.samples / SAMPLE_RATE / (time.perf_counter() - started)
    return log_probs


def _talks_too_much(found: Checked, seconds: float, log_probs: Array) -> bool:
    best = log_probs.argmax(axis=1)
    a_second = int(((best != found.blank) & np.diff(best, prepend=-1).astype(bool)).sum()) / seconds
    if a_second <= MOST_TOKENS:
        return False
    found.problems.append(
        f"It writes more tokens than anybody says: {a_second:.0f} a second. Its blank may be another token than {found.blank}."
    )
    return True


def _judge(found: Checked, chosen: ModelSet, said: str) -> None:
    if not found.heard:
        found.problems.append("It hears nothing in a clip in which there is speech.")
    elif chosen.language == "en" and found.searched:
        import jiwer

        heard = to_alphabet(found.searched.lower(), LETTERS)[0]
        found.word_error = float(jiwer.wer(said, heard)) if heard else 1.0
        if found.word_error > WORST_WORD_ERROR:
            found.problems.append(f"It writes {found.word_error:.0%} of the clip's words wrongly.")


def _said() -> str:
    videos = tomllib.loads((REPO / "data/recipes/bucket.toml").read_text(encoding="utf-8"))["video"]
    return to_alphabet(next(video["text"] for video in videos if video["key"] == CLIP), LETTERS)[0]
