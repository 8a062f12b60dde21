"""What ffmpeg may open: one file, by demuxers that follow no reference out of it."""

from __future__ import annotations

import re
import subprocess
from functools import cache

from tasks.errors import MissingTool

# Demuxers that open other files or URLs named in the data, or that make video of any text.
FORBIDDEN_DEMUXERS = frozenset(
    """
    avisynth hls applehttp concat concatf dash image2 image2pipe imf mlv tty sdp rtsp rtp sap lavfi ffmetadata
    webm_dash_manifest bin xbin idf adf ssa ass srt subrip webvtt microdvd mpl2 mpsub pjs realtext sami scc stl subviewer subviewer1
    tedcaptions vobsub vplayer jacosub lrc aqtitle sup dvbsub dvbtxt txd alias_pix svg_pipe vapoursynth mpegtsraw
    """.split()
)


@cache
def allowed_demuxers() -> str:
    """The demuxers of this ffmpeg that only read the file they are given, as `-format_whitelist` wants them."""
    try:
        text = subprocess.run(["ffmpeg", "-v", "error", "-demuxers"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise MissingTool("ffmpeg was not found.", next="Install it: apt-get install ffmpeg") from error
    names = {name for names in re.findall(r"^ D[ d]* +(\S+)", text, re.M) for name in names.split(",")}
    pipes = {name for name in names if name.endswith("_pipe")}  # picture formats
    return ",".join(sorted(names - FORBIDDEN_DEMUXERS - pipes))


def input_options() -> dict[str, str]:
    """Options that must stand before any untrusted input."""
    return {"protocol_whitelist": "file,pipe", "format_whitelist": allowed_demuxers()}


def input_arguments() -> list[str]:
    """The same as arguments of a command."""
    return [part for name, value in input_options().items() for part in (f"-{name}", value)]
