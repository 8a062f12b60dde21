"""Prepare the data of the demo speech model: real and synthetic speech, split by speaker, sentence and voice.

    python -m data.recipes.asr_demo TESTDATA OUT [--synthetic 12000] [--more MANIFEST]

Writes to OUT: `synthetic/` (spoken by espeak-ng, flite and festival) and the manifests `train.tsv`, `dev.tsv`, `test.tsv` (real
speakers and sentences never trained on) and `test-voice.tsv` (a synthetic voice never trained on). WHISPER is what
`data/recipes/whisper_arrays.py` makes of Whisper base, MORE what `data/recipes/librispeech.py` makes of mini LibriSpeech and of
dev-clean, CLIPS a folder of clips that nobody transcribed: those of Common Voice 13's delta without a validated sentence. Then:

    python -m data.recipes.asr_demo TESTDATA OUT --synthetic 1500 --more MORE
    nightscribe train asr OUT/train.tsv --validation OUT/dev.tsv --out one --base WHISPER --freeze-layers 5 \\
        --learning-rate 3e-4 --head-learning-rate 2e-3 --warmup-steps 100 --max-steps 600 --decay-steps 100 --batch-s 60 \\
        --no-augment --mask-time 0.05 --validate-every 200
    nightscribe train asr OUT/train.tsv --validation OUT/dev.tsv --out two --base one/best --freeze-layers 3 \\
        --learning-rate 2e-4 --head-learning-rate 6e-4 --layer-decay 0.75 --warmup-steps 100 --max-steps 1800 \\
        --decay-steps 400 --batch-s 40 --no-augment --mask-time 0.05 --validate-every 600
    nightscribe train asr OUT/train.tsv --validation OUT/dev.tsv --out three --base two/best --freeze-layers 1 \\
        --learning-rate 2.2e-4 --head-learning-rate 5e-4 --layer-decay 0.75 --warmup-steps 150 --max-steps 1900 \\
        --decay-steps 850 --batch-s 80 --no-augment --mask-time 0.06 --validate-every 350
    python -m data.recipes.labelled CLIPS --whisper WHISPER --agree three/best --without OUT/kept-back.tsv --out OUT/labelled.tsv
    python -m data.recipes.asr_demo TESTDATA OUT --synthetic 1500 --more MORE --more OUT/labelled.tsv
    nightscribe train asr OUT/train.tsv --validation OUT/dev.tsv --out four --base three/best --freeze-layers 1 \\
        --learning-rate 2.2e-4 --head-learning-rate 4e-4 --layer-decay 0.75 --warmup-steps 100 --max-steps 2400 \\
        --decay-steps 1200 --batch-s 80 --mask-time 0.06 --mask-bands 2 --validate-every 400
    nightscribe train average three/best four/best --out five --half
    nightscribe train asr OUT/train.tsv --validation OUT/dev.tsv --out six --base five --seed 11 --freeze-layers 1 \\
        --learning-rate 2.2e-4 --head-learning-rate 4e-4 --layer-decay 0.75 --warmup-steps 100 --max-steps 2600 \\
        --decay-steps 1500 --batch-s 80 --mask-time 0.06 --mask-bands 2 --validate-every 400
    nightscribe train average five six/best --out seven --half
    python -m data.recipes.spelled OUT
    TEXTS=$(for time in 1 2 3 4 5; do echo OUT/transcripts.txt; done)
    nightscribe train lm BOOKS NEWS $TEXTS OUT/spelled.txt --models seven --without OUT/kept-back.tsv \\
        --prune 0,0,1,2,3 --min-count 4 --tune OUT/dev.tsv --tune-clips 299

The runs behind the shipped weights differ: the first was over fewer real and more synthetic clips (without MORE, and with
`--synthetic 3000`), the third was told several times to end sooner, and masked bands of frequencies up to step 1,050 only
(`--mask-bands 0` from there). The fall of the rate of the fourth was set anew twice while it ran, and the language model was tuned
before the sixth (`six`). CLIPS had no clip within 60 numbers of one by a reader who is kept back, nor one between two of theirs, as
readers upload their clips together.
BOOKS is `TESTDATA/lm_text/english_public_domain_books.txt.xz`, NEWS the `news.txt` of `python -m data.recipes.topics_demo`.
"""

from __future__ import annotations

import argparse
import csv
import lzma
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tasks.evaluation.manifest import fraction
from tasks.training.corpus import Voice, available_voices, make_corpus

UNSEEN_VOICES = ("flite/rms",)
SINGLE_READERS = {"ljspeech", "arctic_kathleen", "amateur_reader", "librivox_austen", "sonnets"}
ENGLISH_ONLY = re.compile(r"[A-Z' ]+")
COLUMNS = ["path", "text", "source", "speaker", "seconds"]


