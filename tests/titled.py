"""A small archive of films with writing on them, that was really indexed."""

from __future__ import annotations

from pathlib import Path

from cards import card
from contract.archive import Archive
from made_media import make
from sessions import cut


def titled(folder: Path) -> Archive:
    """A talk under two title cards, the second of which repeats what is said; one under a card without writing; and a title without
    sound."""
    made = Archive(folder)
    made.bucket.mkdir()
    cut(made.folder / "talk.wav", 8.0)
    make("-i", made.folder / "talk.wav", "-c:a", "copy", made.bucket / "alone.wav")
    made.run()
    words = [word for (word,) in made.rows("SELECT word FROM words WHERE start_ms > 4000 ORDER BY start_ms")]
    film(made, "titled.mp4", ("Harbour at dawn", "Part 2"), (" ".join(words[:3]),))
    film(made, "bare.mp4", (), ())
    silent = card(made.folder / "silent.png", "Silence please", points=32)
    make("-loop", "1", "-r", "5", "-t", "4", "-i", silent, made.bucket / "silent.mp4")
    made.run()
    return made


def film(archive: Archive, name: str, *cards: tuple[str, ...]) -> None:
    """Each card for four seconds, above the talk."""
    files = [card(archive.folder / f"{name}-{n}.png", *lines, points=32) for n, lines in enumerate(cards)]
    slides = [part for file in files for part in ("-loop", "1", "-r", "5", "-t", "4", "-i", file)]
    graph = "".join(f"[{n}:v]" for n in range(len(files))) + f"concat=n={len(files)}[v]"
    sound = archive.folder / "talk.wav"
    make(
        *slides, "-i", sound, "-filter_complex", graph, "-map", "[v]", "-map", f"{len(files)}:a", archive.bucket / name
    )
