"""A sync through whatever may happen to it: afterwards the index is right, or the sync said that it is not."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from conftest import command_environment
from search_server.fixtures import index_prefix, search_client, search_server  # noqa: F401
from search_server.proxy import Answer, Hangup, Proxy, Request, proxied

from tasks.errors import Misconfigured, SearchUnavailable
from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.search.answer import answer
from tasks.search.elastic.index import live_index
from tasks.search.elastic.rebuild import rebuild
from tasks.search.elastic.sync import Syncer, sync
from tasks.search.elastic.verify import verify
from tasks.settings import Settings

LONG = " ".join(f"word{n}" for n in range(150))


MORE_OF_THE_SAME = {"status": (503, 413), "bulk": (1, 9)}  # only in a run of full length


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, long: bool) -> None:
    """Many bulk requests for few videos, no long waits between tries, a gate of two queries."""
    given = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if not long and any(given.get(name) in values for name, values in MORE_OF_THE_SAME.items()):
        pytest.skip("like its neighbours; at full length only (--long)")
    monkeypatch.setattr("tasks.search.elastic.rebuild.DRAWN", 1)
    monkeypatch.setattr("tasks.search.elastic.push.CHUNK_VIDEOS", 4)
    monkeypatch.setattr("tasks.search.elastic.push.BACKOFF_S", 0.01)


@pytest.fixture
def proxy(search_server) -> Iterator[Proxy]:  # noqa: F811
    with proxied(search_server.url) as made:
        yield made


@pytest.fixture
def settings(proxy: Proxy, index_prefix: str) -> Settings:  # noqa: F811
    return Settings(elasticsearch_url=proxy.url, elasticsearch_prefix=index_prefix, elasticsearch_timeout_s=10)


@pytest.fixture
def syncer(lake: Lake, settings: Settings, search_server) -> Syncer:  # noqa: F811
    """Without the proxy, to look and to mend."""
    return Syncer.of(lake, settings.model_copy(update={"elasticsearch_url": search_server.url}))


def videos(lake: Lake, result, count: int, text: str = LONG, last: int = 0) -> None:
    made = [result(text, key=f"{n}.mp4", video_id=f"{n:020}", last_generation=last) for n in range(count)]
    commit(lake, made, run_id="r", device="cpu")


@pytest.fixture
def begun(lake: Lake, result, settings: Settings, proxy: Proxy) -> None:
    """An index in step with twenty videos, of which all have something new since."""
    videos(lake, result, 20)
    assert sync(lake, settings).outcome == "done"
    videos(lake, result, 20, text=LONG[: len(LONG) // 2], last=10**16)
    proxy.seen.clear()


def differences(syncer: Syncer) -> list[str]:
    index = live_index(syncer.client, syncer.names)
    assert index is not None
    return [difference.sentence() for difference in verify(syncer, index)]


def heals(lake: Lake, settings: Settings, syncer: Syncer, proxy: Proxy) -> None:
    """What the next sync makes of it, when the fault is over."""
    proxy.rule = lambda request: None
    proxy.refused_items = lambda id_: False
    assert sync(lake, settings).outcome == "done"
    assert differences(syncer) == []
    assert sync(lake, settings).videos == 0


# -- faults that pass: the sync tries again, and is done ----------------------------------------------------------------


@pytest.mark.parametrize("fault", ["429", "503", "hangup", "cut off", "429 on items"])
def test_a_fault_that_passes_is_tried_again_and_nothing_is_lost(fault, begun, lake, settings, syncer, proxy):
    refused: set[str] = set()

    def once(request: Request) -> Answer | None:
        if request.bulk in (2, 5):
            if fault in ("hangup", "cut off"):
                raise Hangup(after=fault == "cut off")
            if fault.isdigit():
                return Answer(int(fault), {"error": {"type": "busy", "reason": "try later"}})
        return None

    def item_once(id_: str) -> bool:
        again = id_ in refused or not id_.endswith((":0", "3"))
        refused.add(id_)
        return not again

    if fault == "429 on items":
        proxy.refused_items = item_once
    else:
        proxy.rule = once
    report = sync(lake, settings)
    assert (report.outcome, report.videos, report.failed) == ("done", 20, [])
    assert proxy.bulks > 10 or refused
    assert differences(syncer) == []


# -- faults that stay: the sync says so, and the next one heals ---------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503, 500, 413])
def test_a_server_that_takes_nothing_any_more_ends_the_sync_loudly(status, begun, lake, settings, syncer, proxy):
    proxy.rule = lambda request: Answer(status, {"error": {"type": "no"}}) if request.bulk > 3 else None
    with pytest.raises(SearchUnavailable, match=f"did not take the documents: {status}"):
        sync(lake, settings)
    assert differences(syncer)
    heals(lake, settings, syncer, proxy)


def test_a_connection_that_is_refused_at_the_start_or_midway(begun, lake, settings, syncer, proxy):
    nowhere = settings.model_copy(update={"elasticsearch_url": "http://127.0.0.1:9"})
    with pytest.raises(SearchUnavailable, match="did not answer"):
        sync(lake, nowhere)

    def gone(request: Request) -> None:
        if request.bulk > 2:
            raise Hangup

    proxy.rule = gone
    with pytest.raises(SearchUnavailable, match="did not answer to the documents"):
        sync(lake, settings)
    heals(lake, settings, syncer, proxy)


def test_items_that_stay_refused_are_in_the_ledger_by_video(begun, lake, settings, syncer, proxy):
    proxy.refused_items = lambda id_: id_.startswith(f"{7:020}")
    report = sync(lake, settings)
    assert (report.outcome, report.videos) == ("failed", 19)
    assert [failure["video_id"] for failure in report.failed] == [f"{7:020}"]
    assert "queue is full" in report.failed[0]["reason"]
    assert differences(syncer) == [d for d in differences(syncer) if f"{7:020}" in d]
    heals(lake, settings, syncer, proxy)


def test_a_response_that_is_always_cut_off(begun, lake, settings, syncer, proxy):
    def cut(request: Request) -> None:
        if request.bulk:
            raise Hangup(after=True)

    proxy.rule = cut
    with pytest.raises(SearchUnavailable, match="did not answer to the documents"):
        sync(lake, settings)
    heals(lake, settings, syncer, proxy)


def test_an_index_made_read_only_as_a_full_disk_does(begun, lake, settings, syncer, proxy):
    index = live_index(syncer.client, syncer.names)
    syncer.client.indices.put_settings(index=index, settings={"index.blocks.read_only_allow_delete": True})
    with pytest.raises(SearchUnavailable, match=r"takes no more documents: .*read-only"):
        sync(lake, settings)
    syncer.client.indices.put_settings(index=index, settings={"index.blocks.read_only_allow_delete": None})
    heals(lake, settings, syncer, proxy)


def test_a_field_that_the_mapping_has_otherwise(begun, lake, settings, syncer, proxy, monkeypatch):
    from tasks.search.elastic.documents import documents

    def wrong(connection, wanted):
        for video, whole, passages in documents(connection, wanted):
            yield video, whole, [{**p, "confidence": "sure"} if video.video_id[-1] == "5" else p for p in passages]

    monkeypatch.setattr("tasks.search.elastic.push.documents", wrong)
    report = sync(lake, settings)
    assert {failure["video_id"] for failure in report.failed} == {f"{5:020}", f"{15:020}"}
    assert "document_parsing_exception" in report.failed[0]["reason"]
    monkeypatch.setattr("tasks.search.elastic.push.documents", documents)
    heals(lake, settings, syncer, proxy)


@pytest.mark.parametrize("when", ["before", "midway"])
def test_an_index_that_somebody_deletes_is_made_anew_and_never_by_chance(when, begun, lake, settings, syncer, proxy):
    index = live_index(syncer.client, syncer.names)

    def delete(request: Request) -> None:
        if request.bulk == 3:
            syncer.client.indices.delete(index=index)

    if when == "before":
        syncer.client.indices.delete(index=index)
        assert sync(lake, settings).kind == "rebuild"
    else:
        proxy.rule = delete
        with pytest.raises(SearchUnavailable):
            sync(lake, settings)
        assert list(syncer.client.indices.get(index=f"{settings.elasticsearch_prefix}*")) == []
    heals(lake, settings, syncer, proxy)


# -- killed -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bulk", [1, 4, 9])
@pytest.mark.parametrize("rebuilding", [False, True])
def test_a_sync_that_is_killed_is_simply_run_again(bulk, rebuilding, begun, lake, settings, syncer, proxy, tmp_path):
    reached = threading.Event()

    def hold(request: Request) -> None:
        if request.bulk >= bulk:
            reached.set()
            time.sleep(0.3)

    proxy.rule = hold
    live = live_index(syncer.client, syncer.names)
    environment = command_environment(
        tmp_path,
        NIGHTSCRIBE_LAKE=lake.uri,
        NIGHTSCRIBE_ELASTICSEARCH_URL=proxy.url,
        NIGHTSCRIBE_ELASTICSEARCH_PREFIX=settings.elasticsearch_prefix,
    )
    code = "import tasks.search.elastic.push as p; p.CHUNK_VIDEOS = 4; from nightscribe.cli import run; run()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "sync", *(["--rebuild"] if rebuilding else [])], env=environment
    )
    assert reached.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert live_index(syncer.client, syncer.names) == live
    heals(lake, settings, syncer, proxy)


# -- a rebuild under live search ----------------------------------------------------------------------------------------


def test_a_search_sees_no_error_and_no_empty_answer_while_the_index_is_rebuilt(begun, lake, settings, syncer):
    sync(lake, settings)
    stop, found, engines = threading.Event(), set(), set()

    def look() -> None:
        while not stop.is_set():
            said = answer(settings, lake, "word7 word8", engine="elasticsearch")
            found.add(said["total_videos"])
            engines.add(said["engine"])

    searching = threading.Thread(target=look)
    searching.start()
    before = live_index(syncer.client, syncer.names)
    for _ in range(3):
        assert rebuild(syncer).outcome == "done"
    stop.set()
    searching.join()
    assert live_index(syncer.client, syncer.names) != before
    assert (found, engines) == ({20}, {"elasticsearch"})


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
def guarded(search_server, certificate: Path) -> Iterator[Proxy]:  # noqa: F811
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


def test_tls_is_checked_and_credentials_are_sent_and_never_shown(lake, say, guarded, certificate, index_prefix, caplog):  # noqa: F811
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
        {"elasticsearch_api_key": "right"},
        {"elasticsearch_user": "me", "elasticsearch_password": "secret"},
        {"elasticsearch_api_key": "right", "elasticsearch_ca": None, "elasticsearch_check_tls": False},
    ):
        right = Settings(**{**trusted.model_dump(exclude_unset=True), **more})
        assert sync(lake, right).outcome == "done"
        assert answer(right, lake, "hello")["engine"] == "elasticsearch"


@pytest.mark.parametrize(
    ("url", "said"),
    [("search.example", "is no address"), ("ftp://search.example", "is no address"), ("http://:9200", "is no address"),
     ("https://me:secret@search.example", "has a user in it"), ("http://search.example:port", "is no address")],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_without_repeating_it(lake, url, said):
    with pytest.raises(Misconfigured, match=said) as error:
        sync(lake, Settings(elasticsearch_url=url))
    assert "secret" not in f"{error.value} {error.value.next}"


# -- the commands -------------------------------------------------------------------------------------------------------


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nightscribe", *arguments], env=environment, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip


def test_the_commands_say_what_they_did_and_exit_accordingly(lake, result, settings, syncer, proxy, tmp_path):
    videos(lake, result, 3)
    environment = command_environment(
        tmp_path,
        NIGHTSCRIBE_LAKE=lake.uri,
        NIGHTSCRIBE_ELASTICSEARCH_URL=proxy.url,
        NIGHTSCRIBE_ELASTICSEARCH_PREFIX=settings.elasticsearch_prefix,
    )
    first = run(environment, "sync")
    assert (first.returncode, first.stdout) == (
        0, "3 videos with 12 passages sent, 0 passages removed, 0 were up to date.\n"
    )  # fmt: skip
    assert "There was no index yet." in first.stderr
    assert run(environment, "sync", "--verify").stdout == "The index has what the lake has.\n"
    index = live_index(syncer.client, syncer.names)
    syncer.client.delete(index=index, id=f"{1:020}:1", refresh=True)
    broken = run(environment, "sync", "--verify", "--json")
    assert broken.returncode == 1
    assert [difference["video_id"] for difference in json.loads(broken.stdout)["differences"]] == [f"{1:020}"]
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
