"""How rows were made, as a hash for each stage: what a refresh compares."""

from __future__ import annotations

from typing import Any

from tasks.models import ModelSet
from tasks.records import Recipes
from tasks.settings import Settings
from tasks.stages.base import digest
from tasks.stages.registry import STAGES


def recipes(chosen: ModelSet, settings: Settings) -> Recipes:
    """The hashes of today's models and settings, and what they are made from."""
    made = {stage.name: stage.options(chosen, settings) for stage in STAGES}
    described = {name: options.described() if options else None for name, options in made.items()}
    return chained(
        {
            "set": chosen.name,
            "acoustic": described["emissions"],
            "decode": described["words"],
            "cues": {**(described["cues"] or {}), **(described["passages"] or {})},
            "topics": described["topics"],
        }
    )


def chained(detail: dict[str, Any]) -> Recipes:
    """The hashes of a description. Each stage stands on the one before it: a new acoustic model is a new recipe of
    everything after it."""
    acoustic = digest(detail.get("acoustic"))
    decode = digest([acoustic, detail.get("decode")])
    cues, topics = digest([decode, detail.get("cues")]), digest([decode, detail.get("topics")])
    return Recipes(acoustic, decode, cues, topics, detail)
