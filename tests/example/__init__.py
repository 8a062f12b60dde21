"""Stages as somebody would add them: `letters` of what was said, `loudness` of the sound, `brightness` of the pictures.

`install` puts them into the registry, as a line in `tasks/stages/registry.py` would; it has to come before any other module
of `tasks` is imported. `python -m example` is `nightscribe` with them, `pytest -p example.plugin` tests with them.
"""

from __future__ import annotations


def install() -> None:
    from example.brightness.stage import BRIGHTNESS
    from example.letters.stage import LETTERS
    from example.loudness.stage import LOUDNESS
    from tasks.stages import registry

    if "letters" not in registry.STAGES.names:
        registry.STAGES = registry.Registry((*registry.STAGES, LETTERS, LOUDNESS, BRIGHTNESS))
