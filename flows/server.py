"""What errors of Prefect's client say about its server."""

from __future__ import annotations

import httpx

BUSY = (408, 429)


def is_away(error: BaseException) -> bool:
    """Whether no server answered, or one in trouble, or a proxy in its place.

    Of the first question that gets no answer, Prefect makes a RuntimeError with the cause behind it.
    """
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code in BUSY
    cause = error.__cause__
    return isinstance(error, httpx.TransportError) or (cause is not None and is_away(cause))
