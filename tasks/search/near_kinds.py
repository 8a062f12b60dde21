"""What can be looked for by vectors: pictures and sounds, each with its stage, its model, and how a file becomes a vector."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from tasks.arrays import Array
from tasks.errors import BadQuery
from tasks.media import clip_sound
from tasks.settings import Settings
from tasks.sounds.pieces import Pieces

if TYPE_CHECKING:  # torch takes seconds to import, and what is like a moment is found without a model
    from tasks.pictures.encoder import PictureEncoder
    from tasks.sounds.encoder import SoundEncoder


@dataclass(frozen=True)
class Kind:
    """Something with vectors. `name` is its role in a model set, `table` its stage and that stage's table, in which `number` counts
    what has a vector and `told` is shown with a moment; `perceived` and `flags` are for messages, `mode` for answers."""

    name: str
    table: str
    number: str
    told: tuple[str, ...]
    mode: str
    perceived: str
    flags: str
    load: Callable[..., Any]
    of_file: Callable[[Any, Path, Settings], Array]

    @property
    def tables(self) -> tuple[str, ...]:
        """Those that a search reads."""
        return ("videos", "stage_runs", "topics", self.table)


def load_pictures(name: str, **options: Any) -> PictureEncoder:
    from tasks.pictures.encoder import load_picture_encoder

    return load_picture_encoder(name, **options)


def load_sounds(name: str, **options: Any) -> SoundEncoder:
    from tasks.sounds.encoder import load_sound_encoder

    return load_sound_encoder(name, **options)


def of_picture(encoder: PictureEncoder, path: Path, settings: Settings) -> Array:
    """The vector of a picture in a file, shape (size,).

    Raises:
        BadQuery: it is none.
    """
    try:
        with Image.open(path) as picture:
            return encoder.of(picture)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadQuery(f"{path} is no picture that can be read.", next="Give a JPEG or PNG file.") from error


def of_sound(encoder: SoundEncoder, path: Path, settings: Settings) -> Array:
    """The vector of a sound in a file, shape (size,): the mean of its pieces, of unit length.

    Raises:
        BadQuery: nothing is to be heard in it.
    """
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.scratch) as scratch:
        audio = clip_sound(path, Path(scratch, "sound.pcm"), settings, rate=encoder.rate)
        if isinstance(audio, str):
            raise BadQuery(f"{path} cannot be used as a sound: {audio}.", next="Give another file.")
        pieces = Pieces(audio, encoder.rate, piece_s=encoder.piece_s, overlap=0)
        if not len(pieces):
            raise BadQuery(f"Nothing is to be heard in {path}.", next="Give another file.")
        total = encoder.sounds(pieces).mean(axis=0)
    unit: Array = total / np.linalg.norm(total)
    return unit


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="pictures",
            table="frames",
            number="picture",
            told=("shot",),
            mode="picture",
            perceived="seen",
            flags="--picture or --image",
            load=load_pictures,
            of_file=of_picture,
        ),
        Kind(
            name="sounds",
            table="sounds",
            number="piece",
            told=(),
            mode="sound",
            perceived="heard",
            flags="--sound or --sound-file",
            load=load_sounds,
            of_file=of_sound,
        ),
    )
}
