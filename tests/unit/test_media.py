"""Media of strangers: what may be opened, what it is called when it cannot be, and what is heard of it."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import CorruptMedia, MediaTooLong, ScratchFull, StageTimeout, UnsupportedMedia
from tasks.media import (
    SAMPLE_RATE,
    allowed_demuxers,
    choose_track,
    explain,
    extract_audio,
    is_encrypted,
    probe,
    same_language,
    speech_likeness,
)
from tasks.records import AudioTrack, Probe
from tasks.settings import Settings

SETTINGS = Settings(scratch_free_gb=0.0, probe_timeout_s=20.0)
TRACK = AudioTrack(0, "aac", 1, "mono", 16_000, None, True)


def make(*arguments: str | Path) -> None:
    """Run ffmpeg to make a test file."""
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-threads", "1", *map(str, arguments)], check=True)


def tone(path: Path, *options: str, seconds: float = 2.0) -> Path:
    """A file with a tone of 440 Hz."""
    make("-f", "lavfi", "-i", f"sine=440:r=16000:d={seconds}", *options, path)
    return path


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


# -- probe ------------------------------------------------------------------------------------------------------------


def test_a_video_is_described(tmp_path: Path):
    path = tmp_path / "it's a talk, ü.mp4"
    make(
        *("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=2", "-f", "lavfi", "-i", "sine=440:r=16000:d=2"),
        *("-c:v", "mpeg4", "-c:a", "aac", "-metadata", "title=A talk", "-metadata:s:a", "language=eng", path),
    )
    found = probe(path, SETTINGS)
    assert 1900 <= found.duration_ms <= 2200
    assert found.container == "mov,mp4,m4a,3gp,3g2,mj2"
    assert (found.video_codec, found.width, found.height, found.fps) == ("mpeg4", 64, 48, 25.0)
    assert found.tracks == (AudioTrack(0, "aac", 1, "mono", 16_000, "eng", True, duration_ms=2000),)
    assert found.tags["title"] == "A talk"


def test_sound_alone_has_no_video(tmp_path: Path):
    found = probe(tone(tmp_path / "a.wav"), SETTINGS)
    track = AudioTrack(0, "pcm_s16le", 1, "", 16_000, None, False, duration_ms=2000)
    assert found == Probe(2000, "wav", None, None, None, None, (track,), found.tags)


def test_a_video_without_sound_has_no_tracks(tmp_path: Path):
    make("-f", "lavfi", "-i", "testsrc=s=64x48:r=5:d=1", "-c:v", "mpeg4", tmp_path / "silent.mp4")
    assert probe(tmp_path / "silent.mp4", SETTINGS).tracks == ()


def test_an_empty_file_is_not_media(tmp_path: Path):
    path = tmp_path / "a.mp4"
    path.touch()
    with pytest.raises(CorruptMedia, match="empty") as caught:
        probe(path, SETTINGS)
    assert caught.value.reason == "not_media"


@pytest.mark.parametrize("name", ["a", "a.webm"])
def test_text_named_as_media_is_not_media(name: str, tmp_path: Path):
    path = tmp_path / name
    path.write_text("Dear diary,\n" * 100)
    with pytest.raises(CorruptMedia) as caught:
        probe(path, SETTINGS)
    assert caught.value.reason == "not_media"


def test_a_video_that_lost_its_end_is_cut_off(tmp_path: Path):
    whole = tone(tmp_path / "whole.mp4", "-c:a", "aac").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptMedia) as caught:
        probe(tmp_path / "half.mp4", SETTINGS)
    assert caught.value.reason == "truncated"


def test_a_file_name_says_nothing_about_what_is_wrong(tmp_path: Path):
    # A damaged lecture on encryption was once "encrypted": ffmpeg repeats the name.
    path = tmp_path / "encryption: unknown codec.webm"
    path.write_bytes(random.Random(1).randbytes(2000))
    with pytest.raises(CorruptMedia) as caught:
        probe(path, SETTINGS)
    assert caught.value.reason == "not_media"
    assert str(tmp_path) not in str(caught.value)


def test_more_streams_than_allowed_are_refused(tmp_path: Path):
    path = tone(tmp_path / "a.mkv", "-map", "0", "-map", "0", "-map", "0", "-c:a", "pcm_s16le")
    assert len(probe(path, Settings(max_streams=3)).tracks) == 3
    with pytest.raises(UnsupportedMedia, match="3 streams"):
        probe(path, Settings(max_streams=2))


# -- files that point at others ---------------------------------------------------------------------------------------


def test_demuxers_that_open_other_files_are_not_allowed():
    allowed = set(allowed_demuxers().split(","))
    assert allowed >= {"mov", "mp4", "matroska", "webm", "mpegts", "avi", "wav", "mp3", "flac", "ogg"}
    assert not allowed & {
        *("hls", "applehttp", "concat", "dash", "webm_dash_manifest", "imf", "image2", "image2pipe", "lavfi", "mlv"),
        *(
            "avisynth",
            "vapoursynth",
            "tty",
            "sdp",
            "rtsp",
            "ffmetadata",
            "srt",
            "webvtt",
            "ass",
            "png_pipe",
            "svg_pipe",
        ),
    }


def playlist(kind: str, secret: Path) -> str:
    """A playlist that names another file."""
    if kind == "hls":
        return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:{secret}\n#EXT-X-ENDLIST\n"
    return f"ffconcat version 1.0\nfile {secret.name}\n"


@pytest.mark.parametrize("kind", ["hls", "concat"])
def test_a_playlist_named_as_a_video_is_refused(kind: str, tmp_path: Path):
    secret = tone(tmp_path / "secret.ts", "-c:a", "mp2")
    path = tmp_path / "talk.mp4"
    path.write_text(playlist(kind, secret))
    # Without the list of demuxers the other file is opened: the danger is real.
    opened = ["ffprobe", "-v", "error", "-protocol_whitelist", "file,pipe", "-show_streams", f"file:{path}"]
    assert "codec_name=mp2" in subprocess.run(opened, capture_output=True, text=True, check=True).stdout
    with pytest.raises(CorruptMedia) as caught:
        probe(path, SETTINGS)
    assert caught.value.reason == "not_media"


@pytest.mark.parametrize("kind", ["hls", "concat"])
def test_the_file_that_a_playlist_names_is_never_opened(kind: str, tmp_path: Path):
    secret = tmp_path / "secret.ts"
    os.mkfifo(secret)  # who opens it waits for ever
    path = tmp_path / "talk.mp4"
    path.write_text(playlist(kind, secret))
    with pytest.raises(CorruptMedia):
        probe(path, SETTINGS)
    pretended = Probe(1000, "mov,mp4", None, None, None, None, (TRACK,))
    target = tmp_path / "out.pcm"
    with pytest.raises(CorruptMedia):
        extract_audio(path, pretended, target, Settings(scratch_free_gb=0.0, audio_stall_s=10.0))
    assert target.read_bytes() == b""


# -- reasons ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        ("file:/x/a.mp4: Invalid data found when processing input", CorruptMedia, "not_media"),
        ("[mov,mp4 @ 0x5] moov atom not found\nfile:/x/a.mp4: Invalid data found", CorruptMedia, "truncated"),
        ("[matroska,webm @ 0x5] EBML header parsing failed\nfile:/x/a: Invalid data", CorruptMedia, "not_media"),
        ("[hls @ 0x5] Format not on whitelist 'mov'\nfile:/x/a: Invalid data found", CorruptMedia, "not_media"),
        ("Output file #0 does not contain any stream", CorruptMedia, "not_media"),
        ("Stream map '0:a:0' matches no streams.", CorruptMedia, "not_media"),
        ("[mov @ 0x5] encrypted stream", UnsupportedMedia, "encrypted"),
        ("Incorrect decryption key", UnsupportedMedia, "encrypted"),
        ("file:/x/a.mp4: Permission denied", CorruptMedia, "access_denied"),
        ("file:/x/a.mp4: End of file", CorruptMedia, "truncated"),
        ("Decoder (codec ac4) not found for input stream #0:0", UnsupportedMedia, "unsupported_codec"),
        ("Error while opening decoder for input stream #0:0", UnsupportedMedia, "unsupported_codec"),
        ("[aac @ 0x5] USAC is not implemented. Update your FFmpeg", UnsupportedMedia, "unsupported_codec"),
        ("something nobody has seen", CorruptMedia, "corrupt"),
        ("", CorruptMedia, "corrupt"),
        ("file:/x/encrypted/no decoder: End of file.mp4: Invalid data found", CorruptMedia, "not_media"),
        ("Error opening input file file:/x/moov atom not found.\nInvalid data found", CorruptMedia, "not_media"),
    ],
)
def test_what_ffmpeg_says_has_a_reason(said: str, kind: type[Exception], reason: str):
    error = explain(said, Path("talk.mp4"))
    assert (type(error), error.reason) == (kind, reason)


def test_an_explanation_repeats_the_last_words_without_addresses_and_folders():
    error = explain(
        "[mov,mp4 @ 0x55d] moov atom not found\nfile:/srv/my scratch/object-1f: Invalid data found\n\n", Path("x")
    )
    assert str(error) == "It is cut off. (Invalid data found)"
    assert str(explain("[aac @ 0x55d] went wrong", Path("x"))) == "ffmpeg cannot read it: went wrong"


def test_an_explanation_is_bounded():
    assert len(str(explain("x" * 100_000, Path("x")))) < 400


# -- tracks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [("eng", "en", True), ("en-GB", "en", True), ("EN_us", "eng", True), ("ger", "deu", True), ("en", "fr", False)],
)
def test_languages_are_compared_by_their_short_codes(a: str, b: str, same: bool):
    assert same_language(a, b) is same


def test_the_track_that_was_asked_for_is_taken_or_missed():
    tracks = (TRACK, replace(TRACK, position=1, default=False))
    assert choose_track(Path("none"), tracks, Settings(audio_track=1)).position == 1
    with pytest.raises(UnsupportedMedia, match="no audio track 2"):
        choose_track(Path("none"), tracks, Settings(audio_track=2))


def test_a_track_in_the_wanted_language_is_taken_without_listening():
    tracks = (replace(TRACK, language="fra"), replace(TRACK, position=1, language="eng"))
    assert choose_track(Path("none"), tracks, Settings(language="en")).position == 1


def test_a_commentary_is_taken_only_when_there_is_nothing_else():
    comment = replace(TRACK, comment=True)
    assert choose_track(Path("none"), (comment, replace(TRACK, position=1)), SETTINGS).position == 1
    assert choose_track(Path("none"), (comment,), SETTINGS) == comment


def test_of_two_tracks_the_one_that_sounds_like_speech_is_taken(tmp_path: Path):
    path = tmp_path / "two.mkv"
    make(
        *("-f", "lavfi", "-i", "anoisesrc=d=4:r=16000:a=0.3:seed=1"),
        *("-f", "lavfi", "-i", "aevalsrc=(random(0)-0.5)*pow(sin(2*PI*2*t)\\,2):s=16000:d=4"),
        *("-map", "0", "-map", "1", "-c:a", "pcm_s16le", "-disposition:a:0", "default", path),
    )
    tracks = probe(path, SETTINGS).tracks
    assert [track.default for track in tracks] == [True, False]
    assert choose_track(path, tracks, SETTINGS).position == 1


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
