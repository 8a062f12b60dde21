from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from example.loudness.options import LoudnessOptions
from tasks.stages.base import Input, Rows


@dataclass(frozen=True)
class LoudnessRunner:
    options: LoudnessOptions

    def make(self, video: Input) -> Mapping[str, Rows]:
        assert video.sound is not None
        samples = np.fromfile(video.sound.path, np.int16).astype(np.float64)
        size = 16_000 * self.options.every_s
        levels = [float(np.sqrt(np.mean(samples[at : at + size] ** 2))) for at in range(0, len(samples), size)]
        return {
            "levels": [{"start_ms": 1000 * self.options.every_s * n, "level": level} for n, level in enumerate(levels)]
        }
