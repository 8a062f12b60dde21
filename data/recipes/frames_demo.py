"""Draw the pictures that the demo picture model is trained on: coloured shapes on backgrounds, title cards, test pictures.

    python -m data.recipes.frames_demo OUT [--pictures 6000] [--judged 600]

Writes `train.tsv` and `test.tsv` (path, caption and other ways to say it) and `changes.tsv`: a picture, a word to add, a word to take
away, and the caption of what is then to be found (for `nightscribe evaluate pictures --changes`). The same numbers draw the same
pictures. `frames-demo` is made of them by

    nightscribe train pictures OUT/train.tsv --validation OUT/test.tsv --caption-column caption --caption-column full \
      --caption-column bare --side 96 --patch 16 --hidden 128 --layers 4 --text-hidden 128 --text-layers 2 --projection 64 \
      --learning-rate 1e-3 --warmup-steps 200 --max-steps 1200 --batch-size 96 --half --out runs/frames-demo
"""

from __future__ import annotations

import argparse
import csv
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter, ImageFont

COLOURS = {
    "red": (214, 40, 40), "green": (46, 160, 67), "blue": (38, 84, 214), "yellow": (246, 209, 44), "purple": (132, 52, 170),
    "orange": (242, 131, 24), "white": (244, 244, 244), "black": (20, 20, 24),
}  # fmt: skip
SIZES = {"small": (0.09, 0.14), "": (0.15, 0.24), "large": (0.25, 0.36)}
PLACES = {"on the left": (0.2, 0.36), "": (0.4, 0.6), "on the right": (0.64, 0.8)}
WORDS = "harbour dawn news chapter welcome part one two the a of to in river market garden election bridge summer light".split()
Point = tuple[float, float]


