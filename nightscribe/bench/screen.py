"""How well and how fast writing on the screen is read: title cards of the sample archive, and cards drawn in many ways."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from nightscribe.bench.table import Table
from tasks.errors import ModelNotAvailable
from tasks.screen.reader import load_reader
from tasks.settings import REPO

CARDS, FEW = 100, 20
SIZE = (640, 360)
CARD_S = 2.0  # within the title of a video of the sample archive
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono")
WORDS = (
    "harbour dawn news chapter welcome part market garden election bridge summer light bank interest rates government music "
    "festival captain goal telephone network valley mountain report minister Thursday March Paris 2024 1,250 7:30 50%"
).split()


@dataclass(frozen=True)
class Card:
    """A picture in a file, and what is written on it, a line each."""

    path: Path
    lines: tuple[str, ...]


def bench(*, full: bool) -> Table:
    """Character error and seconds a picture; Tesseract beside it where it is installed."""
    count = CARDS if full else FEW
    table = Table(
        "screen",
        "Writing on the screen",
        (
            "reader",
            "cards",
            "characters wrong",
            "not minding case and spaces",
            "cards without a fault",
            "seconds a picture",
        ),
        settings=f"{count} cards of {SIZE[0]} x {SIZE[1]} drawn in {len(FONTS)} fonts of 14 to 44 pixels, in contrasts down to 1 in 3, "
        "a third blurred, half as JPEG of quality 25 to 60; titles of the sample archive over moving pictures",
    )
    readers: dict[str, Callable[[Path], list[str]]] = {}
    try:
        reader = load_reader()
        readers["RapidOCR"] = lambda path: [line.text for line in reader.read(path)]
    except ModelNotAvailable as error:
        table.settings += f"; {error}"
    if program := shutil.which("tesseract"):
        readers["Tesseract"] = lambda path: _tesseract(program, path)
    with tempfile.TemporaryDirectory(prefix="nightscribe-bench-") as temporary:
        sets = {"drawn": drawn(Path(temporary), count), "sample archive": titles(Path(temporary))}
        for name, read in readers.items():
            read(sets["drawn"][0].path)  # the first is slower
            for kind, cards in sets.items():
                _measure(table, name, kind, cards, read)
    return table


def _measure(table: Table, name: str, kind: str, cards: Sequence[Card], read: Callable[[Path], list[str]]) -> None:
    wrong = loose = letters = loose_letters = right = 0
    started = time.perf_counter()
    found = [" ".join(read(card.path)) for card in cards]
    seconds = (time.perf_counter() - started) / len(cards)
    for card, said in zip(cards, found, strict=True):
        true = " ".join(card.lines)
        errors = _errors(true, said)
        wrong, letters, right = wrong + errors, letters + len(true), right + (errors == 0)
        bare, bare_said = ("".join(text.casefold().split()) for text in (true, said))
        loose, loose_letters = loose + _errors(bare, bare_said), loose_letters + len(bare)
    table.add(
        name,
        f"{kind} ({len(cards)})",
        f"{wrong / letters:.1%}",
        f"{loose / loose_letters:.1%}",
        f"{right / len(cards):.0%}",
        f"{seconds:.2f}",
    )
    table.figures[f"{name} {kind}"] = {
        "cards": len(cards),
        "cer": round(wrong / letters, 4),
        "loose_cer": round(loose / loose_letters, 4),
        "faultless": round(right / len(cards), 4),
        "seconds": round(seconds, 3),
    }


def _errors(true: str, said: str) -> int:
    counted = jiwer.process_characters(true, said)
    return int(counted.substitutions + counted.deletions + counted.insertions)


def drawn(folder: Path, count: int) -> list[Card]:
    """The same cards for the same number."""
    chance = random.Random(7)
    fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
    cards = []
    for number in range(count):
        light = chance.randint(150, 250)
        dark = max(0, light - chance.randint(50, 230))
        ground, ink = ((light,) * 3, (dark,) * 3) if chance.random() < 0.5 else ((dark,) * 3, (light,) * 3)
        tint = [chance.randint(-25, 25) for _ in range(3)]
        picture = Image.new("RGB", SIZE, tuple(max(0, min(255, a + b)) for a, b in zip(ground, tint, strict=True)))
        points = chance.randint(14, 44)
        font = ImageFont.truetype(str(fonts / f"{chance.choice(FONTS)}.ttf"), points)
        lines = []
        for row in range(chance.randint(1, 3)):
            words = [chance.choice(WORDS) for _ in range(chance.randint(1, 4))]
            while font.getlength(" ".join(words)) > SIZE[0] - 60:
                words.pop()
            if words:
                ImageDraw.Draw(picture).text((30, 40 + row * 2 * points), " ".join(words), fill=ink, font=font)
                lines.append(" ".join(words))
        if chance.random() < 1 / 3:
            picture = picture.filter(ImageFilter.GaussianBlur(chance.uniform(0.5, 1.2)))
        path = folder / f"{number:03d}.{chance.choice(['jpg', 'png'])}"
        picture.save(path, quality=chance.randint(25, 60))  # of PNG it means nothing
        cards.append(Card(path, tuple(lines)))
    return cards


def titles(folder: Path) -> list[Card]:
    """Frames of the sample archive in which titles stand that a reader of Latin letters can read, with the clock in the corner cut
    off."""
    cards: list[Card] = []
    for video in sorted((REPO / "data" / "bucket").rglob("*")):
        if video.suffix == ".json" or not video.is_file():
            continue
        title = json.loads(video.with_suffix(".json").read_text(encoding="utf-8"))["title"]
        path = folder / f"title-{len(cards)}.png"
        command = ["ffmpeg", "-v", "error", "-y", "-ss", str(CARD_S), "-i", str(video), "-frames:v", "1", str(path)]
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if path.exists() and title.isascii():
            with Image.open(path) as opened:
                opened.crop((0, 0, opened.width, opened.height - 34)).save(path)
            cards.append(Card(path, (title,)))
    return cards


def _tesseract(program: str, path: Path) -> list[str]:
    done = subprocess.run([program, str(path), "-"], capture_output=True, text=True, check=False)
    return done.stdout.split("\n")
