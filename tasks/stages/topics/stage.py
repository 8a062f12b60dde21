"""Topics of a video and of its parts, by a text classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.stages.base import Runner, Stage, Table

if TYPE_CHECKING:  # every query reads these declarations, and none of them a model
    from tasks.models import ModelRef, ModelSet
    from tasks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class TopicsOptions:
    """A model, None for none: then a video has no topics."""

    model: ModelRef | None
    window_s: float
    keep: int

    def described(self) -> dict[str, Any]:
        return {
            "model": self.model.name if self.model else None,
            "files": self.model.files if self.model else None,
            "revision": self.model.revision if self.model else None,
            "window_s": self.window_s,
            "keep": self.keep,
            "version": 1,
        }


def options(models: ModelSet, settings: Settings) -> TopicsOptions:
    return TopicsOptions(
        model=models.ref("topics") if models.topics else None,
        window_s=settings.topic_window_s,
        keep=settings.topic_keep,
    )


def load(options: TopicsOptions, device: str) -> Runner:
    from tasks.stages.topics.runner import TopicsRunner

    return TopicsRunner.of(options, device)


TOPICS = Stage(
    name="topics",
    about="What a video and each of its parts are about, by a text classifier.",
    needs=("metadata",),
    uses=("words",),
    options=options,
    load=load,
    device="gpu",
    unit="words",
    tables=(
        Table(
            name="topics",
            columns={
                "scope": "VARCHAR",
                "start_ms": "BIGINT",
                "end_ms": "BIGINT",
                "rank": "INTEGER",
                "label": "VARCHAR",
                "score": "FLOAT",
                "model": "VARCHAR",
            },
            order=("scope", "start_ms", "rank"),
        ),
    ),
)
