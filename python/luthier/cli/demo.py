"""`luthier demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    task: Annotated[str, typer.Argument(metavar="[sort]", help="Leave out for the main demo; 'sort' is the counter-example.")] = "functions",
    out: Annotated[Path, typer.Option("--out", help="Folder for data and run.")] = Path("demo"),
    json_output: options.Json = False,
) -> None:
    """Fit and evaluate on a real task, built from the documentation of this Python's standard library."""
    raise NotImplementedError
