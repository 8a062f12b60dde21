"""Generated pages are up to date, every command and setting is documented, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from nightscribe.cli import COMMANDS
from nightscribe.commands.bench import BENCHES
from nightscribe.docs import commands_page, settings_page, stages_page
from tasks.settings import Settings
from tasks.stages.registry import STAGES

REPO = Path(__file__).resolve().parents[2]
README = (REPO / "README.md").read_text(encoding="utf-8")
PAGES = [REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").glob("*.md"))]


@pytest.mark.parametrize(
    ("name", "page"), [("settings", settings_page), ("commands", commands_page), ("stages", stages_page)]
)
def test_a_generated_page_is_up_to_date(name, page):
    written = (REPO / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m nightscribe.docs"


def test_every_setting_has_its_row():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", settings_page(), re.MULTILINE)
    of_all = {(name, f"NIGHTSCRIBE_{name.upper()}") for name in Settings.model_fields if name != "stages"}
    of_stages = {
        (name, f"NIGHTSCRIBE_{stage.name.upper()}__{name.upper()}")
        for stage in STAGES
        if stage.settings
        for name in stage.settings.model_fields
    }
    assert len(rows) == len(set(rows))
    assert set(rows) == of_all | of_stages


def test_the_settings_page_does_not_depend_on_where_the_repository_lies():
    assert str(REPO) not in settings_page()


def test_the_width_of_the_terminal_does_not_change_the_commands_page(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    narrow = commands_page()
    monkeypatch.setenv("COLUMNS", "200")
    assert commands_page() == narrow


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme_and_has_an_example(command):
    assert re.search(rf"nightscribe {command}\b", README), f"README.md does not show nightscribe {command}"
    section = re.search(rf"^## nightscribe {command}\n(.*?)(?=^##|\Z)", commands_page(), re.DOTALL | re.MULTILINE)
    assert section is not None
    assert "Example:" in section[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page):
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^()\s]+)\)", text)
    relative = [link for link in links if not re.match(r"[a-z]+:|#", link)]
    missing = [link for link in relative if not (page.parent / unquote(link.split("#")[0])).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_named_in_a_page_exists(page):
    """`NAME` in a path stands for what the reader fills in."""
    folders = "nightscribe|tasks|flows|tests|tools|docs|data/recipes|data/models"
    named = re.findall(rf"`((?:{folders})/[\w/.-]*)[`:]", page.read_text(encoding="utf-8"))
    assert [name for name in named if "NAME" not in name and not (REPO / name).exists()] == []


def test_every_test_that_the_docs_name_exists():
    named = set()
    for page in [REPO / "README.md", *(REPO / "docs").glob("*.md")]:
        path = ""
        for file, test in re.findall(r"`(tests/[\w/]+\.py)?(?:::(test_\w+))?`", page.read_text(encoding="utf-8")):
            path = file or path  # `::test` is in the file that was named before it
            if file or test:
                named.add((path, test))
    assert len(named) > 15
    for path, test in named:
        assert f"def {test}(" in (REPO / path).read_text(encoding="utf-8") if test else (REPO / path).exists(), (
            path,
            test,
        )


def test_every_bench_has_its_place_among_the_figures():
    text = (REPO / "docs" / "figures.md").read_text(encoding="utf-8")
    assert [
        name for name in BENCHES if f"<!-- bench {name} -->" not in text or f"<!-- end {name} -->" not in text
    ] == []


# Of each row of the README's figures, where its numbers come from: bench, beginning of the row, number of the cell.
FIGURES = (
    (
        ("speech", "Nightscribe, beam search and language model | bf16", 3),
        ("speech", "transformers pipeline, greedy, `chunk_length_s=20` | bf16", 3),
    ),
    (("asr", "Nightscribe demo, language model", 3), ("asr", "faster-whisper tiny.en, int8 |", 3)),
    (("asr", "Nightscribe demo, language model", 1), ("asr", "faster-whisper tiny.en, int8 |", 1)),
    (
        ("asr", "Nightscribe demo, language model", 5),
        ("asr", "faster-whisper tiny.en, int8 |", 5),
        ("asr", "faster-whisper tiny.en, int8, VAD", 5),
    ),
    (("lake", "phrase of two words", 2),),
    (("search", "phrase of three words", 1), ("search", "phrase of three words", 2)),
    (("scan", "a night with nothing to do", 1),),
)


def measured(bench: str, row: str, cell: int) -> str:
    text = (REPO / "docs" / "figures.md").read_text(encoding="utf-8")
    table = text.split(f"<!-- bench {bench} -->")[1].split(f"<!-- end {bench} -->")[0]
    [line] = [line for line in table.splitlines() if line.startswith(f"| {row}")]
    return re.match(r"[\d.]+", line.strip("| ").split(" | ")[cell])[0]


def test_the_readme_is_short_and_its_figures_are_those_that_were_measured():
    assert len(README.splitlines()) <= 200
    rows = README.split("## Figures", 1)[1].split("##", 1)[0].strip().splitlines()[2 : 2 + len(FIGURES)]
    told = [re.findall(r"(?<!\w)\d[\d.]*", " | ".join(row.split("|")[2:])) for row in rows]
    assert told == [[measured(*place) for place in places] for places in FIGURES]
