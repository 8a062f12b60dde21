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

All this is done here, to decoded samples: a filter that fills gaps begins anew wherever a stream changes its parameters. Only
where the clock of a transport or programme stream goes back, ffmpeg does it, for all streams that it reads together: the
same ones must be read whenever such a file is opened (`beside`). It then takes every gap for a jump, since the last packet of
a part may come after the first ones of the next.
"""

from __future__ import annotations

from tasks.records import AudioTrack, Probe

LONGEST_GAP_S = 600
ANY_GAP_S = 1_000_000
LATEST_BEGIN_S = 3600  # on a clock with a 0 of its own
TOLERANCE_S = 0.08  # two frames of 25 a second: time stamps that are rounded, or of a live recording, jitter
ONE_FRAME_S = 0.04
JUMP_S = 0.3  # of a clock that is known to jump
LONGEST_OVERLAP_S = 1.0  # of two recordings that were joined: what is there twice is left out
# Demuxers with time stamps that may jump, which ffmpeg corrects as it reads.
JUMPING = frozenset({"mpegts", "mpeg"})
CORRECTED = JUMPING | {"ogg", "live_flv"}
DOUBTED = CORRECTED | {"flv"}  # where a great gap is rather a jump
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


def reading(probed: Probe, track: AudioTrack | None, *, jumps: bool) -> list[str]:
    """Options of ffmpeg before an input that is to be on the clock; `jumps` where it is known that the file's own does."""
    kind = family(probed.container)
    if kind in JUMPING and not jumps:
        zero_ms = track.zero_ms if track else probed.zero_ms
        # A microsecond off: ffmpeg takes exactly this for an offset of its own, and moves it to the stream that it reads.
        return ["-copyts", "-itsoffset", f"{1e-6 - zero_ms / 1000:.6f}"]
    if kind in CORRECTED:
        return ["-dts_delta_threshold", str(JUMP_S if jumps else LONGEST_GAP_S)]
    return ["-itsoffset", f"{probed.starts_ms / 1000:.3f}"] if probed.starts_ms else []


def beside(probed: Probe, track: AudioTrack | None, *, jumps: bool) -> tuple[int, ...]:
    """Streams that must be read together with a track, though nothing is done with them; none where that has no effect."""
    kind = family(probed.container)
    if track is None or kind not in CORRECTED or (kind in JUMPING and not jumps):
        return ()
    return tuple(stream for stream in track.programme if stream != track.stream)


def seek_s(probed: Probe, track: AudioTrack | None, second: float) -> float:
    """Where ffmpeg, which counts from the first stream of a file, has to be set to for a second on the clock."""
    zero_ms = track.zero_ms if track and family(probed.container) in JUMPING else probed.zero_ms
    return max(0.0, second + (zero_ms - probed.first_ms) / 1000)


def even_pictures(probed: Probe) -> str:
    """The filter that puts pictures on the clock, where the file's own jumps and ffmpeg does not correct that as it reads."""
    ahead = "(PTS-PREV_INPTS)*TB"
    jumps = f"lt({ahead},{-LONGEST_OVERLAP_S})+gt({ahead},{longest_gap_s(probed)})"
    going_on = f"if({jumps},PREV_OUTPTS+{ONE_FRAME_S}/TB,PREV_OUTPTS+PTS-PREV_INPTS)"
    return f"setpts='if(isnan(PREV_INPTS),PTS,{going_on})'"


class Clock:
    """Places frames of decoded sound, one after the other. All numbers are samples of one rate.

    `position` is where the next frame would be without a gap, `gaps` how many of them there were, and `jumps` how often the
    clock of the file was not followed.
    """

    def __init__(
        self, rate: int, *, stamped: bool, gap_s: int = LONGEST_GAP_S, overlap_s: float = LONGEST_OVERLAP_S
    ) -> None:
        self.position = self.gaps = self.jumps = 0
        self._rate, self._stamped, self._gap_s, self._overlap_s = rate, stamped, gap_s, overlap_s
        self._offset = 0  # of the clock from the file's time stamps

    def place(self, stamp: int | None, samples: int, following: int | None = None) -> tuple[int, int]:
        """Place a frame of `samples` at the time stamp that it has: returns (silence to put before it, samples to leave out at
        its beginning). A stamp that the `following` one knows nothing of is not followed: at a change of the sampling rate
        ffmpeg counts one frame by the other rate."""
        silence = left_out = 0
        if self._stamped and stamp is not None and not (following is not None and self._fits(following, samples)):
            ahead = stamp + self._offset - self.position
            if TOLERANCE_S * self._rate < ahead <= self._gap_s * self._rate:
                silence = ahead
                self.gaps += bool(self.position)
            elif -self._overlap_s * self._rate <= ahead < -TOLERANCE_S * self._rate:
                left_out = min(samples, -ahead)
            elif abs(ahead) > TOLERANCE_S * self._rate:
                self._offset -= ahead
                self.jumps += 1
        self.position += silence + samples - left_out
        return silence, left_out

    def _fits(self, stamp: int, samples: int) -> bool:
        """Whether a frame may have this stamp when the next one has `samples`."""
        return abs(stamp + self._offset - self.position - samples) <= TOLERANCE_S * self._rate
