"""`nightscribe serve`."""

from __future__ import annotations

import click

from nightscribe.common import lake_option, settings_from


@click.command("serve")
@lake_option
@click.option("--host", metavar="ADDRESS", help="Address to listen on (default 127.0.0.1: this machine alone).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default 8765; 0 takes a free one).")
@click.option(
    "--open", "open_to_all", is_flag=True, help="Let everybody in who reaches another address than this machine's."
)
def command(lake: str | None, host: str | None, port: int | None, open_to_all: bool) -> int:
    """Open the archive in the browser: search, watch, analytics, SQL, operations.

    The lake may be indexed meanwhile. Other addresses than this machine's want a token (NIGHTSCRIBE_WEB_TOKEN), or a
    reverse proxy that names the user (NIGHTSCRIBE_WEB_USER_HEADER).

    \b
    Example:
      nightscribe serve --port 8080
    """
    from dashboards.serve import serve

    serve(settings_from(lake=lake, web_host=host, web_port=port), open_to_all=open_to_all)
    return 0
