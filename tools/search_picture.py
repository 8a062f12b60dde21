"""The picture in the README: a real search in the lake of `make demo`, as the terminal shows it.

.venv/bin/python tools/search_picture.py "central bank" > docs/search.svg
"""

from __future__ import annotations

import re
import sys

from rich.console import Console

import nightscribe.commands.search as search_command
from tasks.lake.store import Lake
from tasks.search.answer import answer
from tasks.settings import Settings


def main() -> None:
    text = " ".join(sys.argv[1:])
    found = answer(Settings(), Lake("data/lake"), text, engine="duckdb", limit=3)
    console = Console(record=True, width=96, file=sys.stderr, force_terminal=True)
    console.print(f"[green]$[/green] nightscribe search {text!r}".replace("'", '"'), highlight=False)
    search_command.show(found, console)
    # rich names web fonts; a picture in a repository should load nothing.
    print(re.sub(r"@font-face\s*\{.*?\}\s*", "", console.export_svg(title="nightscribe"), flags=re.S))


if __name__ == "__main__":
    main()
