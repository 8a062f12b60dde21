"""Reads settings for a command or a flow: checks those of every stage, and says in a sentence what is wrong."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from tasks.errors import Misconfigured
from tasks.settings import Settings
from tasks.stages.registry import STAGES

WHERE = "Settings come from nightscribe.toml, NIGHTSCRIBE_* variables and flags; docs/settings.md lists them."


def read_settings(**given: Any) -> Settings:
    """Settings with what is `given` laid over environment and file; None is not given.

    Raises:
        Misconfigured: a value does not fit, a name is unknown, or the file or a variable cannot be read.
    """
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise _wrong(error) from error
    except SettingsError as error:
        raise Misconfigured(
            f"A NIGHTSCRIBE_ variable cannot be read: {error}.",
            next="""Lists are JSON: NIGHTSCRIBE_INCLUDE='["*.mp4"]'""",
        ) from error
    except ValueError as error:  # nightscribe.toml is not TOML
        raise Misconfigured(f"nightscribe.toml cannot be read: {error}", next="Mend it.") from error
    kinds = {stage.settings.section: stage.settings for stage in STAGES if stage.settings}
    for section in settings.stages:
        if section not in kinds:
            raise Misconfigured(
                f"{section} is neither a setting nor a stage with settings; these are {', '.join(kinds)}.", next=WHERE
            )
        try:
            settings.of(kinds[section])
        except ValidationError as error:
            raise _wrong(error, section) from error
    return settings


def _wrong(error: ValidationError, section: str = "") -> Misconfigured:
    first = error.errors()[0]
    where = ".".join(map(str, ([section] if section else []) + list(first["loc"]))) or "settings"
    return Misconfigured(f"The setting {where} is wrong: {first['msg']}.", next=WHERE)
