"""How exact word times are, and how many words are right: videos with true cues beside them.

    python tests/bench/word_times.py FOLDER --make 120
    nightscribe index FOLDER --lake LAKE
    python tests/bench/word_times.py FOLDER --lake LAKE

FOLDER holds videos and `NAME.vtt` with the true times and words; `--make` puts one there, of so many clips of the test data that
nothing was trained on, with pauses between. The lake must hold them.
Prints, by video and over all: the distance from each true cue start to the nearest word start (median and 95th
percentile, ms); the same from where a voice begins in the cue, by silero-vad (to 32 ms), as a cue that was a recording of its own
begins with its silence (`no voice` counts the cues in which it hears none); and the word error rate against the true text.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import wave
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
from silero_vad import get_speech_timestamps, load_silero_vad

from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.media.clip import clip_sound
from tasks.records import Audio
from tasks.settings import Settings
from tasks.speech.features import SAMPLE_RATE, read_window
from tasks.text.spoken import to_alphabet

ALPHABET = "abcdefghijklmnopqrstuvwxyz'"
STAMP = r"(?:(\d+):)?(\d+):(\d+)[.,](\d+)"


def read_cues(path: Path) -> list[tuple[int, int, str]]:
    """(start in ms, end in ms, text) of a WebVTT file."""
    text = path.read_text(encoding="utf-8")
    out = []
    for block in re.split(r"\n\s*\n", text):
        match = re.search(rf"{STAMP} --> {STAMP}", block)
        if match:
            numbers = [int(x or 0) for x in match.groups()]
            start, end = (((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (numbers[:4], numbers[4:]))
            out.append((start, end, " ".join(block[match.end() :].splitlines()[1:])))
    return out


def voices(path: Path, cues: list[tuple[int, int, str]], detector: Any) -> list[int]:
    """Where a voice begins in each cue in which there is one, in ms; where somebody speaks already, the start of the cue."""
    with tempfile.TemporaryDirectory() as folder:
        audio = clip_sound(path, Path(folder, "sound.pcm"), Settings(scratch_free_gb=0.0))
        assert isinstance(audio, Audio), audio
        sound = torch.from_numpy(read_window(audio, 0, audio.samples))
    stretches = get_speech_timestamps(sound, detector, sampling_rate=SAMPLE_RATE, speech_pad_ms=0)
    found = [(one["start"] * 1000 // SAMPLE_RATE, one["end"] * 1000 // SAMPLE_RATE) for one in stretches]
    first = [next((a for a, b in found if b > start and a < end), None) for start, end, _ in cues]
    return [max(start, at) for (start, _, _), at in zip(cues, first, strict=True) if at is not None]


def make(folder: Path, clips: int) -> None:
    """A video of clips that nothing was trained on, with its cues."""
    from silence import joined

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        audio, said = joined(Path(scratch), clips, 1.0, Settings(scratch_free_gb=0.0))
        pcm = Path(audio.path).read_bytes()
    with wave.open(str(folder / "unheard.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(pcm)
    blocks = [f"{stamp(first)} --> {stamp(last)}\n{text}\n" for first, last, text in said]
    (folder / "unheard.vtt").write_text("\n".join(["WEBVTT\n", *blocks]), encoding="utf-8")


def stamp(sample: int) -> str:
    ms = sample * 1000 // SAMPLE_RATE
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lake", default="data/lake")
    parser.add_argument("--make", type=int, metavar="CLIPS")
    options = parser.parse_args()
    if options.make:
        make(options.folder, options.make)
        return
    detector = load_silero_vad()
    connection = connect(Lake(options.lake))
    everything: list[tuple[list[int], list[int], str, str]] = []
    print(f"{'':<36}{'from the cue':>24}{'from the voice':>18}")
    print(f"{'video':<36}{'cues':>6}{'median ms':>11}{'p95':>7}{'median ms':>11}{'p95':>7}{'no voice':>10}{'WER':>8}")
    for path in sorted(options.folder.glob("*.vtt")):
        rows = connection.execute(
            "SELECT w.start_ms, w.word, v.key FROM words w JOIN videos v USING (video_id) "
            "WHERE v.key LIKE $stem || '.%' ORDER BY w.word_no",
            {"stem": path.stem},
        ).fetchall()
        cues = read_cues(path)
        if not rows or not cues:
            continue
        words = np.array([start for start, _, _ in rows])
        found = (
            [int(np.abs(words - start).min()) for start, _, _ in cues],
            [int(np.abs(words - start).min()) for start in voices(options.folder / rows[0][2], cues, detector)],
            " ".join(to_alphabet(text, ALPHABET)[0] for _, _, text in cues),
            " ".join(word for _, word, _ in rows),
        )
        everything.append(found)
        _say(path.stem, [found])
    if everything:
        _say("all", everything)


def _say(name: str, found: list[tuple[list[int], list[int], str, str]]) -> None:
    """A line of the table, of one video or of all."""
    near, voiced, true, said = zip(*found, strict=True)
    cells = ""
    for one in map(np.concatenate, (near, voiced)):
        cells += f"{np.median(one):>11.0f}{np.percentile(one, 95):>7.0f}"
    count, heard = sum(map(len, near)), sum(map(len, voiced))
    print(f"{name:<36}{count:>6}{cells}{count - heard:>10}{jiwer.wer(list(true), list(said)):>8.1%}")


if __name__ == "__main__":
    main()
