"""No secret of the environment reaches a log, a row, a report or a file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPO, command_environment
from pydantic import SecretStr

from tasks.errors import Misconfigured
from tasks.lake.store import Lake
from tasks.settings import Settings
from tasks.sources.bucket import open_bucket

SECRETS = {
    "NIGHTSCRIBE_ELASTICSEARCH_API_KEY": "kept-close-1a2b3c",
    "AWS_SECRET_ACCESS_KEY": "kept-close-4d5e6f",
    "AWS_SESSION_TOKEN": "kept-close-7a8b9c",
    "HF_TOKEN": "hf_keptclose0d1e2f",
}


def test_settings_that_are_secrets_are_typed_so_and_never_shown():
    names = [n for n in Settings.model_fields if re.search(r"key|password|token|secret", n) and n != "token_min_logp"]
    assert {"elasticsearch_api_key", "elasticsearch_password"} <= set(names)
    for name in names:
        assert "SecretStr" in str(Settings.model_fields[name].annotation), name
        settings = Settings(**{name: SecretStr("kept-close")})
        assert "kept-close" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    "uri", ["s3://me:word@archive/talks", "sftp://me:word@host/talks", "az://archive/talks?sv=1&sig=word@"]
)
def test_an_address_with_a_password_is_refused_without_repeating_it(uri):
    for opened in (lambda: Lake(uri), lambda: open_bucket(uri, Settings())):
        with pytest.raises(Misconfigured) as caught:
            opened()
        assert "word@" not in f"{caught.value} {caught.value.next}"
    Lake("abfs://container@account.dfs.core.windows.net/lake")  # a name, and no password


def test_a_run_writes_no_secret_anywhere(tmp_path):
    """With everything said, and a video that fails; tests of Elasticsearch have its own."""
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "not a video.mp4").write_text("text")
    environment = command_environment(tmp_path, PREFECT_API_URL=None, **SECRETS)
    command = [sys.executable, "-m", "nightscribe", "-v", "index", str(bucket), "--json"]
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert '"reason": "not_media"' in done.stdout
    said = (done.stdout + done.stderr).encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("prefect" in path.parts for path in files)
    for secret in SECRETS.values():
        assert secret.encode() not in said
        assert [path for path in files if secret.encode() in Path(path).read_bytes()] == []
