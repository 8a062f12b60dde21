"""Every CTC class of `transformers`, from the scan to the search: the words of a clip that a small model was fitted to."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import command_environment
from fitted_models import KINDS, LANGUAGE, Truth, fitted, the_clip, written
from forked import nightscribe
from sessions import session_on, work_through
from transformers.models.auto.modeling_auto import MODEL_FOR_CTC_MAPPING_NAMES

from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.search.answer import duck
from tasks.search.query import make_query
from tasks.speech.acoustic import load_acoustic

NOT_OURS = set(MODEL_FOR_CTC_MAPPING_NAMES) - {"whisper_ctc"}
# Of each kind of input, length of frames and vocabulary one; the others differ from these in their weights alone.
OFTEN = {"wav2vec2-bert", "parakeet_ctc", "lasr_ctc", "granite_speech5_ctc", "wav2vec2 as omniASR"}


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> Truth:
    return the_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def model_of(truth, tmp_path_factory) -> Callable[[str], Path]:
    """The fitted model of a kind, made when it is first asked for."""
    return functools.cache(lambda name: fitted(tmp_path_factory.mktemp("models") / "model", KINDS[name], truth))


def test_every_class_of_the_installed_transformers_is_here():
    """Where this fails, `KINDS` lacks a class that this version has."""
    assert {kind.model_type for kind in KINDS.values()} == NOT_OURS


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # inside WavLM
@pytest.mark.filterwarnings("ignore:Using padding='same'")  # inside LASR
@pytest.mark.parametrize("name", [k if k in OFTEN else pytest.param(k, marks=pytest.mark.long) for k in KINDS])
def test_words_times_search_and_subtitles(name: str, truth: Truth, model_of: Callable[[str], Path], tmp_path: Path):
    folder = model_of(name)
    language = LANGUAGE if name.endswith("MMS") else None
    by_one, by_eight = (emissions(folder, truth, batch, target_language=language) for batch in (1, 8))
    assert np.abs(np.exp(by_one) - np.exp(by_eight)).max() < 1e-4

    bucket = tmp_path / "bucket"
    bucket.mkdir()
    shutil.copy(truth.path, bucket / "clip.wav")
    chosen = {"models": str(folder)}
    if language:
        (tmp_path / "catalog.toml").write_text(
            f'[mms]\nlanguage = "en"\nlicence = ""\nacoustic = "{folder}"\ntarget_language = "{language}"\n'
        )
        chosen = {"models": "mms", "catalog": tmp_path / "catalog.toml"}
    with session_on(bucket, tmp_path, precision="fp32", **chosen) as session:
        report = work_through(session)
        frame_ms = session.pipeline.acoustic.frame_ms
    assert report.done["indexed"] == 1
    lake = Lake(str(tmp_path / "lake"))
    rows = (
        connect(lake).execute("SELECT lower(word), start_ms, end_ms, confidence FROM words ORDER BY word_no").fetchall()
    )
    words = written([word.word for word in truth.words], KINDS[name].writes)
    assert [row[0] for row in rows] == words
    for (_, start_ms, end_ms, confidence), word in zip(rows, truth.words, strict=True):
        assert abs(start_ms - word.start_ms) <= 2 * frame_ms
        assert start_ms < end_ms <= word.end_ms + 2 * frame_ms
        assert confidence > 0.5
    found = duck(lake).search(make_query("central bank", phrase=True))
    assert found["videos"][0]["key"] == "clip.wav"
    assert abs(found["videos"][0]["moments"][0]["start_ms"] - truth.words[1].start_ms) <= 2 * frame_ms
    cues = connect(lake).execute("SELECT lower(text), start_ms FROM cues ORDER BY cue_no").fetchall()
    assert " ".join(text.replace("\n", " ") for text, _ in cues) == " ".join(words)


def test_a_second_model_times_the_words_of_one_with_long_frames(truth, model_of, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model_of("parakeet_ctc"), folder)
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    shutil.copy(truth.path, bucket / "clip.wav")
    off = {}
    for name in ("coarse", "fine"):
        if name == "fine":
            shutil.copytree(model_of("wav2vec2 as omniASR"), folder / "timing")
        with session_on(bucket, tmp_path / name, models=str(folder), precision="fp32") as session:
            work_through(session)
        rows = (
            connect(Lake(str(tmp_path / name / "lake")))
            .execute("SELECT word, start_ms, end_ms FROM words ORDER BY word_no")
            .fetchall()
        )
        assert [row[0] for row in rows] == [word.word for word in truth.words]
        assert all(start < end for _, start, end in rows)
        off[name] = [abs(start - word.start_ms) for (_, start, _), word in zip(rows, truth.words, strict=True)]
    assert max(off["fine"]) <= 20, "a frame of the second model"
    assert sum(off["fine"]) < sum(off["coarse"]) / 2


def emissions(folder: Path, truth: Truth, batch: int, **options: str | None) -> np.ndarray:
    """Of the clip in short windows, so that there are several in a batch."""
    loaded = load_acoustic(
        str(folder), device="cpu", precision="fp32", window_s=2.0, context_s=0.3, batch=batch, **options
    )
    return np.concatenate([piece for _, piece in loaded.emissions([truth.audio])])


def test_the_commands_take_subwords(truth: Truth, model_of: Callable[[str], Path], tmp_path: Path):
    folder = model_of("parakeet_ctc")
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    shutil.copy(truth.path, bucket / "clip.wav")
    environment = command_environment(tmp_path)
    made = nightscribe("index", bucket, "--models", folder, "--json", env=environment)
    assert json.loads(made.stdout)["indexed"] == 1, made.stderr
    assert json.loads(nightscribe("search", "interest", "--json", env=environment).stdout)["total_videos"] == 1
    nightscribe("subtitles", "--out", tmp_path / "subtitles", env=environment, check=True)
    [subtitles] = (tmp_path / "subtitles").rglob("clip*.vtt")
    assert "central bank has left interest rates" in " ".join(subtitles.read_text().split())
