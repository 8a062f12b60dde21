"""Where the sound of a video really is when the watch page shows a caption, in Chromium.

What the browser decodes is taken from the player and found again in the plain sound; frames say their number by themselves.
The player's clock only joins these to the captions, whatever it counts from.
"""

from __future__ import annotations

import base64
import contextlib
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from browser import ARGUMENTS, chromium
from clocked import MOST_MS, Heard, Rows
from clocked_makers import BLOCKS, FRAME_MS, PAUSES_MS
from clocked_media import Variant
from playwright.sync_api import Page, TimeoutError, sync_playwright
from web_archive import serving

from tasks.settings import Settings

RATE = 16_000
BLOCK = 1024  # samples that the browser hands over at a time
CHUNK = 16  # blocks that are looked for at once
LIKENESS = 0.5  # of the sound to the place where it was found; 0.9 and more where it was not changed on the way
TRIES = 3
SHORT_MS = 10_000  # a gap that a test has time to play through
PLAYS_S = 15.0  # in which a moment must have been played
LONGER_MS = 2_000  # that a moment is played, where what is before it does not count
COPY_S = 90.0  # in which a copy must have been made
RECORD = """([rate, block, bits]) => {
    const seen = window.clockSeen = { sound: [], looks: [], frames: [] };
    const bytes = (samples) => btoa(String.fromCharCode(...new Uint8Array(samples.buffer)));
    const plain = (text) => text.replace(/<[^>]*>/g, '').replace(/\\s+/g, ' ').trim();
    const record = (video) => {
        const going = () => !video.paused && !video.seeking && video.readyState >= 2;
        const audio = new AudioContext({ sampleRate: rate });
        const tap = audio.createScriptProcessor(block, 1, 1);
        tap.onaudioprocess = (event) => {
            if (!going()) return;
            const heard = event.inputBuffer.getChannelData(0);
            const samples = Int16Array.from(heard, (x) => Math.max(-1, Math.min(1, x)) * 32767);
            seen.sound.push([event.playbackTime, video.currentTime, bytes(samples)]);
        };
        audio.createMediaElementSource(video).connect(tap);
        tap.connect(audio.destination);
        const look = () => {
            if (going()) {
                const shown = [...video.textTracks].filter((track) => track.mode === 'showing');
                const cues = shown.flatMap((track) => [...track.activeCues ?? []]).map((cue) => plain(cue.text));
                const word = document.querySelector('.speaking');
                seen.looks.push([video.currentTime, cues, word ? word.closest('.line').id + ' ' + word.textContent : '']);
            }
            requestAnimationFrame(look);
        };
        look();
        const canvas = new OffscreenCanvas(320, 180).getContext('2d', { willReadFrequently: true });
        const frame = (now, shown) => {
            if (going()) {
                canvas.drawImage(video, 0, 0, 320, 180);
                const pixels = canvas.getImageData(0, 20, 320, 1).data;
                let code = 0;
                for (let bit = 0; bit < bits; bit++) if (pixels[4 * (20 * bit + 10)] > 125) code |= 1 << bit;
                seen.frames.push([shown.mediaTime, code]);
            }
            video.requestVideoFrameCallback(frame);
        };
        video.requestVideoFrameCallback(frame);
    };
    addEventListener('DOMContentLoaded', () => record(document.getElementById('player')));
}"""
STARTED = "() => clockSeen.looks.length > 0 || /cannot be played/.test(document.getElementById('making').textContent)"
PASSED = """([beyond, blocks]) => {
    const player = document.getElementById('player');
    return player.ended || (player.currentTime > beyond && clockSeen.sound.length > blocks);
}"""
STATE = """() => {
    const player = document.getElementById('player'), making = document.getElementById('making');
    const said = (making.hidden ? '' : making.textContent) + ' ' + (player.error?.message ?? '');
    return `${said} (at ${player.currentTime.toFixed(2)} of ${player.duration.toFixed(2)} s)`.trim();
}"""


@dataclass(frozen=True)
class Moment:
    """A caption and one of its words; times in ms, by the row, and by the plain file's sound as `said` and `begins`."""

    word: str
    word_ms: int
    said_ms: int
    cue_no: int
    begins_ms: int
    text: str
    from_ms: int  # of the row: what the page is opened at
    since_ms: int = 0  # of the plain file: what is before it has another clock


