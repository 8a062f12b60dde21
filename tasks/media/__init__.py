"""Media through ffmpeg: what is in a file, which sound of it is the speech, and that as 16 kHz mono PCM on one clock.

Files come from strangers. `-protocol_whitelist` alone lets a renamed playlist open other local files, so demuxers that
follow references are refused as well; every process has a limit in time, and writes to a file of bounded size.
"""

from tasks.media.audio import extract_audio, may_be_read
from tasks.media.clip import clip_sound
from tasks.media.inputs import allowed_demuxers, input_arguments
from tasks.media.listening import speech_likeness
from tasks.media.pcm import SAMPLE_RATE, Sound
from tasks.media.probe import explain, is_encrypted, probe
from tasks.media.tracks import choose_sources, same_language

__all__ = [
    "SAMPLE_RATE",
    "Sound",
    "allowed_demuxers",
    "choose_sources",
    "clip_sound",
    "explain",
    "extract_audio",
    "input_arguments",
    "is_encrypted",
    "may_be_read",
    "probe",
    "same_language",
    "speech_likeness",
]
