"""The one clock of a video: which moment of a file is which millisecond of its rows.

Words, cues, frames, web copies and links all go by it:

- 0 is the start of the file as a player shows it: the earliest time stamp of its pictures and its sound. Of a file with
  several programmes, those of the one that is heard. Sound that begins later than the picture has its words later. MP4 and
  MOV alone have a 0 of their own: what begins at 5 s there is shown at 5 s.
- A gap in the time stamps is time in which nothing is heard; in containers whose clocks may jump, as long as it is no longer
  than `LONGEST_GAP_S`.
- Where the clock of a file goes back, or further ahead than that, as in recordings that were joined, the time goes on from
  where it was.
- Sound without time stamps of its own (raw AAC, MP3, a chain of Ogg streams) is at the time by which it has been played.

All this is done here, to decoded samples: a filter that fills gaps begins anew wherever a stream changes its parameters. Where
a clock goes back, the packets of all streams say how much later the next part is (tasks/media/parts.py). Only of Ogg ffmpeg
corrects the time stamps, for all streams that it reads together: the same ones must be read whenever such a file is opened
(`beside`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.records import AudioTrack, Probe

LONGEST_GAP_S = 600
ANY_GAP_S = 1_000_000
LATEST_BEGIN_S = 3600  # on a clock with a 0 of its own
TOLERANCE_S = 0.08  # two frames of 25 a second: time stamps that are rounded, or of a live recording, jitter
ONE_FRAME_S = 0.04
JUMP_S = 0.3  # of a clock that is known to jump
LONGEST_OVERLAP_S = 1.0  # of two recordings that were joined: what is there twice is left out
SLACK_S = 0.3  # by which frames may be outside the packets they come from
JUMPING = frozenset({"mpegts", "mpeg"})  # by their nature
FOLLOWED = JUMPING | {"flv"}  # whose packets are read where they jump
CORRECTED = frozenset({"ogg", "live_flv"})  # by ffmpeg, as it reads
DOUBTED = FOLLOWED | CORRECTED  # where a great gap is rather a jump
OWN_ZERO = "mov"
# Containers that count their length from 0, whenever their first stream begins.
COUNTED_FROM_ZERO = frozenset({OWN_ZERO, "matroska", "asf", "nut"})
# Files of sound alone without time stamps, or with such as a change of the sampling rate makes wrong.
UNSTAMPED = frozenset("aac ac3 amr amrnb amrwb dts dtshd eac3 gsm loas mp3 ogg sbc truehd mlp".split())


def family(container: str) -> str:
    """The first of the names that ffprobe has for a container: `mov`, `matroska`, `mpegts`."""
    return container.split(",")[0]


def stamped(probed: Probe) -> bool:
    """Whether the time stamps of the sound count, and not what was played before it."""
    return probed.video_stream is not None or len(probed.tracks) > 1 or family(probed.container) not in UNSTAMPED


def longest_gap_s(probed: Probe) -> int:
    """How long a gap may be before it is taken for a jump."""
    return LONGEST_GAP_S if family(probed.container) in DOUBTED else ANY_GAP_S


def zero_ms(probed: Probe, track: AudioTrack | None) -> int:
    """The 0 of the clock by the time stamps of the file: of the programme that a track belongs to."""
    return track.zero_ms if track else probed.zero_ms


def reading(probed: Probe, track: AudioTrack | None, *, jumps: bool) -> list[str]:
    """Options of ffmpeg before an input that is to be on the clock; `jumps` where it is known that the file's own does."""
    kind = family(probed.container)
    if kind in JUMPING:
        # A microsecond off: ffmpeg takes exactly this for an offset of its own, and moves it to the stream that it reads.
        return ["-copyts", "-itsoffset", f"{1e-6 - zero_ms(probed, track) / 1000:.6f}"]
    if kind in CORRECTED:
        return ["-dts_delta_threshold", str(JUMP_S if jumps else LONGEST_GAP_S)]
    return ["-itsoffset", f"{probed.starts_ms / 1000:.3f}"] if probed.starts_ms else []


