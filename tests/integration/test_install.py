"""`make install`: once for all commands, and behind a proxy whose certificate is in the system's store and nowhere else."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import ipaddress
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import REPO

CERTIFICATES = (
    "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
UV = REPO / ".venv" / "bin" / "uv"
# In a place of its own the new store lies over the system's, which stays as it is for everybody else.
WITH_STORE = 'mount --bind "$1" /etc/ssl/certs && cd "$2" && shift 2 && exec "$@"'
BACKEND = """
import zipfile

def build_editable(folder, settings=None, metadata=None):
    with zipfile.ZipFile(f"{folder}/demo-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n")
        wheel.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: demo\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("demo-1.0.dist-info/RECORD", "")
    return "demo-1.0-py3-none-any.whl"
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "demo"
version = "1.0"
"""


def sourced(**variables: str) -> dict[str, str]:
    """What `tools/certificates.sh` makes of the variables that are about certificates."""
    asked = "; ".join(
        f'echo "{name}=${{{name}-none}}"' for name in ("UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "certificates")
    )
    done = subprocess.run(
        ["bash", "-euc", f". tools/certificates.sh; {asked}"],
        cwd=REPO, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_no_script_of_the_project_calls_uv_but_through_the_one_that_takes_the_systems_certificates():
    scripts = [REPO / "Makefile", REPO / "Dockerfile", *(p for p in (REPO / "tools").iterdir() if p.is_file())]
    calls = {
        path.name: re.findall(r"(\S*\buv) (?:pip|run|sync|tool|venv|lock)\b", path.read_text(encoding="utf-8"))
        for path in scripts
    }
    assert {name for name, found in calls.items() if found} == {"Makefile", "install.sh"}
    assert {call.lstrip("@") for found in calls.values() for call in found} == {"tools/uv"}
    assert "tools/uv" in (REPO / "Dockerfile").read_text(encoding="utf-8")
    assert os.access(REPO / "tools" / "uv", os.X_OK)


@pytest.mark.skipif(
    not Path("/etc/ssl/certs/ca-certificates.crt").exists(), reason="no certificates of the system here"
)
def test_uv_takes_the_systems_certificates_unless_the_caller_has_said_otherwise():
    def both(**variables: str) -> list[str]:
        return list(sourced(**variables).values())[:2]

    assert both() == ["true", "true"]
    assert both(UV_SYSTEM_CERTS="", UV_NATIVE_TLS="") == ["true", "true"]  # uv refuses the empty ones
    assert both(UV_SYSTEM_CERTS="0") == both(UV_NATIVE_TLS="0") == ["0", "0"]
    assert both(UV_SYSTEM_CERTS="1", UV_NATIVE_TLS="0") == ["1", "0"]
    assert sourced()["certificates"] == "/etc/ssl/certs/ca-certificates.crt"


def test_a_certificate_that_the_caller_names_comes_first(tmp_path):
    own = tmp_path / "own.pem"
    own.write_text("x")
    assert sourced(SSL_CERT_FILE=str(own))["certificates"] == str(own)
    assert sourced(SSL_CERT_FILE=str(tmp_path / "nowhere.pem"))["certificates"] != str(tmp_path / "nowhere.pem")


# -- for real -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(tmp_path: Path) -> tuple[Path, Path]:
    """What an inspecting proxy has: the key and certificate that it shows for 127.0.0.1, and its own authority's."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    authority, host = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Proxy", "127.0.0.1"))

    def signed(subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType) -> bytes:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(authority).public_key(key.public_key())
        now = datetime.now(UTC)
        made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        for extension in extensions:
            made = made.add_extension(extension, isinstance(extension, x509.BasicConstraints))
        certificate = made.serial_number(x509.random_serial_number()).sign(keys[0], hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)

    root, shown = tmp_path / "proxy.pem", tmp_path / "shown.pem"
    root.write_bytes(
        signed(authority, keys[0], x509.BasicConstraints(True, 0),
               x509.SubjectKeyIdentifier.from_public_key(keys[0].public_key()))
    )  # fmt: skip
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    shown.write_bytes(
        private
        + signed(
            host, keys[1], x509.BasicConstraints(False, None),
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()),
        )
    )  # fmt: skip
    return shown, root


@pytest.fixture
def store(tmp_path: Path, proxy: tuple[Path, Path]) -> Path:
    """The system's store, as an administrator leaves it who has added the proxy's certificate."""
    folder = tmp_path / "store"
    folder.mkdir()
    system = Path("/etc/ssl/certs/ca-certificates.crt")
    public = system.read_bytes() if system.exists() else b""
    (folder / system.name).write_bytes(public + proxy[1].read_bytes())
    return folder


