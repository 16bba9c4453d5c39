"""`luthier demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    task: Annotated[
        str,
        typer.Argument(
            metavar="[functions|sort]", help="Signatures to JSON, or the counter-example: sorting docstrings."
        ),
    ] = "functions",
    out: Annotated[Path, typer.Option("--out", help="Folder for data and runs.")] = Path("demo"),
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Make a task from this Python's own documentation, and do all of it: check, split, baselines, fit, evaluate,
    verdict, report.

    Example: luthier demo

    Each stage is shown with the command that does the same. Exit status 0, whatever the verdict is.
    """
    from luthier.cli.interruption import exit_when_interrupted
    from luthier.demo import run_demo
    from luthier.demo.show import Say

    options.set_threads(threads)
    with exit_when_interrupted():
        result = run_demo(task, out, say=Say(quiet=json_output))  # type: ignore[arg-type]
    options.print_result(result.to_json(), json_output, lambda: None)
