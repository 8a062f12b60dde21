"""Text of what is read letter by letter or number by number, which books do not have: codes, telephone numbers, times.

    python -m data.recipes.spelled OUT [--lines 20000]

Writes `OUT/spelled.txt` for `nightscribe train lm`: random letters, digits and English number words, no person's data.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from string import ascii_lowercase

from num2words import num2words

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MINUTES = ("o'clock", "ten", "fifteen", "twenty", "thirty", "forty-five", "fifty")


def spelled(lines: int, seed: int = 1) -> Iterator[str]:
    """So many lines as they are said; `train lm` takes hyphens and commas out of them, as of any text."""
    rng = random.Random(seed)

    def letters() -> str:
        return " ".join(rng.choices(ascii_lowercase, k=rng.randint(2, 7)))

    def digits() -> str:
        return " ".join(rng.choices(DIGITS, k=rng.randint(2, 8)))

    def pairs() -> str:
        return " ".join(number(rng.randint(10, 99)) for _ in range(rng.randint(1, 4)))

    def code() -> str:
        return f"{letters()} {rng.choice((digits, pairs))()}"

    def amount() -> str:
        return number(rng.randint(1, 10 ** rng.randint(1, 6)))

    def year() -> str:
        return number(rng.randint(1800, 2030), "year")

    def ordinal() -> str:
        return number(rng.randint(1, 99), "ordinal")

    def clock() -> str:
        return f"{number(rng.randint(1, 12))} {rng.choice(MINUTES)}"

    kinds = {letters: 30, digits: 20, code: 15, pairs: 10, amount: 10, year: 5, ordinal: 5, clock: 5}
    for kind in rng.choices(list(kinds), list(kinds.values()), k=lines):
        yield kind()


def number(value: int, kind: str = "cardinal") -> str:
    return str(num2words(value, to=kind))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--lines", type=int, default=20_000)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "spelled.txt").write_text("".join(f"{line}\n" for line in spelled(options.lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
