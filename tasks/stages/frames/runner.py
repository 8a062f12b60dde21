"""Makes vectors of frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.models.packing import packed
from tasks.pictures.encoder import PictureEncoder, load_picture_encoder
from tasks.stages.base import Input, Rows
from tasks.stages.frames.options import FramesOptions


@dataclass(frozen=True)
class FramesRunner:
    encoder: PictureEncoder

    @classmethod
    def of(cls, options: FramesOptions, device: str) -> FramesRunner:
        """Raises ModelNotAvailable."""
        model = options.model
        return cls(
            load_picture_encoder(model.path, revision=model.revision, device=device, precision=options.precision)
        )

    def make(self, video: Input) -> Mapping[str, Rows]:
        frames = video.pictures or ()
        files = list(dict.fromkeys(frame.path for frame in frames))
        vectors, scales = packed(self.encoder.pictures(files))
        number = {path: n for n, path in enumerate(files)}
        seen: set[int] = set()
        rows = []
        for frame in frames:
            picture = number[frame.path]
            first = picture not in seen
            seen.add(picture)
            rows.append(
                {
                    "start_ms": frame.start_ms,
                    "end_ms": frame.end_ms,
                    "shot": frame.shot,
                    "picture": picture,
                    "vector": vectors[picture] if first else None,
                    "scale": scales[picture] if first else None,
                }
            )
        return {"frames": rows}
