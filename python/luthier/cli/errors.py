"""`luthier errors`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that was evaluated.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows of each kind that are shown.")] = 20,
    results: options.Results = None,
    json_output: options.Json = False,
) -> None:
    """List what a run gets wrong: confusions, the worst rows, and labels that look wrong rather than the answer.

    Example: luthier errors runs/a --limit 5

    Each row comes with its file and line, what was expected and given, and the nearest training rows.
    """
    from luthier.report import find_errors
    from luthier.report.show_errors import lines

    found = find_errors(run, results)

    def show() -> None:
        from rich.console import Console

        console = Console(highlight=False)
        for part in lines(found, limit):
            console.print(part)

    options.print_result(found.to_json(limit), json_output, show)
