"""How exact word times are, and how many words are right: videos with true cues beside them.

    python tests/bench/word_times.py FOLDER [--lake LAKE]

FOLDER holds videos and `NAME.vtt` with the true times and words. The lake must hold them (nightscribe index FOLDER).
Prints, by video and over all: the distance from each true cue start to the nearest word start (median and 95th
percentile, ms), and the word error rate against the true text.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import jiwer
import numpy as np

from tasks.lake.store import Lake
from tasks.lake.views import connect
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lake", default="data/lake")
    options = parser.parse_args()
    connection = connect(Lake(options.lake))
    distances: list[int] = []
    true_texts, said_texts = [], []
    print(f"{'video':<36}{'cues':>6}{'median ms':>11}{'p95 ms':>8}{'WER':>8}")
    for path in sorted(options.folder.glob("*.vtt")):
        rows = connection.execute(
            "SELECT w.start_ms, w.word FROM words w JOIN videos v USING (video_id) "
            "WHERE v.key LIKE $stem || '.%' ORDER BY w.word_no",
            {"stem": path.stem},
        ).fetchall()
        cues = read_cues(path)
        if not rows or not cues:
            continue
        starts = np.array([start for start, _ in rows])
        near = [int(np.abs(starts - start).min()) for start, _ in cues]
        true = " ".join(to_alphabet(text, ALPHABET)[0] for _, text in cues)
        said = " ".join(word for _, word in rows)
        distances += near
        true_texts.append(true)
        said_texts.append(said)
        rate = jiwer.wer(true, said)
        print(f"{path.stem:<36}{len(cues):>6}{np.median(near):>11.0f}{np.percentile(near, 95):>8.0f}{rate:>8.1%}")
    if distances:
        rate = jiwer.wer(true_texts, said_texts)
        print(
            f"{'all':<36}{len(distances):>6}{np.median(distances):>11.0f}{np.percentile(distances, 95):>8.0f}{rate:>8.1%}"
        )


if __name__ == "__main__":
    main()
