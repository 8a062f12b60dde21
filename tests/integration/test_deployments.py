"""The deployments of prefect.yaml: the file itself, and on a real server with real workers."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import prefect as prefect_package
import pytest
import yaml
from conftest import REPO
from prefect_server import kill
from search_server.syncs import differences, index_prefix, search_client, search_server, settings, syncer  # noqa: F401

from tasks.lake.claims import held
from tasks.lake.store import Lake
from tasks.lake.views import connect

FILE = yaml.safe_load((REPO / "prefect.yaml").read_text(encoding="utf-8"))
NAMES = ["nightly", "backfill", "sync", "maintain"]


def keys_of(model: type) -> set[str]:
    return set(model.model_fields) | {field.alias for field in model.model_fields.values() if field.alias}


def unknown_keys(file: dict[str, Any]) -> set[str]:
    # Prefect leaves out what it does not know without a word.
    from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel, RawScheduleConfig, WorkPoolConfig

    unknown = file.keys() - keys_of(PrefectYamlModel)
    for deployment in file["deployments"]:
        unknown |= deployment.keys() - keys_of(DeploymentConfig)
        unknown |= deployment["work_pool"].keys() - keys_of(WorkPoolConfig)
        for schedule in deployment.get("schedules", ()):
            unknown |= schedule.keys() - keys_of(RawScheduleConfig)
    return unknown


def test_prefect_knows_every_key_of_the_file():
    assert unknown_keys(FILE) == {"definitions"}  # an anchor of YAML
    for deployment in FILE["deployments"]:
        for schedule in deployment.get("schedules", ()):
            ZoneInfo(schedule["timezone"])


@pytest.mark.parametrize("where", ["", "deployment", "work_pool", "schedule"])
def test_a_key_that_prefect_does_not_know_is_found(where):
    file = copy.deepcopy(FILE)
    nightly = file["deployments"][0]
    places = {"": file, "deployment": nightly, "work_pool": nightly["work_pool"], "schedule": nightly["schedules"][0]}
    places[where]["made_up"] = 1
    assert unknown_keys(file) == {"definitions", "made_up"}


def test_every_entry_point_is_a_flow_and_takes_its_parameters():
    assert [deployment["name"] for deployment in FILE["deployments"]] == NAMES
    for deployment in FILE["deployments"]:
        path, name = deployment["entrypoint"].split(":")
        spec = importlib.util.spec_from_file_location(f"deployed_{name}", REPO / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        flow = getattr(module, name)
        assert flow.name == deployment["name"] == name
        signature = inspect.signature(flow.fn)
        signature.bind_partial(**deployment.get("parameters", {}))
        if deployment.get("schedules"):  # nobody is there to give it one
            signature.bind(**deployment.get("parameters", {}))


def test_prefect_knows_every_field_of_the_pool_of_pods():
    found = json.loads((REPO / "kubernetes/pool.json").read_text(encoding="utf-8"))
    views = Path(prefect_package.__file__).parent / "server/api/collections_data/views/aggregate-worker-metadata.json"
    known = json.loads(views.read_text(encoding="utf-8"))["prefect-kubernetes"]["kubernetes"]
    job = known["default_base_job_configuration"]["job_configuration"]
    assert found["job_configuration"].keys() <= job.keys()
    ours, theirs = (c["job_manifest"]["spec"]["template"]["spec"] for c in (found["job_configuration"], job))
    assert theirs.keys() <= ours.keys(), "Prefect's worker refuses a job that lacks one"
    assert ours["containers"][0]["name"] == theirs["containers"][0]["name"]
    placeholders = set(re.findall(r"{{ (\w+) }}", json.dumps(found)))
    assert placeholders == found["variables"]["properties"].keys()
    assert FILE["definitions"]["pool"]["job_variables"].keys() <= placeholders


def test_the_worker_of_the_cluster_is_one_of_our_pool():
    parts = list(yaml.safe_load_all((REPO / "kubernetes/worker.yaml").read_text(encoding="utf-8")))
    assert [part["kind"] for part in parts] == ["ServiceAccount", "ServiceAccount", "Role", "RoleBinding", "Deployment"]
    pod = parts[-1]["spec"]["template"]["spec"]
    pool = FILE["definitions"]["pool"]["name"]
    assert pod["containers"][0]["command"][:5] == ["prefect", "worker", "start", "--pool", pool]
    assert pod["serviceAccountName"] == parts[3]["subjects"][0]["name"] == parts[3]["roleRef"]["name"]


def test_the_parameters_of_a_slice_are_those_that_the_command_hands_out():
    from flows.backfill import backfill

    inspect.signature(backfill.fn).bind(lake="x", backfill="y", slice=1, attempt=2)


def test_without_a_server_setup_and_backfill_say_what_to_start(tmp_path, bucket, monkeypatch):
    from nightscribe.prefect_env import server_that_is_set
    from tasks.errors import NotSetUp, OrchestrationUnavailable

    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(NotSetUp) as caught, server_that_is_set():
        pass
    assert "prefect server start" in caught.value.next
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(OrchestrationUnavailable, match="does not answer"), server_that_is_set():
        pass


def test_an_address_of_the_server_with_a_password_is_refused_and_not_said(tmp_path, monkeypatch):
    from nightscribe.prefect_env import orchestration, server_that_is_set
    from tasks.errors import Misconfigured

    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", "http://me:word@127.0.0.1:9/api")
    for context in (server_that_is_set(), orchestration(lambda: None)):
        with pytest.raises(Misconfigured, match="has a password in it") as caught, context:
            pass
        assert "word@" not in f"{caught.value} {caught.value.next}"


def test_setup_again_changes_nothing_and_scheduled_runs_appear(prefect):
    assert prefect.first["done"]["pool nightscribe"] == "made, of type process"
    (slices,) = prefect.ask("/deployments/filter", {"deployments": {"name": {"any_": ["backfill"]}}})
    old = [{"schedule": {"cron": "0 3 * * *", "timezone": "Etc/UTC"}}]  # as of a file that had one
    prefect.ask(f"/deployments/{slices['id']}/schedules", old)
    other = prefect.command("setup", "--pool-type", "docker", "--json")
    assert (other.returncode, json.loads(other.stdout)["error"]["code"]) == (2, "misconfigured")
    again = json.loads(prefect.command("setup", "--json").stdout)
    assert again["deployments"]["nightly"] == "0 1 * * * Etc/UTC"
    assert set(again["done"].values()) == {"there", "there, of type process"}
    deployed = {d["name"]: d for d in prefect.ask("/deployments/filter")}
    assert sorted(deployed) == sorted(NAMES)
    assert [len(deployed[name]["schedules"]) for name in NAMES] == [1, 0, 1, 1]
    assert [deployed[name]["work_queue_name"] for name in NAMES] == ["nightly", "backfill", "default", "default"]
    queues = {q["name"]: q["priority"] for q in prefect.ask("/work_pools/nightscribe/queues/filter")}
    assert queues == {"nightly": 1, "default": 2, "backfill": 3}
    limit = time.monotonic() + 60
    wanted = {"deployments": {"name": {"any_": ["nightly"]}}}
    planned: list[dict] = []  # by the schedule: other tests begin runs of it too
    while not planned and time.monotonic() < limit:
        time.sleep(0.5)
        planned = [run for run in prefect.ask("/flow_runs/filter", wanted) if run["auto_scheduled"]]
    assert {datetime.fromisoformat(run["expected_start_time"]).strftime("%H:%M") for run in planned} == {"01:00"}


@pytest.mark.long
def test_a_worker_that_died_does_not_cost_the_next_night(prefect, bucket, tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    own = {"NIGHTSCRIBE_BUCKET": str(bucket), "NIGHTSCRIBE_LAKE": lake.uri, "NIGHTSCRIBE_BATCH_VIDEOS": "1"}
    worker = prefect.worker("one", **own)
    night = prefect.start_run("nightly")
    limit = time.monotonic() + 90
    while not (lake.exists() and connect(lake).execute("SELECT count(*) FROM videos").fetchone()[0]):
        assert time.monotonic() < limit, prefect.log("one")
        time.sleep(0.1)
    kill(worker)
    assert prefect.state_of(night)["type"] == "RUNNING", "Prefect does not know"

    worker = prefect.worker("two", **own)
    again, care = prefect.start_run("nightly"), prefect.start_run("maintain")
    assert prefect.wait_for(again, "COMPLETED", "FAILED", "CRASHED", seconds=150)["name"] == "Completed"
    assert sum(n for _, n in connect(lake).execute("SELECT status, count(*) FROM videos GROUP BY ALL").fetchall()) == 4
    assert {held(lake, path.name).done for path in (tmp_path / "lake" / "_claims").glob("nightly-*")} == {True}
    assert prefect.wait_for(care, "COMPLETED", "FAILED", "CRASHED")["name"] == "Completed"
    kill(worker)


@pytest.mark.long
def test_a_worker_runs_the_deployment_that_syncs(prefect, lake, say, settings, syncer):
    say("hello there")
    worker = prefect.worker(
        "syncing",
        NIGHTSCRIBE_LAKE=lake.uri,
        NIGHTSCRIBE_ELASTICSEARCH_URL=settings.elasticsearch_url or "",
        NIGHTSCRIBE_ELASTICSEARCH_PREFIX=settings.elasticsearch_prefix,
    )
    run = prefect.start_run("sync")
    assert prefect.wait_for(run, "COMPLETED", "FAILED", "CRASHED")["name"] == "Completed"
    kill(worker)
    assert differences(syncer) == []
