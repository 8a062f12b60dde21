"""What a training run leaves for people: a card, the curves, and their table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any


def card(name: str, what: str, made: Mapping[str, str], options: Mapping[str, Any], problems: Sequence[str]) -> str:
    """A model card in Markdown; `nightscribe evaluate --card` adds its tables at the end."""
    lines = [f"# {name}", "", what, ""]
    lines += [f"- **{key}**: {value}" for key, value in made.items()]
    if problems:
        lines += ["", "Left out of the data:", "", *(f"- {problem}" for problem in problems)]
    if options:
        lines += ["", "Settings:", "", *(f"    {key} = {value}" for key, value in options.items())]
    return "\n".join(lines) + "\n"


def evaluations(text: str) -> str:
    """The tables that `nightscribe evaluate --card` put into a card."""
    found = re.finditer(_marked(r"(?P<name>.+?)", r"(?P=name)"), text, re.S)
    return "".join(f"\n{match.group(0)}\n" for match in found)


def with_evaluation(text: str, name: str, table: str) -> str:
    """A card with `table` between its markers for `name`, or at its end."""
    block = f"<!-- evaluate {name} -->\n{table}\n<!-- end {name} -->"
    pattern = re.compile(_marked(re.escape(name), re.escape(name)), re.S)
    return pattern.sub(lambda _: block, text) if pattern.search(text) else f"{text.rstrip()}\n\n{block}\n"


def _marked(name: str, again: str) -> str:
    return f"<!-- evaluate {name} -->.*?<!-- end {again} -->"


def history_table(history: Sequence[Mapping[str, Any]]) -> str:
    """The validations as CSV."""
    out = io.StringIO()
    if history:
        writer = csv.DictWriter(out, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    return out.getvalue()


ERRORS = {"wer": "words", "cer": "characters"}
COLOURS = ("#c4622d", "#777777")


def curves(
    history: Sequence[Mapping[str, Any]],
    *,
    loss: str = "loss a character",
    shares: Mapping[str, str] = ERRORS,
    what: str = "wrong on validation, %",
) -> bytes:
    """Loss on the training data, and two `shares` of the validation (by their keys: what they are called), by step: a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [row["step"] for row in history]
    left.plot(steps, [row["loss"] for row in history], color="#3b6ea5")
    left.set_ylabel(loss)
    for (key, label), colour in zip(shares.items(), COLOURS, strict=True):
        right.plot(steps, [100 * row[key] for row in history], color=colour, label=label)
    right.set_ylabel(what)
    right.legend(frameon=False)
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120)
    return out.getvalue()


def flat_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for a card: one level, no empty values."""
    flat: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": of for inner, of in value.items()}
        elif value is not None:
            flat[name] = value
    return flat
