"""`luthier verdict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that was evaluated.")],
    thresholds: options.ThresholdValues = None,
    results: options.Results = None,
    json_output: options.Json = False,
) -> None:
    """Print the verdict on a run again, with every threshold and its reason.

    Example: luthier verdict runs/a --threshold class-recall=0.7

    Nothing is measured anew. Thresholds that are given are kept with the verdict in evaluation.json.

    Exit status: 0 SHIP, 3 HOLD, 4 RETHINK.
    """
    from luthier.training.run import Run
    from luthier.verdict import run_verdict
    from luthier.verdict.files import stored_thresholds, write_verdict
    from luthier.verdict.show import lines
    from luthier.verdict.thresholds import parse_thresholds

    opened = Run(run)
    place = results or run
    limits = parse_thresholds(thresholds, stored_thresholds(place))
    found = run_verdict(opened, limits, place)
    if thresholds:
        write_verdict(found, place)

    def show() -> None:
        from rich.console import Console

        console = Console(highlight=False)
        for part in lines(found, with_thresholds=True):
            console.print(part)

    options.print_result(found.to_json(), json_output, show)
    if found.status:
        raise typer.Exit(found.status)
