"""Equal windows over audio of any length, and the seams between them.

Wav2vec2 models with group norm normalise over the whole time axis, so zero padding changes the text. Windows of one
length need none: a window's emissions depend on its own audio alone, whatever else is in the batch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.arrays import Array


@dataclass(frozen=True, slots=True)
class Geometry:
    """How samples become frames: `frames = (samples - receptive) // stride + 1`.

    `window` and `context` are in frames. Windows overlap by at least twice the context.
    """

    stride: int
    receptive: int
    window: int
    context: int

    def frames(self, samples: int) -> int:
        """Frames that the model makes of `samples`."""
        return max(0, (samples - self.receptive) // self.stride + 1)

    def samples(self, frames: int) -> int:
        """The fewest samples that make `frames`."""
        return self.stride * (frames - 1) + self.receptive


def asked_geometry(
    frames: Callable[[int], int], *, unit: int, reach: int, window_s: float, context_s: float, rate: int = 16_000
) -> Geometry:
    """The geometry of a model that says how many `frames` it makes of so many inputs; `unit` and `reach` as in `Inputs`.

    A model that pads its inputs makes a frame of the first of them. No frame is taken here that lacks inputs, so that the end of
    a file may be shorter by less than a frame.

    Raises:
        ValueError: its frames do not come after one and the same number of inputs each.
    """
    period = 192 if unit > 1 else 38_400  # a multiple of every stride from 10 to 80 ms
    long = 2 * period
    most = frames(long)
    stride, left = divmod(period, max(1, frames(long + period) - most))
    least = bisect_left(range(long + 1), most, lo=long - 2 * stride, key=frames)
    first = least - stride * (most - 1)
    if left or first < 1 or frames(long + stride) != most + 1:
        raise ValueError(f"{most} frames of {long} inputs, {frames(long + period)} of {long + period}")
    samples = unit * stride
    receptive = max(samples, unit * (first - 1) + reach)
    window, context = round(window_s * rate / samples), round(context_s * rate / samples)
    return Geometry(samples, receptive, window, min(context, (window - 1) // 3))


def window_starts(frames: int, g: Geometry) -> list[int]:
    """First frame of each window over so many. What is shorter than a window is one window of its own length; the last window
    ends with the last frame; neighbours overlap by two contexts or more."""
    if frames <= 0:
        return []
    if frames <= g.window:
        return [0]
    step = g.window - 2 * g.context
    return [*range(0, frames - g.window, step), frames - g.window]


def around(silent: Sequence[tuple[int, int]], samples: int, g: Geometry) -> list[tuple[int, int]]:
    """What is left of a file to be heard, as (first frame, frames), in order; `silent` as (first sample, sample after the last).

    Lengths are rounded up to quarters of a window, as far as there is silence, so that stretches of several files fit into one batch.
    """
    total, unit = g.frames(samples), max(1, g.window // 4)
    out: list[tuple[int, int]] = []
    at = 0
    for start, end in [*silent, (samples, samples)]:
        first, last = -(-at // g.stride), total if start == samples else min(total, start // g.stride)
        if last > first:
            length = -(-(last - first) // unit) * unit
            first = max(0, min(first, total - length))
            if out and first < sum(out[-1]):
                first = out.pop()[0]
            last = min(total, max(last, first + length))
            out.append((first, last - first))
        at = end
    return out


def stitch(windows: Iterator[tuple[int, Array]], blank: int, context: int) -> Iterator[Array]:
    """Join windows of one file, given in order as (first frame, log-probs), into consecutive pieces of log-probs.

    Within an overlap the cut lies where both windows say blank longest: a cut inside a word could say a letter twice
    or not at all. Frames next to a window's own border are used only when there is no other place.
    """
    held: Array | None = None
    held_start = 0
    for start, log_probs in windows:
        if held is None:
            held, held_start = log_probs, start
            continue
        if start < held_start:  # the last window of a file may begin before the last cut
            log_probs, start = log_probs[held_start - start :], held_start
        overlap = held_start + len(held) - start
        cut = seam(held[len(held) - overlap :], log_probs[:overlap], blank, context)
        yield held[: len(held) - overlap + cut]
        held, held_start = log_probs[cut:], start + cut
    if held is not None:
        yield held


def seam(left: Array, right: Array, blank: int, context: int) -> int:
    """Where to change from `left` to `right` (same frames seen by two windows): frames before it are `left`'s."""
    n = len(left)
    edge = min(context // 2, (n - 1) // 2)
    both = np.minimum(left[:, blank], right[:, blank])[edge : n - edge]
    best_length, best_cut, run = 0, int(both.argmax()), 0
    for i, quiet in enumerate([*(both > np.log(0.5)).tolist(), False]):
        if quiet:
            run += 1
            continue
        if run > best_length:
            best_length, best_cut = run, i - run + run // 2
        run = 0
    return edge + best_cut
