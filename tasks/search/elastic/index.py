"""The index that searches ask: found by its aliases, made, swapped, and known by what its `_meta` says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from elasticsearch import ConflictError, Elasticsearch, NotFoundError

from tasks.errors import Misconfigured
from tasks.search.elastic.changes import State
from tasks.search.elastic.connection import Connection, reached
from tasks.search.elastic.mapping import GUARD, REBUILD, STATE_ID, Names, index_settings, mappings, recipe
from tasks.settings import Settings

LOADING_H = 24.0  # no load takes longer


def live_index(client: Elasticsearch, names: Names) -> str | None:
    """The index that the write alias names; none when there is none yet, or somebody deleted it.

    Raises:
        Misconfigured: the alias names several.
    """
    try:
        found = sorted(client.indices.get_alias(name=names.write))
    except NotFoundError:
        return None
    if len(found) > 1:
        raise Misconfigured(
            f"The alias {names.write} names {len(found)} indices: {', '.join(found)}.",
            next=f"Make a sound one with: {REBUILD}",
        )
    return str(found[0])


def ensure_read(client: Elasticsearch, names: Names, index: str) -> None:
    """Give `index` the alias that searches ask, where somebody took it away from all."""
    if not client.indices.exists_alias(name=names.read):
        client.indices.put_alias(index=index, name=names.read)


def check_index(client: Elasticsearch, index: str, lake_id: str) -> None:
    """Refuse an index that was made otherwise, or of another lake: to mix the two would be worse than to stop.

    Raises:
        Misconfigured: it is such a one.
    """
    meta = meta_of(client, index)
    own = recipe()
    differing = [name for name, value in own.items() if meta.get(name) != value]
    if differing:
        raise Misconfigured(
            f"The index {index} was made by another version of Nightscribe ({', '.join(differing)}). It is unchanged; "
            "until it is replaced, searches are answered from the lake.",
            next=REBUILD,
        )
    if meta.get("lake_id") != lake_id:
        raise Misconfigured(
            f"The index {index} belongs to another lake. It is unchanged.",
            next=f"Set elasticsearch_prefix to another name for this lake, or replace the index with: {REBUILD}",
        )


def meta_of(client: Elasticsearch, index: str) -> dict[str, Any]:
    """The `_meta` of an index; empty where there is none."""
    mapping = client.indices.get_mapping(index=index)[index]["mappings"]
    return dict(mapping.get("_meta", {}))


def create_index(client: Elasticsearch, names: Names, lake_id: str, shards: int) -> str:
    """A new, empty index that no search asks yet; returns its name."""
    index = names.new_index()
    meta = {"lake_id": lake_id, "created_at": _now()}
    loading = {"refresh_interval": "-1", "translog.durability": "async"}
    client.indices.create(
        index=index,
        settings={**index_settings(shards), **loading},
        mappings=mappings(meta),
        aliases={names.guard(index): {}},
    )
    return index


def give_up(client: Elasticsearch, index: str) -> None:
    """Note that a new index did not pass its gate; the next rebuild removes it."""
    client.indices.put_mapping(index=index, meta={**meta_of(client, index), "given_up_at": _now()})


def remove_given_up(client: Elasticsearch, names: Names) -> None:
    """Delete what earlier rebuilds gave up."""
    found = client.indices.get(index=names.pattern, features=["mappings"], allow_no_indices=True)
    for index, about in found.items():
        if about["mappings"].get("_meta", {}).get("given_up_at"):
            client.indices.delete(index=index, ignore_unavailable=True)


def ready(client: Elasticsearch, index: str) -> None:
    """After loading: visible, durable, refreshed every second."""
    client.indices.put_settings(
        index=index, settings={"refresh_interval": None, "translog.durability": None}, preserve_existing=False
    )
    client.indices.flush(index=index)
    client.indices.refresh(index=index)


def swap(client: Elasticsearch, names: Names, index: str) -> list[str]:
    """Let both aliases name `index` and nothing else, in one step; returns the indices they named before.

    Which those are is left to Elasticsearch: another rebuild may have swapped them since anybody looked.
    """
    found = client.indices.get(index=names.pattern, features=["aliases"], allow_no_indices=True)
    before = [old for old, about in found.items() if old != index and {names.read, names.write} & set(about["aliases"])]
    for old in before:  # first: an index that lost its aliases without this would seem to be an old load
        client.indices.put_mapping(index=old, meta={**meta_of(client, old), "replaced_at": _now()})
    both = (names.read, names.write)
    actions: list[dict[str, Any]] = [
        {"remove": {"index": names.pattern, "alias": alias, "must_exist": False}} for alias in both
    ]
    actions += [{"add": {"index": index, "alias": alias}} for alias in both]
    client.indices.update_aliases(actions=actions)
    return before


def read_state(client: Elasticsearch, index: str) -> State | None:
    """What the index has seen; none before its first sync is done."""
    try:
        source = client.get(index=index, id=STATE_ID)["_source"]
    except NotFoundError:
        return None
    return State(source["lake_version"], source["lake_files"], source["synced_at"], tuple(source["languages"]))


def write_state(
    client: Elasticsearch, index: str, lake_version: int, lake_files: str, languages: Sequence[str]
) -> None:
    """Note what the index has seen; of two syncs at once the one that saw more is noted."""
    document = {
        "kind": "state",
        "lake_version": lake_version,
        "lake_files": lake_files,
        "synced_at": _now(),
        "languages": list(languages),
    }
    try:
        client.index(
            index=Names.guard(index),
            id=STATE_ID,
            document=document,
            version=lake_version,
            version_type="external_gte",
            require_alias=True,
        )
    except ConflictError:
        return


def remove_old(client: Elasticsearch, names: Names, keep_h: float) -> list[str]:
    """Delete indices that no alias names: `keep_h` hours after they were replaced, or a day after they began to be loaded."""
    found = client.indices.get(index=names.pattern, features=["aliases", "mappings"], allow_no_indices=True)
    now = datetime.now(UTC)
    removed = []
    for index, about in found.items():
        if index.endswith(GUARD):  # made by chance, in the moment between a look and a removal
            client.indices.delete(index=index, ignore_unavailable=True)
            continue
        if {names.read, names.write} & set(about["aliases"]):
            continue
        meta = about["mappings"].get("_meta", {})
        replaced, created = meta.get("replaced_at"), meta.get("created_at")
        since, hours = (replaced, keep_h) if replaced else (created, max(keep_h, LOADING_H))
        if since and datetime.fromisoformat(since) < now - timedelta(hours=hours):
            client.indices.delete(index=index, ignore_unavailable=True)
            removed.append(index)
    return removed


def tidy(settings: Settings) -> list[str]:
    """`remove_old` on the server of the settings.

    Raises:
        SearchUnavailable. Misconfigured: no Elasticsearch is set, or it does not let us in.
    """
    with reached("the removal of old indices"):
        return remove_old(
            Connection.of(settings).client(),
            Names(settings.elasticsearch_prefix),
            settings.elasticsearch_keep_old_h,
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
