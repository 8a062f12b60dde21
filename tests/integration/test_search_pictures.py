"""What was to be seen is found: by a picture, by words, by both added and taken away, and while something is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import command_environment
from contract.archive import Archive
from forked import nightscribe
from made_media import make
from PIL import Image, ImageDraw
from sessions import cut

from tasks.errors import BadQuery, Misconfigured, NotFound
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.models.catalog import find_set
from tasks.search import near_scan
from tasks.search.near import Wish, answer
from tasks.search.near_kinds import KINDS
from tasks.search.near_scan import recipes_of
from tasks.settings import Settings

COLOURS = {"red": (220, 20, 20), "green": (20, 180, 20), "blue": (30, 30, 220), "white": (240, 240, 240)}


def card(path: Path, background: str, shape: str) -> Path:
    """A picture with one shape in it."""
    picture = Image.new("RGB", (160, 120), COLOURS[background])
    draw = ImageDraw.Draw(picture)
    {"circle": draw.ellipse, "square": draw.rectangle}[shape]((30, 25, 90, 85), fill=COLOURS["white"])
    picture.save(path)
    return path


def film(path: Path, *cards: Path, sound: Path | None = None) -> None:
    """Each picture for three seconds."""
    slides = [part for one in cards for part in ("-loop", "1", "-t", "3", "-i", str(one))]
    heard = (
        ["-i", str(sound)] if sound else ["-f", "lavfi", "-t", str(3 * len(cards)), "-i", "anullsrc=r=16000:cl=mono"]
    )
    joined = "".join(f"[{n}:v]" for n in range(len(cards)))
    graph = f"{joined}concat=n={len(cards)},fps=10[v]"
    make(*slides, *heard, "-filter_complex", graph, "-map", "[v]", "-map", f"{len(cards)}:a", "-shortest", path)


@pytest.fixture(scope="module")
def cards(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("cards")
    return {
        f"{colour} {shape}": card(folder / f"{colour}-{shape}.png", colour, shape)
        for colour in ("red", "green", "blue")
        for shape in ("circle", "square")
    }


@pytest.fixture(scope="module")
def archive(cards, tmp_path_factory) -> Archive:
    made = Archive(tmp_path_factory.mktemp("archive"))
    made.bucket.mkdir()
    cut(made.folder / "talk.wav", 9.0)
    film(
        made.bucket / "talk.mp4",
        cards["green circle"],
        cards["blue square"],
        cards["red circle"],
        sound=made.folder / "talk.wav",
    )
    film(made.bucket / "silent.mp4", cards["red square"], cards["red circle"], cards["red square"])
    (made.bucket / "silent.json").write_text('{"upload_date": "20200102"}')
    made.run()
    return made


def settings_of(archive: Archive) -> Settings:
    return Settings(models="demo", catalog=archive.catalog, lake=archive.lake.uri, device="cpu")


def ask(archive: Archive, wish: Wish, **options):
    return answer(settings_of(archive), archive.lake, wish, **options)


def moments(found) -> list[tuple[str, int, int]]:
    return [(video["key"], m["start_ms"], m["end_ms"]) for video in found["videos"] for m in video["moments"]]


def test_a_picture_finds_the_moments_in_which_it_is_seen(archive, cards):
    found = ask(archive, Wish(files=(cards["blue square"],)), moments=1)
    assert moments(found)[0] == ("talk.mp4", 3000, 6000)
    assert found["videos"][0]["score"] > 0.99
    assert (found["total_videos"], found["mode"], found["query"]) == (2, "picture", "blue-square.png")
    [first] = found["videos"][0]["moments"]
    assert first["similarity"] == found["videos"][0]["score"]
    assert (first["times"], first["shot"], first["likelihood"]) == ([3000], 1, None)


def test_what_is_seen_twice_is_one_moment_with_both_times(archive, cards):
    found = ask(archive, Wish(files=(cards["red square"],)), moments=3)
    [best, *_] = found["videos"]
    assert best["key"] == "silent.mp4"
    assert best["moments"][0]["times"] == [0, 6000]
    assert (best["moments_total"], found["total_moments"]) == (2, 5)


def test_filters_and_pages_are_those_of_a_search_for_words(archive, cards):
    wish = Wish(files=(cards["blue square"],))
    assert [video["key"] for video in ask(archive, wish, since=np.datetime64("2020-01-01").item())["videos"]] == [
        "silent.mp4"
    ]
    first = ask(archive, wish, limit=1)
    assert (first["videos"][0]["key"], first["next"]) == ("talk.mp4", 1)
    second = ask(archive, wish, limit=1, offset=first["next"])
    assert (second["videos"][0]["key"], second["next"]) == ("silent.mp4", None)
    alone = ask(archive, wish, video=second["videos"][0]["video_id"])
    assert [video["key"] for video in alone["videos"]] == ["silent.mp4"]


def test_with_words_only_what_is_seen_while_they_are_said(archive, cards):
    words = archive.rows(
        "SELECT word, start_ms FROM words JOIN videos USING (video_id) WHERE key = 'talk.mp4' ORDER BY start_ms"
    )
    word, start_ms = next(
        (word, start) for word, start in words if start >= 6200 and [w for w, _ in words].count(word) == 1
    )
    found = ask(archive, Wish(files=(cards["green circle"],)), text=word)
    assert [video["key"] for video in found["videos"]] == ["talk.mp4"]
    assert moments(found) == [("talk.mp4", 6000, 9000)], f"{word} is said at {start_ms}, while a red circle is seen"
    assert found["query"] == f"{word} & green-circle.png"
    assert ask(archive, Wish(files=(cards["green circle"],)), text="zyzzyva")["videos"] == []


class Drawn:
    """An encoder whose vectors are known: red, green and blue, of texts and pictures alike."""

    sigmoid, size = False, 3

    def texts(self, texts):
        return np.array([np.eye(3)[("red", "green", "blue").index(text)] for text in texts], np.float32).reshape(-1, 3)

    def of(self, picture):
        colour = np.asarray(picture.convert("RGB").resize((1, 1)), np.float32).ravel()
        return colour / np.linalg.norm(colour)


def test_vectors_are_added_and_taken_away(tmp_path):
    yellow = Image.new("RGB", (8, 8), (255, 255, 0))
    yellow.save(tmp_path / "yellow.png")
    encoder = Drawn()
    assert Wish(("red",)).vector(KINDS["pictures"], encoder, Settings()).tolist() == [1, 0, 0]
    assert Wish(("red", "blue")).vector(KINDS["pictures"], encoder, Settings()) == pytest.approx(
        [0.7071, 0, 0.7071], abs=1e-4
    )
    assert Wish(files=(tmp_path / "yellow.png",), without=("red",)).vector(
        KINDS["pictures"], encoder, Settings()
    ) == pytest.approx([-0.3827, 0.9239, 0], abs=1e-4)
    assert str(Wish(("red",), (tmp_path / "yellow.png",), ("blue",))) == "yellow.png + red - blue"
    with pytest.raises(BadQuery, match="leaves nothing"):
        Wish(("red",), without=("red",)).vector(KINDS["pictures"], encoder, Settings())
    with pytest.raises(BadQuery, match="Nothing is said"):
        Wish(without=("red",)).vector(KINDS["pictures"], encoder, Settings())
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(BadQuery, match="is no picture"):
        Wish(files=(tmp_path / "no.png",)).vector(KINDS["pictures"], encoder, Settings())


def test_frames_of_another_model_are_not_compared_with(archive):
    with pytest.raises(Misconfigured, match="frames of this archive were made by another model"):
        recipes_of(connect(archive.lake), KINDS["pictures"], {"model": "other", "files": "0", "revision": None})


def test_what_is_like_a_moment_is_found_without_a_model_and_without_itself(archive):
    connection = connect(archive.lake)
    [(talk,)] = archive.rows("SELECT video_id FROM videos WHERE key = 'talk.mp4'")

    def alike(at_ms: int, **options: Any) -> dict[str, Any]:
        query, recipes = near_scan.like(connection, KINDS["pictures"], talk, at_ms, **options)
        return near_scan.search(connection, KINDS["pictures"], query, recipes)

    found = alike(7500, limit=2, moments=1)
    assert moments(found)[0] == ("silent.mp4", 3000, 6000), "the other red circle"
    assert found["videos"][0]["score"] > 0.99
    assert ("talk.mp4", 6000, 9000) not in moments(alike(7500, moments=9))
    assert alike(10**9) == alike(8999)
    with pytest.raises(NotFound, match="has no frames"):
        near_scan.like(connection, KINDS["pictures"], "0" * 20, 0)


def test_what_was_compared_leaves_numbers_in_memory_and_no_vectors(archive):
    """What is seen of one column of a batch of Arrow's holds the memory of all of them."""
    connection, kind = connect(archive.lake), KINDS["pictures"]
    [(talk,)] = archive.rows("SELECT video_id FROM videos WHERE key = 'talk.mp4'")
    query, recipes = near_scan.like(connection, kind, talk, 7500)
    chunks = list(near_scan._compared(connection, kind, query, recipes, []))
    assert chunks
    assert all(array.base is None for chunk in chunks for array in chunk), "of memory of its own"


