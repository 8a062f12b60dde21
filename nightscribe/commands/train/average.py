"""`nightscribe train average`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("average")
@click.argument("models", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder of the model.")
@click.option("--half", is_flag=True, help="Keep it in half precision.")
def command(models: tuple[str, ...], out: Path, half: bool) -> int:
    """Make one speech model of several MODELS (folders or hub ids): the mean of their weights.

    For runs that began with the same model (`--init`, `--base`) and differ in seed, data or settings: their mean is often
    better than each, and costs no more to use. Judge it before you trust it.

    \b
    Example:
      nightscribe train average one/best two/best --out models/mean
      nightscribe evaluate asr test.tsv --models models/mean
    """
    from tasks.training.soup import average_models

    average_models(models, out, half=half)
    print(f"The mean of {len(models)} models: {out}")
    print(f"Use it: nightscribe index BUCKET --models {out}")
    return 0
