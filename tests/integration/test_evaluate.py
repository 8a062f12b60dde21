"""`evaluate` and `compare`: figures that add up, kept in the lake, beside a baseline."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import forked
import jiwer
import pytest
from conftest import REPO, command_environment, made_by

from nightscribe.bench.material import talks
from tasks.errors import Misconfigured
from tasks.evaluation.compare import compare, find_recipe, known_recipes
from tasks.evaluation.finding import questions
from tasks.evaluation.keep import draw, markdown, write_card
from tasks.evaluation.manifest import Problems
from tasks.evaluation.scores import normalised
from tasks.evaluation.topics import evaluate_topics, read_texts
from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.models.catalog import find_set
from tasks.settings import Settings
from tasks.text.topics import load_topics

SUBJECTS = {
    "business": "shares rose and the bank sold bonds to firms",
    "sport": "the striker scored and the team won the cup",
}


def nightscribe(folder: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = forked.nightscribe(*arguments, cwd=folder, env=command_environment(folder, PYTHONPATH=str(REPO)))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> tuple[Path, dict]:
    """The sample archive's talks as a manifest, with two faults, and what `evaluate asr` says of them."""
    folder = tmp_path_factory.mktemp("evaluate")
    with (folder / "talks.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("path", "text", "folder"))
        writer.writerows((talk.path, talk.text, talk.path.parent.name) for talk in talks()[:4])
        writer.writerow(("gone.mp4", "nothing", "none"))
        writer.writerow((talks()[0].path, "", "none"))
    done = nightscribe(folder, "evaluate", "asr", "talks.csv", "--group-by", "folder", "--out", "out", "--json")
    assert "missing file: 1 (gone.mp4)" in done.stderr
    assert "empty text: 1" in done.stderr
    return folder, json.loads(done.stdout)


def test_the_report_has_what_the_documentation_names(judged):
    _, found = judged
    assert set(found) == {
        "n", "audio_ms", "wer", "wer_ci95", "cer", "greedy_wer", "greedy_wer_ci95", "ins", "del", "sub", "ref_words",
        "raw", "normalizer", "language", "groups", "models", "recipe",
    }  # fmt: skip
    assert found["n"] == 4
    assert found["normalizer"] == "nightscribe-1"
    assert found["models"]["set"] == "demo"
    tuned = json.loads((REPO / "data/models/lm-demo/attrs.json").read_text())
    assert found["models"]["search"]["lm_weight"] == tuned["alpha"]


def test_the_figures_follow_from_the_transcripts(judged):
    folder, found = judged
    with (folder / "out" / "clips.tsv").open(newline="") as handle:
        clips = list(csv.DictReader(handle, delimiter="\t"))
    true, said, greedy = ([normalised(clip[name]) for clip in clips] for name in ("text", "said", "greedy"))
    assert found["wer"] == pytest.approx(jiwer.wer(true, said), abs=1e-4)
    assert found["greedy_wer"] == pytest.approx(jiwer.wer(true, greedy), abs=1e-4)
    assert found["cer"] == pytest.approx(jiwer.cer(true, said), abs=1e-4)
    assert found["wer"] == pytest.approx((found["ins"] + found["del"] + found["sub"]) / found["ref_words"], abs=1e-4)
    assert found["wer_ci95"][0] <= found["wer"] <= found["wer_ci95"][1]
    assert found["wer"] < found["greedy_wer"], "the language model helps"


def test_groups_add_up_to_the_whole(judged):
    _, found = judged
    groups = found["groups"]["folder"].values()
    for name in ("n", "audio_ms", "ins", "del", "sub", "ref_words"):
        assert sum(group[name] for group in groups) == found[name], name


def test_a_report_is_kept_in_the_lake_with_its_groups(judged):
    folder, found = judged
    rows = json.loads(
        nightscribe(folder, "sql", "FROM evaluations ORDER BY group_value NULLS FIRST", "--format", "json").stdout
    )
    assert len(rows) == 1 + len(found["groups"]["folder"])
    assert rows[0]["wer"] == found["wer"]
    assert rows[0]["recipe"] == found["recipe"]
    assert {row["group_column"] for row in rows[1:]} == {"folder"}
    assert json.loads(rows[0]["report_json"]) == found


def test_picture_table_and_json_lie_in_the_folder(judged):
    folder, found = judged
    out = folder / "out"
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "report.json").read_text()) == found
    assert (out / "report.md").read_text().strip() == markdown("asr", found)


