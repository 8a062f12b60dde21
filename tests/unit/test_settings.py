"""Which of the places that may name a setting is heard."""

from __future__ import annotations

import pytest

from tasks.errors import Misconfigured
from tasks.search.elastic.connection import Connection
from tasks.settings import Settings

OURS, SHARED = "NIGHTSCRIBE_ELASTICSEARCH_URL", "ELASTICSEARCH_URL"


@pytest.mark.parametrize(
    ("ours", "file", "shared", "taken"),
    [
        (None, None, None, None),
        (None, None, "http://shared:9200", "http://shared:9200"),
        (None, "http://file:9200", "http://shared:9200", "http://file:9200"),
        ("http://ours:9200", "http://file:9200", "http://shared:9200", "http://ours:9200"),
        ("http://ours:9200", None, "http://shared:9200", "http://ours:9200"),
        (None, None, "", None),
        (None, None, "  ", None),
        (None, "", "http://shared:9200", None),
        ("", "http://file:9200", "http://shared:9200", None),
    ],
)
def test_the_address_of_elasticsearch_is_ours_then_the_files_then_the_one_others_share(
    ours, file, shared, taken, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    for name, value in ((OURS, ours), (SHARED, shared)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    if file is not None:
        (tmp_path / "nightscribe.toml").write_text(f'elasticsearch_url = "{file}"\n')
    assert Settings().elasticsearch_url == taken
    assert Settings(elasticsearch_url="http://flag:9200").elasticsearch_url == "http://flag:9200"


def test_an_address_with_a_password_says_where_it_is_from_and_how_to_do_without(monkeypatch):
    monkeypatch.delenv(OURS)
    monkeypatch.setenv(SHARED, "https://me:secret@search.example")
    with pytest.raises(Misconfigured) as refused:
        Connection.of(Settings())
    assert str(refused.value).startswith("elasticsearch_url (from ELASTICSEARCH_URL) has a user in it")
    assert "NIGHTSCRIBE_ELASTICSEARCH_URL" in refused.value.next
    assert "secret" not in f"{refused.value} {refused.value.next}"
