"""Search by what is to be seen or heard: pictures or sounds whose vectors are near that of a text, of a file, or of what is made of
several. `nearest` has them looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from tasks.arrays import Array
from tasks.errors import BadQuery, Misconfigured
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.models.catalog import find_set
from tasks.search.answer import answer as words_answered
from tasks.search.engine import EngineName
from tasks.search.filters import Filters
from tasks.search.near_kinds import KINDS, Kind
from tasks.search.near_scan import NearQuery, Times, recipes_of
from tasks.search.nearest import nearest
from tasks.settings import Settings

if TYPE_CHECKING:  # torch takes seconds to import
    from tasks.models.dual_encoder import DualEncoder

MOST_SAID, MOST_MOMENTS = 1000, 100  # videos, and moments of each, of what is said that are looked at
SHORTEST = 1e-3  # of a sum of vectors that points anywhere


@dataclass(frozen=True)
class Wish:
    """What is to be seen or heard: texts and files, those that are added and those that are taken away.

    The arithmetic of vectors is that of Jia et al. 2021 (ALIGN): they are added, subtracted, and made one of unit length.
    """

    texts: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    without: tuple[str, ...] = ()

    def __str__(self) -> str:
        added = [*(path.name for path in self.files), *self.texts]
        return " + ".join(added) + "".join(f" - {text}" for text in self.without)

    def vector(self, kind: Kind, encoder: DualEncoder, settings: Settings) -> Array:
        """Shape (size,).

        Raises:
            BadQuery: nothing is wished for, what is taken away leaves nothing, or a file cannot be read.
        """
        if not (self.texts or self.files):
            raise BadQuery(f"Nothing is said of what is to be {kind.perceived}.", next=f"Give {kind.flags}.")
        rows = [encoder.texts(self.texts), *(kind.of_file(encoder, path, settings)[None] for path in self.files)]
        total = np.concatenate(rows).sum(axis=0) - encoder.texts(self.without).sum(axis=0)
        length = float(np.linalg.norm(total))
        if length < SHORTEST:
            raise BadQuery("What is taken away leaves nothing to look for.", next="Take away less.")
        wished: Array = total / length
        return wished


@dataclass(frozen=True)
class Wished:
    """A wish as a model sees it: `vector` of shape (size,), what tells the model from others in the lake's recipes, and its
    likelihoods."""

    text: str
    kind: Kind
    vector: Array
    made_by: Mapping[str, Any]
    likelihood: Callable[[float], float | None]


def wished(settings: Settings, wish: Wish, kind: str) -> Wished:
    """By the model of the settings' set, which is loaded where it is not yet.

    Raises:
        BadQuery. Misconfigured: the set has none. ModelNotAvailable.
    """
    chosen = KINDS[kind]
    encoder, made_by = encoder_of(chosen, settings)
    return Wished(str(wish), chosen, wish.vector(chosen, encoder, settings), made_by, encoder.likelihood)


def answer(
    settings: Settings, lake: Lake, wish: Wish, *, kind: str = "pictures", text: str = "", **options: Any
) -> dict[str, Any]:
    """What `search --json` prints of a search for `pictures` or `sounds`; with `text`, only of what is there while that is said.

    `options` are those of `tasks.search.answer.answer`.

    Raises:
        BadQuery. Misconfigured. ModelNotAvailable.
    """
    return found(settings, lake, wished(settings, wish, kind), text=text, **options)


def found(
    settings: Settings,
    lake: Lake,
    asked: Wished,
    *,
    text: str = "",
    engine: EngineName = "auto",
    connection: duckdb.DuckDBPyConnection | None = None,
    **options: Any,
) -> dict[str, Any]:
    """`answer`, of what was wished for already. The lake is asked as `connection` sees it, else as it is at this moment.

    Raises:
        BadQuery. Misconfigured: what the lake has is of another model. SearchUnavailable: `engine` is "elasticsearch", and it does
            not answer.
    """
    kind = asked.kind
    of_near = {name: options[name] for name in ("video", "limit", "offset", "moments") if name in options}
    filters = {one.name: options[one.name] for one in fields(Filters) if one.name in options}
    said = None
    if text:
        if "title" in options.get("places", ()):
            raise BadQuery("A title stands at no time of a video.", next="Leave title out of --in.")
        most = {"limit": MOST_SAID, "offset": 0, "moments": MOST_MOMENTS, "connection": connection}
        # "While that is said": what is to be read counts where it is asked for.
        places = {"places": ("speech",)}
        said = words_answered(settings, lake, text, engine="duckdb", **(places | options | most))
    query = NearQuery(asked.vector, Filters(**filters), **of_near, within=_times(said))
    seen = connection or connect(lake, Snapshot.of(lake, kind.tables), lean=True, history=False)
    recipes = recipes_of(seen, kind, asked.made_by)
    answered = nearest(settings, lake, seen, kind, query, recipes, asked.likelihood, engine=engine)
    told = {name: said[name] for name in ("instead", "suggestions")} if said else {}
    return {**answered, **told, "query": " & ".join(filter(None, (text, asked.text)))}


def _times(said: Mapping[str, Any] | None) -> Times | None:
    """When it was said, by video."""
    if said is None:
        return None
    return {video["video_id"]: [(m["start_ms"], m["end_ms"]) for m in video["moments"]] for video in said["videos"]}


def encoder_of(kind: Kind, settings: Settings) -> tuple[DualEncoder, Mapping[str, Any]]:
    """The model of a kind of the settings' set, and what tells it from others in the lake's recipes.

    Raises:
        Misconfigured: the set has none. ModelNotAvailable.
    """
    chosen = find_set(settings)
    model = chosen.ref(kind.name)
    if model is None:
        raise Misconfigured(
            f"The model set {chosen.name} has no model for {kind.name}.",
            next=f"Name one in the catalogue (docs/models.md), and index with it: nightscribe index ... --stages {kind.table}",
        )
    encoder = kind.load(model.path, revision=model.revision, device=settings.device, precision=settings.precision)
    return encoder, {"model": model.name, "files": model.files, "revision": model.revision}
