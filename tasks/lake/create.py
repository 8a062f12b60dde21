"""A new lake, and an older one brought to today's version."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from tasks.errors import LakeNotWritable
from tasks.lake.migrate import migrate
from tasks.lake.schema import LAKE_VERSION, PARTITIONED, STATISTICS, TABLES, arrow_schema
from tasks.lake.store import Lake


def create_lake(lake: Lake) -> None:
    """Make the tables that are missing, and bring an older lake to today's version. Safe from several processes at once.

    Raises:
        LakeNotWritable: the folder cannot be written. LakeTooNew: see `check_version`.
    """
    lake.check_version()
    try:
        if lake.local:
            os.makedirs(lake.uri, exist_ok=True)
            probe = Path(lake.uri, f".write-{uuid.uuid4().hex}")
            probe.touch()
            probe.unlink()
        for name in TABLES:
            if not lake.has(name):
                DeltaTable.create(
                    lake.path(name),
                    schema=arrow_schema(name),
                    mode="ignore",
                    partition_by=PARTITIONED.get(name),
                    configuration={"delta.dataSkippingStatsColumns": STATISTICS[name]},
                    storage_options=lake.options,
                )
        if lake.marker() is None:
            lake.write_marker({"version": LAKE_VERSION, "made_by": "nightscribe"})
        elif lake.outdated():
            migrate(lake)
    except (OSError, DeltaError) as error:
        raise LakeNotWritable(
            f"The lake {lake.uri} cannot be written: {error}", next="Name another with --lake, or mend its rights."
        ) from error
