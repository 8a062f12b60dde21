"""What Prefect must be told before it is imported."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request

log = logging.getLogger("nightscribe")


def prepare() -> None:
    """Nothing phones home; a server that does not answer is replaced by a temporary one; little is printed."""
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("PREFECT_CLI_PROMPT", "false")
    url = os.environ.get("PREFECT_API_URL")
    if url and not _answers(url):
        log.warning("The Prefect server %s does not answer; this run is kept by a temporary one.", url)
        del os.environ["PREFECT_API_URL"]
    elif not url:
        log.info("No Prefect server is set (PREFECT_API_URL); a temporary one keeps this run.")
    if "PREFECT_API_URL" not in os.environ:
        os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=5) as answer:  # noqa: S310 - the user's own setting
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False
