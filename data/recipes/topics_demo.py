"""Split BBC News for the demo topic model, and write the news text of the demo language model.

    python -m data.recipes.topics_demo TESTDATA OUT

Writes `train.csv` (four fifths), `test.csv` (the rest; near copies of an article are all on one side) and `news.txt`, the
training articles as plain text. Then:

    nightscribe train topics OUT/train.csv --text OUT/news.txt --out OUT/topics ...
    nightscribe evaluate topics OUT/test.csv --train OUT/train.csv --card bbc
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tasks.evaluation.manifest import fraction
from tasks.evaluation.near_copies import near_copies

TEST = 0.2


def is_test(texts: Iterable[str]) -> bool:
    """Whether an article is kept for the evaluation, with all its near copies."""
    return fraction(min(texts)) < TEST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.testdata / "topics" / "bbc_news.csv").open(encoding="utf-8", newline="") as handle:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(handle)]
    groups: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for row, group in zip(rows, near_copies([text for text, _ in rows]), strict=True):
        groups[group].append(row)
    parts: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for members in groups.values():
        parts["test" if is_test(text for text, _ in members) else "train"] += members
    for name, members in parts.items():
        with (options.out / f"{name}.csv").open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(("text", "label"))
            writer.writerows(members)
    (options.out / "news.txt").write_text("\n".join(text for text, _ in parts["train"]) + "\n", encoding="utf-8")
    print(", ".join(f"{name}: {len(members)} articles" for name, members in parts.items()))


if __name__ == "__main__":
    main()
