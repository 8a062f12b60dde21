"""The picture in the README: a real search in the lake of `make demo`, as the terminal shows it.

.venv/bin/python tools/search_picture.py "central bank" > docs/search.svg
"""

from __future__ import annotations

import re
import sys

from rich.console import Console

import nightscribe.commands.search as search_command
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.search.duck import search
from tasks.search.query import Query, query_words


def main() -> None:
    text = " ".join(sys.argv[1:])
    answer = search(connect(Lake("data/lake")), Query(text, query_words(text), limit=3))
    console = Console(record=True, width=96, file=sys.stderr, force_terminal=True)
    console.print(f"[green]$[/green] nightscribe search {text!r}".replace("'", '"'), highlight=False)
    search_command.show(answer, console)
    # rich names web fonts; a picture in a repository should load nothing.
    print(re.sub(r"@font-face\s*\{.*?\}\s*", "", console.export_svg(title="nightscribe"), flags=re.S))


if __name__ == "__main__":
    main()
