"""moto's S3 server as a process of its own (delta-rs keeps Python's lock while it waits for an answer).

One conditional put is let in at a time: moto looks whether an object is there and writes it in two steps. Ends with its
parent.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from tasks.machine.lifetime import end_with


def serve() -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    def backend(service: str) -> Any:
        made = create_backend_app(service)
        made.url_map.merge_slashes = False  # `a//b` is a key like any other
        return made

    app = DomainDispatcherApplication(backend)
    one = threading.Lock()

    def door(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "PUT" and {"HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"} & environ.keys():
            with one:
                return list(app(environ, start_response))
        return app(environ, start_response)

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def log(self, type: str, message: str, *args: Any) -> None:
            return

    end_with(os.getppid())
    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=Quiet)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


serve()
