"""Word error of a model set on labelled clips, heard exactly as a run of `index` hears them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import Misconfigured
from tasks.evaluation.manifest import Problems, is_file, read_manifest, strings
from tasks.evaluation.scores import NORMALIZER, character_errors, normalised, rate_interval, summed, word_errors
from tasks.media import clip_sound
from tasks.models.catalog import ModelSet, language_model
from tasks.records import Audio, Word
from tasks.settings import Settings
from tasks.speech.acoustic import AcousticModel
from tasks.speech.decode import Utterance, greedy_words
from tasks.speech.pool import gather
from tasks.stages.emissions.runner import acoustic_of
from tasks.stages.recipes import recipes
from tasks.stages.words.options import options
from tasks.stages.words.search import pool_of, search_weights, splitter_of

GROUP = 32  # clips in scratch at one time


@dataclass(frozen=True)
class Clip:
    """A row of the manifest: the file, what is said in it, and the values of the columns to group by."""

    path: Path
    text: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Transcribed:
    """A clip with what the decoder made of it, and what each frame's best token alone makes."""

    clip: Clip
    said: str
    greedy: str
    audio_ms: int


def read_clips(
    manifest: Path, problems: Problems, *, path_column: str, text_column: str, group_by: Sequence[str] = ()
) -> list[Clip]:
    """The rows that can be judged; the others are added to `problems`.

    Raises:
        Misconfigured: no manifest, a column is missing, or no row is left.
    """
    table = read_manifest(manifest, path_column, text_column, *group_by, problems=problems)
    groups = zip(*(strings(table, column) for column in group_by), strict=True) if group_by else None
    clips = []
    for name, text in zip(strings(table, path_column), strings(table, text_column), strict=True):
        values = next(groups) if groups else ()
        if not normalised(text):
            problems.add("empty text", name)
        elif not is_file(manifest.parent / name):
            problems.add("missing file", name)
        else:
            clips.append(Clip(manifest.parent / name, text, values))
    if not clips:
        raise Misconfigured(
            f"No row of {manifest} can be used: {'; '.join(problems.lines()) or 'it has none'}.",
            next="Paths are relative to the manifest.",
        )
    return clips


def hear(
    clips: Sequence[Clip],
    chosen: ModelSet,
    settings: Settings,
    scratch: Path,
    problems: Problems,
    on_clip: Callable[[int], None] = lambda done: None,
) -> Iterator[Transcribed]:
    """Each clip with its transcripts, in order; one whose sound cannot be read is added to `problems`."""
    model = acoustic_of(chosen, settings)
    pool = pool_of(chosen, settings, model)
    waiting: deque[tuple[Clip, Audio, str, Future[list[list[Word]]]]] = deque()
    done = 0

    def ready(most: int) -> Iterator[Transcribed]:
        nonlocal done
        while len(waiting) > most:
            clip, audio, greedy, future = waiting.popleft()
            yield Transcribed(clip, _text(gather([future])), greedy, audio.duration_ms)
            on_clip(done := done + 1)

    try:
        for start in range(0, len(clips), GROUP):
            good = sounds(clips[start : start + GROUP], scratch, settings, problems)
            heard = utterances_of(model, [audio for _, audio in good], settings)
            for (clip, audio), utterances in zip(good, heard, strict=True):
                greedy = _text(
                    word
                    for utterance in utterances
                    for word in greedy_words(utterance, model.labels, model.blank, model.frame_ms)
                )
                waiting.append((clip, audio, greedy, pool.submit(utterances)))
                Path(audio.path).unlink()
            yield from ready(GROUP)
        yield from ready(0)
    finally:
        pool.close()


def sounds(clips: Sequence[Clip], scratch: Path, settings: Settings, problems: Problems) -> list[tuple[Clip, Audio]]:
    """The clips' sound in files of `scratch`; clips that cannot be used are added to `problems`."""
    good = []
    with ThreadPoolExecutor(2) as threads:
        found = threads.map(lambda i: clip_sound(clips[i].path, scratch / f"{i}.pcm", settings), range(len(clips)))
        for clip, sound in zip(clips, found, strict=True):
            if isinstance(sound, Audio):
                good.append((clip, sound))
            else:
                problems.add(f"unreadable ({sound})", clip.path.name)
    return good


def utterances_of(model: AcousticModel, audios: list[Audio], settings: Settings) -> list[list[Utterance]]:
    """The utterances of each file, with their emissions."""
    out: list[list[Utterance]] = [[] for _ in audios]
    splitters = [splitter_of(model, settings) for _ in audios]
    for number, piece in model.emissions(audios):
        out[number] += splitters[number].push(piece)
    return [utterances + splitter.finish() for utterances, splitter in zip(out, splitters, strict=True)]


def _text(words: Iterable[Word]) -> str:
    return " ".join(word.word for word in words)


def report(
    heard: Sequence[Transcribed], group_by: Sequence[str], chosen: ModelSet, settings: Settings
) -> dict[str, Any]:
    """What `evaluate asr --json` prints (see the docs).

    Raises:
        Misconfigured: no clip was heard.
    """
    if not heard:
        raise Misconfigured("No clip could be heard.", next="Look at what was left out.")
    language = chosen.spoken
    whole = _scores(heard, language)
    raw_words = summed([word_errors(h.clip.text.strip(), h.said) for h in heard])
    raw_characters = summed([character_errors(h.clip.text.strip(), h.said) for h in heard])
    groups: dict[str, dict[str, Any]] = {}
    for number, column in enumerate(group_by):
        values = sorted({h.clip.groups[number] for h in heard})
        groups[column] = {v: _scores([h for h in heard if h.clip.groups[number] == v], language) for v in values}
    return {
        **whole,
        "raw": {"wer": round(raw_words.rate, 4), "cer": round(raw_characters.rate, 4)},
        "normalizer": NORMALIZER,
        "language": language,
        "groups": groups,
        **heard_with(chosen, settings),
    }


def heard_with(chosen: ModelSet, settings: Settings) -> dict[str, Any]:
    """What a report says of the models and the search."""
    made = recipes(chosen, settings)
    search = search_weights(options(chosen, settings), language_model(chosen.ref("lm")))
    models = {
        "set": chosen.name,
        "acoustic": chosen.acoustic.path,
        "lm": lm.path if (lm := chosen.ref("lm")) else None,
        "search": search,
        "detail": dict(made.options),
    }
    return {"models": models, "recipe": made["words"]}


def _scores(heard: Sequence[Transcribed], language: str) -> dict[str, Any]:
    true = [normalised(h.clip.text, language) for h in heard]
    words = [word_errors(t, normalised(h.said, language)) for t, h in zip(true, heard, strict=True)]
    characters = [character_errors(t, normalised(h.said, language)) for t, h in zip(true, heard, strict=True)]
    greedy = [word_errors(t, normalised(h.greedy, language)) for t, h in zip(true, heard, strict=True)]
    total = summed(words)
    return {
        "n": len(heard),
        "audio_ms": sum(h.audio_ms for h in heard),
        "wer": round(total.rate, 4),
        "wer_ci95": list(rate_interval(words)),
        "cer": round(summed(characters).rate, 4),
        "greedy_wer": round(summed(greedy).rate, 4),
        "greedy_wer_ci95": list(rate_interval(greedy)),
        "ins": total.insertions,
        "del": total.deletions,
        "sub": total.substitutions,
        "ref_words": total.n,
    }