def wheel(folder: Path, name: str, version: str, files: dict[str, bytes]) -> str:
    """Put a wheel into a package index and return its hash. A file under `bin/` becomes a command."""
    about = f"{name}-{version}"
    parts = {
        re.sub("^bin/", f"{about}.data/scripts/", path): content for path, content in files.items()
    } | {
        f"{about}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{about}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }  # fmt: skip
    where = folder / "simple" / name
    where.mkdir(parents=True)
    path = where / f"{about}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        for part, content in parts.items():
            info = zipfile.ZipInfo(part)
            info.external_attr = 0o100755 << 16
            made.writestr(info, content)
        sums = {part: base64.urlsafe_b64encode(hashlib.sha256(c).digest()).rstrip(b"=") for part, c in parts.items()}
        listed = "".join(f"{part},sha256={sums[part].decode()},{len(parts[part])}\n" for part in parts)
        made.writestr(f"{about}.dist-info/RECORD", f"{listed}{about}.dist-info/RECORD,,\n")
    (where / "index.html").write_text(f'<!DOCTYPE html><a href="{path.name}">{path.name}</a>')
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def registry(tmp_path: Path, proxy: tuple[Path, Path]) -> Iterator[str]:
    """The address of a package index as it looks from behind the proxy: uv itself, and a package of one module."""
    folder = tmp_path / "index"
    wheel(folder, "uv", "99.0", {"bin/uv": UV.read_bytes()})
    wheel(folder, "tiny", "1.0", {"tiny.py": b"said = 'hello'\n"})
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(proxy[0])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}/simple/"
    server.shutdown()
    server.server_close()


def namespace() -> list[str]:
    """A command that runs another with mounts of its own; a test that has none to use is skipped."""
    for unshare in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        try:
            done = subprocess.run([*unshare, "mount", "--bind", "/tmp", "/tmp"], capture_output=True)
        except FileNotFoundError:
            break
        if done.returncode == 0:
            return unshare
    pytest.skip("no mount namespaces here (unshare)")


@pytest.mark.skipif(not UV.exists(), reason="uv is not installed in .venv")
def test_everything_is_installed_where_only_the_system_knows_the_proxys_certificate(tmp_path, registry, store):
    unshare = namespace()
    project = tmp_path / "project"
    shutil.copytree(REPO / "tools", project / "tools")
    (project / "pyproject.toml").write_text(PROJECT)
    (project / "backend.py").write_text(BACKEND)
    hashed = hashlib.sha256((tmp_path / "index/simple/tiny/tiny-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    (project / "tiny.lock").write_text(f"tiny==1.0 --hash=sha256:{hashed}\n")
    kept = {
        name: value for name, value in os.environ.items() if name not in CERTIFICATES and not name.startswith("PIP_")
    }
    environment = {
        **kept, "LOCK": "tiny.lock", "PYTHON": sys.executable, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": registry,
        "UV_INDEX_URL": registry, "UV_NO_CACHE": "1", "NO_PROXY": "127.0.0.1", "PIP_RETRIES": "0",
    }  # fmt: skip

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*unshare, "bash", "-c", WITH_STORE, "-", str(store), str(project), *command],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip

    done = run("bash", "tools/install.sh")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()
    said = subprocess.run([project / ".venv/bin/python", "-c", "import tiny; print(tiny.said)"], capture_output=True)
    assert said.stdout == b"hello\n"
    # The same uv without our script does not know the proxy: it was its certificate that mattered.
    alone = run(".venv/bin/uv", "pip", "install", "--reinstall", "tiny")
    assert alone.returncode != 0
    assert "invalid peer certificate" in alone.stderr


LARGER_AND_LARGER = ("requirements.lock", "requirements-demo.lock", "requirements-test.lock")


def test_what_the_tests_need_is_all_that_the_program_needs_in_the_same_versions():
    bare, demo, test = (
        set(re.findall(r"^([a-z0-9._-]+==\S+)", (REPO / name).read_text(), re.M)) for name in LARGER_AND_LARGER
    )
    assert len(bare) > 50
    assert bare < demo < test


@pytest.mark.parametrize(
    ("installs", "calls"),
    [
        (["requirements-test.lock", "requirements-demo.lock", "requirements.lock"], [True, False, False]),
        (["requirements-demo.lock", "requirements-demo.lock", "requirements.lock"], [True, False, False]),
        (["requirements.lock", "requirements-demo.lock", "requirements-test.lock"], [True, True, True]),
    ],
    ids=["all after test", "all after demo", "each after a smaller one"],
)
def test_what_is_installed_is_not_installed_again(installs: list[str], calls: list[bool], tmp_path):
    shutil.copytree(REPO / "tools", tmp_path / "tools")
    for name in (*LARGER_AND_LARGER, "pyproject.toml"):
        shutil.copy(REPO / name, tmp_path / name)
    python, log = tmp_path / ".venv/bin/python", tmp_path / "calls"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\ncase "$*" in *import*) exit 0;; esac\necho "$@" >> {log}\n')
    (tmp_path / "tools/uv").write_text(f'#!/bin/sh\necho uv "$@" >> {log}\n')
    # What the system would lack for the tests is another matter.
    for name in ("chromium", "lmplz"):
        (python.parent / name).write_text("#!/bin/sh\n")
    for file in python.parent.iterdir():
        file.chmod(0o755)
    environment = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}", "PYTHON": sys.executable}
    for lock, installed in zip(installs, calls, strict=True):
        log.write_text("")
        subprocess.run(["bash", "tools/install.sh"], cwd=tmp_path, env={**environment, "LOCK": lock}, check=True)
        assert ("uv pip install" in log.read_text()) == installed
