"""What was to be heard beside words is found: by a sound, by words, and while something is said."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import command_environment
from contract.archive import Archive
from forked import nightscribe
from made_media import make
from sessions import cut

from tasks.errors import BadQuery
from tasks.search.near import Wish, answer
from tasks.settings import Settings

SOUNDS = {"hum": "sine=200:d=10", "hiss": "anoisesrc=d=10:c=white:s=3:a=0.2", "whistle": "sine=3000:d=10"}


def sound(folder: Path, name: str, rate: int = 48_000) -> Path:
    made = folder / f"{name}-{rate}.wav"
    make("-f", "lavfi", "-i", SOUNDS[name], "-ar", rate, made)
    return made


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Archive:
    """A recording of ten seconds each of hum, hiss and whistle, and a talk of which the end whistles."""
    made = Archive(tmp_path_factory.mktemp("archive"))
    made.bucket.mkdir()
    parts = [part for name in SOUNDS for part in ("-i", sound(made.folder, name))]
    make(*parts, "-filter_complex", "concat=n=3:v=0:a=1", "-ar", 48_000, made.bucket / "signals.wav")
    cut(made.folder / "talk.wav", 9.0)
    whistle = sound(made.folder, "whistle")
    make(
        "-i", made.folder / "talk.wav", "-i", whistle, "-filter_complex", "concat=n=2:v=0:a=1", "-ar", 48_000,
        made.bucket / "talk.flac",
    )  # fmt: skip
    made.run(sounds={"overlap": 0.0})
    return made


def ask(archive: Archive, wish: Wish, **options):
    settings = Settings(
        models="demo", catalog=archive.catalog, lake=archive.lake.uri, scratch=archive.folder / "scratch", device="cpu"
    )
    return answer(settings, archive.lake, wish, kind="sounds", **options)


@pytest.mark.parametrize(("name", "start_ms"), [("hum", 0), ("hiss", 10_000), ("whistle", 20_000)])
def test_a_sound_finds_the_moment_in_which_it_is_heard(archive, name, start_ms):
    found = ask(archive, Wish(files=(sound(archive.folder, name),)), video=archive_id(archive, "signals.wav"))
    [video] = found["videos"]
    first = video["moments"][0]
    assert (first["start_ms"], first["end_ms"], first["times"]) == (start_ms, start_ms + 10_000, [start_ms])
    assert first["similarity"] > 0.99
    assert (found["mode"], found["total_moments"]) == ("sound", 3)
    assert "shot" not in first


def archive_id(archive: Archive, key: str) -> str:
    return archive.rows(f"SELECT video_id FROM videos WHERE key = '{key}'")[0][0]


def test_with_words_only_what_is_heard_while_they_are_said(archive):
    wish = Wish(files=(sound(archive.folder, "hum"),))
    assert {video["key"] for video in ask(archive, wish)["videos"]} == {"signals.wav", "talk.flac"}
    [(word,)] = archive.rows("SELECT word FROM words ORDER BY start_ms LIMIT 1")
    found = ask(archive, wish, text=word)
    assert [video["key"] for video in found["videos"]] == ["talk.flac"]
    assert found["videos"][0]["moments"][0]["start_ms"] == 0


def test_what_is_to_be_heard_has_names_that_cover_it_once(archive):
    rows = archive.rows(
        "SELECT start_ms, end_ms, label, score FROM sound_events JOIN videos USING (video_id) "
        "WHERE key = 'signals.wav' ORDER BY start_ms"
    )
    assert (rows[0][0], rows[-1][1]) == (0, 30_000)
    for one, other in pairwise(rows):
        assert one[1] == other[0]
        assert one[2] != other[2]


def test_a_file_without_sound_says_so(archive, tmp_path):
    make("-f", "lavfi", "-i", "testsrc=s=64x64:d=1", tmp_path / "film.mp4")
    make("-f", "lavfi", "-i", "anullsrc=d=2", tmp_path / "silence.wav")
    (tmp_path / "text.wav").write_text("no sound")
    for name, message in (
        ("film.mp4", "as a sound: no sound"),
        ("silence.wav", "Nothing is to be heard"),
        ("text.wav", "as a sound: not_media"),
    ):
        with pytest.raises(BadQuery, match=message):
            ask(archive, Wish(files=(tmp_path / name,)))
    assert not list((archive.folder / "scratch").rglob("*.pcm"))


def test_the_command_shows_them(archive):
    own = command_environment(archive.folder) | {
        "NIGHTSCRIBE_LAKE": archive.lake.uri, "NIGHTSCRIBE_CATALOG": str(archive.catalog), "NIGHTSCRIBE_DEVICE": "cpu",
    }  # fmt: skip
    whistle = sound(archive.folder, "whistle")
    shown = nightscribe("search", "--sound-file", whistle, "--limit", "1", "--moments", "1", env=own)
    assert "heard until " in shown.stdout, shown.stderr
    found = json.loads(nightscribe("search", "--sound", "rain", "--minus", "wind", "--json", env=own).stdout)
    assert (found["query"], found["mode"], found["total_videos"]) == ("rain - wind", "sound", 2)
    for wrong, message in (
        (("--sound", "rain", "--picture", "rain"), "not of both"),
        (("rain", "--plus", "wind"), "go with --picture"),
        (("said", "--sound", "rain", "--engine", "elasticsearch"), "looked for in the lake"),
    ):
        refused = nightscribe("search", *wrong, env=own)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
