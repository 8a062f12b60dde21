"""The files that a lake lies in, below all tables: on a disk or in a store."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from tasks.lake.store import Lake


def table_files(lake: Lake, name: str) -> list[str]:
    """Every file in a table's folder, its log apart: paths, or keys of the store."""
    return [path for path in walk(lake, lake.path(name)) if "/_delta_log/" not in path]


def walk(lake: Lake, folder: str) -> list[str]:
    """Every file below a folder of the lake: paths, or keys of the store."""
    if lake.local:
        return sorted(str(path) for path in Path(folder).rglob("*") if path.is_file())
    import fsspec

    filesystem, root = fsspec.core.url_to_fs(folder)
    filesystem.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):
        return sorted(filesystem.find(root))
    return []


def read_bytes(lake: Lake, path: str) -> bytes:
    """A file that `walk` named."""
    if lake.local:
        return Path(path).read_bytes()
    import fsspec

    filesystem, _ = fsspec.core.url_to_fs(lake.uri)
    data: bytes = filesystem.cat_file(path)
    return data


def replace(lake: Lake, path: str, data: bytes) -> None:
    """Put other bytes into a file that `walk` named, in one step."""
    if lake.local:
        part = Path(path).with_name(f".{uuid.uuid4().hex}.part")
        part.write_bytes(data)
        os.replace(part, path)
        return
    import fsspec

    filesystem, _ = fsspec.core.url_to_fs(lake.uri)
    filesystem.pipe_file(path, data)
