"""Builds an Elasticsearch from Maven's artifacts and our two Java sources, once per machine, into a cache folder.

The folder's name holds the version and a hash of what it was made from. It is built under a lock, in a folder of another
name, and renamed at the end: a build that was killed leaves nothing that looks whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

HERE = Path(__file__).resolve().parent
SOURCES = (HERE / "pom.xml", HERE / "Launch.java", HERE / "LuceneAnalysis.java")
VERSION = re.findall(r"<elasticsearch\.version>([^<]+)<", SOURCES[0].read_text())[0]

OLDEST_JAVA = 21
DOWNLOAD_S = 900
COMPILE_S = 300
# The server's code and ours are modules or lie beside modules: all of them must be found, by the compiler as well.
ALL_MODULES = "ALL-MODULE-PATH"

DESCRIPTOR = f"""\
description=Lucene's analysis under Elasticsearch's names
version={VERSION}
name=analysis-lucene
java.version={OLDEST_JAVA}
elasticsearch.version={VERSION}
classname=nightscribe.LuceneAnalysis
"""


class NoSearchServer(Exception):
    """There is no Elasticsearch to test with. The message is one line: what is missing, and what to install."""


def default_cache() -> Path:
    """Where built servers are kept, one folder each."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nightscribe"


def find_jdk() -> Path | None:
    """The first JDK of at least Java 21: `JAVA_HOME`, the one of `javac`, then the newest under /usr/lib/jvm."""

    def homes() -> Iterator[Path]:
        if os.environ.get("JAVA_HOME"):
            yield Path(os.environ["JAVA_HOME"])
        javac = shutil.which("javac")
        if javac:
            yield Path(javac).resolve().parent.parent
        yield from sorted(Path("/usr/lib/jvm").glob("*"), key=_java_version, reverse=True)

    return next((home for home in homes() if _java_version(home) >= OLDEST_JAVA), None)


def _java_version(home: Path) -> int:
    """The major version of the JDK in `home`, 0 where there is none or no compiler in it."""
    try:
        found = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found and (home / "bin" / "javac").exists() else 0


def missing() -> str | None:
    """What the build and the start need and this machine lacks, with its remedy; None where all is there."""
    lacking = []
    if not find_jdk():
        lacking.append(f"a JDK of Java {OLDEST_JAVA} or newer (openjdk-21-jdk-headless, Temurin, or set JAVA_HOME)")
    if not shutil.which("mvn"):
        lacking.append("Maven (apt-get install maven)")
    return " and ".join(lacking) or None


def built_server(cache: Path) -> Path:
    """The home folder of a server: `lib/`, `modules/` and `classes/` of the launcher. Built when it is not there yet.

    Raises:
        NoSearchServer: Maven or a JDK is missing, or the build failed.
    """
    digest = hashlib.sha256(b"\0".join([*(source.read_bytes() for source in SOURCES), DESCRIPTOR.encode()]))
    home = cache / f"elasticsearch-{VERSION}-{digest.hexdigest()[:12]}"
    if home.is_dir():
        return home
    if lacking := missing():
        raise NoSearchServer(f"missing: {lacking}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{home}.lock", timeout=DOWNLOAD_S + COMPILE_S):
            if not home.is_dir():
                for left in cache.glob(f"{home.name}.unfinished-*"):
                    shutil.rmtree(left, ignore_errors=True)
                # A name of its own: Maven may outlive a build that was killed, and write on into its folder.
                unfinished = Path(tempfile.mkdtemp(prefix=f"{home.name}.unfinished-", dir=cache))
                _build(unfinished)
                unfinished.rename(home)
    except Timeout as error:
        raise NoSearchServer(f"another process has been building {home} for too long") from error
    except OSError as error:
        raise NoSearchServer(f"the cache folder cannot be used: {error}") from error
    return home


def _build(home: Path) -> None:
    lib, classes = home / "lib", home / "classes"
    netty, analysis = home / "modules" / "transport-netty4", home / "modules" / "analysis-lucene"
    for folder in (lib, classes, netty, analysis):
        folder.mkdir(parents=True)
    pom = shutil.copy(SOURCES[0], home)  # Maven may write beside it
    copied = ["dependency:copy-dependencies", f"-DoutputDirectory={lib}", "-DincludeScope=runtime"]
    _run(["mvn", "-B", "-q", "-f", pom, *copied], DOWNLOAD_S, "Maven did not bring Elasticsearch's jars")

    for jar in (*lib.glob("netty-*.jar"), *lib.glob("transport-netty4-*.jar")):
        jar.rename(netty / jar.name)
    with zipfile.ZipFile(next(netty.glob("transport-netty4-*.jar"))) as packed:
        for name in packed.namelist():
            if name.startswith("META-INF/es-plugins/transport-netty4/") and not name.endswith("/"):
                (netty / Path(name).name).write_bytes(packed.read(name))

    jdk = find_jdk()
    assert jdk is not None
    options = ["--release", OLDEST_JAVA, "-encoding", "UTF-8", "-d", classes]
    modules = ["--module-path", lib, "--add-modules", ALL_MODULES]
    _run([jdk / "bin" / "javac", *options, *modules, *SOURCES[1:]], COMPILE_S, "the Java sources do not compile")
    with zipfile.ZipFile(analysis / "analysis-lucene.jar", "w") as ours:
        for compiled in sorted(classes.glob("nightscribe/*.class")):
            ours.write(compiled, compiled.relative_to(classes))
    shutil.rmtree(classes / "nightscribe")
    (analysis / "plugin-descriptor.properties").write_text(DESCRIPTOR)


def _run(command: Sequence[object], limit_s: float, failure: str) -> None:
    """Run a tool; `failure` and the first error that it printed become the one line of `NoSearchServer`."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NoSearchServer(f"{failure} in {limit_s:.0f} seconds") from error
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        first = next((line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)), "it said nothing")
        raise NoSearchServer(f"{failure}: {re.sub(r'^.ERROR. *', '', first)[:300]}")
