"""Classifies a video and its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from tasks.stages.base import Input, Rows
from tasks.stages.topics.options import TopicsOptions
from tasks.text.topics import TopicModel, classify, load_topics


@dataclass(frozen=True)
class TopicsRunner:
    options: TopicsOptions
    model: TopicModel | None

    @classmethod
    def of(cls, options: TopicsOptions, device: str) -> TopicsRunner:
        """Raises ModelNotAvailable."""
        chosen = options.model
        return cls(options, load_topics(chosen.path, revision=chosen.revision, device=device) if chosen else None)

    def make(self, video: Input) -> Mapping[str, Rows]:
        if self.model is None:
            return {"topics": []}
        found = classify(
            self.model,
            video.metadata,
            video.words,
            video.duration_ms,
            window_s=self.options.window_s,
            keep=self.options.keep,
        )
        return {"topics": [asdict(topic) for topic in found]}