def part_of(source: str, speaker: str, sentence: str) -> str:
    """`train`, `dev` or `test`. By speaker where a source names several, by sentence where it does not."""
    by_sentence = source in SINGLE_READERS or source == "cv1_valid_dev_en"
    value = fraction(sentence if by_sentence else f"{source}/{speaker}")
    return "test" if value < 0.08 else "dev" if value < 0.11 else "train"


def real_speech(folder: Path) -> Iterator[dict[str, str]]:
    """The English utterances, each with its part of the split."""
    for row in utterances(folder):
        source = row["path"].split("/")[0]
        if not ENGLISH_ONLY.fullmatch(row["normalized"]) or source.endswith(("_fa", "_ro", "_unvalidated")):
            continue
        yield {
            "path": str(folder / "speech" / row["path"]),
            "text": row["normalized"].lower(),
            "source": source,
            "speaker": row["speaker"],
            "seconds": row["duration_s"],
            "part": part_of(source, row["speaker"], row["normalized"]),
        }


def utterances(folder: Path) -> list[dict[str, str]]:
    """The test data's own list of its speech."""
    return read(folder / "speech" / "transcripts.tsv")


def read(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def sentences(folder: Path, n: int) -> list[str]:
    """`n` sentences to speak, from books and from the training part of the news, short ones first by preference."""
    with lzma.open(folder / "lm_text" / "english_public_domain_books.txt.xz", "rt", encoding="utf-8") as handle:
        books = [line.strip() for line in handle if 3 <= line.count(" ") <= 16]
    news: list[str] = []
    with (folder / "topics" / "bbc_news.csv").open(encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            if fraction(row["text"]) >= 0.2:  # the rest is kept for the evaluation of topics
                news += [s for s in re.split(r"(?<=[.!?]) (?=[A-Z])", row["text"]) if 3 <= s.count(" ") <= 16]
    rng = np.random.default_rng(1)
    clean = re.compile(r"[A-Za-z ,.'!?-]+")  # digits and symbols are read differently by each engine
    pools = [[s for s in dict.fromkeys(pool) if clean.fullmatch(s)] for pool in (books, news)]
    picked = [
        pools[i][int(j)] for i, part in ((0, 0.6), (1, 0.4)) for j in rng.permutation(len(pools[i]))[: int(n * part)]
    ]
    return [picked[int(i)] for i in rng.permutation(len(picked))]


def as_words(text: str) -> str:
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower().replace("-", " ")).split())


def write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(
            handle, COLUMNS, delimiter="\t", quoting=csv.QUOTE_NONE, extrasaction="ignore", quotechar=None
        )
        writer.writeheader()
        writer.writerows(rows)


def speak_into(folder: Path, texts: list[str], voices: list[Voice], effects: float) -> list[dict[str, str]]:
    def progress(done: int, total: int) -> None:
        if done % 500 == 0 or done == total:
            print(f"{folder.name}: {done} of {total}", file=sys.stderr, flush=True)

    manifest = make_corpus(texts, folder, voices=voices, effects=effects, workers=2, on_clip=progress)
    return [
        {
            "path": str(folder / r["path"]),
            "text": as_words(r["text"]),
            "source": "synthetic",
            "speaker": r["voice"],
            "seconds": r["seconds"],
        }
        for r in read(manifest)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--synthetic", type=int, default=12_000, help="sentences to speak for training")
    parser.add_argument("--more", type=Path, action="append", default=[], help="a manifest to train on as well")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    spoken = sentences(options.testdata, options.synthetic + 400)
    voices = available_voices()
    unseen = [voice for voice in voices if voice.name in UNSEEN_VOICES]
    seen = [voice for voice in voices if voice.name not in UNSEEN_VOICES]
    held = speak_into(options.out / "synthetic-test", spoken[:300], unseen, effects=0.0)
    synthetic = speak_into(options.out / "synthetic", spoken[400:], seen, effects=0.25)

    real = list(real_speech(options.testdata))
    kept_back = {row["text"] for row in real if row["part"] != "train"}
    more = [row for manifest in options.more for row in read(manifest)]
    train = [row for row in real if row["part"] == "train"] + more
    train = [row for row in train if row["text"] not in kept_back]
    test, dev = ([row for row in real if row["part"] == part] for part in ("test", "dev"))
    write(options.out / "test-voice.tsv", held)
    write(options.out / "test.tsv", test)
    write(options.out / "dev.tsv", dev)
    write(options.out / "kept-back.tsv", [*test, *held, *dev])
    texts = "\n".join(row["text"] for row in train)
    (options.out / "transcripts.txt").write_text(f"{texts}\n", encoding="utf-8")
    write(options.out / "train.tsv", [*synthetic, *train])


if __name__ == "__main__":
    main()
