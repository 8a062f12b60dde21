"""Prepare the data of the demo sound model: environmental sounds with captions, split by the recording they were cut from.

    python -m data.recipes.sounds_demo TESTDATA OUT [--more MANIFEST]

Writes `train.tsv`, `dev.tsv` (one recording in twenty, to choose among the steps of a run by) and `test.tsv` (of each class of
two recordings or more all clips of one at least, of which nothing is trained on or chosen by). Captions are made of the names of
the classes. MORE has the columns path, label and clip_id (the recording); of a class `MOST` clips are taken at most. Speech comes
from the clips that `asr_demo` trains on. `sounds-demo` is made of them by

    nightscribe train sounds OUT/train.tsv --validation OUT/dev.tsv --text scratch --hidden 128 --layers 4 --seconds 5.12 \
      --projection 128 --caption-column caption --caption-column bare --caption-column heard --caption-column sentence \
      --learning-rate 1e-3 --warmup-steps 100 --max-steps 1000 --validate-every 200 --half --out runs/sounds-demo

and `python -m data.recipes.flap_table` compares ways to drop patches at this size.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from pathlib import Path

from data.recipes.asr_demo import read, real_speech
from tasks.evaluation.manifest import fraction

SAID = {
    "caption": "the sound of {}",
    "bare": "{}",
    "heard": "{} can be heard",
    "sentence": "This is a sound of {}.",
}
TEST_SHARE = 0.25
DEV_SHARE = 0.05
MOST = 80


def named(label: str) -> str:
    return label.replace("_", " ")


def split(rows: list[dict[str, str]]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """To train on, and to judge by: of each class about a quarter of its recordings, one at least and not all of them."""
    recordings: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        recordings[row["label"]].add(row["clip_id"])
    back = {
        (label, one)
        for label, found in recordings.items()
        for one in sorted(found, key=fraction)[: max(1, round(len(found) * TEST_SHARE))][: max(0, len(found) - 1)]
    }
    kept = [row for row in rows if (row["label"], row["clip_id"]) not in back]
    return kept, [row for row in rows if (row["label"], row["clip_id"]) in back]


def limited(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Of each class `MOST` at most, the same ones every time."""
    taken: Counter[str] = Counter()
    out = []
    for row in sorted(rows, key=lambda row: fraction(row["path"].rsplit("/", 1)[-1])):
        taken[row["label"]] += 1
        if taken[row["label"]] <= MOST:
            out.append(row)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--more", type=Path, action="append", default=[])
    options = parser.parse_args()
    folder = options.testdata / "sounds"
    rows = [{**row, "path": str(folder / row["path"])} for row in read(folder / "labels.tsv")]
    kept, judged = split(rows)
    # Of a recording that is judged by, nothing comes in by another door.
    back = {row["clip_id"] for row in judged}
    known = {row["clip_id"] for row in kept}
    for manifest in options.more:
        more = [row for row in read(manifest) if row["clip_id"] not in back | known]
        kept += more
    spoken = [row for row in real_speech(options.testdata) if row["part"] == "train"]
    kept += [{"path": row["path"], "label": "speech", "clip_id": f"{row['source']}/{row['speaker']}"} for row in spoken]
    kept = limited(kept)
    options.out.mkdir(parents=True, exist_ok=True)
    dev = {row["clip_id"] for row in kept if fraction(f"dev {row['clip_id']}") < DEV_SHARE}
    parts = {
        "train": [row for row in kept if row["clip_id"] not in dev],
        "dev": [row for row in kept if row["clip_id"] in dev],
        "test": judged,
    }
    for name, part in parts.items():
        with (options.out / f"{name}.tsv").open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None)
            writer.writerow(["path", *SAID, "label"])
            for row in part:
                label = named(row["label"])
                writer.writerow([row["path"], *(form.format(label) for form in SAID.values()), label])


if __name__ == "__main__":
    main()
