"""A labelled corpus spoken by the machine itself."""

from __future__ import annotations

import csv
import shutil
import subprocess

import numpy as np
import pytest
from test_evaluate import nightscribe

from tasks.errors import MissingTool
from tasks.training.corpus import SPEAKABLE, available_voices, choose_sentences, flac_seconds, plan_clips, speak

TEXT = "The cat sat on the mat. It was 9 o'clock! A dog came by, and the cat ran up a tree.\n" * 3


@pytest.fixture(scope="module", autouse=True)
def voices():
    try:
        return available_voices()
    except MissingTool as error:
        pytest.skip(f"{error} {error.next}")


def rows(folder) -> list[dict]:
    with (folder / "manifest.tsv").open(newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_sentences_that_engines_read_differently_are_left_out(tmp_path):
    (tmp_path / "t.txt").write_text(TEXT)
    found = choose_sentences([tmp_path / "t.txt"], 10, shortest=2, longest=20, seed=0)
    assert sorted(found) == ["A dog came by, and the cat ran up a tree.", "The cat sat on the mat."]
    assert not SPEAKABLE.fullmatch("50 % of all")


def test_a_plan_depends_on_seed_and_number_alone(voices):
    texts = [f"sentence {i}" for i in range(40)]
    one = list(plan_clips(texts, voices, seed=1, effects=0.5))
    assert one == list(plan_clips(texts, voices, seed=1, effects=0.5))
    assert one[20:] == list(plan_clips(texts[20:], voices, seed=1, effects=0.5, start=20))
    assert one != list(plan_clips(texts, voices, seed=2, effects=0.5))
    assert any(clip.snr_db is not None for clip in one)
    assert len({clip.voice.name for clip in one}) > 1 or len(voices) == 1


def test_faster_speech_is_shorter(voices):
    slow, fast = (len(speak("one two three four five", voices[0], rate=rate)) for rate in (0.8, 1.3))
    assert fast < slow * 0.8
    assert np.abs(speak("hello", voices[0])).max() > 0.01


def test_the_command_speaks_goes_on_and_refuses_another_corpus_in_its_folder(tmp_path):
    (tmp_path / "t.txt").write_text(
        "\n".join(f"{a} {b} walks home." for a in ("Ann", "Ben") for b in ("slowly", "now"))
    )
    command = ["train", "corpus", "t.txt", "--clips", 4, "--effects", 1, "--out", "c"]
    nightscribe(tmp_path, *command)
    made = rows(tmp_path / "c")
    assert len(made) == 4
    for row in made:
        path = tmp_path / "c" / row["path"]
        said = subprocess.run(
            ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert (
            flac_seconds(path) == pytest.approx(float(said), abs=0.01) == pytest.approx(float(row["seconds"]), abs=0.02)
        )
    first = (tmp_path / "c" / "manifest.tsv").read_bytes()
    (tmp_path / "c" / made[0]["path"]).unlink()
    nightscribe(tmp_path, *command)
    assert (tmp_path / "c" / "manifest.tsv").read_bytes() == first
    done = nightscribe(tmp_path, *command, "--seed", 1, code=2)
    assert "holds another run" in done.stderr
    assert "No installed voice is left" in nightscribe(tmp_path, *command, "--voice", "nobody", code=2).stderr
    shutil.rmtree(tmp_path / "c")
