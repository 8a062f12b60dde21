"""The program with twelve stages: those that there are and made-up ones beside them.

`python -m nightscribe.bench.more_stages` is `nightscribe` with them, which have to come before other modules of `tasks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks.stages import registry
from tasks.stages.base import Runner, Stage, Table

STAGES = 12


@dataclass(frozen=True)
class _Options:
    name: str

    def described(self) -> dict[str, Any]:
        return {"name": self.name}


def install() -> None:
    """Put made-up stages into the registry until there are twelve. The second time nothing happens."""
    there = registry.STAGES.names
    more = tuple(_stage(f"made_up_{number}") for number in range(len(there) + 1, STAGES + 1))
    registry.STAGES = registry.Registry((*registry.STAGES, *more))


def fill(uri: str, total: int) -> None:
    """`nightscribe.bench.scan_lake.fill` with them."""
    install()
    from nightscribe.bench import scan_lake

    scan_lake.fill(uri, total)


def _stage(name: str) -> Stage:
    def load(options: _Options, device: str) -> Runner:
        raise NotImplementedError("A made-up stage makes nothing.")

    return Stage(
        name=name,
        about="Made up, for a measurement.",
        needs=("words",),
        options=lambda models, settings: _Options(name),
        load=load,
        unit="words",
        tables=(Table(name=name, columns={"value": "BIGINT"}, order=("value",)),),
    )


if __name__ == "__main__":
    install()
    from nightscribe.cli import run

    run()
