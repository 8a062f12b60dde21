"""`nightscribe` in a process of its own that need not import torch, transformers and Prefect again: a fork of one that has.

Most of the seconds of a short command are those imports; our own modules each imports anew. Tests of starting, of being killed, of
what a command imports, of its silence where it starts Prefect, and of what it leaves in an empty PREFECT_HOME take
`sys.executable -m nightscribe` instead; so does whoever needs the command's own environment in /proc.

Run as a program it is the process that is forked: a request on its Unix socket is JSON and three file descriptors.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path

PATIENCE_S = 300


def nightscribe(
    *arguments: object,
    env: Mapping[str, str],
    cwd: str | Path | None = None,
    check: bool = False,
    text: bool = True,
    timeout: float = PATIENCE_S,
) -> subprocess.CompletedProcess:
    """As `subprocess.run([python, "-m", "nightscribe", *arguments], capture_output=True, text=text)`, but that ends of lines stay as
    they are, and that TimeoutError is raised after `timeout` seconds."""
    from nightscribe.temporary_server import answers  # not above: what is forked shall have none of our modules

    words = [str(word) for word in arguments]
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        nothing = stack.enter_context(Path(os.devnull).open("rb"))
        asked = stack.enter_context(socket.socket(socket.AF_UNIX))
        asked.settimeout(timeout)
        url = env.get("PREFECT_API_URL")
        asked.connect(_server(bool(url) and answers(url)))
        request = json.dumps({"argv": words, "env": dict(env), "cwd": str(cwd or Path.cwd())}).encode() + b"\n"
        socket.send_fds(asked, [request[:1]], [nothing.fileno(), out.fileno(), err.fileno()])
        asked.sendall(request[1:])
        with asked.makefile("r") as said:
            child = int(said.readline())
            try:
                code = int(said.readline())
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                raise
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode() if text else stream.read())
    done = subprocess.CompletedProcess(["nightscribe", *words], code, *texts)
    if check:
        done.check_returncode()
    return done


@functools.cache
def _server(with_prefect: bool) -> str:
    """The address of this process's server, which ends with it. One without Prefect is for commands that start a server of it,
    as none answers: they set its address before they import it."""
    folder = tempfile.TemporaryDirectory(prefix="nightscribe-forks-")
    address = f"{folder.name}/socket"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "NIGHTSCRIBE_"))}
    command = [sys.executable, __file__, address, *(["prefect"] if with_prefect else [])]
    # What Prefect reads once, when it is imported, as our commands set it.
    quiet = dict.fromkeys(("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_INTERNAL_LEVEL"), "CRITICAL")
    quiet |= {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    environment = {**kept, **quiet, "PREFECT_HOME": folder.name}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    def stop() -> None:
        process.kill()
        process.wait()
        process.stdout.close()
        folder.cleanup()

    atexit.register(stop)
    return address


def serve(address: str, *, with_prefect: bool) -> None:
    """Answer one request after the other: the number of the process, and later how it ended."""
    import elasticsearch  # noqa: F401
    import transformers.models.bert.modeling_bert
    import transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer
    import transformers.models.whisper.modeling_whisper  # noqa: F401

    if with_prefect:
        import prefect.artifacts
        import prefect.main  # noqa: F401

    gc.freeze()  # a collection in a fork need not look at, and so copy, what all have in common
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        first, streams, _, _ = socket.recv_fds(connection, 1, 3)
        with connection, connection.makefile("rb") as rest:
            asked = json.loads(first + rest.readline())
            child = os.fork()
            if child == 0:
                listener.close()
                _become(asked, streams)
            for stream in streams:
                os.close(stream)
            connection.sendall(b"%d\n" % child)
            _, status = os.waitpid(child, 0)
            with contextlib.suppress(BrokenPipeError):  # who asked has lost patience
                connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(asked: dict, streams: list[int]) -> None:
    """Be the command, to its end."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[1:] = asked["argv"]
    sys.path[0] = asked["cwd"]  # as `-m` has it
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
    code: object = 0
    try:
        runpy.run_module("nightscribe", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # what an interpreter does at its end
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve(sys.argv[1], with_prefect=sys.argv[2:] == ["prefect"])
