"""What is installed is pinned: packages by hash, images and Maven's packages by version. Needs no network."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ET

import pytest
import yaml
from conftest import REPO

LOCKS = sorted(REPO.glob("requirements*.lock"))
SPARK = REPO / "requirements-spark.lock"  # holds no more than Spark


def locked(path) -> dict[str, str]:
    """Each requirement of a lock with its lines."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return {re.split(r"[=<>@ ;]", line, maxsplit=1)[0]: line for line in lines}


def test_there_are_locks():
    assert [path.name for path in LOCKS] == [
        "requirements-demo.lock",
        "requirements-image.lock",
        "requirements-spark.lock",
        "requirements-test.lock",
        "requirements.lock",
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_is_one_version_with_hashes_and_from_the_registry(lock):
    for name, line in locked(lock).items():
        first, *hashes = line.split("--hash=")
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.!+-]+", first), first
        assert hashes, name
        assert all(re.match(r"sha256:[0-9a-f]{64}", one) for one in hashes), name
        assert "://" not in line, f"{name} comes from an address of its own"


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock != SPARK], ids=lambda path: path.name)
def test_what_the_project_asks_for_is_locked(lock):
    wanted = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[\[<>=! ;]", item, maxsplit=1)[0].lower() for item in wanted}
    assert names <= {name.split("[")[0] for name in locked(lock)}


def test_all_locks_have_the_same_versions():
    plain, *others = (
        {name: line.partition(" ")[0] for name, line in locked(REPO / f"requirements{which}.lock").items()}
        for which in ("", "-test", "-image")
    )
    for other in others:
        assert plain.items() <= other.items()
    spark = {name: line.partition(" ")[0] for name, line in locked(SPARK).items()}
    assert {name for name in plain.keys() & spark.keys() if plain[name] != spark[name]} == set()


def test_images_have_a_version():
    for name, service in yaml.safe_load((REPO / "compose.yaml").read_text(encoding="utf-8"))["services"].items():
        tag = service["image"].partition(":")[2]
        assert re.match(r"\d+\.\d+", tag), name
    bases = re.findall(r"^FROM (\S+)", (REPO / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert bases
    assert all(re.search(r":\d+\.\d+", base) for base in bases)


def test_what_maven_builds_has_a_version():
    for element in ET.parse(REPO / "tests/search_server/pom.xml").iter():
        if element.tag.endswith("}dependency"):
            version = next((child.text for child in element if child.tag.endswith("}version")), None)
            assert version, ET.tostring(element)
            assert "SNAPSHOT" not in version
            assert "LATEST" not in version