def polygon(count: int, turn: float = -math.pi / 2, inner: float = 1.0) -> Callable[[float, float, float], list[Point]]:
    """A polygon of so many corners; with `inner`, a star."""

    def at(x: float, y: float, size: float) -> list[Point]:
        corners = 2 * count if inner < 1 else count
        radii = [size * (inner if inner < 1 and n % 2 else 1) for n in range(corners)]
        angles = [turn + 2 * math.pi * n / corners for n in range(corners)]
        return [(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]

    return at


def cross(x: float, y: float, size: float) -> list[Point]:
    arm = size / 3
    steps = [(-1, -3), (1, -3), (1, -1), (3, -1), (3, 1), (1, 1), (1, 3), (-1, 3), (-1, 1), (-3, 1), (-3, -1), (-1, -1)]
    return [(x + arm * a, y + arm * b) for a, b in steps]


SHAPES: dict[str, Callable[[float, float, float], list[Point]]] = {
    "circle": polygon(48),
    "square": polygon(4, turn=-math.pi / 4),
    "triangle": polygon(3),
    "star": polygon(5, inner=0.42),
    "cross": cross,
    "hexagon": polygon(6),
}


@dataclass(frozen=True)
class Drawn:
    """A picture, its caption, a fuller one, and a bare one."""

    picture: Image.Image
    caption: str
    full: str
    bare: str


def background(chance: random.Random, size: tuple[int, int], without: set[str]) -> tuple[Image.Image, str]:
    """Of one colour, or from one to a darker one, a little noisy at times; none of the colours of what is drawn on it."""
    name = chance.choice([colour for colour in COLOURS if colour not in without])
    base = tuple(max(0, min(255, value + chance.randint(-14, 14))) for value in COLOURS[name])
    picture = Image.new("RGB", size, base)
    if chance.random() < 0.3:
        darker = Image.new("RGB", size, tuple(int(value * 0.72) for value in base))
        mask = Image.linear_gradient("L").resize(size)
        picture = Image.composite(darker, picture, mask)
    if chance.random() < 0.2:
        grain = Image.effect_noise(size, 24).convert("RGB")
        picture = Image.blend(picture, grain, 0.12)
    return picture, name


def shapes(chance: random.Random, size: tuple[int, int], count: int) -> Drawn:
    """One shape, or two of other colours beside each other."""
    colours = chance.sample(list(COLOURS), count)
    ground, on = background(chance, size, set(colours))
    draw = ImageDraw.Draw(ground)
    said, full = [], []
    places = [chance.choice(list(PLACES))] if count == 1 else ["on the left", "on the right"]
    for colour, place in zip(colours, places, strict=True):
        shape = chance.choice(list(SHAPES))
        name = chance.choice(list(SIZES)) if count == 1 else ""
        height = min(size) if count == 1 else 0.8 * min(size)
        low, high = SIZES[name]
        x = size[0] * chance.uniform(*PLACES[place])
        y = size[1] * chance.uniform(0.4, 0.6)
        tint = tuple(max(0, min(255, value + chance.randint(-12, 12))) for value in COLOURS[colour])
        draw.polygon(SHAPES[shape](x, y, height * chance.uniform(low, high) * 1.25), fill=tint)
        article = "an" if colour[0] in "aeiou" else "a"
        said.append(f"{article} {colour} {shape}")
        sized = f"a {name} {colour} {shape}" if name else said[-1]
        full.append(f"{sized} {place}".strip())
    caption = " and ".join(said)
    whole = f"{' and '.join(full)}, {on} background"
    bare = chance.choice([caption, *(words for one in said for words in one.split()[1:])])
    return Drawn(ground, caption, whole, bare)


def scene_of(on: str, shown: Sequence[tuple[str, str, float]], size: tuple[int, int]) -> Image.Image:
    """A scene as it is wished for: (colour, shape, place from left to right as a share) on a colour."""
    ground = Image.new("RGB", size, COLOURS[on])
    for colour, shape, place in shown:
        at = size[0] * place, size[1] / 2, min(size) / 4
        ImageDraw.Draw(ground).polygon(SHAPES[shape](*at), fill=COLOURS[colour])
    return ground


def title_card(chance: random.Random, size: tuple[int, int]) -> Drawn:
    ground, on = background(chance, size, set())
    dark = sum(COLOURS[on]) > 380
    ink, words = ((20, 24, 60) if dark else (240, 236, 224)), chance.sample(WORDS, chance.randint(2, 5))
    draw = ImageDraw.Draw(ground)
    for number in range(chance.randint(1, 2)):
        points = chance.randint(size[1] // 9, size[1] // 6)
        at = (size[0] * chance.uniform(0.05, 0.15), size[1] * (0.2 + 0.3 * number))
        draw.text(at, " ".join(words[number * 2 :][:3]).capitalize(), fill=ink, font=ImageFont.load_default(points))
    return Drawn(ground, "a title card", f"a title card with writing, {on} background", "writing")


def colour_bars(chance: random.Random, size: tuple[int, int]) -> Drawn:
    picture = Image.new("RGB", size)
    draw = ImageDraw.Draw(picture)
    bars = chance.sample(list(COLOURS.values()), chance.randint(5, 8))
    for number, bar in enumerate(bars):
        left = size[0] * number / len(bars)
        draw.rectangle((left, 0, left + size[0] / len(bars), size[1]), fill=bar)
    return Drawn(picture, "colour bars", "a test picture of colour bars", "colour bars")


def empty(chance: random.Random, size: tuple[int, int]) -> Drawn:
    ground, on = background(chance, size, set())
    return Drawn(ground, f"an empty {on} picture", f"nothing but {on}", "an empty picture")


def draw(chance: random.Random) -> Drawn:
    size = chance.choice([(192, 108), (192, 108), (192, 144), (144, 144)])
    kind = chance.random()
    other = chance.choice([title_card, colour_bars, empty])
    made = shapes(chance, size, 1 if kind < 0.5 else 2) if kind < 0.86 else other(chance, size)
    if chance.random() < 0.15:
        blurred = made.picture.filter(ImageFilter.GaussianBlur(chance.uniform(0.3, 0.9)))
        return Drawn(blurred, made.caption, made.full, made.bare)
    return made


def changes(rows: list[tuple[str, Drawn]], chance: random.Random) -> list[tuple[str, str, str, str]]:
    """Of pictures of one shape: another colour, or another shape, where there is a picture of that."""
    there = {drawn.caption for _, drawn in rows}
    found = []
    for path, drawn in rows:
        words = drawn.caption.split()
        if len(words) != 3 or words[1] not in COLOURS or words[2] not in SHAPES:
            continue
        for at, known in ((1, list(COLOURS)), (2, list(SHAPES))):
            other = chance.choice([one for one in known if one != words[at]])
            changed = [*words[:at], other, *words[at + 1 :]]
            changed[0] = "an" if changed[1][0] in "aeiou" else "a"
            if (wanted := " ".join(changed)) in there:
                found.append((path, other, words[at], wanted))
    return found


def write(path: Path, rows: list[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=int, default=6000)
    parser.add_argument("--judged", type=int, default=600)
    options = parser.parse_args()
    for name, count, seed in (("train", options.pictures, 1), ("test", options.judged, 2)):
        folder = options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        chance = random.Random(seed)
        rows = []
        for number in range(count):
            drawn = draw(chance)
            path = f"{name}/{number:05d}.jpg"
            drawn.picture.save(options.out / path, quality=88)
            rows.append((path, drawn))
        lines = [(path, drawn.caption, drawn.full, drawn.bare) for path, drawn in rows]
        write(options.out / f"{name}.tsv", [("path", "caption", "full", "bare"), *lines])
        if name == "test":
            write(options.out / "changes.tsv", [("path", "plus", "minus", "wanted"), *changes(rows, chance)])


if __name__ == "__main__":
    main()
