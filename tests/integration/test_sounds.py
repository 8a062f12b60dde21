"""Which sound of a video is heard, with the demo models: of channels, of tracks, and of places in them."""

from __future__ import annotations

import glob
import json
from pathlib import Path

import numpy as np
import pytest
from made_media import make
from sessions import session_on, through
from voices import RATE, VOICE_S, talk, voice, voice_file

from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.runs import pipeline
from tasks.runs.pipeline import Batch

COLUMNS = "status, reason, error, audio_track, audio_heard, n_words, duration_ms, width, pixels, clock"


def index(bucket: Path, tmp_path: Path, **options) -> dict[str, dict]:
    """The rows of a folder's videos by key, with their words."""
    with session_on(bucket, tmp_path, **options) as session:
        session.committed(pipeline.commit_batch(session.pipeline, through(session, Batch(0, session.work))))
        assert not list(session.pipeline.scratch.glob("*.pcm")), "nothing stays in scratch"
    connection = connect(Lake(str(tmp_path / "lake")))
    names = COLUMNS.split(", ")
    rows = connection.execute(f"SELECT key, video_id, {COLUMNS} FROM videos").fetchall()
    words = dict(connection.execute("SELECT video_id, list(word ORDER BY word_no) FROM words GROUP BY ALL").fetchall())
    return {
        key: {**dict(zip(names, row, strict=True)), "words": words.get(video_id, [])} for key, video_id, *row in rows
    }


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    (tmp_path / "bucket").mkdir()
    return tmp_path / "bucket"


def wav(path: Path, *channels: np.ndarray) -> Path:
    """16 kHz samples as a file."""
    raw = path.with_suffix(".raw")
    np.stack(channels, axis=1).clip(-32768, 32767).astype(np.int16).tofile(raw)
    make("-f", "s16le", "-ar", str(RATE), "-ac", str(len(channels)), "-i", raw, path)
    raw.unlink()
    return path


