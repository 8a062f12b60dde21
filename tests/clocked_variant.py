"""A media file whose clock is known: what it is made of, and when each word is said in it."""

from __future__ import annotations

from dataclasses import dataclass

from clocked_makers import LENGTH_MS, Maker


@dataclass(frozen=True)
class Jump:
    """From `at_ms` of the plain file on, all time stamps are `by_ms` later.

    `counts` is None where nothing is in between and players may count it or not; True where the picture goes on in between.
    """

    at_ms: int
    by_ms: int
    counts: bool | None = None


@dataclass(frozen=True)
class Variant:
    """A file that is made from the plain one.

    Time 0 is its first sample or frame, whichever is shown first; MP4 and MOV have a 0 of their own. A word of the plain
    file is `shift_ms` later in it; what comes before `from_ms` of the plain file is not there. The picture shows the moment
    of the plain file that is `picture_ms` after the one that is heard (None: that is not the same throughout). `plays`:
    Chromium plays the file itself.
    """

    name: str
    kind: str
    make: Maker
    shift_ms: int = 0
    plays: bool = False
    from_ms: int = 0
    jump: Jump | None = None
    picture_ms: int | None = 0
    length_ms: int = LENGTH_MS

    def when(self, plain_ms: int, *, gaps: bool) -> int | None:
        """When what the plain file has at `plain_ms` is in this one; None where it is not. `gaps`: bare gaps count."""
        if plain_ms < self.from_ms:
            return None
        return plain_ms + self.shift_ms + (self._gap_ms(gaps) if self.jump and plain_ms >= self.jump.at_ms else 0)

    def lasts(self, *, gaps: bool) -> int:
        """The length of the file, ms."""
        return self.length_ms + self._gap_ms(gaps)

    def _gap_ms(self, gaps: bool) -> int:
        counted = self.jump and (gaps if self.jump.counts is None else self.jump.counts)
        return self.jump.by_ms if self.jump and counted else 0


H264 = ("-c:v", "copy")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25")
VP8 = ("-c:v", "libvpx", "-b:v", "500k", "-deadline", "realtime", "-cpu-used", "8", "-g", "25")
VP9 = ("-c:v", "libvpx-vp9", "-b:v", "300k", "-deadline", "realtime", "-cpu-used", "8", "-g", "25")
THEORA = ("-c:v", "libtheora", "-q:v", "6", "-g", "25")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "4", "-g", "12")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "4", "-g", "25")
FLV1 = ("-c:v", "flv", "-q:v", "4", "-g", "25")
WMV2 = ("-c:v", "wmv2", "-q:v", "4", "-g", "25")
AAC, MP3, MP2, AC3 = ("-c:a", "aac"), ("-c:a", "libmp3lame"), ("-c:a", "mp2"), ("-c:a", "ac3")
OPUS, VORBIS, FLAC, PCM = ("-c:a", "libopus"), ("-c:a", "libvorbis"), ("-c:a", "flac"), ("-c:a", "pcm_s16le")
BARE = ("-write_xing", "0", "-id3v2_version", "0")  # an MP3 that says nothing of its length
FRAGMENTED = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")
