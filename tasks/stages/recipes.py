"""How rows were made, as a hash for each stage: what a refresh compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.models.catalog import ModelSet
from tasks.records import Recipes
from tasks.settings import Settings
from tasks.stages.base import Stage, recipe_of
from tasks.stages.registry import STAGES


def recipes(chosen: ModelSet, settings: Settings) -> Recipes:
    """The recipes of today's models and settings, of the stages that are on."""
    made = {stage.name: stage.options(chosen, settings) for stage in STAGES}
    return chained({name: options.described() for name, options in made.items() if options is not None}, chosen.name)


def chained(described: Mapping[str, Any], models: str = "") -> Recipes:
    """The hashes of described options. Each stage stands on those before it: a new acoustic model is a new recipe of
    everything that comes of its words."""
    hashes: dict[str, str] = {}
    for stage in STAGES:
        if stage.name in described:
            before = tuple(hashes[one.name] for one in STAGES.stages_before(stage) if one.name in hashes)
            hashes[stage.name] = recipe_of(described[stage.name], before)
    return Recipes(hashes, dict(described), models)


def recipe_on(now: Recipes, stage: Stage, before: tuple[str, ...]) -> str:
    """The recipe of a stage by today's options, on stages of the recipes `before`, which may be older than today's."""
    today = tuple(now[one.name] for one in STAGES.stages_before(stage) if one.name in now.hashes)
    return now[stage.name] if before == today else recipe_of(now.options.get(stage.name), before)


def beside(now: Recipes, known: Mapping[str, str], made: Sequence[str]) -> Recipes:
    """The recipes of stages that are `made` beside others of a `known` recipe: today's options, on what is there."""
    hashes: dict[str, str] = {}
    for stage in STAGES:
        if stage.name in now.hashes:
            before = tuple(hashes[one.name] for one in STAGES.stages_before(stage) if one.name in hashes)
            fresh = stage.name in made or stage.name not in known
            hashes[stage.name] = recipe_on(now, stage, before) if fresh else known[stage.name]
    return Recipes(hashes, now.options, now.models)
