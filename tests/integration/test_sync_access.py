"""Who may come in, and what the commands say."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from conftest import command_environment
from forked import nightscribe
from search_server.proxy import Answer, Proxy, Request, proxied
from search_server.syncs import (  # noqa: F401
    LONG,
    index_of,
    index_prefix,
    proxy,
    search_client,
    search_server,
    settings,
    syncer,
    video_id,
)

from tasks.errors import Misconfigured, SearchUnavailable
from tasks.search.answer import answer
from tasks.search.elastic.sync import sync
from tasks.search.elastic.syncer import Syncer
from tasks.settings import Settings

# -- who may come in ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody else has signed, with its key in the same file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def guarded(search_server, certificate: Path) -> Iterator[Proxy]:
    """TLS, and a key: `Authorization: ApiKey right`, or user and password."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with proxied(search_server.url, tls=context) as made:
        let_in = {"ApiKey right", "Basic bWU6c2VjcmV0"}  # me:secret

        def rule(request: Request) -> Answer | None:
            given = {name.lower(): value for name, value in request.headers.items()}.get("authorization")
            if given in let_in:
                return None
            return Answer(401 if given is None else 403, {"error": {"type": "security_exception", "reason": "no"}})

        made.rule = rule
        yield made


def test_tls_is_checked_and_credentials_are_sent_and_never_shown(lake, say, guarded, certificate, index_prefix, caplog):
    say("hello")
    open_settings = Settings(
        elasticsearch_url=guarded.url, elasticsearch_prefix=index_prefix, elasticsearch_timeout_s=5
    )
    with pytest.raises(SearchUnavailable, match=r"[Cc]ertificate|CERTIFICATE|Tls"):
        sync(lake, open_settings.model_copy())
    assert "ertificate" in answer(open_settings, lake, "hello")["fallback_reason"]
    trusted = Settings(**{**open_settings.model_dump(exclude_unset=True), "elasticsearch_ca": certificate})
    with pytest.raises(Misconfigured, match="asks who we are"):
        sync(lake, trusted)
    for name, secret in (("elasticsearch_api_key", "wrong-key-123"), ("elasticsearch_password", "wrong-word-456")):
        more = {name: secret, **({"elasticsearch_user": "me"} if "password" in name else {})}
        wrong = Settings(**{**trusted.model_dump(exclude_unset=True), **more})
        with pytest.raises(Misconfigured, match="does not allow this") as refused:
            sync(lake, wrong)
        found = answer(wrong, lake, "hello")
        assert found["engine"] == "duckdb"
        shown = (
            f"{refused.value} {refused.value.next} {found} {wrong!r} {wrong} {Syncer.of(lake, wrong)!r} {caplog.text}"
        )
        assert secret not in shown
    for more in (
        {"elasticsearch_api_key": "right\n"},  # as a file has it
        {"elasticsearch_user": "me", "elasticsearch_password": "secret"},
        {"elasticsearch_api_key": "right", "elasticsearch_ca": None, "elasticsearch_check_tls": False},
    ):
        right = Settings(**{**trusted.model_dump(exclude_unset=True), **more})
        assert sync(lake, right).outcome == "done"
        assert answer(right, lake, "hello")["engine"] == "elasticsearch"


@pytest.mark.parametrize(
    ("url", "said"),
    [("search.example", "is no address"), ("ftp://search.example", "is no address"), ("http://:9200", "is no address"),
     ("https://me:secret@search.example", "has a user in it"), ("http://search.example:port", "is no address"),
     ("http://exa mple:9200", "is no address")],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_without_repeating_it(lake, url, said):
    with pytest.raises(Misconfigured, match=said) as error:
        sync(lake, Settings(elasticsearch_url=url))
    assert "secret" not in f"{error.value} {error.value.next}"


@pytest.mark.parametrize("secret", ["wrong\nkey-123", "wrong-clé-123", "wrong\x00key-123"])
def test_a_key_that_no_header_can_have_is_refused_without_repeating_it(lake, say, secret):
    say("hello")
    settings = Settings(elasticsearch_url="http://127.0.0.1:9", elasticsearch_api_key=secret)
    for act in (lambda: sync(lake, settings), lambda: answer(settings, lake, "hello")):
        with pytest.raises(Misconfigured, match="elasticsearch_api_key has a character") as error:
            act()
        assert "123" not in f"{error.value} {error.value.next}"


# -- the commands -------------------------------------------------------------------------------------------------------


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return nightscribe(*arguments, env=environment)


@pytest.mark.long
def test_the_commands_say_what_they_did_and_exit_accordingly(lake, say, settings, syncer, proxy, tmp_path):
    for number in range(3):
        say(LONG, f"{number}.mp4")
    environment = command_environment(
        tmp_path,
        NIGHTSCRIBE_LAKE=lake.uri,
        NIGHTSCRIBE_ELASTICSEARCH_URL=proxy.url,
        NIGHTSCRIBE_ELASTICSEARCH_PREFIX=settings.elasticsearch_prefix,
    )
    first = run(environment, "sync")
    assert (first.returncode, first.stdout) == (
        0, "3 videos sent, 15 passages sent.\n"
    )  # fmt: skip
    assert "There was no index yet." in first.stderr
    assert run(environment, "sync", "--verify").stdout == "The index has what the lake has.\n"
    index = index_of(syncer)
    syncer.client.delete(index=index, id=f"{video_id('1.mp4')}:1", refresh=True)
    broken = run(environment, "sync", "--verify", "--json")
    assert broken.returncode == 1
    assert [difference["video_id"] for difference in json.loads(broken.stdout)["differences"]] == [video_id("1.mp4")]
    assert run(environment, "sync", "--repair").returncode == 0
    assert run(environment, "sync", "--verify").returncode == 0
    found = json.loads(run(environment, "search", "word7", "--json").stdout)
    assert (found["engine"], found["total_videos"]) == ("elasticsearch", 3)
    report = json.loads(run(environment, "sync", "--rebuild", "--json").stdout)
    assert (report["kind"], report["outcome"], report["index"] != index) == ("rebuild", "done", True)
    kept = run({**environment, "NIGHTSCRIBE_ELASTICSEARCH_KEEP_OLD_H": "0"}, "maintain")
    assert f"The search index {index}, which nothing asks any more, was removed." in kept.stdout
    proxy.rule = lambda request: Answer(503, {"error": "down"})
    down = run(environment, "search", "word7")
    assert down.returncode == 0
    assert "Answered from the lake: Elasticsearch says 503" in down.stdout
    failed = run(environment, "sync", "--json")
    assert (failed.returncode, json.loads(failed.stdout)["error"]["code"]) == (1, "search_unavailable")
    assert "Traceback" not in failed.stderr + down.stderr
    assert run(environment, "sync", "--verify", "--repair").returncode == 2
    unset = {name: value for name, value in environment.items() if not name.endswith("_URL")}
    assert run(unset, "sync").returncode == 2
