"""The declarations of stages: what the registry refuses, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
import pytest
from click.testing import CliRunner
from conftest import older_set

from nightscribe.common import stages_options
from tasks.lake.schema import CONTENT, LEGACY, TABLES, arrow_schema
from tasks.runs.report import RunReport
from tasks.settings import Settings
from tasks.stages.base import Stage, Table, recipe_of
from tasks.stages.recipes import recipes
from tasks.stages.registry import STAGES, Registry


@dataclass(frozen=True)
class Letters:
    """Options of a toy stage."""

    upper: bool = False

    def described(self) -> dict[str, Any]:
        return {"upper": self.upper}


def stage(name: str, *needs: str, uses: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> Stage:
    made = tuple(Table(name=table, columns={"n": "INTEGER"}, order=("n",)) for table in tables)
    return Stage(
        name=name, about="Letters.", needs=needs, uses=uses, tables=made, options=lambda models, settings: Letters()
    )


def test_stages_stand_in_the_order_of_need():
    assert STAGES.names == (
        "emissions",
        "words",
        "cues",
        "passages",
        "topics",
        "frames",
        "sounds",
        "sound_events",
        "screen_lines",
        "screen",
    )
    for number, one in enumerate(STAGES):
        assert {before.name for before in STAGES.stages_before(one)} <= set(STAGES.names[:number])


@pytest.mark.parametrize(
    "stages",
    [
        (stage("one", "two"), stage("two", "sound")),
        (stage("one", "sound", uses=("two",)), stage("two", "sound")),
        (stage("one", "one"),),
        (stage("one", "nothing"),),
    ],
    ids=["later", "used later", "itself", "unknown"],
)
def test_what_a_stage_needs_must_be_before_it(stages):
    with pytest.raises(ValueError, match="not before it"):
        Registry(stages)


@pytest.mark.parametrize(
    "stages",
    [
        (stage("one", "sound"), stage("one", "sound")),
        (stage("one", "sound", tables=("rows",)), stage("two", "sound", tables=("rows",))),
        (stage("one", "sound", tables=("two",)), stage("two", "sound")),
        (stage("sound", "pictures"),),
    ],
    ids=["two stages", "two tables", "a table and a stage", "a source"],
)
def test_a_name_stands_for_one_thing(stages):
    with pytest.raises(ValueError, match="two stages or tables"):
        Registry(stages)


def test_what_stands_on_a_stage_follows_from_what_is_needed():
    assert STAGES.after(["words"]) == ("words", "cues", "passages", "topics", "screen")
    assert STAGES.after(["passages"]) == ("passages",)
    assert STAGES.after(["metadata"]) == ("topics",)


def test_every_table_of_a_stage_is_a_table_of_the_lake():
    for name, (_, table) in STAGES.tables.items():
        assert list(TABLES[name])[:2] == ["video_id", "generation"]
        assert set(table.columns) <= set(TABLES[name])
        assert set(table.order) <= set(table.columns)
        assert arrow_schema(name).names == list(TABLES[name] | LEGACY.get(name, {}))
    assert set(CONTENT) == set(STAGES.tables)


def test_a_recipe_is_of_options_and_of_the_recipes_it_stands_on():
    alone = recipe_of({"a": 1}, ())
    assert alone == recipe_of({"a": 1}, ())
    assert len({alone, recipe_of({"a": 2}, ()), recipe_of({"a": 1}, ("x",)), recipe_of({"a": 1}, ("y",))}) == 4


def test_recipes_are_those_that_lakes_of_today_have():
    """A refresh of a whole archive is not to be caused by how this is written. The hashes were made by version 3."""
    chosen = older_set()
    kept = ("emissions", "words", "topics")
    plain, other = recipes(chosen, Settings()), recipes(chosen, Settings(audio_channels=(1,), topic_keep=2))
    assert [plain[name] for name in kept] == ["0a8d97bd672d", "75ac7a6c0e09", "c0edcc75ea17"]
    assert [other[name] for name in kept] == ["6379a9355de9", "ab17f0d4b1fa", "1b1b26e1cdb0"]


# -- asking for some ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only", "said"),
    [
        (("cues",), "Nothing to do: no video that is indexed lacks cues, or has an older one."),
        (("topics",), "Nothing to do: no video that is indexed lacks topics, or has an older one."),
        (
            ("sound_events",),
            "Nothing to do: no video that is indexed and has sounds lacks sound_events, or has an older one. "
            "For both: --stages sounds,sound_events.",
        ),
        (
            ("sounds", "sound_events"),
            "Nothing to do: no video that is indexed lacks sounds or sound_events, or has an older one.",
        ),
    ],
)
def test_where_nothing_is_due_it_is_said_what_else_has_to_be_asked_for(only, said):
    report = RunReport("r", "lake", "file:///bucket", datetime(2024, 1, 1, tzinfo=UTC), only=only)
    assert report.sentence() == said


def test_stages_are_named_with_commas_or_one_after_the_other():
    asked = []

    @click.command()
    @stages_options
    def command(stages, only):
        asked.append((stages, only))

    CliRunner().invoke(command, ["--stages", "topics, cues", "--stages", "sounds", "--only"], catch_exceptions=False)
    CliRunner().invoke(command, [], catch_exceptions=False)
    assert asked == [(("topics", "cues", "sounds"), True), ((), False)]
