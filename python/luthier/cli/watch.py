"""`luthier watch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, as fit wrote it.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Rows that came in since: JSONL or CSV.")],
    labels: Annotated[
        bool, typer.Option("--labels", help="The rows end with their right answers: measure accuracy too.")
    ] = False,
    answers: Annotated[
        bool, typer.Option("--answers/--no-answers", help="Let the model answer the rows, and compare that too.")
    ] = True,
    text: options.TextColumn = None,
    label: options.LabelColumn = None,
    system: options.SystemFile = None,
    format: options.Format = None,
    skip_bad: options.SkipBad = False,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Compare new rows with those that a run was fitted on: keep the model, look, or retrain.

    Example: luthier watch runs/a new.jsonl

    Compares length, words, TF-IDF directions and answers with reference.npz in the run's folder, and lists the rows
    that are farthest from training. A shift needs p below 0.05, corrected for the number of tests, and a population
    stability index of 0.10 (moderate) or 0.25 (large) beyond chance.

    Exit status: 0 keep, 3 look, 4 retrain, 2 wrong input.
    """
    from luthier.generation.progress import answer_progress
    from luthier.watch import watch_run

    options.set_threads(threads)
    given = {"text": text, "label": label, "system": system, "skip_bad": skip_bad, "format": format}
    with answer_progress("answers", quiet=not answers) as progress:
        found = watch_run(options.open_run(run, dtype), new, labels, answers, progress, **given)

    def show() -> None:
        from rich.console import Console

        Console(soft_wrap=True).print(found)

    options.print_result(found.to_json(), json_output, show)
    if found.status:
        raise typer.Exit(found.status)
