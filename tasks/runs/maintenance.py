"""Care of an archive: what `maintain` does, in one step for command and deployment."""

from __future__ import annotations

from tasks.erasure.forget import forget_overdue
from tasks.errors import Misconfigured, SearchUnavailable
from tasks.lake.create import create_lake
from tasks.lake.maintain import Maintenance, maintain
from tasks.lake.store import Lake
from tasks.settings import Settings


def take_care(lake: Lake, settings: Settings) -> Maintenance:
    """Migrate, forget what is overdue, maintain the lake, remove replaced search indices.

    Raises:
        StorageBusy, LakeNotWritable.
    """
    create_lake(lake)
    certificates = forget_overdue(lake, settings)
    done = maintain(
        lake, keep_generations=settings.keep_generations, grace_h=settings.sweep_grace_h, scratch=settings.scratch
    )
    done.forgotten = sum(len(certificate.videos) for certificate in certificates)
    done.notes = [sentence for certificate in certificates for sentence in certificate.left]
    if settings.elasticsearch_url:
        from tasks.search.elastic.index import tidy

        try:
            done.removed_indices = tidy(settings)
        except (Misconfigured, SearchUnavailable) as error:  # these may wait for the next time
            done.notes.append(f"Old search indices were not looked for: {error}")
    return done