def beside(probed: Probe, track: AudioTrack | None) -> tuple[int, ...]:
    """Streams that must be read together with a track, though nothing is done with them; none where that has no effect."""
    if track is None or family(probed.container) not in CORRECTED:
        return ()
    return tuple(stream for stream in track.programme if stream != track.stream)


def read_beside(probed: Probe, track: AudioTrack | None, *, number: int = 0) -> list[str]:
    """What ffmpeg is to be told of these streams of its input `number` where only the picture is asked for: they are copied to
    nowhere. Without them other time stamps would be the first, and jumps corrected otherwise."""
    streams = {*beside(probed, track)}
    if track and streams and track.stream is not None:
        streams.add(track.stream)
    mapped = [part for stream in sorted(streams - {probed.video_stream}) for part in ("-map", f"{number}:{stream}")]
    return [*mapped, "-c", "copy", "-f", "null", "-"] if mapped else []


def seek_s(probed: Probe, track: AudioTrack | None, second: float) -> float:
    """Where ffmpeg, which counts from the first stream of a file, has to be set to for a second on the clock."""
    zero = zero_ms(probed, track) if family(probed.container) in JUMPING else probed.zero_ms
    return max(0.0, second + (zero - probed.first_ms) / 1000)


class Clock:
    """Places frames of decoded sound, one after the other. All numbers are samples of one rate.

    `position` is where the next frame would be without a gap, `gaps` how many of them there were, and `jumps` how often the
    clock of the file was not followed. Of a clock that is known to jump, `stretches` are the parts: from when to when its time
    stamps go, and how much later that is on this clock.
    """

    def __init__(
        self,
        rate: int,
        *,
        stamped: bool,
        gap_s: int = LONGEST_GAP_S,
        overlap_s: float = LONGEST_OVERLAP_S,
        stretches: Sequence[tuple[int, int, int]] = (),
    ) -> None:
        self.position = self.gaps = self.jumps = 0
        self._rate, self._stamped, self._stretches = rate, stamped, stretches
        self._gap, self._overlap, self._tolerance = gap_s * rate, max(overlap_s, TOLERANCE_S) * rate, TOLERANCE_S * rate
        self._stretch = 0
        self._offset = stretches[0][2] if stretches else 0  # of the clock from the file's time stamps

    def place(self, stamp: int | None, samples: int, following: int | None = None) -> tuple[int, int]:
        """Place a frame of `samples` at the time stamp that it has: returns (silence to put before it, samples to leave out at
        its beginning). A stamp that the `following` one knows nothing of is not followed: at a change of the sampling rate
        ffmpeg counts one frame by the other rate."""
        ahead = self._ahead(stamp, samples, following)
        silence = ahead if ahead > self._tolerance else 0
        left_out = min(samples, -ahead) if ahead < -self._tolerance else 0
        self.gaps += bool(silence and self.position)
        self.position += silence + samples - left_out
        return silence, left_out

    def _ahead(self, stamp: int | None, samples: int, following: int | None) -> int:
        """How far a frame is ahead of where the last one ended."""
        if not self._stamped or stamp is None:
            return 0
        if following is not None and abs(following + self._offset - self.position - samples) <= self._tolerance:
            return 0
        ahead = stamp + self._offset - self.position
        if -self._overlap <= ahead <= self._gap:
            return ahead
        if following is not None and abs(following - stamp - samples) > self._tolerance:
            return 0
        self.jumps += 1
        self._offset = self._next_offset(stamp)
        return stamp + self._offset - self.position

    def _next_offset(self, stamp: int) -> int:
        """That of the next part with such time stamps; without one, the time goes on."""
        slack = SLACK_S * self._rate
        for number, (begin, end, offset) in enumerate(self._stretches):
            if number > self._stretch and begin - slack <= stamp <= end + slack:
                self._stretch = number
                return offset
        return self.position - stamp
