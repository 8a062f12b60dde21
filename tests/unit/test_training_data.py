"""Manifests, clips, batches and noise: what a training step is made from."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from sessions import cut

from tasks.errors import Misconfigured
from tasks.evaluation.manifest import Problems, drawn, fraction, read_manifest, strings
from tasks.evaluation.near_copies import near_copies
from tasks.evaluation.noise import as_speech, with_errors
from tasks.training.augment import Augmentation, add_echo, add_noise, augment, change_speed
from tasks.training.batches import epoch_batches, make_batch, training_batches
from tasks.training.clips import ClipStore, Source, forget_other_stores, open_store
from tasks.training.scratch import ALPHABET


@pytest.fixture
def corpus(tmp_path):
    """Two good clips and one of each fault."""
    for name, seconds in (("a.wav", 3), ("b.mp4", 2), ("long.wav", 30), ("short.wav", 1)):
        cut(tmp_path / name, seconds)
    (tmp_path / "broken.wav").write_bytes(b"RIFF" + b"x" * 100)
    rows = [
        ("a.wav", "The first clip."),
        ("b.mp4", "Ça va, the second"),
        ("long.wav", "far too long"),
        ("short.wav", "many words " * 20),
        ("broken.wav", "no sound"),
        ("missing.wav", "no file"),
        ("a.wav", "..."),
        ("a.wav", "日本語の文字です ok"),
    ]
    manifest = tmp_path / "clips.tsv"
    manifest.write_text("path\ttext\n" + "".join(f"{p}\t{t}\n" for p, t in rows), encoding="utf-8")
    return manifest


def test_what_cannot_be_trained_on_is_named_and_the_rest_is_used(corpus, tmp_path):
    store = open_store(Source(corpus, max_clip_s=10), tmp_path / "cache", alphabet=ALPHABET)
    assert store.names == ["a.wav", "b.mp4"]
    assert store.texts == ["the first clip", "ca va the second"]
    found = {kind: names for kind, names in store.problems.found.items() if "dropped" not in kind}
    assert found == {
        "empty text": ["a.wav"],
        "characters outside the alphabet": ["a.wav"],
        "missing file": ["missing.wav"],
        "longer than 10 s": ["long.wav"],
        "too short for its text": ["short.wav"],
        "unreadable (not_media)": ["broken.wav"],
    }
    assert "missing file: 1 (missing.wav)" in store.problems.lines()
    dropped = next(names for kind, names in store.problems.found.items() if "dropped" in kind)
    assert "'語' 1 times" in dropped


def test_a_second_opening_decodes_nothing(corpus, tmp_path):
    first = open_store(Source(corpus, max_clip_s=10), tmp_path / "cache", alphabet=ALPHABET)
    again = open_store(
        Source(corpus, max_clip_s=10),
        tmp_path / "cache",
        alphabet=ALPHABET,
        on_clip=lambda *_: pytest.fail("decoded again"),
    )
    assert again.texts == first.texts
    assert np.array_equal(again.audio(0), first.audio(0))
    assert len(first.audio(0)) == pytest.approx(3 * 16_000, abs=400)


def test_files_that_were_copied_are_not_decoded_again(corpus, tmp_path):
    cache = tmp_path / "cache"
    first = open_store(Source(corpus, max_clip_s=10), cache, alphabet=ALPHABET)
    for path in corpus.parent.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    second = open_store(
        Source(corpus, max_clip_s=10), cache, alphabet=ALPHABET, on_clip=lambda *_: pytest.fail("decoded")
    )
    assert second.texts == first.texts
    assert np.array_equal(second.samples, np.fromfile(second.folder / "clips.i16", np.int16))
    assert [path.name for path in cache.glob("clips-*") if path.is_dir()] == [second.folder.name]


def test_a_file_that_comes_or_changes_is_decoded_then_and_the_old_store_goes(corpus, tmp_path):
    cache = tmp_path / "cache"
    first = open_store(Source(corpus, max_clip_s=10), cache, alphabet=ALPHABET)
    cut(corpus.parent / "missing.wav", 2)
    cut(corpus.parent / "a.wav", 4)
    second = open_store(Source(corpus, max_clip_s=10), cache, alphabet=ALPHABET)
    assert second.names == ["a.wav", "b.mp4", "missing.wav"]
    assert len(second.audio(0)) == pytest.approx(4 * 16_000, abs=400)
    forget_other_stores(cache, [second])
    assert [path.name for path in cache.glob("clips-*") if path.is_dir()] == [second.folder.name]
    assert first.folder != second.folder


def test_a_clip_is_heard_as_index_hears_it_and_no_list_of_files_is_followed(tmp_path):
    cut(tmp_path / "secret.wav", 2)
    (tmp_path / "clip.wav").write_text("ffconcat version 1.0\nfile secret.wav\n")
    (tmp_path / "m.csv").write_text("path,text\nclip.wav,hello\nsecret.wav,a word\n" + "x" * 300 + ".wav,hello\n")
    store = open_store(Source(tmp_path / "m.csv"), tmp_path / "cache", alphabet=ALPHABET)
    assert store.names == ["secret.wav"]
    assert next(kind for kind, names in store.problems.found.items() if "clip.wav" in names).startswith("unreadable")


def test_a_clip_that_is_cut_off_is_left_out(tmp_path):
    cut(tmp_path / "whole.flac", 10)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 3])
    (tmp_path / "m.csv").write_text("path,text\nwhole.flac,hello\ncut.flac,hello\n")
    store = open_store(Source(tmp_path / "m.csv"), tmp_path / "cache", alphabet=ALPHABET)
    assert store.problems.found == {"unreadable (cut off)": ["cut.flac"]}


def test_numbers_are_read_in_the_language_of_the_manifest(tmp_path):
    cut(tmp_path / "a.wav", 5)
    (tmp_path / "m.csv").write_text("path,text\na.wav,Es war 42\n")
    store = open_store(Source(tmp_path / "m.csv", language="de"), tmp_path / "cache", alphabet=ALPHABET)
    assert store.texts == ["es war zweiundvierzig"]


def test_a_manifest_without_a_usable_row_is_refused_with_the_reasons(tmp_path):
    (tmp_path / "m.csv").write_text("path,text\ngone.wav,hello\n")
    with pytest.raises(Misconfigured, match=r"No row of .*missing file: 1 \(gone.wav\)"):
        open_store(Source(tmp_path / "m.csv"), tmp_path / "cache", alphabet=ALPHABET)


def test_manifests_are_read_as_they_are_written(tmp_path):
    rows = {"path": ["007", "a,b.wav"], "text": ['say "hi"\nthere', "null"]}
    pa.parquet.write_table(pa.table(rows), tmp_path / "m.parquet")
    (tmp_path / "m.csv").write_text('path,text\n007,"say ""hi""\nthere"\n"a,b.wav",null\n')
    for name in ("m.parquet", "m.csv"):
        table = read_manifest(tmp_path / name, "path", "text")
        assert strings(table, "path") == rows["path"]
        assert strings(table, "text") == rows["text"]


def test_a_line_with_too_many_fields_is_left_out_by_name(tmp_path):
    (tmp_path / "m.csv").write_text("path,text\na.wav,one\nb.wav,two,three\nc.wav,four\n")
    problems = Problems()
    table = read_manifest(tmp_path / "m.csv", "path", "text", problems=problems)
    assert strings(table, "text") == ["one", "four"]
    assert problems.found == {"not 2 fields": ["b.wav,two,three"]}


def test_columns_that_nobody_asked_for_may_hold_anything(tmp_path):
    table = pa.table({"path": ["a.wav"], "text": ["one"], "audio": [[1, 2]], "raw": [b"\xff"], "n": [7]})
    pa.parquet.write_table(table, tmp_path / "m.parquet")
    assert strings(read_manifest(tmp_path / "m.parquet", "path", "n"), "n") == ["7"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.csv", None, "There is no manifest"),
        ("m.csv", b"path,words\na,b\n", "has no column 'text'; it has path, words"),
        ("m.csv", b"path,text,text\na,b,c\n", "has two columns 'text'"),
        ("m.csv", b"", "has no column 'path'; it has "),
        ("m.parquet", b"nonsense", "cannot be read as a table"),
    ],
)
def test_a_manifest_that_is_none_says_why(name, content, said, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Misconfigured, match=said):
        read_manifest(tmp_path / name, "path", "text")


def store_of(lengths: list[int], texts: list[str] | None = None) -> ClipStore:
    rng = np.random.default_rng(0)
    samples = (rng.standard_normal(sum(lengths)) * 3000).astype(np.int16)
    offsets = np.cumsum([0, *lengths[:-1]])
    texts = texts or [f"clip {i}" for i in range(len(lengths))]
    return ClipStore(samples, offsets, np.array(lengths), texts, [f"{i}.wav" for i in range(len(lengths))], None)  # type: ignore[arg-type]


def test_a_share_kept_back_holds_no_text_that_is_trained_on():
    texts = [f"sentence {i % 150}" for i in range(400)]
    train, judged = store_of([1000] * 400, texts).split(0.2)
    assert len(train) + len(judged) == 400
    assert 0.1 < len(judged) / 400 < 0.3
    assert not set(train.texts) & set(judged.texts)


def test_an_epoch_has_every_clip_once_and_little_padding():
    lengths = np.random.default_rng(0).integers(8_000, 160_000, 500)
    for epoch in range(2):
        batches = epoch_batches(lengths, batch_size=None, batch_s=60.0, seed=0, epoch=epoch)
        assert sorted(int(i) for batch in batches for i in batch) == list(range(500))
        padded = sum(len(b) * lengths[b].max() for b in batches)
        assert all(len(b) * lengths[b].max() <= 60 * 16_000 for b in batches)
        assert lengths.sum() / padded > 0.85
    first = epoch_batches(lengths, batch_size=4, batch_s=None, seed=0, epoch=0)
    assert {len(batch) for batch in first} == {4}
    other = epoch_batches(lengths, batch_size=4, batch_s=None, seed=0, epoch=1)
    assert {tuple(b) for b in first} != {tuple(b) for b in other}


def test_a_run_that_goes_on_gets_the_batches_of_an_unbroken_one():
    store = store_of([16_000 + 100 * i for i in range(23)])
    options = {
        "batch_size": 4,
        "batch_s": None,
        "seed": 3,
        "options": Augmentation(),
        "recorded": [],
        "do_normalise": True,
    }

    def some(start: int, n: int) -> list:
        made = training_batches(store, start_step=start, **options)
        return [next(made) for _ in range(n)]

    whole = some(0, 17)
    for start in (1, 5, 6, 11, 12):
        for (step, epoch, batch), (other_step, other_epoch, other) in zip(
            whole[start:], some(start, 17 - start), strict=True
        ):
            assert (step, epoch, batch.texts) == (other_step, other_epoch, other.texts)
            assert np.array_equal(batch.audio, other.audio)


def test_processes_that_train_together_share_each_batch():
    store = store_of([16_000] * 16)
    options = {"batch_size": 4, "batch_s": None, "seed": 0, "options": None, "recorded": [], "do_normalise": True}
    whole = training_batches(store, start_step=0, **options)
    parts = [training_batches(store, start_step=0, process=i, processes=2, **options) for i in range(2)]
    for _ in range(4):
        texts = next(whole)[2].texts
        shares = [next(part)[2].texts for part in parts]
        assert sorted(texts) == sorted(shares[0] + shares[1])
        assert len(shares[0]) == len(shares[1]) == 2


def test_a_share_of_clips_becomes_noise_without_words():
    store = store_of([16_000] * 400)
    batch = make_batch(
        store, np.arange(400), step=0, seed=0, options=Augmentation(nothing=0.25), recorded=[], do_normalise=True
    )
    assert 60 < batch.texts.count("") < 140
    assert batch.names == store.names


def test_noise_comes_at_the_level_that_was_asked_for():
    rng = np.random.default_rng(0)
    speech = np.sin(np.arange(32_000) / 20).astype(np.float32)
    for snr in (0.0, 10.0, 20.0):
        noise = add_noise(speech, snr, rng) - speech
        assert 10 * np.log10(np.mean(speech**2) / np.mean(noise**2)) == pytest.approx(snr, abs=0.1)


def test_speed_and_echo_change_what_they_should():
    rng = np.random.default_rng(0)
    speech = np.zeros(16_000, np.float32)
    speech[8000] = 1.0
    assert len(change_speed(speech, 1.25)) == pytest.approx(16_000 / 1.25, abs=1)
    echoed = add_echo(speech, 0.3, rng)
    assert len(echoed) == len(speech)
    assert not echoed[:7999].any() or np.abs(echoed[:7999]).max() < 1e-5
    assert np.abs(echoed[8100:12_000]).max() > 1e-3


def test_a_seed_decides_every_change():
    speech = np.random.default_rng(1).standard_normal(16_000).astype(np.float32)
    options = Augmentation(speed=1.0, noise=1.0, echo=1.0)
    one, two = (augment(speech, options, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)


def test_near_copies_are_found_and_texts_on_one_subject_are_not():
    article = " ".join(f"word{i}" for i in range(80))
    copy = "A new headline. " + article.replace("word40", "another")
    half = " ".join(f"word{i}" for i in range(20)) + " " + " ".join(f"other{i}" for i in range(60))
    groups = near_copies([article, "something else entirely that is short", copy, half])
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3
    assert near_copies([]) == []


def test_short_texts_are_copies_of_the_same_words_only():
    groups = near_copies(["Rates are up", "rates are up!", "rates are down", "", "the same words " * 20] + ["x y"] * 60)
    assert groups[0] == groups[1] != groups[2]
    assert len({groups[i] for i in (0, 2, 3, 4)}) == 4
    assert len(set(groups[5:])) == 1


def test_a_phrase_that_many_texts_share_makes_no_copies_of_them():
    boilerplate = "this article was first printed in the evening paper of the town"
    groups = near_copies([f"{boilerplate} only{i}" for i in range(60)])
    assert len(set(groups)) == 60


def test_speech_of_any_script_keeps_its_letters():
    assert as_speech("Straße, 2 Äpfel!", "de") == "straße zwei äpfel"
    assert as_speech("سلام دنیا") == "سلام دنیا"


def test_errors_of_recognition_hit_the_share_that_was_asked_for():
    text = as_speech("The quick brown fox jumps over 2 lazy dogs. " * 50)
    assert "two" in text.split()
    assert "." not in text
    rng = np.random.default_rng(0)
    words, wrong = text.split(), with_errors(text, 0.2, rng, ["wrong"]).split()
    assert 0.05 < wrong.count("wrong") / len(words) < 0.15  # half of the errors
    assert with_errors(text, 0.0, rng, ["wrong"]) == text


def test_a_draw_is_the_same_every_time_and_keeps_the_order():
    assert drawn(range(100), 10) == drawn(range(100), 10) == sorted(drawn(range(100), 10))
    assert drawn([1, 2], 5) == [1, 2]


def test_a_fraction_is_even_and_the_same_on_every_machine():
    values = [fraction(str(i)) for i in range(2000)]
    assert 0.45 < sum(values) / 2000 < 0.55
    assert fraction("") == int("e3b0c442", 16) / 2**32  # the first digits of SHA-256 of nothing
