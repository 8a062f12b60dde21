"""`nightscribe backfill`."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

import click

from nightscribe.cli import print_json
from nightscribe.common import console, json_option, lake_option, settings_from, stages_options


@click.command("backfill")
@click.argument("bucket")
@lake_option
@click.option("--models", metavar="SET", help="Model set of the catalogue, or a folder with a CTC model.")
@click.option("--plan", is_flag=True, help="Say what it would mean, and do nothing.")
@click.option("--yes", is_flag=True, help="Begin without asking.")
@click.option("--order", type=click.Choice(["newest", "oldest", "key"]), default="newest", show_default=True)
@click.option("--prefix", default="", metavar="TEXT", help="Only keys that begin so.")
@click.option("--since", type=click.DateTime(), help="Only objects written at this time or later (UTC).")
@click.option("--until", type=click.DateTime(), help="Only objects written before this time (UTC).")
@click.option("--slice-hours", type=click.FloatRange(min=0, min_open=True), help="Media hours of a slice.")
@click.option("--at-once", type=click.IntRange(min=1), help="At most so many slices at a time; default all workers.")
@click.option("--retry-failed", is_flag=True, help="Also videos that failed before.")
@click.option("--refresh", is_flag=True, help="Also videos made by an older recipe.")
@stages_options
@click.option("--no-sync", is_flag=True, help="Leave Elasticsearch as it is; nightscribe sync brings it up later.")
@click.option("--call-off", is_flag=True, help="End a backfill under way; what is done stays.")
@json_option
def command(bucket: str, lake: str | None, models: str | None, plan: bool, at_once: int | None, call_off: bool,
            as_json: bool, **options: Any) -> int:  # fmt: skip
    """Index all of BUCKET in slices that the workers of the pool share. Says first what it will take.

    A backfill of this bucket that is under way is gone on with, as it was planned. Stop this command and start it again
    at will: workers go on meanwhile, but a slice whose worker died waits for it. With --at-once, workers end what they
    have and get no more until it is started again.

    \b
    Exit code 0: all done. 1: some videos failed or slices were given up.
    Example:
      nightscribe backfill s3://archive/talks --plan
    """
    from nightscribe.prefect_env import server_that_is_set
    from tasks.lake.claims import claim_name, claimed
    from tasks.lake.store import Lake
    from tasks.runs.backfill.state import find
    from tasks.sources.bucket import open_bucket

    settings = settings_from(lake=lake, models=models)
    kept = Lake(settings.lake)
    kept.check_version()
    bucket_id = open_bucket(bucket, settings).bucket_id
    job = find(kept, bucket_id) if kept.exists() else None
    if plan or (job is None and not call_off):
        session, slices, planned = _planned(bucket, settings, options, create=not plan)
        if plan or not slices:
            _say_plan(session, slices, planned, as_json=as_json, begin=False)
            return 0
        _say_plan(session, slices, planned, as_json=False, begin=True)
        if not options["yes"] and sys.stdin.isatty():
            click.confirm("Begin?", abort=True, err=True)
    with server_that_is_set():
        from flows.fleet import PrefectFleet

        if call_off:
            return _call_off(job, settings)
        PrefectFleet(kept.uri, "")  # says what is missing before anything is written
        # One call at a time for a bucket: two would plan the same videos into slices of their own.
        with claimed(kept, claim_name("backfill", bucket_id), silence_s=settings.silence_s):
            job = job or find(kept, bucket_id)
            if job is None:
                from tasks.runs.backfill.state import begin

                kept_options = {name: options[name] for name in ("retry_failed", "refresh", "stages", "only")}
                job = begin(session, slices, options=kept_options, estimate=planned.as_json()["estimate"])
            else:
                print(f"Going on with the backfill {job.id}.", file=sys.stderr)
            fleet = PrefectFleet(kept.uri, job.id)
            fleet.lift_limit()
            return _see_it_done(job, fleet, settings, at_once, sync=not options["no_sync"], as_json=as_json)


def _planned(bucket: str, settings: Any, options: dict[str, Any], *, create: bool) -> tuple[Any, list[Any], Any]:
    from tasks.lake.views import connect
    from tasks.runs.backfill.plan import between, cut, lengths, ordered
    from tasks.runs.plan import make_plan
    from tasks.runs.session import open_session

    asked = {name: options[name] for name in ("retry_failed", "refresh", "stages", "only")}
    session = open_session(bucket, settings, create=create, **asked)
    since, until = (options[name] and options[name].replace(tzinfo=UTC) for name in ("since", "until"))
    wanted = between(session.work, prefix=options["prefix"], since=since, until=until)
    due, session.work = len(session.work), ordered(wanted, options["order"])
    if due and not session.work:
        session.report.warnings.append(f"Due: {due} video{'s' * (due != 1)}, and none of this prefix and time.")
    planned = make_plan(session)
    connection = connect(session.lake, lean=True, history=False) if session.lake.exists() else None
    seconds = lengths(session.work, planned.media_hours, connection)
    return session, cut(session.work, seconds, options["slice_hours"]), planned


def _say_plan(session: Any, slices: list[Any], planned: Any, *, as_json: bool, begin: bool) -> None:
    for warning in session.report.warnings:
        print(warning, file=sys.stderr)
    hours = [part.media_s / 3600 for part in slices]
    if as_json:
        found = {"slices": [{"videos": len(s.work), "media_hours": round(s.media_s / 3600, 4)} for s in slices]}
        listed = {name: session.report.as_json()[name] for name in ("listed", "scanned", "left_out", "warnings")}
        print_json({**planned.as_json(), **found, **listed})
        return
    cut_into = [f"Slices: {len(slices)}, of about {sum(hours) / len(slices):.2f} hours of media."] if slices else []
    print(planned.text(*cut_into, notes=session.report.notes, begins=begin), file=sys.stderr if begin else sys.stdout)


def _call_off(job: Any, settings: Any) -> int:
    from flows.fleet import PrefectFleet
    from tasks.lake.notes import Notes
    from tasks.runs.backfill.drive import Judge, see_off
    from tasks.runs.backfill.state import FOLDER, HEADER

    if job is None:
        print("No backfill of this bucket is under way.")
        return 0
    fleet = PrefectFleet(job.lake.uri, job.id)
    # Before its runs are cancelled: a call that still watches them would hand them out again. The claims tell who lives.
    Notes(job.lake, f"{FOLDER}/{job.id}").remove(HEADER)
    try:
        n = fleet.call_off()
        print(f"The backfill {job.id} is called off; {n} slices were not begun. Those under way come to their end.")
        sys.stdout.flush()
        if dead := see_off(job, fleet, Judge(settings.silence_s, 1), range(len(job.slices))):
            print(f"{dead} were in the hands of dead workers, and end here.")
    finally:
        job.clear()
    return 0


def _see_it_done(job: Any, fleet: Any, settings: Any, at_once: int | None, *, sync: bool, as_json: bool) -> int:
    from nightscribe.progress import counting
    from tasks.runs.backfill.drive import drive
    from tasks.runs.backfill.report import keep, report_of, sentence

    started = time.monotonic()
    with counting("backfill", timed=False) as show:
        lost = drive(job, fleet, silence_s=settings.silence_s, tries=settings.slice_tries, at_once=at_once, show=show)
    # By the clock of its beginning, where this is not the first call for it.
    begun = datetime.fromtimestamp(job.header["created_ms"] / 1000, UTC)
    report = report_of(
        job, seconds=max(time.monotonic() - started, (datetime.now(UTC) - begun).total_seconds()), lost=lost
    )
    if not lost:  # else the next call tries again
        keep(job, report)
        job.clear()
    _sync(settings, wanted=sync)
    if as_json:
        print_json(report)
    else:
        for failure in report["failures"]:
            print(f"  failed  {failure['key']}: {failure['reason']}: {failure['error']}", file=sys.stderr)
        for given_up in report["given_up"]:
            print(f"  slice {given_up['slice']} was given up: {given_up['error']}", file=sys.stderr)
        if lost:
            print("The same command tries the slices that were given up again.", file=sys.stderr)
        console().print(sentence(report, settings.currency), markup=False)
    return 1 if report["failed"] or report["left"] or lost else 0


def _sync(settings: Any, *, wanted: bool) -> None:
    """Elasticsearch once for all slices; what it cannot take now, the next sync brings."""
    if not settings.elasticsearch_url:
        return
    if not wanted:
        print("Elasticsearch was left as it is (--no-sync). Then run: nightscribe sync", file=sys.stderr)
        return
    from tasks.errors import NightscribeError
    from tasks.search.elastic.sync import sync_lake

    try:
        done = sync_lake(settings.lake, settings)
        if done["outcome"] != "done":
            print(f"Search is behind the lake: {done['shortfall']} See: nightscribe sync", file=sys.stderr)
    except NightscribeError as error:
        print(f"Search is behind the lake: {error} Then run: nightscribe sync", file=sys.stderr)
