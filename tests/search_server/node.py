"""A node built from Maven's artifacts, as a child process that can be killed and started again."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

from search_server.build import ALL_MODULES, NoSearchServer, find_jdk, missing
from search_server.process import HEAP, START_S, end, wait


class Node:
    """A built server in `home`, on data and a port that stay the same over kills and restarts."""

    def __init__(self, home: Path, data: Path, port: int, *, fast: bool) -> None:
        self.home, self.data, self.port, self.fast = home, data.resolve(), port, fast
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when the server answers. The first start on port 0 chooses the port that later ones take again.

        Raises:
            NoSearchServer: no JDK, or the server ended or gave no answer in three minutes.
        """
        jdk = find_jdk()
        if jdk is None:
            raise NoSearchServer(f"missing: {missing()}")
        logs = self.data / "logs"
        for folder in (logs, self.data / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        ports, log = logs / "http.ports", logs / "server.log"
        ports.unlink(missing_ok=True)
        command = [
            *(jdk / "bin" / "java", f"-Xms{HEAP}", f"-Xmx{HEAP}", f"-Djava.io.tmpdir={self.data / 'tmp'}"),
            *("--module-path", self.home / "lib"),
            *("--add-modules", f"jdk.incubator.vector,jdk.net,jdk.management.agent,{ALL_MODULES}"),
            "--enable-native-access=ALL-UNNAMED,org.elasticsearch.nativeaccess,org.apache.lucene.core",
            *("-Des.distribution.type=tar", "-XX:-UsePerfData"),
            # Half the processor time to the first answer; what runs long is slower.
            *(() if self.fast else ("-XX:TieredStopAtLevel=1",)),
            *("-cp", self.home / "classes", "Launch", self.home, self.data, self.port),
        ]
        with log.open("ab") as written:
            before = written.tell()
            # A session of its own: Ctrl-C in the terminal must not end it before its parent is done with it.
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=written,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            limit = time.monotonic() + START_S
            while not ports.exists():
                if self.process.poll() is not None or time.monotonic() > limit:
                    raise NoSearchServer(f"the built Elasticsearch did not start: {_failure(log, before)}")
                time.sleep(0.05)
            self.port = urlsplit(f"//{ports.read_text().split()[0]}").port or 0
            wait(self.url, lambda: self.alive, limit)
        except BaseException:
            self.kill()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """End it as a shutdown does, and kill it where that takes too long."""
        if self.process is not None:
            end(self.process)

    def kill(self) -> None:
        """End it as a loss of power does."""
        if self.process is not None:
            self.process.kill()
            end(self.process)


def _failure(log: Path, before: int) -> str:
    """Why a built server did not start, in one line from what it logged after the first `before` bytes."""
    logged = log.read_bytes()[before:].decode(errors="replace")
    found = re.search(r"^Not started: (?:[\w.$]+: )?(.*)", logged, re.MULTILINE)
    return found[1][:300] if found else f"see {log}"
