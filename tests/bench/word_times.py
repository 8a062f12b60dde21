"""How exact word times are, and how many words are right: videos with true cues beside them.

    python tests/bench/word_times.py FOLDER [--lake LAKE]

FOLDER holds videos and `NAME.vtt` with the true times and words. The lake must hold them (nightscribe index FOLDER).
Prints, by video and over all: the distance from each true cue start to the nearest word start (median and 95th
percentile, ms); the same from where a voice begins in the cue, by silero-vad (to 32 ms), as a cue that was a recording of its own
begins with its silence; and the word error rate against the true text.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

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


def read_cues(path: Path) -> list[tuple[int, str]]:
    """(start in ms, text) of a WebVTT file."""
    text = path.read_text(encoding="utf-8")
    out = []
    for block in re.split(r"\n\s*\n", text):
        match = re.search(rf"{STAMP} --> ", block)
        if match:
            h, m, s, ms = (int(x or 0) for x in match.groups())
            out.append((((h * 60 + m) * 60 + s) * 1000 + ms, " ".join(block[match.end() :].splitlines()[1:])))
    return out


def voices(path: Path, cues: list[int]) -> list[int]:
    """Where a voice begins in each cue that starts in a pause, in ms; where somebody speaks already, the start of the cue."""
    with tempfile.TemporaryDirectory() as folder:
        audio = clip_sound(path, Path(folder, "sound.pcm"), Settings(scratch_free_gb=0.0))
        assert isinstance(audio, Audio), audio
        wave = torch.from_numpy(read_window(audio, 0, audio.samples))
    stretches = get_speech_timestamps(wave, load_silero_vad(), sampling_rate=SAMPLE_RATE, speech_pad_ms=0)
    found = [(one["start"] * 1000 // SAMPLE_RATE, one["end"] * 1000 // SAMPLE_RATE) for one in stretches]
    return [max(start, next((first for first, end in found if end > start), start)) for start in cues]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lake", default="data/lake")
    options = parser.parse_args()
    connection = connect(Lake(options.lake))
    everything: list[tuple[list[int], list[int], str, str]] = []
    print(f"{'':<36}{'from the cue':>24}{'from the voice':>18}")
    print(f"{'video':<36}{'cues':>6}{'median ms':>11}{'p95':>7}{'median ms':>11}{'p95':>7}{'WER':>8}")
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
        starts = [start for start, _ in cues]
        found = (
            [int(np.abs(words - start).min()) for start in starts],
            [int(np.abs(words - start).min()) for start in voices(options.folder / rows[0][2], starts)],
            " ".join(to_alphabet(text, ALPHABET)[0] for _, text in cues),
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
    print(f"{name:<36}{sum(map(len, near)):>6}{cells}{jiwer.wer(list(true), list(said)):>8.1%}")


if __name__ == "__main__":
    main()
