"""Says what is to be heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa

from tasks.arrays import Array
from tasks.models.packing import unpacked
from tasks.sounds.encoder import SoundEncoder, load_sound_encoder
from tasks.sounds.events import events, shares
from tasks.stages.base import Input, Rows
from tasks.stages.sound_events.options import SoundEventsOptions

SENTENCE = "This is a sound of {}."  # as CLAP's authors put a label


@dataclass(frozen=True)
class SoundEventsRunner:
    options: SoundEventsOptions
    encoder: SoundEncoder
    labels: Array

    @classmethod
    def of(cls, options: SoundEventsOptions, device: str) -> SoundEventsRunner:
        """Raises ModelNotAvailable."""
        model = options.model
        encoder = load_sound_encoder(model.path, revision=model.revision, device=device, precision=options.precision)
        return cls(options, encoder, encoder.texts([SENTENCE.format(label) for label in options.labels]))

    def make(self, video: Input) -> Mapping[str, Rows]:
        sounds = video.rows["sounds"]
        if not sounds:
            return {"sound_events": []}
        vectors = unpacked(
            pa.array([row["vector"] for row in sounds], pa.binary()),
            pa.array([row["scale"] for row in sounds], pa.float32()),
        )
        spans = [(row["start_ms"], row["end_ms"]) for row in sounds]
        likely = shares(vectors, self.labels, self.encoder.scale)
        found = events(spans, likely, self.options.labels, least=self.options.least)
        return {"sound_events": [asdict(event) for event in found]}
