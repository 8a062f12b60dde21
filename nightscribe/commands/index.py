"""`nightscribe index`."""

from __future__ import annotations

import sys
from typing import Any

import click

from nightscribe.cli import do_not_wait_for_prefect, print_json
from nightscribe.common import console, json_option, lake_option, settings_from, stages_options


@click.command("index")
@click.argument("bucket")
@lake_option
@click.option("--models", metavar="SET", help="Model set of the catalogue, or a folder with a CTC model.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many videos in this run.")
@click.option("--plan", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--retry-failed", is_flag=True, help="Also videos that failed before.")
@click.option("--refresh", is_flag=True, help="Also videos made by an older recipe.")
@stages_options
@click.option(
    "--remember",
    multiple=True,
    metavar="VIDEO",
    help="Also this video, by id or key, that was forgotten; may be repeated.",
)
@click.option(
    "--include", multiple=True, metavar="PATTERN", help="Only these: a key, a folder or a glob; may be repeated."
)
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Not these, likewise; may be repeated.")
@click.option("--subtitles", metavar="DIR|beside", help="Write WebVTT for each indexed video, into DIR or beside it.")
@click.option("--no-sync", is_flag=True, help="Leave Elasticsearch as it is; nightscribe sync brings it up later.")
@json_option
def command(
    bucket: str,
    lake: str | None,
    models: str | None,
    limit: int | None,
    plan: bool,
    retry_failed: bool,
    refresh: bool,
    stages: tuple[str, ...],
    only: bool,
    remember: tuple[str, ...],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    subtitles: str | None,
    no_sync: bool,
    as_json: bool,
) -> int:
    """Scan BUCKET (a folder or URI) and index what is new, changed or due again.

    \b
    Exit code 0: all done. 1: some videos failed (each has a row that says why).
    Example:
      nightscribe index s3://archive/talks --limit 100
    """
    from tasks.runs.session import open_session

    settings = settings_from(lake=lake, models=models, include=include or None, exclude=exclude or None)
    session = open_session(
        bucket,
        settings,
        limit=limit,
        retry_failed=retry_failed,
        refresh=refresh,
        stages=stages,
        only=only,
        remember=remember,
        create=not plan,
        sync=not no_sync,
    )
    for warning in session.scan.warnings:
        print(warning, file=sys.stderr)
    if plan:
        from tasks.runs.plan import make_plan

        made, planned = make_plan(session), session.report
        if as_json:
            print_json({**planned.as_json(plan=True), **made.as_json()})
        else:
            print(made.text(notes=planned.notes))
        return 0
    if session.has_work:
        _run(session, bucket)
    else:
        session.close("done")
        session.let_search_follow(_sync)  # an earlier run may have left something
    report = session.report
    if subtitles and (session.has_work or subtitles == "beside"):  # where files may have an earlier name
        _write_subtitles(session, subtitles)
    if as_json:
        print_json(report.as_json())
    else:
        _show(report, settings)
    return report.exit_code


def _run(session: Any, bucket: str) -> None:
    from nightscribe.prefect_env import orchestration
    from nightscribe.progress import following
    from nightscribe.temporary_server import answers

    with orchestration(meanwhile=session.warm_up) as server:
        from flows.index import run_session

        try:
            with following(session):
                run_session(session, bucket)
        finally:
            if not answers(server, timeout=5):
                do_not_wait_for_prefect()


def _sync(lake: str, settings: Any) -> dict[str, Any]:
    from tasks.search.elastic.sync import sync_lake

    return sync_lake(lake, settings)


def _show(report: Any, settings: Any) -> None:
    for failure in report.failures:
        where = f", {failure['stage']}" if failure["stage"] else ""
        print(f"  failed  {failure['key']!s}{where}: {failure['reason']}: {failure['error']}", file=sys.stderr)
    for warning in [*report.warnings, *report.notes]:
        print(f"  note    {warning}", file=sys.stderr)
    console().print(report.sentence(), markup=False)


def _write_subtitles(session: Any, where: str) -> None:
    from tasks.subtitles.files import write_subtitles

    done = write_subtitles(
        session.lake,
        folder=None if where == "beside" else where,
        format="vtt",
        settings=session.settings,
        run_id=session.run_id,
    )
    for item in done["skipped"]:
        print(f"  note    {item['key']}: no subtitles written, {item['reason']}", file=sys.stderr)
    for item in done["notes"]:
        print(f"  note    {item['key']}: {item['reason']}", file=sys.stderr)
