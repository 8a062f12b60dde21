"""A lake's files on a store, as DuckDB opens them: through an fsspec file system that is registered with a connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

READ_AHEAD = 1 << 20  # fsspec would read 50 MB for a footer


def file_system(uri: str, files: Iterable[str]) -> Any:
    """The file system for a lake at `uri`, which knows `files` from a listing of their folders.

    DuckDB asks for the size and the time of every file whenever a view is bound. From a listing, that costs no request.
    A new file system each time: the listing of another moment would lack files.
    """
    import fsspec

    options: dict[str, Any] = {}
    if uri.split("://")[0] in ("s3", "s3a"):
        options = {"default_block_size": READ_AHEAD, "default_cache_type": "readahead", "default_fill_cache": False}
    made = fsspec.filesystem(uri.split("://")[0], skip_instance_cache=True, **options)
    for folder in sorted({file.rsplit("/", 1)[0] for file in files}):
        made.ls(folder, detail=True)
    return made
