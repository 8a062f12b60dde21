"""Elasticsearch's official image in a Docker container that ends with this process."""

from __future__ import annotations

import contextlib
import subprocess
import time
import uuid
from collections.abc import Iterator

from search_server.build import VERSION, NoSearchServer
from search_server.process import HEAP, START_S, end, wait

IMAGE = f"elasticsearch:{VERSION}"
PULL_S = 900.0
# The image's own start, ended when standard input is: the same promise that Launch.java gives.
IN_CONTAINER = "exec 3<&0; docker-entrypoint.sh eswrapper & node=$!; { cat <&3; kill $node; } & wait $node"


@contextlib.contextmanager
def container() -> Iterator[str]:
    """The address of the official image in a container of its own. Its data are gone with it."""
    _docker("version", "--format", "{{.Server.Version}}", limit_s=15)
    try:
        _docker("image", "inspect", IMAGE, limit_s=15)
    except NoSearchServer:
        _docker("pull", "--quiet", IMAGE, limit_s=PULL_S)
    name = f"nightscribe-test-{uuid.uuid4().hex[:12]}"
    settings = {
        "discovery.type": "single-node",
        "xpack.security.enabled": "false",
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        "ES_JAVA_OPTS": f"-Xms{HEAP} -Xmx{HEAP}",
    }
    options = [part for key, value in settings.items() for part in ("-e", f"{key}={value}")]
    command = ["docker", "run", "--rm", "-i", "--name", name, "-p", "127.0.0.1::9200", *options, IMAGE]
    process = subprocess.Popen(
        [*command, "bash", "-c", IN_CONTAINER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        limit = time.monotonic() + START_S
        url = None
        while url is None:
            if process.poll() is not None or time.monotonic() > limit:
                raise NoSearchServer("docker run failed")
            time.sleep(0.2)
            with contextlib.suppress(NoSearchServer):
                url = f"http://{_docker('port', name, '9200/tcp', limit_s=15).splitlines()[0]}"
        wait(url, lambda: process.poll() is None, limit)
        yield url
    finally:
        with contextlib.suppress(NoSearchServer):
            _docker("rm", "--force", name, limit_s=60)
        end(process)


def _docker(*arguments: str, limit_s: float) -> str:
    try:
        done = subprocess.run(
            ["docker", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise NoSearchServer("it is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoSearchServer(f"docker {arguments[0]} gave no answer") from error
    if done.returncode or not done.stdout.strip():
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise NoSearchServer(said[-1][:200] if said else f"docker {arguments[0]} failed")
    return done.stdout.strip()
