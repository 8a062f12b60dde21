"""The demo models on real audio: what decides a text is the audio alone."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import BUCKET, REPO

from nightscribe.bench.material import talks
from tasks.errors import ModelNotAvailable
from tasks.media import extract_audio, probe
from tasks.models.catalog import find_set
from tasks.records import Audio
from tasks.settings import Settings
from tasks.speech.acoustic import load_acoustic
from tasks.speech.decode import decode_many
from tasks.stages.words.search import spec_of, splitter_of

SETTINGS = Settings(catalog=REPO / "data/models/catalog.toml", scratch_free_gb=0)
VIDEOS = [path for path in sorted(BUCKET.rglob("*")) if path.suffix in (".mp4", ".mov", ".mkv", ".webm")]
WITH_SOUND = [path for path in VIDEOS if probe(path, SETTINGS).tracks]


@pytest.fixture(scope="module")
def audios(tmp_path_factory) -> list[Audio]:
    """The sample archive's sound, and two clips shorter than a window."""
    folder = tmp_path_factory.mktemp("audio")
    out = []
    for number, path in enumerate(WITH_SOUND):
        out.append(extract_audio(path, probe(path, SETTINGS), folder / f"{number}.pcm", SETTINGS))
    for number, seconds in enumerate((3.1, 7.77)):
        pcm = np.fromfile(out[0].path, np.int16, count=int(seconds * 16_000), offset=64_000)
        pcm.tofile(folder / f"short{number}.pcm")
        out.append(replace(out[0], path=str(folder / f"short{number}.pcm"), samples=len(pcm)))
    return out


def model(batch: int, **options):
    chosen = find_set(SETTINGS)
    return load_acoustic(chosen.acoustic.path, device="cpu", batch=batch, **options)


def emissions(loaded, audios) -> list[np.ndarray]:
    pieces: dict[int, list[np.ndarray]] = {i: [] for i in range(len(audios))}
    for number, piece in loaded.emissions(audios):
        pieces[number].append(piece)
    return [np.concatenate(p) if p else np.zeros((0, len(loaded.labels)), np.float32) for p in pieces.values()]


def words(loaded, log_probs: np.ndarray) -> list[tuple[str, int]]:
    splitter = splitter_of(loaded, SETTINGS)
    spec = spec_of(find_set(SETTINGS), SETTINGS, loaded)
    utterances = splitter.push(log_probs) + splitter.finish()
    return [(w.word, w.start_ms) for u in decode_many(spec, utterances, loaded.frame_ms) for w in u]


@pytest.fixture(scope="module")
def by_four(audios) -> list[np.ndarray]:
    """The emissions of all, four windows at once."""
    return emissions(model(4), audios)


def test_batch_one_and_batch_sixteen_give_the_same_emissions_bit_by_bit(audios, by_four):
    for a, b in zip(emissions(model(16), audios), by_four, strict=True):
        assert np.array_equal(a, b)
    shorts = slice(-3, None)
    for a, b in zip(emissions(model(1), audios[shorts]), by_four[shorts], strict=True):
        assert np.array_equal(a, b)


def test_companions_change_nothing(audios, by_four):
    loaded = model(4)
    for i in (0, 3, len(audios) - 1, len(audios) - 2):
        assert np.array_equal(emissions(loaded, [audios[i]])[0], by_four[i])
    others = [*range(2, -1, -1), len(audios) - 1, len(audios) - 2]
    for i, log_probs in zip(others, emissions(loaded, [audios[i] for i in others]), strict=True):
        assert np.array_equal(log_probs, by_four[i])


def test_every_frame_of_a_file_is_there_once(audios, by_four):
    frames = model(4).geometry.frames
    for audio, log_probs in zip(audios, by_four, strict=True):
        assert len(log_probs) == frames(audio.samples)


@pytest.mark.long
def test_windows_hear_as_well_as_what_they_are_cut_from(audios):
    """A window sees two seconds of context or more, a whole clip sees all: 9 % of frames, one word in eleven at most."""
    import jiwer

    known = {talk.path for talk in talks()}
    heard = [audio for audio, path in zip(audios, WITH_SOUND, strict=False) if path in known]
    clips = [replace(audio, samples=min(audio.samples, 28 * 16_000)) for audio in heard]
    short, long = model(4, window_s=15.0), model(4, window_s=30.0)
    windowed, whole = emissions(short, clips), emissions(long, clips)
    texts = [[" ".join(w for w, _ in words(long, x)) for x in out] for out in (whole, windowed)]
    other = np.concatenate([a.argmax(1) != b.argmax(1) for a, b in zip(windowed, whole, strict=True)])
    assert other.mean() <= 0.09
    assert jiwer.wer(*texts) <= 0.09


def test_windows_that_are_longer_than_the_model_learnt_are_refused():
    with pytest.raises(ModelNotAvailable, match="at most 30 s") as caught:
        model(4, window_s=31.0)
    assert "window_s" in caught.value.next


def test_too_little_sound_for_a_frame_gives_no_emissions(audios, tmp_path):
    np.zeros(300, np.int16).tofile(tmp_path / "tiny.pcm")
    tiny = Audio(str(tmp_path / "tiny.pcm"), 300, 0.0, 0.0, 0)
    assert list(model(4).emissions([tiny])) == []


def test_the_reference_videos_get_words_in_every_true_cue_that_crosses_a_seam(testdata, tmp_path):
    """No stretch of speech may vanish where two windows meet."""
    loaded = model(4)
    path = testdata / "media" / "speech_single_reader.mp4"
    audio = extract_audio(path, probe(path, SETTINGS), tmp_path / "a.pcm", SETTINGS)
    found = words(loaded, emissions(loaded, [audio])[0])
    step = (loaded.geometry.window - 2 * loaded.geometry.context) * 20
    seams = range(step, audio.duration_ms, step)
    cues = true_cues(path.with_suffix(".vtt"))
    crossing = [(s, e) for s, e in cues if any(s < seam + 4000 and seam < e for seam in seams)]
    assert len(crossing) >= 8
    for start, end in crossing:
        assert sum(start - 200 <= at < end for _, at in found) >= 1, (start, end)


def true_cues(path: Path) -> list[tuple[int, int]]:
    stamp = r"(?:(\d+):)?(\d+):(\d+)[.,](\d+)"
    out = []
    for match in re.finditer(rf"{stamp} --> {stamp}", path.read_text(encoding="utf-8")):
        n = [int(x or 0) for x in match.groups()]
        out.append(tuple(((n[i] * 60 + n[i + 1]) * 60 + n[i + 2]) * 1000 + n[i + 3] for i in (0, 4)))
    return out


def test_manifest_of_the_test_media_is_read(testdata):
    with (testdata / "media" / "manifest.tsv").open(encoding="utf-8") as handle:
        assert len(list(csv.DictReader(handle, delimiter="\t"))) == 57
