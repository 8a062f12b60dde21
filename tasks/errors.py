"""The one exception tree of Nightscribe.

    NightscribeError
    ├── Transient              tried again, by the flow or by the next run
    │   ├── StorageBusy            bucket or lake did not answer, or another writer won
    │   ├── SearchUnavailable      Elasticsearch did not answer
    │   ├── OrchestrationUnavailable   no Prefect server answers, and none could be started
    │   ├── ClaimedElsewhere       another process is at this piece of work
    │   ├── StageTimeout           a decoder took longer than its limit
    │   ├── ObjectChanged          the object was rewritten while it was read
    │   ├── ScratchFull            no space for the files of a run
    │   ├── DecoderDied            a beam search process was killed
    │   ├── TooBusy                the web app has too many questions at once
    │   ├── ReadTooLong            an answer of the web app took too long
    │   └── OutOfMemory            the model did not fit, even one window at a time
    ├── Permanent              a row in the lake; waits for a new object, recipe or --retry-failed
    │   ├── CorruptMedia           damaged, cut off, or not media at all
    │   ├── UnsupportedMedia       encrypted, or a codec that this ffmpeg lacks
    │   ├── MediaTooLong           longer than `max_duration_h`
    │   ├── AccessDenied           the bucket refused this object
    │   ├── Forgotten              the content of a video that was forgotten
    │   └── BadSidecar             metadata beside a video that cannot be read
    ├── Unexpected             a fault of ours: the video gets a row, the batch is left for the next run
    ├── RunStopped             several batches in a row were given up, so the rest was not tried
    └── Misconfigured          exit code 2, before any work
        ├── UnknownModelSet
        ├── ModelNotAvailable
        ├── BucketNotFound
        ├── LakeNotWritable
        ├── LakeTooNew
        ├── LakeTooOld             no migration has brought it to today's form yet
        ├── LakeUnreadable         its log or one of its files is missing or damaged
        ├── NotSetUp               no Prefect server is set, or it lacks the deployments
        ├── DifferentRecipe        this machine would make other words than the plan says
        ├── BadQuery
        ├── NotFound               no such video, or no such part of it
        └── MissingTool            ffmpeg, a compiler, a speech synthesiser

Every error carries what happened (`str(error)`), a `code` that never changes, and `next`: the command or action that
goes on from here. Errors about one video also carry the `reason` written to its row.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import ClassVar

log = logging.getLogger("nightscribe")


def first_line(error: BaseException) -> str:
    """What a library's error says, without the rest of its story."""
    said = str(getattr(error, "message", "") or error).strip()
    return (said or type(error).__name__).splitlines()[0][:300]


class NightscribeError(Exception):
    """Base of every error that Nightscribe raises on purpose."""

    code: ClassVar[str] = "error"
    reason: str = "error"

    def __init__(self, message: str, *, next: str = "", reason: str | None = None) -> None:
        super().__init__(message)
        self.next = next
        if reason is not None:
            self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only fields do not survive the default pickling between processes.
        return (_rebuild, (type(self), str(self), self.next, self.reason))


def _rebuild(kind: type[NightscribeError], message: str, next: str, reason: str) -> NightscribeError:
    return kind(message, next=next, reason=reason)


class Transient(NightscribeError):
    code = "transient"


class StorageBusy(Transient):
    code = "storage_busy"
    reason = "storage_busy"


class SearchUnavailable(Transient):
    code = "search_unavailable"


class OrchestrationUnavailable(Transient):
    code = "orchestration_unavailable"


class ClaimedElsewhere(Transient):
    code = "claimed_elsewhere"


class StageTimeout(Transient):
    code = "timeout"
    reason = "timeout"


class ObjectChanged(Transient):
    code = "object_changed"
    reason = "object_changed"


class ScratchFull(Transient):
    code = "scratch_full"
    reason = "scratch_full"


class DecoderDied(Transient):
    code = "decoder_died"
    reason = "decoder_died"


class OutOfMemory(Transient):
    code = "out_of_memory"
    reason = "out_of_memory"


class TooBusy(Transient):
    code = "too_busy"


class ReadTooLong(Transient):
    code = "read_too_long"


class Permanent(NightscribeError):
    code = "permanent"


class CorruptMedia(Permanent):
    code = "corrupt_media"
    reason = "corrupt"


class UnsupportedMedia(Permanent):
    code = "unsupported_media"
    reason = "unsupported_codec"


class MediaTooLong(Permanent):
    code = "media_too_long"
    reason = "too_long"


class AccessDenied(Permanent):
    code = "access_denied"
    reason = "access_denied"


class Forgotten(Permanent):
    code = "forgotten"
    reason = "forgotten"


class BadSidecar(Permanent):
    code = "bad_sidecar"


class Unexpected(NightscribeError):
    code = "unexpected"
    reason = "unexpected"

    @classmethod
    def of(cls, error: BaseException) -> Unexpected:
        """What to say of an exception that nobody foresaw."""
        said = first_line(error)
        return cls(
            f"Something that should not happen: {type(error).__name__}: {said}.",
            next="Run the same command with -v before it for the details, and please report them.",
        )


class RunStopped(NightscribeError):
    code = "run_stopped"


class Misconfigured(NightscribeError):
    code = "misconfigured"


class UnknownModelSet(Misconfigured):
    code = "unknown_model_set"


class ModelNotAvailable(Misconfigured):
    code = "model_not_available"


class BucketNotFound(Misconfigured):
    code = "bucket_not_found"


class LakeNotWritable(Misconfigured):
    code = "lake_not_writable"


class LakeTooNew(Misconfigured):
    code = "lake_too_new"


class LakeTooOld(Misconfigured):
    code = "lake_too_old"


class LakeUnreadable(Misconfigured):
    code = "lake_unreadable"


class NotSetUp(Misconfigured):
    code = "not_set_up"


class DifferentRecipe(Misconfigured):
    code = "different_recipe"


class BadQuery(Misconfigured):
    code = "bad_query"


class NotFound(Misconfigured):
    code = "not_found"


class MissingTool(Misconfigured):
    code = "missing_tool"


def refuse_password(uri: str, what: str) -> None:
    """Raise Misconfigured when a URI has a password in it: URIs are kept in rows, reports and logs."""
    signed = re.search(r"[?&](sig|signature|token|password|secret|x-amz-[a-z-]+)=", uri, re.IGNORECASE)
    if "://" in uri and (signed or re.match(r"[^/@]*:[^/@]+@", uri.split("://", 1)[1])):
        raise Misconfigured(
            f"The address of the {what} has a password in it.",
            next="Take it out; credentials come from the environment or from where the store's own tools have them.",
        )


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Only errors of the tree above leave this context: an OSError becomes `StorageBusy`, any other `Unexpected`.

    The traceback is a debug message.
    """
    try:
        yield
    except NightscribeError:
        raise
    except OSError as error:  # of the machine or its network, rarely of ours
        log.debug("The machine:", exc_info=True)
        raise StorageBusy(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        log.debug("Unexpected:", exc_info=True)
        raise Unexpected.of(error) from error