def test_a_set_without_a_picture_model_says_so(archive, cards, tmp_path):
    settings = settings_of(archive)
    assert find_set(settings).ref("pictures") is not None
    bare = tmp_path / "catalog.toml"
    bare.write_text("\n".join(line for line in archive.catalog.read_text().splitlines() if "pictures" not in line))
    with pytest.raises(Misconfigured, match="has no model for pictures") as caught:
        answer(settings.model_copy(update={"catalog": bare}), archive.lake, Wish(("red",)))
    assert "--stages frames" in caught.value.next


def test_an_archive_without_frames_has_none(tmp_path, archive, cards):
    empty = Lake(str(tmp_path / "lake"))
    create_lake(empty)
    found = answer(settings_of(archive).model_copy(update={"lake": empty.uri}), empty, Wish(("red",)))
    assert (found["videos"], found["total_videos"], found["next"]) == ([], 0, None)


def test_the_command_shows_them(archive, cards):
    own = command_environment(archive.folder) | {
        "NIGHTSCRIBE_LAKE": archive.lake.uri, "NIGHTSCRIBE_CATALOG": str(archive.catalog), "NIGHTSCRIBE_DEVICE": "cpu",
    }  # fmt: skip
    shown = nightscribe("search", "--image", cards["blue square"], "--limit", "1", env=own)
    assert "0:03.0  seen until 0:06.0, similarity 1.00" in shown.stdout, shown.stderr
    found = json.loads(nightscribe("search", "--picture", "a red circle", "--minus", "green", "--json", env=own).stdout)
    assert found["query"] == "a red circle - green"
    assert nightscribe("search", env=own).returncode == 2
    refused = nightscribe("search", "--picture", "x", "said", "--engine", "elasticsearch", env=own)
    assert (refused.returncode, "looked for in the lake" in refused.stderr) == (2, True)
