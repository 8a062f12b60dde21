"""Settings of stages: a table of `nightscribe.toml` for each, declared in the folder of the stage.

[cues]
min_ms = 1000

NIGHTSCRIBE_CUES__MIN_MS=1000
"""

from __future__ import annotations

import json
import os
from collections.abc import Container, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic_settings import SettingsError

PREFIX = "NIGHTSCRIBE_"

# Their former flat names, still accepted.
FLAT: dict[str, tuple[str, str]] = {
    **{name: ("emissions", name) for name in ("window_s", "context_s")},
    **{
        name: ("words", name)
        for name in (
            *("beam_width", "beam_prune_logp", "token_min_logp", "lm_weight", "word_bonus", "blank_penalty"),
            *("hot_words", "hot_word_weight", "decoders", "utterance_gap_s", "utterance_max_s"),
        )
    },
    "line_chars": ("cues", "line_chars"),
    **{f"cue_{name}": ("cues", name) for name in ("lines", "min_ms", "max_ms", "gap_ms", "cps")},
    **{f"topic_{name}": ("topics", name) for name in ("window_s", "keep")},
}


class StageSettings(BaseModel):
    """The settings of one stage, whose name is `section`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    section: ClassVar[str]


def in_sections(values: Mapping[str, Any], fields: Container[str]) -> dict[str, Any]:
    """`values` with everything that belongs to stages under `stages`: tables, and the names of before, before which a table
    comes."""
    plain: dict[str, Any] = {}
    flat: dict[str, dict[str, Any]] = {}
    tables: dict[str, Any] = {}
    for name, value in values.items():
        if name in FLAT:
            section, field = FLAT[name]
            flat.setdefault(section, {})[field] = value
        elif name == "stages" and isinstance(value, Mapping):
            tables |= value
        elif name not in fields and isinstance(value, Mapping):
            tables[name] = value
        else:
            plain[name] = value
    sections: dict[str, Any] = dict(flat)
    for section, table in tables.items():
        sections[section] = {**flat.get(section, {}), **table} if isinstance(table, Mapping) else table
    return plain | ({"stages": sections} if sections else {})


def stage_variables(fields: Container[str]) -> dict[str, Any]:
    """What the environment says of stages: `NIGHTSCRIBE_CUES__MIN_MS`, and the names of before."""
    found: dict[str, Any] = {}
    for variable, text in os.environ.items():
        name = variable.upper().removeprefix(PREFIX).lower()
        if not variable.upper().startswith(PREFIX):
            continue
        section, divided, field = name.partition("__")
        if name in FLAT:
            found[name] = _read(variable, text)
        elif divided and section and field and section not in fields:
            found.setdefault(section, {})[field] = _read(variable, text)
    return found


def _read(variable: str, text: str) -> Any:
    """Lists and tables are JSON; the rest is read by the type of its field."""
    try:
        return json.loads(text) if text[:1] in ("[", "{") else text
    except ValueError as error:
        raise SettingsError(f'error parsing value of "{variable}"') from error
