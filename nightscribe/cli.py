"""The command line. Each command is a module, imported when it is asked for: `--help` must not wait for torch."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

COMMANDS = {
    "index": "Scan a bucket and index what is new (the main job).",
    "backfill": "Index a whole archive in slices that many machines share.",
    "setup": "Make work pool, queues and deployments on a Prefect server.",
    "search": "Find words or a phrase: which video, and when exactly.",
    "serve": "Open the archive in the browser: search, watch, analytics.",
    "sync": "Keep Elasticsearch in step with the lake; rebuild, verify, repair.",
    "sql": "Ask DuckDB over the lake's tables.",
    "status": "What is indexed, failed, stale and due; the last runs.",
    "subtitles": "Write WebVTT or SubRip files.",
    "forget": "Remove videos for good, with a certificate.",
    "maintain": "Compact the lake, expire old generations, sweep, check.",
    "train": "Fit the speech model, the language model or the topics to an archive.",
    "evaluate": "How good a model is, on clips or texts whose truth is known.",
    "compare": "What a new model changed, word by word.",
    "bench": "Measure this machine: the figures of docs/figures.md.",
    "models": "List the model sets; fetch one for offline use.",
}


_waits_for_prefect = True


class LazyGroup(click.Group):
    """Knows its commands by name and imports one, a module of `package`, only to run it."""

    def __init__(self, *args: Any, package: str, named: dict[str, str], **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.package, self.named = package, named

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.named)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.named:
            return None
        module = importlib.import_module(f"{self.package}.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.named.items()))


@click.group(
    cls=LazyGroup,
    package="nightscribe.commands",
    named=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="nightscribe")
@click.option("-v", "--verbose", is_flag=True, help="Say more of what is done.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings.")
def main(verbose: bool, quiet: bool) -> None:
    """Nightscribe makes every spoken word of a video archive findable.

    \b
    Example:
      nightscribe index ~/videos
      nightscribe search "interest rates"
    """
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("nightscribe").setLevel(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)


def run(arguments: Sequence[str] | None = None) -> None:
    """Entry point: every error of ours becomes a sentence and an exit code, never a traceback."""
    from tasks.errors import Misconfigured, NightscribeError, Unexpected

    given = list(sys.argv[1:] if arguments is None else arguments)
    stdout = sys.stdout
    try:
        code = main.main(given, prog_name="nightscribe", standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        if "--json" in given:
            path = context.command_path if context else "nightscribe"
            say_error("usage", error.format_message(), f"{path} --help", as_json=True)
        else:
            error.show()
        code = 2
    except NightscribeError as error:
        say_error(error.code, str(error), error.next, as_json="--json" in given)
        code = 2 if isinstance(error, Misconfigured) else 1
    except (BrokenPipeError, SystemExit) as error:
        # Of a reader that closed the pipe rich makes a SystemExit, and click one after it has wrapped stdout.
        piped = isinstance(error.__context__, BrokenPipeError) or sys.stdout is not stdout
        if isinstance(error, SystemExit) and not piped:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
        code = 0
    except (KeyboardInterrupt, click.Abort):
        print("Interrupted. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        code = 130
    except BaseException as error:
        # delta-rs reports faults of its own as a PanicException, which is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        from tasks.lake.views import damage

        logging.getLogger("nightscribe").debug("Unexpected:", exc_info=True)
        damaged = damage(error)
        said = damaged or Unexpected.of(error)
        say_error(said.code, str(said), said.next, as_json="--json" in given)
        code = 2 if damaged else 1
    _leave(code if isinstance(code, int) else 0)


def do_not_wait_for_prefect() -> None:
    """Say that the server of this run is gone.

    Prefect's threads hold what it was not told, and Python waits for them at the end: minutes of asking again.
    """
    global _waits_for_prefect
    _waits_for_prefect = False


def _leave(code: int) -> None:
    if _waits_for_prefect:
        sys.exit(code)
    try:
        with contextlib.suppress(OSError):  # a reader that has gone
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        os._exit(code)


def say_error(code: str, message: str, following: str, *, as_json: bool) -> None:
    """One error for people on stderr, or for programs on stdout."""
    if as_json:
        print_json({"error": {"code": code, "message": message, "next": following}})
        return
    print(f"Error: {message}" + (f"\n{following}" if following else ""), file=sys.stderr)


def print_json(document: Any) -> None:
    """One JSON document and nothing else on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n")


if __name__ == "__main__":
    run()
