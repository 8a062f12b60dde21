"""What is heard of a file: its track, whether it is speech, and its samples."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_media import SETTINGS, TRACK, make, tone

from tasks.errors import MediaTooLong, ScratchFull, StageTimeout, UnsupportedMedia
from tasks.media import (
    SAMPLE_RATE,
    choose_sources,
    extract_audio,
    is_encrypted,
    probe,
    same_language,
    speech_likeness,
)
from tasks.records import AudioTrack, Probe
from tasks.settings import Settings


def pcm_of(path: Path, folder: Path, settings: Settings = SETTINGS) -> np.ndarray:
    """Samples, -1 to 1, that `extract_audio` makes."""
    target = folder / "out.pcm"
    audio = extract_audio(path, probe(path, settings), target, settings)
    pcm = np.fromfile(target, np.int16) / 32768
    assert len(pcm) == audio.samples
    return pcm


def level(pcm: np.ndarray) -> float:
    """Root mean square of the middle half."""
    return float(np.sqrt((pcm[len(pcm) // 4 : len(pcm) * 3 // 4] ** 2).mean()))


# -- tracks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [("eng", "en", True), ("en-GB", "en", True), ("EN_us", "eng", True), ("ger", "deu", True), ("en", "fr", False)],
)
def test_languages_are_compared_by_their_short_codes(a: str, b: str, same: bool):
    assert same_language(a, b) is same


def chosen(settings: Settings, *tracks: AudioTrack, language: str | None = None) -> int:
    """The position of the track that is taken of a file that cannot be listened to."""
    probed = Probe(1000, "mov,mp4", None, None, None, None, tracks)
    return choose_sources(Path("none"), probed, settings, language=language).sources[0].track.position


def test_the_track_that_was_asked_for_is_taken_or_missed():
    tracks = (TRACK, replace(TRACK, position=1, default=False))
    assert chosen(Settings(audio_track=1), *tracks) == 1
    with pytest.raises(UnsupportedMedia, match="no audio track 2"):
        chosen(Settings(audio_track=2), *tracks)


def test_a_track_in_the_wanted_language_is_taken_without_listening():
    tracks = (replace(TRACK, language="fra"), replace(TRACK, position=1, language="eng"))
    assert chosen(Settings(language="en"), *tracks) == 1
    assert chosen(SETTINGS, *tracks, language="en") == 1, "that of the models, where nobody prefers one"
    assert chosen(Settings(language="fr"), *tracks, language="en") == 0


def test_a_commentary_is_taken_only_when_there_is_nothing_else():
    comment = replace(TRACK, comment=True)
    assert chosen(SETTINGS, comment, replace(TRACK, position=1)) == 1
    assert chosen(SETTINGS, comment) == 0


def test_of_two_tracks_the_one_that_sounds_like_speech_is_taken(tmp_path: Path):
    path = tmp_path / "two.mkv"
    make(
        *("-f", "lavfi", "-i", "anoisesrc=d=4:r=16000:a=0.3:seed=1"),
        *("-f", "lavfi", "-i", "aevalsrc=(random(0)-0.5)*pow(sin(2*PI*2*t)\\,2):s=16000:d=4"),
        *("-map", "0", "-map", "1", "-c:a", "pcm_s16le", "-disposition:a:0", "default", path),
    )
    found = probe(path, SETTINGS)
    assert [track.default for track in found.tracks] == [True, False]
    choice = choose_sources(path, found, SETTINGS)
    assert [source.track.position for source in choice.sources] == [1, 0], "the other one, should this have no word"


# -- speech or not ----------------------------------------------------------------------------------------------------


def noise(seconds: float = 10.0) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 3000, int(seconds * SAMPLE_RATE))


def syllables(rate: float, seconds: float = 10.0) -> np.ndarray:
    """Noise that swells and fades `rate` times a second."""
    t = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (noise(seconds) * np.sin(np.pi * rate * t) ** 2).astype(np.int16)


def test_steady_noise_and_tones_are_not_like_speech():
    t = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    assert speech_likeness(noise().astype(np.int16)) < 0.1
    assert speech_likeness((10_000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)) < 0.1


def test_noise_in_the_rhythm_of_syllables_is_like_speech():
    assert speech_likeness(syllables(4.0)) > 0.7


@pytest.mark.parametrize("rate", [0.5, 20.0])
def test_noise_in_another_rhythm_is_less_like_speech(rate: float):
    assert speech_likeness(syllables(rate)) < 0.5 * speech_likeness(syllables(4.0))


def test_silence_and_less_than_a_second_are_not_speech():
    assert speech_likeness(np.zeros(10 * SAMPLE_RATE, np.int16)) == 0.0
    assert speech_likeness(syllables(4.0, seconds=0.9)) == 0.0
    assert speech_likeness(np.zeros(0, np.int16)) == 0.0


# -- sound ------------------------------------------------------------------------------------------------------------


def test_sound_comes_as_16_khz_mono(tmp_path: Path):
    path = tmp_path / "a.wav"
    make("-f", "lavfi", "-i", "sine=440:r=44100:d=2", "-ac", "2", path)
    target = tmp_path / "out.pcm"
    audio = extract_audio(path, probe(path, SETTINGS), target, SETTINGS)
    assert audio.samples == pytest.approx(32_000, abs=50)
    assert target.stat().st_size == 2 * audio.samples
    assert (audio.track, audio.incomplete, audio.path) == (0, None, str(target))
    spectrum = np.abs(np.fft.rfft(np.fromfile(target, np.int16)[:16_000]))
    assert int(spectrum.argmax()) == 440


def test_mean_and_deviation_are_those_of_what_is_not_silence(tmp_path: Path):
    path = tmp_path / "a.wav"
    make("-f", "lavfi", "-i", "aevalsrc=if(lt(t\\,1)\\,0.25\\,if(lt(t\\,2)\\,0.75\\,0)):s=16000:d=6", path)
    audio = extract_audio(path, probe(path, SETTINGS), tmp_path / "out.pcm", SETTINGS)
    assert (audio.mean, audio.deviation) == (pytest.approx(0.5, abs=1e-3), pytest.approx(0.25, abs=1e-3))


def test_silence_has_no_level(tmp_path: Path):
    make("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=1", tmp_path / "a.wav")
    audio = extract_audio(tmp_path / "a.wav", probe(tmp_path / "a.wav", SETTINGS), tmp_path / "out.pcm", SETTINGS)
    assert (audio.samples, audio.mean, audio.deviation) == (16_000, 0.0, 0.0)


@pytest.mark.parametrize("channels", ["0|0|S|0|0|0", "S|S|0|0|0|0"], ids=["centre", "front"])
def test_a_voice_in_a_surround_mix_is_audible(channels: str, tmp_path: Path):
    path = tmp_path / "surround.wav"
    source = channels.replace("S", "0.5*sin(2*PI*440*t)")
    make("-f", "lavfi", "-i", f"aevalsrc={source}:c=5.1:s=16000:d=2", path)
    assert probe(path, SETTINGS).tracks[0].layout.startswith("5.1")
    assert level(pcm_of(path, tmp_path)) > 0.15  # the tone itself has 0.35


def test_a_voice_in_the_centre_is_louder_than_music_around_it(tmp_path: Path):
    def heard(channels: str) -> float:
        path = tmp_path / "surround.wav"
        source = channels.replace("S", "0.5*sin(2*PI*440*t)")
        make("-f", "lavfi", "-i", f"aevalsrc={source}:c=5.1:s=16000:d=1", path)
        return level(pcm_of(path, tmp_path))

    assert heard("0|0|S|0|0|0") > 3 * heard("S|0|0|0|0|0") > 0
    assert heard("0|0|0|S|S|S") < 0.01


def test_a_declared_length_beyond_the_limit_is_refused_before_anything_is_read(tmp_path: Path):
    found = Probe(3_600_001, "mov,mp4", None, None, None, None, (TRACK,))
    with pytest.raises(MediaTooLong):
        extract_audio(tmp_path / "none.mp4", found, tmp_path / "out.pcm", Settings(max_duration_h=1.0))
    assert not (tmp_path / "out.pcm").exists()


def test_reading_stops_at_the_limit_when_the_length_was_not_told(tmp_path: Path):
    path = tone(tmp_path / "a.wav", seconds=60)
    unknown = replace(probe(path, SETTINGS), duration_ms=None)
    target = tmp_path / "out.pcm"
    with pytest.raises(MediaTooLong):
        extract_audio(path, unknown, target, Settings(scratch_free_gb=0.0, max_duration_h=5 / 3600))
    assert target.stat().st_size == 6 * SAMPLE_RATE * 2  # one second more, to know that it is longer


def test_a_recording_that_breaks_off_gives_what_there_was(tmp_path: Path):
    whole = tone(tmp_path / "whole.mp4", "-c:a", "aac", "-movflags", "+faststart", seconds=20)
    found = probe(whole, SETTINGS)
    data = whole.read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(data[: len(data) * 6 // 10])
    audio = extract_audio(path, found, tmp_path / "out.pcm", SETTINGS)
    assert 5 < audio.samples / SAMPLE_RATE < 15
    assert audio.incomplete is not None
    assert audio.incomplete.endswith("s of 20.0 s could be read.")


def test_a_damaged_recording_full_of_errors_does_not_stall(tmp_path: Path):
    # ffmpeg waited for ever to write its 65th kilobyte of messages, and the file timed out in every run.
    whole = bytearray(tone(tmp_path / "whole.flac", "-frame_size", "256", seconds=120).read_bytes())
    choose = random.Random(1)
    for i in choose.sample(range(9000, len(whole)), len(whole) // 50):
        whole[i] = choose.randrange(256)
    path = tmp_path / "damaged.flac"
    path.write_bytes(whole)
    said = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-y", "/dev/null"], capture_output=True, check=False
    )
    assert len(said.stderr) > 100_000
    settings = Settings(scratch_free_gb=0.0, audio_stall_s=10.0)
    assert extract_audio(path, probe(path, settings), tmp_path / "out.pcm", settings).samples > 30 * SAMPLE_RATE


def test_a_source_that_gives_nothing_is_stopped(tmp_path: Path):
    os.mkfifo(tmp_path / "a.wav")
    settings = Settings(scratch_free_gb=0.0, audio_stall_s=1.0)
    found = Probe(1000, "wav", None, None, None, None, (TRACK,))
    with pytest.raises(StageTimeout, match="gave nothing for 1 s"):
        extract_audio(tmp_path / "a.wav", found, tmp_path / "out.pcm", settings)


def test_an_mp4_that_says_it_is_encrypted_is_refused(tmp_path: Path):
    path = tone(tmp_path / "a.mp4", "-c:a", "aac", "-encryption_scheme", "cenc-aes-ctr",
                "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8")  # fmt: skip
    assert is_encrypted(path)
    with pytest.raises(UnsupportedMedia) as caught:
        extract_audio(path, probe(path, SETTINGS), tmp_path / "out.pcm", SETTINGS)
    assert caught.value.reason == "encrypted"
    assert not is_encrypted(tone(tmp_path / "b.mp4", "-c:a", "aac"))


def test_a_full_disk_stops_the_writing(tmp_path: Path):
    path = tone(tmp_path / "a.wav")
    with pytest.raises(ScratchFull, match="less than 1e\\+09 GB is free"):
        extract_audio(path, probe(path, SETTINGS), tmp_path / "out.pcm", Settings(scratch_free_gb=1e9))