def test_each_kind_of_channels_has_the_words_of_the_plain_voice(bucket, tmp_path):
    v, n = voice(), len(voice())
    noise = np.random.default_rng(3).normal(0, 4000, n)
    code = np.where((np.arange(n) // 4) % 2, 9000, -9000)
    silence = np.zeros(n)
    wav(bucket / "plain.wav", v)
    wav(bucket / "opposite.wav", v, -v)
    wav(bucket / "code.wav", v, code)
    wav(bucket / "code left.wav", code, v)
    wav(bucket / "room.wav", noise / 100, v)
    wav(bucket / "recorder.wav", silence, noise / 200, silence, v, code, noise / 100)
    rows = index(bucket, tmp_path)
    plain = rows["plain.wav"]["words"]
    assert len(plain) > 40
    heard = {"opposite.wav": [0], "code.wav": [0], "code left.wav": [1], "room.wav": [1], "recorder.wav": [3]}
    assert {key: row["audio_heard"] for key, row in rows.items() if key != "plain.wav"} == heard
    assert {key: row["words"] == plain for key, row in rows.items()} == dict.fromkeys(rows, True)


@pytest.mark.parametrize("left", ["voice", "other"])
def test_of_two_programmes_at_once_the_one_that_the_models_understand_is_kept(left, bucket, tmp_path):
    v = voice()
    other = np.roll(v[::-1], RATE // 3)
    wav(bucket / "plain.wav", v)
    wav(bucket / "two.wav", *((v, other) if left == "voice" else (other, v)))
    rows = index(bucket, tmp_path)
    assert rows["two.wav"]["audio_heard"] == [0 if left == "voice" else 1]
    assert rows["two.wav"]["words"] == rows["plain.wav"]["words"]
    assert rows["two.wav"]["error"] is None


@pytest.mark.parametrize("first", ["english", "persian"])
def test_of_two_languages_the_one_of_the_models_is_kept(first, bucket, tmp_path, testdata):
    v = voice()
    persian = np.zeros(0, np.int16)
    for path in sorted(glob.glob(str(testdata / "speech/cv61_fa/*")))[:8]:
        make("-i", path, "-ac", "1", "-ar", str(RATE), "-f", "s16le", tmp_path / "fa.raw")
        persian = np.concatenate([persian, np.fromfile(tmp_path / "fa.raw", np.int16)])
    persian = np.resize(persian.astype(np.float32), len(v))
    persian *= np.sqrt((v**2).mean() / (persian**2).mean())
    wav(bucket / "two.wav", *((v, persian) if first == "english" else (persian, v)))
    wav(bucket / "plain.wav", v)
    rows = index(bucket, tmp_path)
    assert rows["two.wav"]["audio_heard"] == [0 if first == "english" else 1]
    assert rows["two.wav"]["words"] == rows["plain.wav"]["words"]


def test_of_two_programmes_in_the_language_the_first_is_kept_and_the_row_says_so(bucket, tmp_path):
    v = voice()
    wav(bucket / "two.wav", v, np.roll(v, 9 * RATE))
    row = index(bucket, tmp_path)["two.wav"]
    assert row["audio_heard"] == [0]
    assert (
        row["error"] == "Channels 0, 1 are different programmes; the first was heard. Set audio_channels for another."
    )
    assert (row["status"], row["reason"]) == ("indexed", None)


def test_the_channels_that_were_asked_for_are_heard(bucket, tmp_path):
    v = voice()
    wav(bucket / "two.wav", v, np.roll(v[::-1], RATE // 3))
    wav(bucket / "mono.wav", v)
    rows = index(bucket, tmp_path, audio_channels=(1,))
    assert rows["two.wav"]["audio_heard"] == [1]
    assert rows["mono.wav"]["error"] == "No audio track has the channels 1, counted from 0."


def test_speech_after_minutes_of_tone_is_found_on_its_track(bucket, tmp_path):
    """Bars and tone on all tracks for longer than the first two minutes, then a voice on the second one."""
    voice_file(tmp_path / "voice.wav")
    make(
        *("-f", "lavfi", "-t", "200", "-i", "sine=1000:r=16000", "-i", tmp_path / "voice.wav"),
        *("-f", "lavfi", "-t", "222", "-i", "anoisesrc=r=16000:a=0.02"),
        *("-filter_complex", "[1:a]aresample=16000[v];[0:a][v]concat=n=2:v=0:a=1[two];[0:a]apad=whole_dur=222[one]"),
        *("-map", "[one]", "-map", "[two]", "-map", "2:a", "-c:a", "flac", "-disposition:a:0", "default"),
        bucket / "slate.mkv",
    )
    row = index(bucket, tmp_path)["slate.mkv"]
    assert (row["status"], row["audio_track"]) == ("indexed", 1)
    assert row["n_words"] > 40


@pytest.mark.long
def test_a_track_without_a_word_is_not_the_last_that_is_tried(bucket, tmp_path, monkeypatch):
    """The first track has the rhythm of speech and no word; the second is so short that a listen hardly meets it."""
    rng = np.random.default_rng(5)
    seconds = 300
    t = np.arange(seconds * RATE) / RATE
    rhythm = rng.normal(0, 2500, len(t)) * np.sin(np.pi * 4 * t) ** 2
    quiet = np.zeros(len(t))
    quiet[90 * RATE : 90 * RATE + len(voice())] = voice()
    wav(tmp_path / "a.wav", rhythm)
    wav(tmp_path / "b.wav", quiet)
    make(
        "-i", tmp_path / "a.wav", "-i", tmp_path / "b.wav", "-map", "0", "-map", "1", "-c:a", "flac", bucket / "two.mkv"
    )
    from tasks.media.tracks import choose_sources

    tracks = []
    module = __import__("tasks.runs.pipeline.prepare", fromlist=["choose_sources"])

    def noted(*args, **kwargs):
        choice = choose_sources(*args, **kwargs)
        tracks.extend(source.track.position for source in choice.sources)
        return choice

    monkeypatch.setattr(module, "choose_sources", noted)
    row = index(bucket, tmp_path)["two.mkv"]
    assert tracks == [0, 1], "by its sound alone it would have been the first"
    assert (row["status"], row["audio_track"]) == ("indexed", 1)
    assert row["n_words"] > 40


@pytest.mark.parametrize("tracks", [2, 3])
def test_where_no_track_has_a_word_the_first_choice_stands_in_the_row(tracks, bucket, tmp_path):
    sounds = ["sine=440:r=16000", "anullsrc=r=16000:cl=mono", "sine=880:r=16000"][:tracks]
    inputs = [option for sound in sounds for option in ("-f", "lavfi", "-t", "5", "-i", sound)]
    maps = [option for number in range(tracks) for option in ("-map", str(number))]
    make(*inputs, *maps, "-c:a", "flac", bucket / "tracks.mkv")
    row = index(bucket, tmp_path)["tracks.mkv"]
    assert (row["status"], row["audio_track"], row["audio_heard"]) == ("no_speech", 0, [0])


def test_the_picture_is_of_the_programme_that_is_heard(bucket, tmp_path):
    """Two programmes in one transport stream, the first with a tone."""
    voice_file(tmp_path / "voice.wav")
    make(
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=22", "-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=22"),
        *("-f", "lavfi", "-t", "22", "-i", "sine=440:r=48000", "-i", tmp_path / "voice.wav"),
        *("-map", "0", "-map", "1", "-map", "2", "-map", "3", "-c:v", "mpeg2video", "-c:a", "mp2", "-ar", "48000"),
        *("-program", "title=a:st=0:st=2", "-program", "title=b:st=1:st=3", bucket / "two.ts"),
    )
    row = index(bucket, tmp_path)["two.ts"]
    assert (row["status"], row["audio_track"], row["width"]) == ("indexed", 1, 160)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_pixels_that_browsers_may_not_play_stand_in_the_row(pixels, bucket, tmp_path):
    talk(bucket / "a.mp4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", pixels, "-c:a", "aac", end_s=2.0)
    (tmp_path / "bucket/voice.wav").unlink()
    row = index(bucket, tmp_path)["a.mp4"]
    assert (row["pixels"], row["clock"]) == (pixels, "steady")


def test_fonts_and_subtitles_are_no_streams_too_many(bucket, tmp_path):
    (tmp_path / "font.ttf").write_bytes(b"\0\1\0\0" + bytes(200))
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nx\n")
    talk(tmp_path / "talk.mkv", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac")
    make(
        *("-i", tmp_path / "talk.mkv", *["-i", tmp_path / "a.srt"] * 40, "-map", "0"),
        *(part for n in range(1, 41) for part in ("-map", str(n))),
        *(part for n in range(30) for part in ("-attach", str(tmp_path / "font.ttf"))),
        *(f"-metadata:s:t:{n}" if not m else "mimetype=application/x-truetype-font" for n in range(30) for m in (0, 1)),
        *("-c", "copy", "-c:s", "srt", bucket / "many.mkv"),
    )
    row = index(bucket, tmp_path)["many.mkv"]
    assert (row["status"], row["error"]) == ("indexed", None)


def test_the_report_has_the_minutes_that_were_heard(bucket, tmp_path):
    """Of a length that is an estimate, too, that is far off: the voice is hardly anything among minutes of silence."""
    voice_file(tmp_path / "voice.wav")
    make(
        *("-f", "lavfi", "-t", "240", "-i", "anullsrc=r=48000:cl=mono", "-i", tmp_path / "voice.wav"),
        *("-filter_complex", "[1:a][0:a]concat=n=2:v=0:a=1", "-c:a", "aac", "-b:a", "128k", bucket / "long.aac"),
    )
    with session_on(bucket, tmp_path) as session:
        session.committed(pipeline.commit_batch(session.pipeline, through(session, Batch(0, session.work))))
        report = json.loads(json.dumps(session.report.as_json()))
    true = 1000 * (240 + VOICE_S)
    assert report["media_ms"] == report["heard_ms"] == pytest.approx(true, abs=300)
    [(length,)] = connect(Lake(str(tmp_path / "lake"))).execute("SELECT duration_ms FROM videos").fetchall()
    assert length == pytest.approx(true, abs=300)
