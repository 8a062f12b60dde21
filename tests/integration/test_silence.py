"""Stretches without speech are left out of what the model hears; what is quiet speech, or loud without speech, is not."""

from __future__ import annotations

import wave
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
from conftest import BUCKET, REPO
from sessions import session_on

import tasks.speech.acoustic as acoustic_module
from tasks.media import extract_audio, probe
from tasks.models.catalog import find_set
from tasks.records import Audio
from tasks.runs import pipeline
from tasks.settings import Settings
from tasks.speech.acoustic import AcousticModel, load_acoustic
from tasks.speech.decode import decode_many
from tasks.speech.silence import silent
from tasks.stages.words.search import spec_of, splitter_of

SETTINGS = Settings(catalog=REPO / "data/models/catalog.toml", scratch_free_gb=0)
RATE = 16_000
RANDOM = np.random.default_rng(3)


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> np.ndarray:
    """Twelve seconds of a talk, float in -1 to 1."""
    path = BUCKET / "business" / "interest-rates.mp4"
    scratch = tmp_path_factory.mktemp("talk") / "talk.pcm"
    extract_audio(path, probe(path, SETTINGS), scratch, SETTINGS)
    return np.fromfile(scratch, np.int16, count=12 * RATE).astype(np.float32) / 32768


def hum(seconds: float, level: float = 1e-4) -> np.ndarray:
    """The noise of a quiet room."""
    return RANDOM.normal(0, level, round(seconds * RATE)).astype(np.float32)


def chords(seconds: float) -> np.ndarray:
    """Music as loud as the speech, in which nobody sings."""
    at = np.arange(round(seconds * RATE)) / RATE
    notes = [110 * 2 ** (step / 12) for step in (0, 7, 12, 16)]
    return (0.05 * sum(np.sin(2 * np.pi * note * at) for note in notes)).astype(np.float32)


def recorded(folder: Path, *pieces: np.ndarray) -> Audio:
    pcm = (np.concatenate(pieces) * 32768).astype(np.int16)
    pcm.tofile(folder / "sound.pcm")
    wave = pcm.astype(np.float64) / 32768
    return Audio(str(folder / "sound.pcm"), len(pcm), float(wave.mean()), float(wave.std()), 0)


def acoustic(**options: bool) -> AcousticModel:
    return load_acoustic(find_set(SETTINGS).acoustic.path, device="cpu", precision="fp32", **options)


def words(model: AcousticModel, audio: Audio) -> list[tuple[str, int]]:
    splitter, spec = splitter_of(model, SETTINGS), spec_of(find_set(SETTINGS), SETTINGS, model)
    utterances = [u for _, piece in model.emissions([audio]) for u in splitter.push(piece)] + splitter.finish()
    return [(word.word, word.start_ms) for said in decode_many(spec, utterances, model.frame_ms) for word in said]


def seconds(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(round(start / RATE), round(end / RATE)) for start, end in stretches]


def test_only_what_is_quiet_and_without_speech_is_left_out(speech, tmp_path):
    quiet_music = 0.02 * chords(12)
    audio = recorded(
        tmp_path, hum(20), speech, hum(30), 0.03 * speech, hum(10), chords(15), np.zeros(15 * RATE), quiet_music
    )
    found = seconds(silent(audio))
    heard = np.ones(round(audio.samples / RATE), bool)
    for start, end in found:
        heard[start:end] = False
    assert not heard[:18].any(), "a quiet room"
    assert not heard[37:58].any(), "and later on"
    assert heard[21:32].all()
    assert heard[63:73].all(), "speech far away"
    assert heard[85:98].all(), "music"
    assert not heard[102:110].any(), "nothing at all"
    assert heard[115:125].all(), "music far away"


def test_of_a_long_pause_with_a_little_talk_the_pause_is_left_out(speech, tmp_path):
    audio = recorded(tmp_path, hum(300, 1e-3), speech, hum(300, 1e-3))
    assert sum(end - start for start, end in silent(audio)) > 580 * RATE


def test_nearly_all_words_are_the_same_and_those_are_where_they_were(speech, tmp_path):
    audio = recorded(tmp_path, speech, hum(30), speech, hum(15))
    everything, some = acoustic(), acoustic(skip_silence=True)
    frames = everything.geometry.frames(audio.samples)
    assert sum(length for _, length in some.to_hear(audio)) < frames * 0.6
    assert sum(len(piece) for _, piece in some.emissions([audio])) == frames
    ours, theirs = words(some, audio), words(everything, audio)
    same = SequenceMatcher(None, [word for word, _ in ours], [word for word, _ in theirs]).get_matching_blocks()
    assert sum(block.size for block in same) >= 0.85 * len(theirs)
    off = [abs(ours[b.a + i][1] - theirs[b.b + i][1]) for b in same for i in range(b.size)]
    assert max(off) <= 40, "two frames"


def test_of_several_files_each_has_its_own_stretches(speech, tmp_path):
    some = acoustic(skip_silence=True)
    audios = []
    for number, pieces in enumerate([(hum(30),), (speech, hum(30), speech), (speech[:300],), (hum(9), speech)]):
        (tmp_path / str(number)).mkdir()
        audios.append(recorded(tmp_path / str(number), *pieces))
    together: dict[int, list[np.ndarray]] = {}
    for number, piece in some.emissions(audios):
        together.setdefault(number, []).append(piece)
    assert list(together) == [0, 1, 3], "the third is shorter than a frame"
    for number, pieces in together.items():
        alone = np.concatenate([piece for _, piece in some.emissions([audios[number]])])
        assert np.array_equal(np.concatenate(pieces), alone)
        assert len(alone) == some.geometry.frames(audios[number].samples)


def test_where_nobody_speaks_the_model_is_not_asked(tmp_path, monkeypatch):
    some = replace(acoustic(), skips_silence=True)
    monkeypatch.setattr(AcousticModel, "infer", lambda self, inputs: pytest.fail("it was asked"))
    audio = recorded(tmp_path, np.zeros(90 * RATE, np.float32))
    pieces = [piece for _, piece in some.emissions([audio])]
    assert sum(map(len, pieces)) == some.geometry.frames(audio.samples)
    assert max(map(len, pieces)) <= some.geometry.window
    assert words(some, audio) == []


@pytest.mark.parametrize("skips", [True, False])
def test_silence_is_looked_for_while_videos_are_prepared_and_not_when_the_device_is_held(
    speech, tmp_path, monkeypatch, skips
):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    pcm = (np.concatenate((speech[: 5 * RATE], np.zeros(20 * RATE, np.float32))) * 32768).astype(np.int16)
    with wave.open(str(bucket / "talk.wav"), "wb") as file:
        file.setparams((1, 2, RATE, len(pcm), "NONE", ""))
        file.writeframes(pcm.tobytes())
    with session_on(bucket, tmp_path, emissions={"skip_silence": skips}) as session:
        run, [batch] = session.pipeline, session.batches()
        batch = pipeline.prepare(run, batch)
        [hearing] = batch.items[0].hearings
        assert (seconds(hearing.silence) == [(6, 25)]) if skips else (hearing.silence is None)
        assert run.acoustic.skips_silence is skips
        heard = []
        monkeypatch.setattr(acoustic_module, "silent", lambda audio: pytest.fail("it was looked for again"))
        monkeypatch.setattr(
            AcousticModel,
            "infer",
            lambda self, inputs, real=AcousticModel.infer: heard.append(inputs) or real(self, inputs),
        )
        done = pipeline.finish(run, pipeline.compute_emissions(run, batch))
        assert done.items[0].result.status == "indexed"
        assert len(heard) == (1 if skips else 2)
