"""Media of strangers: what may be opened, and what it is called when it cannot be."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest
from made_media import SETTINGS, TRACK, make, tone

from tasks.errors import CorruptMedia, ScratchFull, UnsupportedMedia
from tasks.media import (
    allowed_demuxers,
    clip_sound,
    explain,
    extract_audio,
    probe,
)
from tasks.records import AudioTrack, Picture, Probe
from tasks.settings import Settings

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
    picture = Picture(0, "mpeg4", 64, 48, 25.0, "yuv420p")
    assert found.tracks == (
        AudioTrack(
            *(0, "aac", 1, "mono", 16_000, "eng", True),
            duration_ms=2000, stream=1, programme=(1, 0), picture=picture,
        ),
    )  # fmt: skip
    assert (found.video_stream, found.pixels, found.exact, found.clock) == (0, "yuv420p", True, "steady")
    assert found.tags["title"] == "A talk"


def test_sound_alone_has_no_video(tmp_path: Path):
    found = probe(tone(tmp_path / "a.wav"), SETTINGS)
    track = AudioTrack(0, "pcm_s16le", 1, "", 16_000, None, False, duration_ms=2000, stream=0, programme=(0,))
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


def test_a_full_disk_is_no_fault_of_the_clip(tmp_path: Path):
    clip = tone(tmp_path / "a.wav")
    with pytest.raises(ScratchFull):
        clip_sound(clip, tmp_path / "a.pcm", Settings(scratch_free_gb=1e9))
    assert not isinstance(clip_sound(clip, tmp_path / "a.pcm", Settings(scratch_free_gb=0.0)), str)
