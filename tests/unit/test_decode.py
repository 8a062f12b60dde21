"""From emissions to words: utterances, the search, and what it must not import."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tasks.records import Word
from tasks.settings import REPO
from tasks.speech.decode import (
    Utterance,
    UtteranceSplitter,
    build_decoder,
    decode_many,
    decode_utterance,
    greedy_words,
    longest_blank,
    worth_searching,
)
from tasks.speech.labels import ALONE
from tasks.speech.spec import DecoderSpec

LABELS = ("", " ", "a", "b", "c", "⁇5")
CODES = {"-": 0, "_": 1, "a": 2, "b": 3, "c": 4, "?": 5}
GAP, LONGEST = 25, 1500  # 0.5 s and 30 s at 50 frames a second


def said(text: str, p: float = 0.95) -> np.ndarray:
    """Log-probs of which frame i says character i of `text`; `-` is the blank, `_` a border, `?` a special token."""
    log_probs = np.full((len(text), len(LABELS)), np.log((1 - p) / (len(LABELS) - 1)), np.float32)
    for frame, char in enumerate(text):
        log_probs[frame, CODES[char]] = np.log(p)
    return log_probs


def heard(log_probs: np.ndarray) -> str:
    """What `said` was given."""
    return "".join("-_abc?"[token] for token in log_probs.argmax(axis=1))


def split(log_probs: np.ndarray, sizes: list[int], *, gap: int = GAP, longest: int = LONGEST) -> list[Utterance]:
    """Push pieces of these sizes in turn, over and over."""
    splitter = UtteranceSplitter(0, gap=gap, longest=longest)
    out, at, turn = [], 0, 0
    while at < len(log_probs):
        size = sizes[turn % len(sizes)]
        out += splitter.push(log_probs[at : at + size])
        at, turn = at + size, turn + 1
    return out + splitter.finish()


def shapes(utterances: list[Utterance]) -> list[tuple[int, str]]:
    return [(u.first_frame, heard(u.log_probs)) for u in utterances]


def test_half_a_second_of_blanks_ends_an_utterance():
    found = split(said("ab" + "-" * 25 + "ca"), [1000])
    assert shapes(found) == [(0, "ab" + "-" * 6), (21, "-" * 6 + "ca")]


def test_a_shorter_pause_ends_nothing():
    text = "ab" + "-" * 24 + "ca"
    assert shapes(split(said(text), [1000])) == [(0, text)]


def test_silence_around_and_between_is_dropped_but_for_a_few_frames():
    found = split(said("-" * 400 + "abc" + "-" * 900 + "b" + "-" * 300), [1000])
    assert shapes(found) == [(394, "-" * 6 + "abc" + "-" * 6), (1297, "-" * 6 + "b" + "-" * 6)]


@pytest.mark.parametrize("frames", [0, 1, 25, 26, 5000])
def test_nothing_but_silence_is_no_utterance(frames: int):
    assert split(said("-" * frames), [1000]) == []


def test_a_splitter_that_was_given_nothing_finishes_with_nothing():
    assert UtteranceSplitter(0, gap=GAP, longest=LONGEST).finish() == []


def random_speech(seed: int) -> np.ndarray:
    """Bursts of letters with pauses of many lengths between, some bursts longer than an utterance may be."""
    random = np.random.default_rng(seed)
    text = ""
    for _ in range(12):
        text += "-" * int(random.choice([1, 5, 23, 24, 25, 26, 27, 60, 300]))
        text += "".join(random.choice(list("ab_c--"), size=int(random.choice([1, 7, 60, 130, 260]))))
    return said(text + "-" * int(random.integers(0, 80)))


@pytest.mark.parametrize("seed", range(6))
def test_utterances_are_the_same_whatever_the_sizes_of_the_pieces(seed: int):
    log_probs = random_speech(seed)
    whole = shapes(split(log_probs, [100_000], longest=100))
    assert len(whole) >= 5
    for sizes in ([1], [7], [50], [1000], [3, 1, 400, 26], [25, 24, 26]):
        assert shapes(split(log_probs, sizes, longest=100)) == whole, sizes


@pytest.mark.parametrize("seed", range(6))
def test_every_spoken_frame_is_in_exactly_one_utterance(seed: int):
    log_probs = random_speech(seed)
    seen = np.zeros(len(log_probs), int)
    for utterance in split(log_probs, [130], longest=100):
        end = utterance.first_frame + len(utterance.log_probs)
        assert np.array_equal(utterance.log_probs, log_probs[utterance.first_frame : end])
        seen[utterance.first_frame : end] += 1
    assert seen[log_probs.argmax(axis=1) != 0].tolist() == [1] * int((log_probs.argmax(axis=1) != 0).sum())
    assert seen.max() == 1


def test_speech_without_a_pause_is_cut_at_the_longest_utterance():
    found = split(said("ab" * 2500), [1000])
    assert max(len(u.log_probs) for u in found) <= LONGEST
    assert sum(len(u.log_probs) for u in found) == 5000


def test_no_utterance_is_longer_than_the_limit_and_its_margins():
    for seed in range(6):
        assert max(len(u.log_probs) for u in split(random_speech(seed), [64], longest=100)) <= 100 + 2 * 6


def test_a_long_utterance_is_cut_in_the_longest_pause_of_its_second_half():
    text = "a" * 40 + "-" * 20 + "a" * 20 + "-" * 10 + "b" * 20 + "-" * 4 + "c" * 40
    found = split(said(text), [1000], longest=120)
    assert shapes(found) == [
        (0, "a" * 40 + "-" * 20 + "a" * 20 + "-" * 5),
        (85, "-" * 5 + "b" * 20 + "-" * 4 + "c" * 40),
    ]


@pytest.mark.parametrize("text", ["-" * 200, "ab" * 100])
def test_what_is_held_back_is_bounded_however_long_the_file_is(text: str):
    splitter, most = UtteranceSplitter(0, gap=GAP, longest=300), 0
    for _ in range(100):
        splitter.push(said(text))
        most = max(most, len(splitter._held))
    assert most <= 200 + 300 + GAP


def test_the_longest_blank_is_found_by_its_middle():
    assert longest_blank(said("a--b-----c-"), 0) == 6
    assert longest_blank(said("a----"), 0) == 3


def test_without_any_blank_the_likeliest_one_is_taken():
    log_probs = said("abcab")
    log_probs[3, 0] = np.log(0.04)
    assert longest_blank(log_probs, 0) == 3


def test_greedy_words_collapse_repeats_but_not_over_a_blank():
    words = greedy_words(Utterance(100, said("aa-ab__cc")), LABELS, 0, 20.0)
    assert words == [Word("aab", 2000, 2100, 0.95), Word("c", 2140, 2180, 0.95)]


def test_greedy_words_leave_special_tokens_out():
    assert [w.word for w in greedy_words(Utterance(0, said("a?b_?_c")), LABELS, 0, 20.0)] == ["ab", "c"]


def test_greedy_words_of_silence_are_none():
    assert greedy_words(Utterance(0, said("------")), LABELS, 0, 20.0) == []


def test_the_search_without_a_language_model_finds_the_words_and_their_times():
    words = decode_utterance(DecoderSpec(LABELS, 0), Utterance(50, said("--aab-_-cc-a--")), 20.0)
    assert words == [Word("ab", 1040, 1100, 0.95), Word("ca", 1160, 1240, 0.95)]


def test_the_search_finds_nothing_in_silence():
    assert decode_utterance(DecoderSpec(LABELS, 0), Utterance(0, said("-" * 30)), 20.0) == []


def test_the_search_adds_up_what_greedy_takes_one_by_one():
    # The best single path is blank, blank (0.36), but the three paths of the letter have 0.64 together.
    log_probs = np.log(np.array([[0.6, 1e-6, 0.4, 1e-6, 1e-6, 1e-6]] * 2, np.float32))
    assert greedy_words(Utterance(0, log_probs), LABELS, 0, 20.0) == []
    assert [w.word for w in decode_utterance(DecoderSpec(LABELS, 0), Utterance(0, log_probs), 20.0)] == ["a"]


def test_a_hot_word_wins_over_one_that_sounds_alike():
    log_probs = said("-c-a-b-")
    log_probs[5, CODES["b"]], log_probs[5, CODES["c"]] = np.log(0.5), np.log(0.45)
    utterance = Utterance(0, log_probs)
    assert [w.word for w in decode_utterance(DecoderSpec(LABELS, 0), utterance, 20.0)] == ["cab"]
    hot = DecoderSpec(LABELS, 0, hot_words=("cac",))
    assert [w.word for w in decode_utterance(hot, utterance, 20.0)] == ["cac"]


SUBWORDS = ("", "▁the", "▁rat", "es", ALONE, "the", "▁bank", "⁇7")


def pieces(*tokens: int, p: float = 0.95) -> np.ndarray:
    """Log-probs of frames that say these tokens of `SUBWORDS`."""
    log_probs = np.full((len(tokens), len(SUBWORDS)), np.log((1 - p) / (len(SUBWORDS) - 1)), np.float32)
    log_probs[np.arange(len(tokens)), list(tokens)] = np.log(p)
    return log_probs


def test_subwords_are_words_for_greedy_and_for_the_search():
    utterance = Utterance(0, pieces(0, 1, 0, 2, 3, 0))
    expected = [("the", 80, 160), ("rates", 240, 400)]
    for words in (
        greedy_words(utterance, SUBWORDS, 0, 80.0),
        decode_utterance(DecoderSpec(SUBWORDS, 0), utterance, 80.0),
    ):
        assert [(word.word, word.start_ms, word.end_ms) for word in words] == expected
        assert all(word.confidence == pytest.approx(0.95, abs=1e-3) for word in words)


def test_a_border_that_is_a_token_of_its_own_tears_no_word_of_another_beam():
    """pyctcdecode ends the word of whichever beam comes next after one that ends in a border."""
    log_probs = pieces(2, 5)
    log_probs[1, [4, 5]] = np.log([0.4, 0.55])
    words = decode_utterance(DecoderSpec(SUBWORDS, 0), Utterance(0, log_probs), 80.0)
    assert [word.word for word in words] == ["ratthe"]
    plain = DecoderSpec(tuple("▁" if label == ALONE else label for label in SUBWORDS), 0)
    torn = build_decoder(plain).decode_beams(log_probs)[0]
    assert torn[0] == "rat the", "where this fails, pyctcdecode does it right and ALONE can go"
    apart = decode_utterance(DecoderSpec(SUBWORDS, 0), Utterance(0, pieces(2, 3, 4, 5)), 80.0)
    assert [word.word for word in apart] == ["rates", "the"]


def test_a_hot_word_of_subwords_wins_in_any_case():
    log_probs = pieces(1, 0, 2, 3)
    log_probs[2, [2, 6]] = np.log([0.5, 0.4])
    log_probs[3, [3, 0]] = np.log([0.5, 0.4])
    assert [w.word for w in decode_utterance(DecoderSpec(SUBWORDS, 0), Utterance(0, log_probs), 80.0)][1] == "rates"
    hot = DecoderSpec(SUBWORDS, 0, hot_words=("BANK",))
    assert [w.word for w in decode_utterance(hot, Utterance(0, log_probs), 80.0)][1] == "bank"


def test_several_utterances_come_back_in_their_order():
    found = decode_many(
        DecoderSpec(LABELS, 0), [Utterance(0, said("a")), Utterance(9, said("-")), Utterance(20, said("b"))], 20.0
    )
    assert [[w.word for w in words] for words in found] == [["a"], [], ["b"]]


def test_a_process_builds_one_decoder_for_a_spec():
    assert build_decoder(DecoderSpec(LABELS, 0)) is build_decoder(DecoderSpec(LABELS, 0))
    assert build_decoder(DecoderSpec(LABELS, 0)) is not build_decoder(DecoderSpec(LABELS, 0, word_bonus=2.0))


def test_a_decoder_process_imports_neither_torch_nor_transformers():
    code = (
        "import sys\n"
        "import tasks.speech.pool\n"
        "from tasks.speech.decode import build_decoder\n"
        "from tasks.speech.spec import DecoderSpec\n"
        "build_decoder(DecoderSpec(('', ' ', 'a', 'b'), 0))\n"
        "print(sorted(name for name in ('torch', 'transformers', 'pyctcdecode') if name in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "['pyctcdecode']"


@pytest.mark.parametrize(
    ("frames", "searched"),
    [
        ("--a--a-b---", "a-ab"),
        ("aabbb--cc", "abc"),
        ("a_a", "a_a"),
        ("------", ""),
        ("aa--aa--aa", "a-a-a"),
    ],
)
def test_frames_that_change_no_text_are_not_searched(frames, searched):
    assert heard(worth_searching(said(frames, p=0.999), 0, -5.0)) == searched


def test_frames_that_are_not_certain_are_all_searched():
    unsure = said("--a--aa-b---", p=0.9)
    assert heard(worth_searching(unsure, 0, -5.0)) == "--a--aa-b---"
    sure, unsure = said("--", p=0.999), said("-", p=0.9)
    assert heard(worth_searching(np.concatenate((sure, unsure, sure)), 0, -5.0)) == "-"
    assert worth_searching(np.concatenate((sure, unsure, sure)), 0, -5.0)[0, 0] == unsure[0, 0]


def test_a_blank_between_frames_that_may_say_the_same_is_searched():
    frames = said("a-b", p=0.999)
    assert heard(worth_searching(frames, 0, -5.0)) == "ab"
    frames[2, CODES["a"]] = np.log(0.02)
    assert heard(worth_searching(frames, 0, -5.0)) == "a-b"
    assert heard(worth_searching(frames, 0, -3.0)) == "ab", "below the floor, the search does not look at it"


@pytest.mark.parametrize("seed", range(20))
def test_the_search_finds_the_same_text_with_and_without_them(seed):
    """Against a search over every frame, on frames of which most are certain."""
    rng = np.random.default_rng(seed)
    text = "".join(rng.choice(list("---__aabbcc"), 60))
    frames = said(text, p=0.9995)
    loose = rng.random(60) < 0.3
    frames[loose] = np.log(rng.dirichlet(np.full(len(LABELS), 0.3), 60)[loose] + 1e-6)
    spec = DecoderSpec(labels=LABELS, blank=0, beam_width=50, beam_prune_logp=-30.0, token_min_logp=-8.0)
    decoder = build_decoder(spec)
    options = {"beam_width": 50, "beam_prune_logp": -30.0, "token_min_logp": -8.0}
    whole, part = (decoder.decode_beams(given, **options) for given in (frames, worth_searching(frames, 0, -8.0)))
    assert part[0][0] == whole[0][0]
    assert len(worth_searching(frames, 0, -8.0)) < 60


def test_a_search_without_certain_blanks_finds_the_same_words_at_the_same_times():
    spec = DecoderSpec(labels=LABELS, blank=0, beam_width=20)
    frames = said("-----aa--_--b---b-_----c------", p=0.999)
    found = decode_utterance(spec, Utterance(100, frames), 20.0)
    assert [(word.word, word.start_ms, word.end_ms) for word in found] == [
        ("a", 2100, 2140),
        ("bb", 2240, 2340),
        ("c", 2460, 2480),
    ]


def test_a_hot_word_that_begins_with_a_border_of_its_own_is_helped_letter_by_letter():
    """The search asks for beginnings with a space before them, where the border is a token of its own."""
    labels = ("", ALONE, "c", "a", "b", "\u2581x")
    log_probs = np.full((5, len(labels)), np.log(0.002), np.float32)
    for frame, token in enumerate((1, 2, 3, 2, 0)):
        log_probs[frame, token] = np.log(0.99)
    log_probs[2, 3], log_probs[2, 4] = np.log(0.02), np.log(0.97)  # "cbc" by far
    spec = DecoderSpec(labels, 0, beam_prune_logp=-3.0, token_min_logp=-6.0)
    assert [w.word for w in decode_utterance(spec, Utterance(0, log_probs), 80.0)] == ["cbc"]
    hot = DecoderSpec(labels, 0, beam_prune_logp=-3.0, token_min_logp=-6.0, hot_words=("cac",))
    assert [w.word for w in decode_utterance(hot, Utterance(0, log_probs), 80.0)] == ["cac"]
