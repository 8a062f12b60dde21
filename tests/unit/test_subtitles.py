"""Subtitles: where cues and lines break, the files, and the lint."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest

from tasks.records import Cue, Word
from tasks.subtitles.formats import timestamp, to_srt, to_webvtt
from tasks.text.cues import ARTICLES, CueRules, Lint, break_lines, lint, make_cues
from tests.conftest import spoken

RULES = CueRules()


def texts(cues: list[Cue]) -> list[str]:
    return [cue.text for cue in cues]


def cue(start_ms: int, end_ms: int, text: str) -> Cue:
    return Cue(start_ms, end_ms, text, 0.9, 0, 0)


# -- cues -------------------------------------------------------------------------------------------------------------


def test_no_words_make_no_cues():
    assert make_cues([], RULES) == []


def test_a_short_sentence_is_one_cue_that_stays_long_enough_to_be_read():
    assert make_cues(spoken("so this is night"), RULES) == [Cue(0, 1500, "so this is night", 0.9, 0, 3)]
    assert make_cues([Word("yes", 1000, 1100, 0.5)], RULES) == [Cue(1000, 1833, "yes", 0.5, 0, 0)]


def test_a_fast_sentence_stays_as_long_as_it_takes_to_read():
    said = spoken("counting everything whatsoever", word_ms=150, gap_ms=10)
    assert make_cues(said, RULES) == [Cue(0, 1500, "counting everything whatsoever", 0.9, 0, 2)]  # 30 / 20 a second


def test_a_cue_never_runs_past_the_video():
    assert make_cues([Word("yes", 1000, 1100, 0.5)], RULES, duration_ms=1500)[0].end_ms == 1500


def test_a_long_pause_parts_cues():
    assert texts(make_cues(spoken("before the pause | | after it"), RULES)) == ["before the pause", "after it"]


def test_cues_leave_two_frames_between_them_even_when_the_speech_does_not():
    said = spoken(" ".join(["something"] * 20), gap_ms=0)
    cues = make_cues(said, RULES)
    assert len(cues) == 3
    assert [b.start_ms - a.end_ms for a, b in pairwise(cues)] == [80, 80]


def test_confidence_of_a_cue_is_the_mean_of_its_words():
    assert make_cues([Word("a", 0, 500, 0.5), Word("b", 600, 1000, 1.0)], RULES)[0].confidence == 0.75


def test_a_text_longer_than_a_cue_breaks_at_the_pause():
    said = [
        *spoken("we walked all the way down to the river that night", word_ms=200, gap_ms=50),
        *spoken("nobody had seen the moths before we came there", start_ms=3200, word_ms=200, gap_ms=50),
    ]
    assert [text.replace("\n", " ") for text in texts(make_cues(said, RULES))] == [
        "we walked all the way down to the river that night",
        "nobody had seen the moths before we came there",
    ]


def test_a_word_longer_than_a_line_stands_alone_and_whole():
    long = "x" * 60
    cues = make_cues([Word(long, 0, 2000, 0.9)], RULES)
    assert cues == [Cue(0, 3000, long, 0.9, 0, 0)]


def test_a_word_longer_than_both_lines_takes_no_other_word_beside_it_on_its_line():
    long = "x" * 100
    cues = make_cues(spoken(f"here is {long} and more"), RULES)
    lines = [line for c in cues for line in c.text.split("\n")]
    assert long in lines
    assert " ".join(lines).split() == ["here", "is", long, "and", "more"]


def test_a_word_held_longer_than_a_cue_may_be_is_shown_to_its_end():
    cues = make_cues([Word("ooooh", 0, 9000, 0.9)], RULES)
    assert (cues[0].start_ms, cues[0].end_ms) == (0, 9000)


@pytest.mark.parametrize("article", ["a", "the", "The", "my"])
def test_no_cue_ends_with_an_article(article: str):
    said = spoken(
        f"yesterday evening somebody brought along {article} wonderful photograph of extraordinary moths by night"
    )
    cues = make_cues(said, RULES)
    assert len(cues) > 1
    assert not [c.text for c in cues if c.text.split()[-1].lower() in ARTICLES]


def test_no_cue_ends_with_an_article_even_when_the_speaker_hesitates_there():
    said = [
        *spoken("yesterday evening somebody quietly brought along the"),
        *spoken("wonderful photograph of extraordinary moths by night", start_ms=3100),
    ]
    assert said[7].start_ms - said[6].end_ms == 400
    cues = make_cues(said, RULES)
    assert len(cues) == 2
    assert cues[0].text.split()[-1] == "photograph"


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_the_limits_can_be_set(lines: int):
    rules = CueRules(line_chars=20, lines=lines, max_ms=4000)
    cues = make_cues(spoken("the moths come to the lamp when the night is warm and nobody moves at all"), rules)
    assert max(len(c.text.split("\n")) for c in cues) == lines
    assert max(len(line) for c in cues for line in c.text.split("\n")) <= 20
    assert max(c.end_ms - c.start_ms for c in cues) <= 4000


WORDS = "a the of and moth night lamp I we wonderful archive to extraordinarily said in that Mr Brown was it".split()


def random_words(seed: int, *, overlapping: bool = False) -> list[Word]:
    """Words of random lengths and pauses; with `overlapping`, times as bad as an aligner could give."""
    choose = random.Random(seed)
    words, at = [], choose.randrange(3000)
    for _ in range(choose.choice([1, 2, 5, 40, 120])):
        word = choose.choice([*WORDS, "x" * choose.randrange(1, 50)])
        length = choose.choice([0, 20, 100, 300, 700, 3000])
        words.append(Word(word, at, at + length, choose.random()))
        at += length + choose.choice([0, 0, 20, 60, 150, 400, 1000, 2500])
        if overlapping:
            at = max(words[-1].start_ms, at - choose.choice([0, 0, 100]))
    return words


@pytest.mark.parametrize("seed", range(60))
def test_every_word_is_in_exactly_one_cue_and_cues_never_overlap(seed: int):
    words = random_words(seed, overlapping=seed % 3 == 0)
    duration = words[-1].end_ms + 500
    cues = make_cues(words, RULES, duration_ms=duration)
    assert " ".join(texts(cues)).split() == [word.word for word in words]
    assert [i for c in cues for i in range(c.first_word, c.last_word + 1)] == list(range(len(words)))
    for before, after in pairwise(cues):
        assert before.end_ms <= after.start_ms
    for c in cues:
        assert c.start_ms < c.end_ms <= duration
        assert 0 <= c.confidence <= 1


@pytest.mark.parametrize("seed", range(60))
def test_cues_of_several_words_keep_the_limits(seed: int):
    words = random_words(seed)
    for c in make_cues(words, RULES):
        said = words[c.first_word : c.last_word + 1]
        if len(said) == 1:
            continue
        lines = c.text.split("\n")
        assert len(lines) <= 2
        assert max(map(len, lines)) <= max(42, *(len(word.word) for word in said))
        assert c.end_ms - c.start_ms <= 7000
        assert max(b.start_ms - a.end_ms for a, b in pairwise(said)) <= 2000


# -- lines ------------------------------------------------------------------------------------------------------------


def test_a_text_that_fits_is_one_line():
    text = "exactly forty two characters are one line."
    assert len(text) == 42
    assert break_lines(text.split(), RULES) == text


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        (
            "the moths come to the lamp when the night is warm",
            "the moths come to the lamp\nwhen the night is warm",
        ),
        (
            "she had never before in her life seen the extraordinary photographs",
            "she had never before in her life\nseen the extraordinary photographs",
        ),
        (
            "she photographed all the beautiful butterflies",
            "she photographed all\nthe beautiful butterflies",
        ),
        (
            "everybody carefully looked at a photograph beside the window",
            "everybody carefully looked\nat a photograph beside the window",
        ),
    ],
)
def test_lines_break_before_small_words_and_never_after_an_article(text: str, broken: str):
    assert break_lines(text.split(), RULES) == broken


def test_an_article_ends_a_line_only_when_the_line_would_be_too_long_otherwise():
    words = ["x" * 38, "the", "y" * 40]
    assert break_lines(words, RULES) == "x" * 38 + " the\n" + "y" * 40


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "00:00:00.000"), (-5, "00:00:00.000"), (3_723_004, "01:02:03.004"), (360_000_000, "100:00:00.000")],
)
def test_timestamps_have_hours_and_milliseconds(ms: int, text: str):
    assert timestamp(ms) == text


def test_a_webvtt_file_is_exactly_this():
    cues = [cue(0, 1500, "so this is\nnight"), cue(1600, 3_600_000, "day")]
    assert to_webvtt(cues, language="en") == (
        "WEBVTT\n\nNOTE made by Nightscribe; machine transcript, language en\n\n"
        "00:00:00.000 --> 00:00:01.500\nso this is\nnight\n\n"
        "00:00:01.600 --> 01:00:00.000\nday\n"
    )


def test_a_subrip_file_is_exactly_this():
    cues = [cue(0, 1500, "so this is\nnight"), cue(1600, 3_600_000, "day")]
    assert to_srt(cues) == (
        "1\n00:00:00,000 --> 00:00:01,500\nso this is\nnight\n\n2\n00:00:01,600 --> 01:00:00,000\nday\n"
    )


def test_no_cues_are_still_a_file():
    assert to_webvtt([]) == "WEBVTT\n\nNOTE made by Nightscribe; machine transcript\n"
    assert to_srt([]) == ""


HOSTILE = [
    ("a --> b", "a --&gt; b", "a → b"),
    ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;", "‹script›alert(1)‹/script›"),
    ("Q&A &lt;", "Q&amp;A &amp;lt;", "Q&A &lt;"),
    ("one\n\n\ntwo", "one\ntwo", "one\ntwo"),
    (
        "one\r\n\r\n00:00:00.000 --> 00:00:09.000\r\ntwo",
        "one\n00:00:00.000 --&gt; 00:00:09.000\ntwo",
        "one\n00:00:00.000 → 00:00:09.000\ntwo",
    ),
    ("one\u2028\u2028two\x0b\x0cthree", "one\ntwo\nthree", "one\ntwo\nthree"),
    ("  \n \t ", "…", "…"),
    ("", "…", "…"),
]


@pytest.mark.parametrize(("text", "vtt", "srt"), HOSTILE)
def test_nothing_in_a_text_can_end_a_cue_or_be_markup(text: str, vtt: str, srt: str):
    cues = [cue(0, 1000, text)]
    assert to_webvtt(cues).split("\n\n")[2] == f"00:00:00.000 --> 00:00:01.000\n{vtt}\n"
    assert to_srt(cues) == f"1\n00:00:00,000 --> 00:00:01,000\n{srt}\n"


def test_every_hostile_text_is_still_one_cue():
    cues = [cue(1000 * i, 1000 * i + 900, text) for i, (text, _, _) in enumerate(HOSTILE)]
    for file in (to_webvtt(cues), to_srt(cues)):
        assert len(re.findall("-->", file)) == len(cues)
        assert "<" not in file


def test_a_language_from_a_sidecar_cannot_add_a_cue():
    text = to_webvtt([], language="en\n\n00:00:00.000 --> 00:00:09.000\n<b>bought</b>")
    assert text.count("\n\n") == 1
    assert "-->" not in text
    assert "<" not in text


# -- lint -------------------------------------------------------------------------------------------------------------


def test_the_lint_of_nothing_finds_nothing_wrong():
    assert lint([], RULES) == Lint(0, 1.0, 1.0, 1.0, 1.0, 0)
    assert lint([[]], RULES) == Lint(0, 1.0, 1.0, 1.0, 1.0, 0)


def test_the_lint_counts_every_limit_by_itself():
    good = cue(0, 2000, "a good one")
    long_line = cue(3000, 6000, "x" * 43)
    three_lines = cue(7000, 9000, "a\nb\nc")
    short = cue(10_000, 10_500, "short")
    fast = cue(11_000, 12_000, "x" * 21)
    too_near = cue(13_000, 14_960, "near")
    overlapping = cue(15_000, 17_000, "over")
    last = cue(16_000, 24_000, "too long")
    found = lint([[good, long_line, three_lines, short, fast, too_near, overlapping, last]], RULES)
    assert found == Lint(
        cues=8, line_length_ok=0.75, duration_ok=0.75, cps_ok=0.875, gap_ok=0.75, overlaps=1
    )  # gaps: 40 ms after `too_near`, -1000 ms after `overlapping`


def test_the_lint_looks_for_gaps_within_a_video_only():
    assert lint([[cue(0, 5000, "one")], [cue(1000, 6000, "two")]], RULES).overlaps == 0


def test_cues_that_are_exactly_at_the_limits_pass():
    at_limits = [cue(0, 833, "x" * 16), cue(913, 7913, "x" * 42 + "\n" + "y" * 42)]
    assert lint([at_limits], RULES) == Lint(2, 1.0, 1.0, 1.0, 1.0, 0)


def test_cues_made_of_ordinary_speech_pass_the_lint():
    said = spoken(
        "when the lamp is lit the moths come in from the dark | and nobody knows quite why they do that "
        "because the moon is far away | some people think that the light confuses them and others say the heat does",
        word_ms=250,
        gap_ms=60,
    )
    assert lint([make_cues(said, RULES)], RULES) == Lint(3, 1.0, 1.0, 1.0, 1.0, 0)
