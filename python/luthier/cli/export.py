"""`luthier export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, as fit wrote it.")],
    to: Annotated[Path, typer.Option("--to", help="New folder for the model.")],
    dtype: Annotated[str, typer.Option("--dtype", help="bfloat16, float16 or float32")] = "bfloat16",
    json_output: options.Json = False,
) -> None:
    """Write a Transformers folder in which the adapter is merged into the weights.

    Example: luthier export runs/a --to merged-folder

    PEFT loads the adapter itself from RUN/adapter, without an export.
    """
    from luthier.training.run import Run

    folder = Run(run).export(to, dtype=dtype)
    options.print_result({"out": str(folder)}, json_output, lambda: print(f"{folder}: the merged model"))
