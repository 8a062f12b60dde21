from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from tasks.stages.base import Input, Rows


class BrightnessRunner:
    def make(self, video: Input) -> Mapping[str, Rows]:
        assert video.pictures
        rows = []
        for frame in video.pictures:
            with Image.open(frame.path) as picture:
                grey = float(np.asarray(picture.convert("L")).mean())
            rows.append({"start_ms": frame.start_ms, "shot": frame.shot, "brightness": grey})
        return {"brightness": rows}
