"""Media through ffmpeg: what is in a file, which track is the speech, and its sound as 16 kHz mono PCM.

Files come from strangers. `-protocol_whitelist` alone lets a renamed playlist open other local files, so demuxers that
follow references are refused as well; every process has a limit in time, and writes to a file of bounded size.
"""

from tasks.media.audio import extract_audio
from tasks.media.clip import clip_sound
from tasks.media.pcm import SAMPLE_RATE, pcm_stream
from tasks.media.probe import allowed_demuxers, explain, input_arguments, is_encrypted, probe
from tasks.media.tracks import choose_track, same_language, speech_likeness

__all__ = [
    "SAMPLE_RATE",
    "allowed_demuxers",
    "choose_track",
    "clip_sound",
    "explain",
    "extract_audio",
    "input_arguments",
    "is_encrypted",
    "pcm_stream",
    "probe",
    "same_language",
    "speech_likeness",
]