@dataclass(frozen=True)
class Watched:
    """How much later than the sound something was, ms: a caption, which begins as long before its word as in the row; a word
    that the page marks as it is said; the picture. And what was wrong."""

    captions: Sequence[float] = ()
    lines: Sequence[float] = ()
    lips: Sequence[float] = ()
    played: str = ""
    said: Sequence[str] = field(default=())

    def most_off(self) -> float:
        """The furthest that anything was off, ms."""
        return max(map(abs, (*self.captions, *self.lines, *self.lips)), default=0.0)

    def faults(self) -> list[str]:
        """What is wrong, in words."""
        named = {"a caption": self.captions, "a word of the transcript": self.lines, "the picture": self.lips}
        off = {name: _worst(values) for name, values in named.items()}
        return [
            *self.said,
            *(f"{name} is {ms:+.0f} ms off" for name, ms in off.items() if ms is not None and abs(ms) > MOST_MS),
        ]

    def record(self) -> dict[str, object]:
        """The worst of each, for a table."""
        worst = {"caption_ms": self.captions, "line_ms": self.lines, "lips_ms": self.lips}
        return {**{name: _worst(values) for name, values in worst.items()}, "played": self.played}


def _worst(values: Sequence[float]) -> float | None:
    return round(max(values, key=abs)) if values else None


