"""Pictures with writing on them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont


def card(path: Path, *lines: str, size: tuple[int, int] = (640, 360), points: int = 40) -> Path:
    """Dark letters on a light ground, one line below the other."""
    picture = Image.new("RGB", size, (240, 236, 224))
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((40, 40 + number * 2 * points), line, fill=(20, 24, 60), font=ImageFont.load_default(points))
    picture.save(path)
    return path
