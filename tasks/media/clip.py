"""Labelled clips: sound that is whole, or the reason why there is none."""

from __future__ import annotations

from pathlib import Path

from tasks.errors import Permanent, ScratchFull, Transient
from tasks.media.audio import extract_audio
from tasks.media.pcm import SAMPLE_RATE
from tasks.media.probe import probe
from tasks.records import Audio
from tasks.settings import Settings


def clip_sound(path: Path, target: Path, settings: Settings, *, rate: int = SAMPLE_RATE) -> Audio | str:
    """The sound of a clip in the file `target`, or why it cannot be used: its text would not be what is heard.

    Raises:
        MissingTool: there is no ffmpeg. ScratchFull: which no other clip would fare better by.
    """
    try:
        probed = probe(path, settings)
        if not probed.tracks:
            return "no sound"
        sound = extract_audio(path, probed, target, settings, rate=rate)
    except ScratchFull:
        raise
    except (Permanent, Transient) as error:
        return error.reason
    return "cut off" if sound.incomplete else sound