def watch_all(
    rows: Sequence[Rows], plain: Heard, settings: Settings, sound: Path, *, gaps: bool, most: int = 3
) -> Iterator[tuple[str, Watched]]:
    """Watch each file at up to `most` of its captions; the names of the files, and what was seen."""
    reference = _decoded(sound)
    with serving(settings) as address, sync_playwright() as playwright:
        # A page may play sound that nobody asked for by a click.
        flags = [*ARGUMENTS, "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
        for one in rows:
            context = browser.new_context(base_url=address)
            page = context.new_page()
            page.add_init_script(f"({RECORD})([{RATE}, {BLOCK}, {BLOCKS}])")
            yield one.variant.name, watch(page, one, moments(one, plain, gaps=gaps)[:most], reference)
            context.close()
        browser.close()


def watch(page: Page, one: Rows, chosen: Sequence[Moment], reference: np.ndarray) -> Watched:
    """Play the file from before each of these moments.

    A busy machine shows a caption late at times; a clock that is off is off each time.
    """
    if one.heard is None or not chosen:
        return Watched(said=["no caption to watch"])
    seen = []
    for moment in chosen:
        tries = []
        for _ in range(TRIES):
            page.goto(f"/watch/{one.heard.video_id}?at={moment.from_ms}")
            tries.append(watch_moment(page, one.variant, moment, reference))
            if not tries[-1].faults():
                break
        seen.append(min(tries, key=lambda found: (len(found.said), found.most_off())))
    every = {
        name: [value for found in seen for value in getattr(found, name)]
        for name in ("captions", "lines", "lips", "said")
    }
    played = page.evaluate("document.getElementById('player').currentSrc.replace(/#.*/, '').split('/').pop()")
    return Watched(**every, played={"web.mp4": "copy"}.get(played, played))


def watch_moment(page: Page, variant: Variant, moment: Moment, reference: np.ndarray) -> Watched:
    """What came when, on a page that has just been opened at the moment."""
    if problem := _play(page, moment):
        return Watched(said=[f"'{moment.word}': {problem}"])
    seen = page.evaluate("clockSeen")
    clock = sound_clock(seen["sound"], reference, since_s=moment.since_ms / 1000)
    if clock is None:
        return Watched(said=[f"'{moment.word}': the sound is not to be heard"])
    frames = [(at, code) for at, code in seen["frames"] if not moment.since_ms or 1000 * at >= moment.word_ms - 200]
    pictures = picture_clock(frames) if variant.picture_ms is not None else None
    lips = [] if pictures is None else [1000 * (clock - pictures) - variant.picture_ms]
    texts = [(at, moment.text in cues) for at, cues, _ in seen["looks"]]
    words = [(at, word == f"l{moment.cue_no} {moment.word}") for at, _, word in seen["looks"]]
    caption = lateness(texts, clock + moment.begins_ms / 1000)
    line = lateness(words, clock + moment.said_ms / 1000)
    shown = {f"the caption of '{moment.word}'": caption, f"the mark of '{moment.word}'": line}
    return Watched(
        captions=[] if caption is None else [1000 * caption],
        lines=[] if line is None else [1000 * line],
        lips=lips,
        said=[f"{what} was not shown" for what, late in shown.items() if late is None],
    )


def moments(one: Rows, plain: Heard, *, gaps: bool) -> list[Moment]:
    """The first caption after the place where most files change, the first of all, and the last; each with a word said once.

    What comes after a short gap is played from before it: a player may get over a gap otherwise than it seeks beyond it.
    """
    if one.heard is None:
        return []
    found: dict[int, Moment] = {}
    plainly = plain.once()
    for word, start in one.heard.once().items():
        said = plainly.get(word)
        if said is None or one.variant.when(said, gaps=gaps) is None:
            continue
        for number, (begin, end, text) in enumerate(one.heard.cues):
            if number not in found and begin <= start < end and start - begin < 1500:
                found[number] = Moment(word, start, said, number, said - (start - begin), " ".join(text.split()), begin)
    ordered = sorted(found.values(), key=lambda moment: moment.cue_no)
    after = [moment for moment in ordered if moment.begins_ms > PAUSES_MS[2]]
    jump = one.variant.jump
    if after and jump and jump.by_ms <= SHORT_MS:
        before = one.variant.when(jump.at_ms - 1, gaps=gaps)
        after[0] = replace(after[0], from_ms=min(before or 0, after[0].from_ms), since_ms=jump.at_ms)
    return list(dict.fromkeys([*after[:1], *ordered[:1], *ordered[-1:]]))


def _play(page: Page, moment: Moment) -> str | None:
    """Wait until the moment has been played, or say why it was not."""
    beyond_ms = moment.word_ms + 500 + (LONGER_MS if moment.since_ms else 0)
    with contextlib.suppress(TimeoutError):  # what was seen by then tells whether it is enough
        page.wait_for_function(STARTED, timeout=1000 * COPY_S)
        page.wait_for_function(PASSED, arg=[beyond_ms / 1000, 2 * CHUNK], timeout=1000 * PLAYS_S)
    return None if page.evaluate("clockSeen.looks.length") else f"nothing is played {page.evaluate(STATE)}"


def sound_clock(
    blocks: Sequence[tuple[float, float, str]], reference: np.ndarray, *, since_s: float = 0.0
) -> float | None:
    """What the player's clock shows when the plain sound is at 0, seconds, by what is in it from `since_s` on; None when its
    sound is nowhere in it."""
    offsets: list[float] = []
    span = BLOCK / RATE
    for first in range(0, len(blocks) - CHUNK + 1, CHUNK // 2):
        chunk = blocks[first : first + CHUNK]
        if chunk[-1][0] - chunk[0][0] > (CHUNK - 0.5) * span:  # the browser was busy, and some are lost
            continue
        sound = np.concatenate([np.frombuffer(base64.b64decode(data), np.int16) for *_, data in chunk]) / 32768
        at = place(sound.astype(np.float32), reference)
        if at is not None and at >= since_s:
            # A clock that is read late is ahead: the lesser ones are the truer ones.
            read = [clock - span - (at + number * span) for number, (_, clock, _) in enumerate(chunk)]
            offsets.append(statistics.quantiles(read, n=4)[0])
    return statistics.median(offsets) if offsets else None


def place(sound: np.ndarray, reference: np.ndarray) -> float | None:
    """Where the sound begins in the reference, seconds; None when it is not there."""
    if np.abs(sound).max() < 0.01:
        return None
    size = 1 << (len(sound) + len(reference)).bit_length()
    products = np.fft.irfft(np.fft.rfft(reference, size) * np.conj(np.fft.rfft(sound, size)), size)
    energy = np.concatenate([[0.0], np.cumsum(reference.astype(np.float64) ** 2)])
    inside = len(reference) - len(sound) + 1
    there = energy[len(sound) :][:inside] - energy[:inside]
    likeness = products[:inside] / np.sqrt(np.maximum(there * float(np.sum(sound.astype(np.float64) ** 2)), 1e-6))
    best = int(likeness.argmax())
    return best / RATE if likeness[best] > LIKENESS else None


def picture_clock(frames: Sequence[tuple[float, int]]) -> float | None:
    """What the player's clock shows when the plain picture is at 0, seconds; None when no frame can be read."""
    offsets = []
    for at, code in frames:
        number = code & 0xFFF
        if code >> 12 == (number + (number >> 4) + (number >> 8) & 15) and number:
            offsets.append(at - number * FRAME_MS / 1000)
    return statistics.median(offsets) if len(offsets) > 5 else None


def lateness(looks: Sequence[tuple[float, bool]], must: float) -> float | None:
    """Seconds between the time when something must appear and the time when it did; None when it did not.

    That was between two looks; and the page, which looks as often, may have seen the clock at the look before.
    """
    for (earlier, _), (before, not_yet), (after, there) in zip(looks, looks[1:], looks[2:], strict=False):
        if there and not not_yet and earlier <= before <= after:
            return min(after - must, 0.0) if after < must else max(earlier - must, 0.0)
    return None


def _decoded(sound: Path) -> np.ndarray:
    command = ["ffmpeg", "-v", "error", "-i", str(sound), "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)
