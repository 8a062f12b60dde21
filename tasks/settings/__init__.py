"""The one settings object: defaults, then `nightscribe.toml`, then `NIGHTSCRIBE_*` environment, then flags.

Between the defaults and the file stand variables that other programs read too (`SHARED`). Settings of stages are declared in
the folders of these (`tasks/stages/NAME/options.py`), all others in `groups.py`; `docs/settings.md` is generated from both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tasks.settings.groups import (
    GROUPS,
    MEDIA_EXTENSIONS,
    REPO,
    Archive,
    Costs,
    Keeping,
    Media,
    Models,
    Runs,
    Search,
    Sql,
    Subtitles,
    Web,
)
from tasks.settings.sections import PREFIX, StageSettings, in_sections, stage_variables

__all__ = ["GROUPS", "MEDIA_EXTENSIONS", "REPO", "Settings", "StageSettings"]

SHARED = {"elasticsearch_url": "ELASTICSEARCH_URL"}
_S = TypeVar("_S", bound=StageSettings)


class _File(TomlConfigSettingsSource):
    def __call__(self) -> dict[str, Any]:
        return in_sections(super().__call__(), self.settings_cls.model_fields)


class Settings(Archive, Runs, Media, Models, Keeping, Subtitles, Search, Costs, Sql, Web, BaseSettings):
    """Every setting of Nightscribe. Times are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, toml_file="nightscribe.toml", extra="forbid", frozen=True)

    stages: Annotated[dict[str, dict[str, Any]], Field(description="Settings of stages, a table for each.")] = {}

    def of(self, kind: type[_S]) -> _S:
        """The settings of a stage.

        Raises:
            ValidationError: one does not fit; `read_settings` has made sure that all do.
        """
        return kind.model_validate(self.stages.get(kind.section, {}))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, those of stages under any of their names."""
        given = in_sections(update or {}, type(self).model_fields)
        stages = {**self.stages}
        for section, table in given.get("stages", {}).items():
            stages[section] = {**stages.get(section, {}), **table}
        return super().model_copy(update=given | ({"stages": stages} if "stages" in given else {}), deep=deep)

    @model_validator(mode="before")
    @classmethod
    def _sections(cls, values: Any) -> Any:
        return in_sections(values, cls.model_fields) if isinstance(values, dict) else values

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        shared = {name: os.environ[variable] for name, variable in SHARED.items() if variable in os.environ}

        def given(values: dict[str, Any]) -> InitSettingsSource:  # each source by itself, so that the first one wins
            return InitSettingsSource(settings_cls, init_kwargs=in_sections(values, settings_cls.model_fields))

        environment = {**env_settings(), **stage_variables(settings_cls.model_fields)}
        return given(init_settings()), given(environment), _File(settings_cls), given(shared)