def test_questions_have_words_that_name_one_recording():
    texts = [
        "the budget passed in march",
        "the budget failed in april",
        "nothing but rain",
        "the budget and rain again",
    ]
    asked = questions(texts, 10)
    assert len(asked) == len({question.answer for question in asked}) >= 2
    for question in asked:
        having = [n for n, text in enumerate(texts) if set(question.text.split()) <= set(text.split())]
        assert having == [question.answer]
    assert asked == questions(texts, 10)
    assert questions(["the same", "the same"], 10) == []


@pytest.mark.long
def test_recordings_are_searched_for_by_words_of_their_true_texts(judged):
    folder, _ = judged
    found = json.loads(nightscribe(folder, "evaluate", "search", "talks.csv", "--out", "found", "--json").stdout)
    assert found["n"] == len(found["questions"]) == found["recordings"] == 4
    assert found["of_true_texts"]["first_10"] == 1.0
    ways = list(found["ways"].values())
    assert len(ways) == 6
    for shares in ways:
        assert 0 <= shares["first_1"] <= shares["first_3"] <= shares["first_10"] <= 1
    assert ways[0]["first_10"] <= ways[1]["first_10"] <= ways[3]["first_10"] <= ways[5]["first_10"]
    assert (folder / "found" / "report.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "found" / "report.md").read_text().startswith("| 4 questions to 4 recordings | first |")
    kept = json.loads(nightscribe(folder, "sql", "FROM evaluations WHERE kind = 'search'", "--format", "json").stdout)
    assert [row["n"] for row in kept] == [4]


def test_a_card_gets_the_table_once(judged, tmp_path):
    _, found = judged
    card = tmp_path / "README.md"
    card.write_text("# model\n\nWords.\n")
    for text in ("old", markdown("asr", found)):
        write_card(card, "talks", text)
    text = card.read_text()
    assert text.startswith("# model\n\nWords.\n")
    assert text.count("<!-- evaluate talks -->") == 1
    assert "old" not in text


def test_a_model_without_a_card_is_said_before_any_work(judged, tmp_path):
    folder, _ = judged
    done = nightscribe(folder, "evaluate", "asr", "talks.csv", "--models", "english", "--card", "x", code=2)
    assert "has no card" in done.stderr


def test_clips_that_nobody_can_hear_are_no_zero_errors(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"nonsense")
    (tmp_path / "m.csv").write_text("path,text\na.wav,hello\n")
    done = nightscribe(tmp_path, "evaluate", "asr", "m.csv", code=2)
    assert "No clip could be heard." in done.stderr
    assert "unreadable" in done.stderr


def test_numbers_count_for_a_model_in_a_folder_too():
    chosen = find_set(Settings(models=str(REPO / "data/models/asr-demo"), catalog=REPO / "data/models/catalog.toml"))
    assert (chosen.language, chosen.spoken) == ("und", "en")


def test_an_unusable_manifest_is_a_sentence(tmp_path):
    (tmp_path / "m.csv").write_text("path,text\ngone.wav,hello\n")
    done = nightscribe(tmp_path, "evaluate", "asr", "m.csv", code=2)
    assert "No row of m.csv can be used: missing file: 1 (gone.wav)." in done.stderr


# -- topics -----------------------------------------------------------------------------------------------------------


def test_topics_are_judged_in_three_forms_beside_a_linear_model():
    model = load_topics(str(REPO / "data/models/topics-demo"))
    pairs = [(f"{text} {i} Times!", label) for i in range(8) for label, text in SUBJECTS.items()]
    found = evaluate_topics(model, pairs)
    assert set(found["variants"]) == {"written", "speech", "speech_errors"}
    assert found["n"] == 16
    assert found["accuracy"] == found["variants"]["written"]["accuracy"]
    assert sum(map(sum, found["confusion"])) == 16
    right = sum(found["confusion"][i][i] for i in range(len(found["labels"])))
    assert found["accuracy"] == pytest.approx(right / 16, abs=1e-4)
    assert found["baseline_accuracy"] == 1.0
    assert found["baseline"].endswith("5-fold cross-validation on the same texts")


def test_near_copies_of_training_texts_are_not_judged():
    model = load_topics(str(REPO / "data/models/topics-demo"))
    pairs = [(" ".join(f"{label}{i}w{n}" for n in range(40)), label) for i in range(3) for label in SUBJECTS]
    others = [(" ".join(f"{label}{i}x{n}" for n in range(40)), label) for i in range(3) for label in SUBJECTS]
    found = evaluate_topics(model, pairs, train=[*pairs[:2], *others])
    assert (found["n"], found["near_copies_left_out"]) == (4, 2)
    assert found["baseline"].endswith("trained on 8 texts")
    with pytest.raises(Misconfigured, match="copy of one that was trained on"):
        evaluate_topics(model, pairs, train=pairs)


def test_a_label_that_the_model_lacks_is_said(tmp_path):
    model = load_topics(str(REPO / "data/models/topics-demo"))
    with pytest.raises(Misconfigured, match="has no label weather; it knows business"):
        evaluate_topics(model, [("rain", "weather")])
    (tmp_path / "t.csv").write_text("text,label\nhello,sport\n,sport\nbye,\n")
    problems = Problems()
    assert read_texts(tmp_path / "t.csv", problems) == [("hello", "sport")]
    assert problems.found == {"empty text": ["row 2"], "no label": ["row 3"]}


def test_a_confusion_matrix_can_be_drawn(tmp_path):
    draw("topics", {"labels": ["a", "b"], "confusion": [[3, 1], [0, 4]]}, tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 5000


# -- compare ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_recipes(lake: Lake, result) -> Lake:
    old, new = (
        made_by({"emissions": {"model": "small"}, "words": {"lm": "lm"}}, words="d1"),
        made_by({"emissions": {"model": "large"}, "words": {"lm": None}}, words="d2"),
    )
    texts = {
        "one": ("the banc left rates", "the bank left rates"),
        "two": ("same words here", "same words here"),
        "three": ("banc and banc of england", "bank and bank of england today"),
        "four": ("", "suddenly words"),
    }
    for number, (name, (before, after)) in enumerate(texts.items()):
        for text, recipes in ((before, old), (after, new)):
            status = "indexed" if text else "no_speech"
            options = {"video_id": f"{number:020}", "key": f"{name}.mp4", "title": name, "status": status}
            made = result(text, recipes=recipes, last_generation=1 if recipes is new else 0, **options)
            commit(lake, [made], run_id="r", device="cpu")
    commit(lake, [result("only old", video_id="9" * 20, key="nine.mp4", recipes=old)], run_id="r", device="cpu")
    return lake


def test_two_generations_are_compared_word_by_word(two_recipes):
    connection = connect(two_recipes)
    found = compare(connection, "d1", "d2").as_json(10)
    assert (found["videos"], found["unchanged_videos"]) == (4, 1)
    assert (found["words"], found["changed"], found["removed"], found["added"]) == (12, 3, 0, 3)
    assert found["replaced"] == [{"old": "banc", "new": "bank", "n": 3}]
    assert {(e["word"], e["n"]) for e in found["only_new"]} == {("today", 1), ("suddenly", 1), ("words", 1)}
    assert [v["key"] for v in found["most_changed"]] == ["four.mp4", "three.mp4", "one.mp4", "two.mp4"]
    assert found["most_changed"][1]["share"] == 0.5  # three of five words and one more


def test_the_other_way_round_what_was_added_is_removed(two_recipes):
    found = compare(connect(two_recipes), "d2", "d1").as_json(10)
    assert (found["removed"], found["added"]) == (3, 0)


def test_recipes_are_listed_and_found_by_how_they_begin(two_recipes):
    connection = connect(two_recipes)
    known = {entry["recipe"]: (entry["videos"], entry["model"]) for entry in known_recipes(connection)}
    assert known == {"d1": (5, "small"), "d2": (4, "large")}
    assert find_recipe(connection, "d2") == "d2"
    with pytest.raises(Misconfigured, match="More than one recipe"):
        find_recipe(connection, "d")
    with pytest.raises(Misconfigured, match="No recipe of this lake begins with 'x'; it has"):
        find_recipe(connection, "x")


def test_the_command_compares(two_recipes, tmp_path):
    shown = nightscribe(tmp_path, "compare", "d1", "d2", "--lake", two_recipes.uri).stdout
    assert "4 videos have both; 1 are the same word by word." in shown
    assert "banc > bank" in shown
    listed = nightscribe(tmp_path, "compare", "--lake", two_recipes.uri).stdout
    assert "d1  5 videos" in listed
    nightscribe(tmp_path, "compare", "d1", "--lake", two_recipes.uri, code=2)
