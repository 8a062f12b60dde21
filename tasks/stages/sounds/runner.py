"""Makes vectors of the pieces of a soundtrack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.models.packing import packed
from tasks.sounds.encoder import SoundEncoder, load_sound_encoder
from tasks.sounds.pieces import Pieces
from tasks.stages.base import Input, Rows
from tasks.stages.sounds.options import SoundsOptions


@dataclass(frozen=True)
class SoundsRunner:
    encoder: SoundEncoder
    options: SoundsOptions

    @classmethod
    def of(cls, options: SoundsOptions, device: str) -> SoundsRunner:
        """Raises ModelNotAvailable."""
        model = options.model
        encoder = load_sound_encoder(model.path, revision=model.revision, device=device, precision=options.precision)
        return cls(encoder, options)

    def make(self, video: Input) -> Mapping[str, Rows]:
        if video.soundtrack is None:
            return {"sounds": []}
        encoder, rate = self.encoder, video.soundtrack.rate
        piece_s = min(self.options.piece_s, encoder.piece_s)
        pieces = Pieces(video.soundtrack, encoder.rate, piece_s=piece_s, overlap=self.options.overlap)
        vectors, scales = packed(encoder.sounds(pieces))
        rows = [
            {
                "piece": number,
                "start_ms": piece.start * 1000 // rate,
                "end_ms": -(-piece.stop * 1000 // rate),
                "vector": vector,
                "scale": scale,
            }
            for number, (piece, vector, scale) in enumerate(zip(pieces.chosen, vectors, scales, strict=True))
        ]
        return {"sounds": rows}
