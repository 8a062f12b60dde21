"""`tools/elasticsearch`: a built server in the foreground until Ctrl-C, on port 9200 or PORT."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from search_server.build import NoSearchServer
from search_server.server import running_server

DATA = Path(__file__).resolve().parent.parent.parent / "data" / "elasticsearch"


def main() -> int:
    given = os.environ.get("PORT", "9200")
    if not given.isdigit() or not 0 < int(given) < 65536:
        print("PORT must be a number from 1 to 65535.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print("Starting Elasticsearch; the first time its parts are fetched and built.", file=sys.stderr)
        with running_server(DATA, port=int(given), only_built=True, fast=True) as server:
            assert server.node is not None
            print(f"Elasticsearch answers at {server.url}, with its data in {DATA}. Ctrl-C ends it.")
            print(f"Use it: NIGHTSCRIBE_ELASTICSEARCH_URL={server.url} nightscribe sync", flush=True)
            while server.node.alive:
                time.sleep(0.5)
            print(f"Elasticsearch ended; its log is {DATA / 'logs' / 'server.log'}.", file=sys.stderr)
            return 1
    except NoSearchServer as error:
        print(f"{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
